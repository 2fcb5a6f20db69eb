import type { IncomingMessage, ServerResponse } from "node:http"
import t from "tap"
import { visit } from "../../../lab/visit.ts"

void t.test("visit() says of whom a request asks what", (t) => {
  for (const [host, url, expected] of [
    ["Allowed.Test:8443", "/a?b=c?d", { host: "allowed.test", path: "/a", query: "b=c?d" }],
    ["allowed.test", "/", { host: "allowed.test", path: "/", query: "" }],
    [undefined, undefined, { host: "", path: "/", query: "" }],
  ] as const) {
    const request = { headers: { host }, url, method: "GET" } as unknown as IncomingMessage
    t.match(visit(request, {} as ServerResponse, true), { ...expected, method: "GET" })
  }
  t.end()
})
