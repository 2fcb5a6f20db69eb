import t from "tap"
import type { EventBody } from "../../../events/event.ts"
import { batchMax, fromGate } from "../../../guard/channel.ts"

import { drop, flow, name, node, request } from "../events/samples.ts"

const samples: readonly EventBody[] = [
  ...[flow, name, drop, { ...drop, enforced: false }, { ...name, repeated: 3 }],
  { ...name, aliases: ["a.example.net", "b.example.net"] },
  { ...flow, reason: "certificate-invalid", certificateRefused: true },
  { ...flow, process: node, step: "build", detail: "why", dialled: flow.target, opening: null },
  {
    ...{ kind: "finding", finding: "gate-ended", severity: "high", summary: "", because: [1] },
    ...{ process: null, step: null },
  } as const,
  ...[request, { ...request, repeated: 7 }, { ...request, rule: null, status: null }],
]
const source = { address: "198.51.100.7", port: 40_000 }
const target = { address: "2001:db8::1", port: 443 }

t.test("fromGate() takes the messages of a gate", (t) => {
  t.strictSame(fromGate({ t: "ready" }), { t: "ready" })
  const owner = { t: "owner", id: 1, flow: "w-1", transport: "tcp", source, target }
  t.strictSame(fromGate(owner), owner)
  t.match(fromGate({ ...owner, flow: undefined }), { flow: null })
  const opened = { t: "opened", flow: "w-1", source, target }
  t.strictSame(fromGate({ ...opened, more: 1 }), opened)
  t.strictSame(fromGate({ t: "forgotten", flow: "w-1", more: 1 }), { t: "forgotten", flow: "w-1" })
  t.strictSame(fromGate({ ...owner, target: null }), { ...owner, target: null })
  const admit = { t: "admit", id: 2, doors: ["udp_53_53"], addresses: [], ttlMs: 0 }
  t.strictSame(fromGate(admit), admit)
  const lease = { t: "lease", id: 3, rule: 0, bytes: 262_144 }
  t.strictSame(fromGate({ ...lease, more: 1 }), lease)
  t.strictSame(fromGate({ t: "return", rule: 7, bytes: 1, id: 4 }), {
    t: "return",
    rule: 7,
    bytes: 1,
  })
  const batch = samples.map((body) => ({ atMs: 1, body }))
  t.strictSame(fromGate({ t: "events", id: 3, batch }), { t: "events", id: 3, batch })
  t.end()
})

t.test("fromGate() takes nothing else of a message than what it knows", (t) => {
  const message = { t: "owner", id: 1, transport: "udp", source, target: null, more: "x" }
  t.notOk("more" in (fromGate(message) ?? {}))
  const admit = { t: "admit", id: 2, doors: [], addresses: ["::ffff:198.51.100.1"], ttlMs: 1 }
  t.match(fromGate(admit), { addresses: ["198.51.100.1"] }, "addresses in their one spelling")
  t.end()
})

t.test("fromGate() lets no event bring fields of its own", (t) => {
  const forged = { v: 2, time: "now", run: "another", seq: 1, more: { deep: [[[]]] } }
  for (const body of samples) {
    const message = { t: "events", id: 1, batch: [{ atMs: 1, body: { ...body, ...forged } }] }
    t.strictSame(fromGate(message), { t: "events", id: 1, batch: [{ atMs: 1, body }] }, body.kind)
  }
  t.end()
})

t.test("fromGate() bounds what makes the guard work", (t) => {
  const admit = { t: "admit", id: 2, doors: ["a", "a", "b"], addresses: ["198.51.100.1"] }
  t.match(fromGate({ ...admit, ttlMs: Number.MAX_SAFE_INTEGER }), {
    doors: ["a", "b"],
    ttlMs: 7 * 24 * 3_600_000,
  })
  const many = Array.from({ length: 2_000 }, (_, index) => `198.18.${index >> 8}.${index & 255}`)
  t.equal(fromGate({ ...admit, addresses: many, ttlMs: 1 }), null)
  t.equal(fromGate({ ...admit, doors: many, ttlMs: 1 }), null)
  const batch = Array.from({ length: batchMax + 1 }, () => ({ atMs: 1, body: flow }))
  t.equal(fromGate({ t: "events", id: 1, batch }), null)
  t.end()
})

t.test("fromGate() refuses what is not as agreed", (t) => {
  const owner = { t: "owner", id: 1, transport: "tcp", source, target }
  const admit = { t: "admit", id: 1, doors: ["a"], addresses: ["198.51.100.1"], ttlMs: 1 }
  const event = { atMs: 1, body: flow }
  for (const message of [
    {},
    { t: "order" },
    { t: "stop", id: 1 },
    { t: "__proto__", id: 1 },
    { ...owner, flow: 7 },
    { ...owner, flow: "x".repeat(65) },
    { t: "opened", flow: null, source, target },
    { t: "opened", flow: "w-1", source, target: null },
    { t: "opened", flow: "w-1", source: 7, target },
    { t: "opened", flow: "x".repeat(65), source, target },
    { t: "forgotten" },
    { t: "forgotten", flow: {} },
    { ...owner, id: "1" },
    { ...owner, id: -1 },
    { ...owner, id: 1.5 },
    { ...owner, id: 2 ** 60 },
    { ...owner, transport: "icmp" },
    { ...owner, source: null },
    { ...owner, source: { address: "localhost", port: 1 } },
    { ...owner, source: { ...source, port: 65_536 } },
    { ...owner, target: undefined },
    { ...admit, doors: [1] },
    ...[-1, 1.5, 2 ** 60, "1", null, undefined].flatMap((odd) => [
      { t: "lease", id: 1, rule: odd, bytes: 1 },
      { t: "lease", id: 1, rule: 1, bytes: odd },
      { t: "return", rule: odd, bytes: 1 },
      { t: "return", rule: 1, bytes: odd },
    ]),
    { t: "lease", id: 1, rule: 1, bytes: 0 },
    { t: "return", rule: 1, bytes: 0 },
    { t: "lease", rule: 1, bytes: 1 },
    { ...admit, doors: "a" },
    { ...admit, addresses: ["198.51.100.1 } ; flush ruleset"] },
    { ...admit, addresses: [null] },
    { ...admit, ttlMs: -1 },
    { ...admit, ttlMs: "1" },
    { t: "events", id: 1, batch: {} },
    { t: "events", id: 1, batch: [null] },
    { t: "events", id: 1, batch: [{ ...event, atMs: "now" }] },
    { t: "events", id: 1, batch: [{ ...event, body: { kind: "run-ended" } }] },
    { t: "events", id: 1, batch: [{ ...event, body: { kind: "run-started" } }] },
    { t: "events", id: 1, batch: [event, { ...event, body: [] }] },
    { t: "events", id: 1, batch: [{ ...event, body: { ...flow, verdict: "maybe" } }] },
    { t: "events", id: 1, batch: [{ ...event, body: { ...flow, process: 7 } }] },
    { t: "events", id: 1, batch: [{ ...event, body: { ...drop, packets: -1 } }] },
    { t: "events", id: 1, batch: [{ ...event, body: { kind: "flow" } }] },
  ]) {
    t.equal(fromGate(message), null, JSON.stringify(message))
  }
  t.end()
})
