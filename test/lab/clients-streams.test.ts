/**
 * Streams, trailers, gRPC and WebSocket under request rules: what test/lab/streams.mjs tries. It runs
 * three times: without rules against it, in audit mode, and in block mode.
 */
import { createHash } from "node:crypto"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import t from "tap"
import { contentDigest } from "../../lab/content.ts"
import { arrives, canary, labFor, whyNoLab } from "../bypass/harness.ts"
import { shown } from "../bypass/ways.ts"
import { flowsOf, requestsOf, runClient } from "./client-table.ts"

t.setTimeout(300_000)

const rules = [
  "GET,HEAD https://allowed.test/bytes/*",
  "GET https://allowed.test/events",
  "GET https://allowed.test/poll/*",
  "GET https://allowed.test/hints",
  "GET https://allowed.test/status/*",
  "POST https://allowed.test/echo",
  "POST https://allowed.test/trailers",
  "PUT https://allowed.test/digest",
  "PUT https://allowed.test/refuse",
  "WEBSOCKET https://allowed.test/socket",
  "POST https://grpc.example.com/lab.Echo/Unary",
  "POST https://grpc.example.com/lab.Echo/Up",
  "POST https://grpc.example.com/lab.Echo/Down",
  "POST https://grpc.example.com/lab.Echo/Both",
  "POST https://grpc.example.com/lab.Echo/Fail",
]

const manyDigests = Array.from({ length: 100 }, (_, index) => contentDigest(index * 1_000)).join("")
const lateDigest = createHash("sha256").update("late").digest("hex")
const statuses = [204, 302, 304, 404, 500]

/** What each case gets in block mode. */
const expected: Readonly<Record<string, unknown>> = {
  "server-sent events, HTTP/1.1": { count: 5, flows: true },
  "server-sent events, HTTP/2": { count: 5, flows: true },
  "two-way body, HTTP/1.1": 10,
  "two-way body, HTTP/2": 10,
  "100-continue, HTTP/1.1": { invited: true, text: `4 ${lateDigest}\n` },
  "100-continue, HTTP/2": { invited: true, text: `4 ${lateDigest}\n` },
  "100-continue refused by the server": { invited: false, status: 417 },
  "100-continue refused by the firewall": { invited: false, status: 403 },
  // Nobody reads the trailers of requests, and some mend heads with them: they are left out.
  "trailers, HTTP/1.1": { sent: {}, got: { "x-lab-sum": "42" } },
  "trailers, HTTP/2": { sent: { "x-lab-count": "7" }, got: { "x-lab-sum": "42" } },
  "early hints, HTTP/1.1": { hints: [103], text: "with hints\n" },
  "early hints, HTTP/2": { hints: [103], text: "with hints\n" },
  "HEAD, HTTP/1.1": { length: "12345", text: "" },
  "HEAD, HTTP/2": { length: "12345", text: "" },
  "statuses without a body, HTTP/1.1": statuses,
  "statuses without a body, HTTP/2": statuses,
  "a denial between others, HTTP/1.1": [200, 403, 200],
  "a denial between others, HTTP/2": [200, 403, 200],
  "a large denied upload, HTTP/1.1": 403,
  "a large denied upload, HTTP/2": 403,
  "many streams": createHash("sha256").update(manyDigests).digest("hex"),
  "pipelined requests": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  "WebSocket, ws": ["hello", 0, "pong p", 4001, "enough"],
  "WebSocket, undici": "hello",
  "WebSocket denied": { status: 403 },
  "gRPC, unary": "hello",
  "gRPC, client streaming": "50",
  "gRPC, server streaming": { count: 100, last: "100" },
  "gRPC, both ways": 20,
  "gRPC, an error in the trailers": { code: 7, details: "not today" },
  // PERMISSION_DENIED: what 403 is to gRPC (grpc/doc/http-grpc-status-mapping.md).
  "gRPC, denied": { code: 7 },
  "gRPC, after a denial": "still here",
  "long poll": "at last\n",
}

/** Longer than the usual 30 s after which others cut a connection that says nothing. */
const pollMs = 31_000

interface Line {
  readonly name: string
  readonly got: unknown
}

t.test("streams", { skip: whyNoLab() ?? false, timeout: 290_000 }, async (t) => {
  const lab = await labFor(t, {})
  const script = join(import.meta.dirname, "streams.mjs")
  const home = join(lab.directory, "home")
  mkdirSync(home)

  await t.test("what is denied arrives in audit mode", async (t) => {
    const denied = [
      "a denial between others, HTTP/1.1",
      "a denial between others, HTTP/2",
      "gRPC, denied",
    ]
    for (const name of denied) {
      const word = canary()
      const command = `node ${script} ${word} 0 '${name}'`
      const run = await runClient(lab, "audit", { rules }, home, command, word)
      if (!t.ok(await arrives(lab, word), name)) t.comment(shown(run))
    }
  })

  await t.test("everything works, and no further", async (t) => {
    const word = canary()
    const command = `node ${script} ${word} ${pollMs}`
    const run = await runClient(lab, "block", { rules }, home, command, word)
    const lines = run.stdout.split("\n").filter((line) => line !== "")
    const got = new Map(
      lines.map((line) => JSON.parse(line) as Line).map(({ name, got }) => [name, got]),
    )
    for (const [name, wanted] of Object.entries(expected)) t.strictSame(got.get(name), wanted, name)
    t.equal(got.size, Object.keys(expected).length, "no case is forgotten")
    t.strictSame(await lab.seen(word), [], "nothing that is denied arrives")

    const requests = requestsOf(run.events)
    const denied = requests.filter(({ verdict }) => verdict === "deny")
    t.ok(denied.length >= 6, "the denials are told")
    t.ok(denied.every(({ reason }) => reason === "path-not-allowed"))
    for (const wanted of [
      { protocol: "websocket", method: "GET", path: "/socket", status: 101, verdict: "allow" },
      { protocol: "websocket", method: "GET", path: `/closed/${word}`, verdict: "deny" },
      { protocol: "h2", method: "POST", path: "/lab.Echo/Both", status: 200, verdict: "allow" },
      { protocol: "http/1.1", method: "HEAD", path: "/bytes/12345", status: 200, verdict: "allow" },
    ]) {
      const found = requests.some((event) =>
        Object.entries(wanted).every(([key, value]) => event[key as keyof typeof event] === value),
      )
      if (!t.ok(found, JSON.stringify(wanted))) t.comment(shown(run))
    }
    t.ok(
      flowsOf(run.events).every(({ action }) => action === "intercept"),
      "every connection is opened",
    )
    t.match(run.events.at(-1), { kind: "run-ended", lost: 0 }, "the log is whole")
  })
})
