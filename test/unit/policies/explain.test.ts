import t from "tap"
import { compile } from "../../../policies/compile.ts"
import { anyone, explain } from "../../../policies/explain.ts"
import type { Asker } from "../../../policies/explain.ts"
import { parsePolicy } from "../../../policies/parse.ts"

const text = `
allow:
  - allowed.test
  - web.test:80
  - ssh.test:22
  - 10.1.2.0/24:5432
  - time.test:123/udp
  - 203.0.113.0/24:53-60/udp
  - icmp://ping.test
  - icmp://10.0.0.0/8
  - GET,HEAD https://registry.test/**
  - to: scoped.test
    by: /usr/bin/rsync
  - to: https://token.test/**
    token: job
  - half.test
  - to: up.test
    up: 10MB
  - "https://ws.test/**"
  - to: host-token.test
    token: job
deny:
  - gist.allowed.test
  - PUT https://half.test/**
  - icmp://10.0.0.1
  - POST https://ws.test/**
`
const { policy } = parsePolicy(text, { source: "p.yml", environment: {}, presets: new Map() })
if (policy === null) throw new Error("policy")
const compiled = compile(policy)

/** `allow reason line layer`. */
function said(target: string, asker: Asker = anyone): string {
  const found = explain(compiled, target, asker)
  if ("fault" in found) return `fault: ${found.fault}`
  return `${found.verdict} ${found.reason} ${found.rule?.origin.line ?? "-"} ${found.layer}`
}

void t.test("explain() answers for a target in any form", async (t) => {
  const table: [string, string][] = [
    ["allowed.test", "allow allowed-by-rule 3 name"],
    ["ALLOWED.test.:443", "allow allowed-by-rule 3 name"],
    ["https://allowed.test/x?y=1#z", "allow allowed-by-rule 3 name"],
    ["https://allowed.test", "allow allowed-by-rule 3 name"],
    ["POST https://allowed.test/x", "allow allowed-by-rule 3 name"],
    ["allowed.test:22", "deny port-not-allowed - connection"],
    ["tcp://allowed.test:443", "allow allowed-by-rule 3 name"],
    ["evil.test", "deny name-not-allowed - name"],
    ["gist.allowed.test", "deny denied-by-rule 23 name"],
    ["web.test:80", "allow allowed-by-rule 4 name"],
    ["http://web.test/", "allow allowed-by-rule 4 name"],
    ["ssh.test:22", "allow allowed-by-rule 5 name"],
    ["ssh://ssh.test", "allow allowed-by-rule 5 name"],
    ["10.1.2.3:5432", "allow allowed-by-rule 6 address"],
    ["10.1.2.3", "deny port-not-allowed - address"],
    ["10.9.9.9:443", "deny private-address - address"],
    ["198.51.100.1", "deny address-not-allowed - address"],
    ["[2001:db8::1]:443", "deny address-not-allowed - address"],
    ["udp://time.test:123", "allow allowed-by-rule 7 kernel"],
    ["time.test:123/udp", "allow allowed-by-rule 7 kernel"],
    ["udp://time.test:124", "deny port-not-allowed - kernel"],
    ["udp://203.0.113.5:55", "allow allowed-by-rule 8 kernel"],
    ["udp://evil.test:53", "deny name-not-allowed - name"],
    ["icmp://ping.test", "allow allowed-by-rule 9 kernel"],
    ["icmp://10.2.0.1", "allow allowed-by-rule 10 kernel"],
    ["icmp://10.0.0.1", "deny denied-by-rule 25 kernel"],
    ["icmp://allowed.test", "deny not-allowed - kernel"],
    ["icmp://192.0.2.1", "deny address-not-allowed - kernel"],
    ["registry.test", "deny path-not-allowed - request"],
    ["https://registry.test/a", "allow allowed-by-rule 11 request"],
    ["PUT https://registry.test/a", "deny method-not-allowed - request"],
    ["GET,PUT https://registry.test/a", "deny method-not-allowed - request"],
    ["half.test", "allow allowed-by-rule 16 request"],
    ["PUT https://half.test/a", "deny denied-by-rule 24 request"],
    ["https://token.test/a", "allow allowed-by-rule 14 request"],
    ["scoped.test", "deny process-not-allowed - name"],
    ["up.test", "allow allowed-by-rule 17 name"],
    ["GET https://ws.test/x", "allow allowed-by-rule 19 request"],
    ["WEBSOCKET https://ws.test/x", "deny denied-by-rule 26 request"],
    ["wss://ws.test/x", "deny denied-by-rule 26 request"],
    ["WSS://ws.test", "deny denied-by-rule 26 request"],
    ["wss://registry.test/x", "deny method-not-allowed - request"],
    ["wss://allowed.test/x", "allow allowed-by-rule 3 name"],
    ["ws://web.test/x", "allow allowed-by-rule 4 name"],
    ["wss://evil.test/x", "deny name-not-allowed - name"],
    ["host-token.test", "deny token-not-allowed - request"],
    ["https://host-token.test/a", "allow allowed-by-rule 20 request"],
  ]
  for (const [target, wanted] of table) t.equal(said(target), wanted, target)
  t.equal(said("scoped.test", { ...anyone, by: "/usr/bin/rsync" }), "allow allowed-by-rule 12 name")
  t.equal(
    said("https://token.test/a", { ...anyone, token: "other" }),
    "deny token-not-allowed - request",
  )
})

void t.test("explain() says what happens to a connection, and what a rule holds of", async (t) => {
  const notes = (target: string, of = compiled): string => {
    const found = explain(of, target)
    return "fault" in found ? found.fault : found.notes.join(" ")
  }
  t.match(notes("https://registry.test/a"), /^Sluice opens its connections \(TLS\)/)
  t.match(notes("PUT https://half.test/a"), /^Sluice opens its connections/)
  t.match(notes("https://allowed.test/a"), /does not look at its requests/)
  t.match(notes("up.test"), /lets out 10MB in a run/)
  t.match(notes("https://host-token.test/a"), /without credentials, or with the job's own token/)
  t.match(notes("wss://registry.test/a"), /GET does not allow it/)
  t.notMatch(notes("wss://registry.test/a"), /does not look/)
  t.equal(notes("allowed.test"), "")
  for (const rules of [
    "allow: ['https://a.test/**']",
    "allow: [a.test]\ndeny: ['https://a.test/x']",
  ]) {
    const read = parsePolicy(`intercept: never\n${rules}`, {
      source: "p",
      environment: {},
      presets: new Map(),
    })
    if (read.policy === null) throw new Error("policy")
    const never = compile(read.policy)
    const found = explain(never, "https://a.test/x")
    t.match(found, { verdict: "deny", reason: "unsupported-protocol", layer: "connection" }, rules)
    t.match(notes("https://a.test/x", never), /`intercept: never` forbids it/)
  }
})

void t.test("explain() says what is wrong with a question", async (t) => {
  t.match(said("*.allowed.test"), /fault: has a wildcard/)
  t.match(said("10.0.0.0/8"), /fault: is a block/)
  t.match(said("allowed.test:1-2"), /fault: has several ports/)
  t.match(said("https://allowed.test/**"), /fault: has a wildcard/)
  t.match(said("127.1"), /fault: .*odd spelling/)
  t.match(said(""), /fault: is empty/)
})
