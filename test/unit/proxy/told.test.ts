import t from "tap"
import type { Reason } from "../../../flows/reason.ts"
import type { Flow } from "../../../flows/flow.ts"
import type { RequestHead } from "../../../http/request.ts"
import type { Rule } from "../../../policies/policy.ts"
import type { Words } from "../../../proxy/refuse.ts"
import { wordsFor } from "../../../proxy/told.ts"
import { address, name, rule } from "./world.ts"

const page: Asked = {
  scheme: "https",
  method: "PUT",
  host: "registry.example.com",
  port: 443,
  path: "/left-pad",
}

interface Asked {
  readonly scheme: "http" | "https"
  /** null: it could not be read. */
  readonly method: string | null
  readonly host: string
  readonly port: number
  readonly path: string | null
}

/** What is said of a request on a connection that stands. */
function told(asked: Asked, { reason, rule, detail }: ReturnType<typeof why>): Words {
  const { scheme, port, method, path } = asked
  const host = name(asked.host)
  const protocols: readonly string[] = []
  const tls = { kind: "tls", serverName: host, protocols, encryptedHello: false } as const
  const opening = scheme === "https" ? tls : ({ kind: "http", host, port } as const)
  const head: RequestHead | null =
    method === null
      ? null
      : {
          method: method === "WEBSOCKET" ? "GET" : method,
          webSocket: method === "WEBSOCKET",
          ...{ host, address: null, port, path, target: path ?? "/%2e", fields: [] },
        }
  const flow: Flow = {
    ...{ id: "f", openedAtMs: 0, transport: "tcp", names: [], process: null, step: null },
    ...{ opening, request: null },
    source: { address: address("192.0.2.1"), port: 1 },
    target: { address: address("198.51.100.1"), port },
  }
  return wordsFor({ flow, opening, head, reason, rule, detail })
}

function why(reason: Reason, detail: string | null = null, rule: Rule | null = null) {
  return { reason, rule, detail }
}

t.test("wordsFor() names the request, the reason and the line to add", (t) => {
  t.match(told(page, why("method-not-allowed")), {
    status: 403,
    text: "sluice: denied PUT https://registry.example.com/left-pad: method-not-allowed; to allow it, add to the policy: PUT https://registry.example.com/left-pad",
  })
  const plain = { ...page, scheme: "http", port: 8080, method: "WEBSOCKET" } as const
  t.match(
    told(plain, why("path-not-allowed")).text,
    /add to the policy: WEBSOCKET http:\/\/registry.example.com:8080\/left-pad$/,
  )
  const denied = { ...rule("PUT https://registry.example.com/**", "deny") }
  t.match(
    told(page, why("denied-by-rule", null, denied)).text,
    /denied-by-rule; the rule is "PUT https:\/\/registry.example.com\/\*\*" in test.yml:1$/,
  )
  t.end()
})

t.test("wordsFor() suggests nothing where no line is right", (t) => {
  for (const [request, reason] of [
    [page, "token-not-allowed"],
    [page, "host-mismatch"],
    [page, "upload-budget-exceeded"],
    [{ ...page, path: null }, "path-not-allowed"],
    [{ ...page, method: null }, "malformed"],
    [{ ...page, path: `/${"a".repeat(300)}` }, "path-not-allowed"],
  ] as const) {
    const { text } = told(request, why(reason))
    t.notMatch(text, /to allow it/)
    t.ok(text.length < 400)
  }
  t.end()
})

t.test("wordsFor() answers with HTTP's own word for it", (t) => {
  const table: [Reason, number][] = [
    ["method-not-allowed", 403],
    ["path-not-allowed", 403],
    ["token-not-allowed", 403],
    ["denied-by-rule", 403],
    ["upload-budget-exceeded", 403],
    ["host-mismatch", 421],
    ["malformed", 400],
    ["missing-server-name", 400],
    ["limit-exceeded", 431],
    ["certificate-invalid", 502],
    ["upstream-failed", 502],
    ["infrastructure", 502],
  ]
  for (const [reason, status] of table) t.equal(told(page, why(reason)).status, status, reason)
  t.match(
    told(page, why("certificate-invalid", "expired")).text,
    /certificate-invalid \(expired\)$/,
  )
  t.equal(told(page, why("upstream-failed")).text.slice(0, 14), "sluice: failed")
  t.end()
})
