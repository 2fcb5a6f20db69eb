import t from "tap"
import { suggest } from "../../../events/suggest.ts"
import type { Flow, Opening } from "../../../flows/flow.ts"
import type { Address } from "../../../net/address.ts"
import type { Hostname } from "../../../net/hostname.ts"
import { compile } from "../../../policies/compile.ts"
import { decide } from "../../../policies/decide.ts"
import { decideName } from "../../../policies/decide-name.ts"
import { emptyPolicy, extendPolicy, parseRuleLine } from "../../../policies/parse.ts"
import type { Policy } from "../../../policies/policy.ts"

const host = "a.test" as Hostname

function flow(
  address: string,
  port: number,
  names: readonly Hostname[],
  opening: Opening | null,
): Flow {
  return {
    id: "1",
    openedAtMs: 0,
    transport: "tcp",
    source: { address: "192.0.2.1" as Address, port: 40_000 },
    target: { address: address as Address, port },
    names,
    process: null,
    step: null,
    opening,
    request: null,
  }
}

function allowing(line: string): Policy {
  const rule = parseRuleLine("allow", line, {})
  if (!("effect" in rule)) throw new Error(`"${line}" is no rule`)
  const { policy } = extendPolicy(emptyPolicy(), [rule])
  if (policy === null) throw new Error(`"${line}" makes no policy`)
  return policy
}

const tls = (serverName: Hostname | null): Opening => ({
  kind: "tls",
  serverName,
  protocols: [],
  encryptedHello: false,
})

void t.test("the line that is suggested for a denied connection allows it", (t) => {
  const flows = [
    flow("203.0.113.1", 443, [host], tls(host)),
    flow("203.0.113.1", 8443, [host], tls(host)),
    flow("203.0.113.1", 80, [host], { kind: "http", host, port: 80 }),
    flow("203.0.113.1", 22, [host], { kind: "ssh" }),
    flow("203.0.113.1", 5432, [host], { kind: "opaque", serverFirst: false }),
    flow("203.0.113.1", 443, [], tls(null)),
    flow("203.0.113.1", 9000, [], { kind: "opaque", serverFirst: false }),
    flow("2001:db8::1", 443, [], tls(null)),
    flow("2001:db8::1", 9000, [], null),
    flow("10.1.2.3", 5432, [], { kind: "opaque", serverFirst: true }),
  ]
  for (const each of flows) {
    const verdict = decide(compile(emptyPolicy()), each)
    t.equal(verdict.decision, "deny")
    const name = each.opening?.kind === "tls" ? each.opening.serverName : null
    const line = suggest({
      reason: verdict.reason,
      host: name ?? each.names[0] ?? null,
      ...each.target,
      transport: "tcp",
      request: null,
    })
    t.equal(decide(compile(allowing(line ?? "")), each).decision, "allow", line ?? "nothing")
  }
  t.end()
})

void t.test("the line that is suggested for a denied name allows it", (t) => {
  const question = { name: host, type: "A", process: null, step: null }
  const { reason } = decideName(compile(emptyPolicy()), question)
  const denied = { reason, host, address: null, port: null, transport: "tcp", request: null }
  const line = suggest(denied)
  t.equal(decideName(compile(allowing(line ?? "")), question).decision, "allow")
  t.end()
})

void t.test(
  "suggest() names requests as a policy takes them, and hosts to be left alone",
  async (t) => {
    const base = { host: "a.test", address: null, port: null, transport: "tcp" } as const
    const asked = (method: string, path: string, port: number | null = null): string | null =>
      suggest({
        ...base,
        port,
        reason: "path-not-allowed",
        request: { scheme: "https", method, path },
      })
    for (const [method, path, wanted] of [
      ["GET", "/a/b?x=*", "GET https://a.test/a/b"],
      ["WEBSOCKET", "/feed", "WEBSOCKET https://a.test/feed"],
      ["GET", "/%7ea/%c3%bc", "GET https://a.test/~a/%C3%BC"],
      ["GET", "/@types%2fnode", "GET https://a.test/@types/node"],
      ["GET", "/a/../b", null],
      ["GET", "/ghp_***/x", null],
      ["GET", "/a*", null],
      ["OPTIONS", "*", null],
    ] as const) {
      t.equal(asked(method, path), wanted, path)
      if (wanted !== null) t.ok(allowing(wanted), wanted)
    }
    t.equal(asked("GET", "/a", 8443), "GET https://a.test:8443/a")
    const refused = { ...base, reason: "certificate-invalid", request: null } as const
    t.equal(suggest({ ...refused, certificateRefused: true }), "opaque: [a.test]")
    t.equal(suggest(refused), null)
    t.equal(suggest({ ...refused, host: null, certificateRefused: true }), null)
    t.equal(suggest({ ...refused, host: "ghp_***.test", certificateRefused: true }), null)
  },
)
