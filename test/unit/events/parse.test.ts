import { fc } from "../../property.ts"
import t from "tap"
import { lineCharactersMax, parseEvent } from "../../../events/parse.ts"

const stamp = { v: 1, time: "2026-11-23T03:00:00.000Z", run: "r", seq: 7 }
const line = (body: object): string => JSON.stringify({ ...stamp, ...body })

void t.test("parseEvent() reads the contract's flow line as it stands", (t) => {
  const body = {
    kind: "flow",
    flow: "f1",
    transport: "tcp",
    source: { address: "10.0.0.2", port: 4000 },
    target: { address: "198.51.100.7", port: 443 },
    names: ["evil.test"],
    opening: { kind: "tls", serverName: "evil.test" },
    action: "refuse",
    verdict: "deny",
    enforced: true,
    reason: "name-not-allowed",
    rule: null,
    bytesSent: 1,
    bytesReceived: 2,
    durationMs: 3,
    process: { pid: 9, executable: "/bin/sh", arguments: ["sh"], ancestors: [] },
    step: null,
  }
  t.same(parseEvent(line(body)), { ...stamp, ...body })
  t.end()
})

void t.test("parseEvent() fills what a line leaves out", (t) => {
  const event = parseEvent(
    line({ kind: "name", name: "a.test", verdict: "deny", reason: "name-not-allowed" }),
  )
  t.match(event, {
    kind: "name",
    type: "A",
    addresses: [],
    enforced: true,
    process: null,
    step: null,
  })
  const request = { kind: "request", method: "GET", host: "a.test", verdict: "allow" }
  t.match(parseEvent(line({ ...request, reason: "allowed-by-rule" })), { path: "/", status: null })
  t.end()
})

void t.test("parseEvent() reads every other kind, and passes over kinds it has no use for", (t) => {
  const policy = { source: "sluice.yml", sha256: "00", rules: 2 }
  t.match(parseEvent(line({ kind: "run-started", mode: "block", policy })), {
    scope: "run",
    policy,
  })
  t.match(
    parseEvent(line({ kind: "drop", target: { address: "192.0.2.1" }, reason: "not-allowed" })),
    {
      packets: 1,
      target: { port: null },
    },
  )
  t.match(parseEvent(line({ kind: "run-ended", status: 3, counts: { denied: 2 }, lost: 1 })), {
    counts: { denied: 2, allowed: 0 },
  })
  t.match(parseEvent(line({ kind: "finding", finding: "x", severity: "low", because: [1] })), {
    because: [1],
  })
  t.same(parseEvent(line({ kind: "process", pid: 1 })), { ...stamp, kind: "other" })
  t.end()
})

void t.test("parseEvent() calls a line broken, whatever is wrong with it", (t) => {
  const bad = [
    "",
    "{",
    "null",
    "[]",
    '"text"',
    "{}",
    JSON.stringify({ ...stamp, v: 2, kind: "name" }),
    JSON.stringify({ ...stamp, time: "yesterday", kind: "run-ended" }),
    line({ kind: "name", name: 5, verdict: "deny", reason: "not-allowed" }),
    line({ kind: "name", name: "a", verdict: "maybe", reason: "not-allowed" }),
    line({ kind: "name", name: "a", verdict: "deny", reason: "Not\nAllowed" }),
    line({ kind: "name", name: "a", verdict: "deny", reason: "not-allowed", addresses: [1] }),
    line({ kind: "name", name: "a", verdict: "deny", reason: "not-allowed", process: [] }),
    line({ kind: "drop", target: { address: "a" }, packets: -1, reason: "not-allowed" }),
    line({ kind: "name", name: "a".repeat(lineCharactersMax), verdict: "deny" }),
  ]
  for (const each of bad) t.equal(parseEvent(each), "broken", each.slice(0, 90))
  t.end()
})

void t.test("parseEvent() never throws, whatever JSON it meets", (t) => {
  const kinds = ["run-started", "name", "flow", "request", "finding", "drop", "run-ended"]
  const keys = ["name", "target", "process", "rule", "opening", "policy", "counts", "because"]
  fc.assert(
    fc.property(
      fc.constantFrom(...kinds),
      fc.dictionary(fc.constantFrom(...keys), fc.jsonValue({ maxDepth: 4 })),
      (kind, fields) => {
        const read = parseEvent(line({ verdict: "deny", reason: "not-allowed", ...fields, kind }))
        return read === "broken" || read.kind === kind
      },
    ),
  )
  t.end()
})
