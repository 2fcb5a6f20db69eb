import * as fc from "fast-check"
import t from "tap"
import { parseHostname } from "../../../net/hostname.ts"
import type { Hostname } from "../../../net/hostname.ts"
import { doorsFor, namedDoors, needsUplink, packetRules } from "../../../firewall/packets.ts"
import { compile } from "../../../policies/compile.ts"
import { kernelEntries, kernelRules } from "../../../policies/decide-name.ts"
import { parsePolicy } from "../../../policies/parse.ts"
import type { Policy } from "../../../policies/policy.ts"

const policyOf = (text: string): Policy => {
  const { policy } = parsePolicy(text, { source: "p", environment: {}, presets: new Map() })
  if (policy === null) throw new Error(text)
  return policy
}
const name = (text: string): Hostname => parseHostname(text) ?? ("" as Hostname)

t.test("packetRules() are the rules over UDP and ICMP addresses, and no others", (t) => {
  const policy = policyOf(`
allow:
  - 10.0.0.0/8:53/udp
  - 203.0.113.1:443
  - allowed.test:53/udp
  - icmp://2001:db8::1
  - icmp://allowed.test
  - {to: 198.51.100.1, by: curl}
deny:
  - 198.51.100.2:1-9/udp
`)
  t.match(packetRules(policy), [
    { effect: "allow", transport: "udp", ports: { first: 53, last: 53 } },
    { effect: "allow", transport: "icmp", prefix: { length: 128 }, ports: null },
    { effect: "deny", transport: "udp", ports: { first: 1, last: 9 } },
  ])
  t.equal(packetRules(policy).length, 3)
  t.strictSame(packetRules(policy), kernelRules(compile(policy)), "as policies/ sees it")
  t.end()
})

t.test("namedDoors() cuts ports where any rule begins or ends", (t) => {
  const policy = policyOf(`
allow: ["a.test:10-20/udp", "b.test:15-30/udp", "icmp://a.test", "c.test:443"]
deny: ["**.b.test:18/udp"]
`)
  const ports = namedDoors(policy).map((door) => door.ports && [door.ports.first, door.ports.last])
  t.strictSame(ports, [[10, 14], [15, 17], [18, 18], [19, 20], [21, 30], null])
  t.strictSame(
    namedDoors(policy).map(({ set }) => set),
    ["udp_10_14", "udp_15_17", "udp_18_18", "udp_19_20", "udp_21_30", "icmp"],
  )
  t.strictSame(doorsFor(compile(policy))(name("a.test")), [
    ...["udp_10_14", "udp_15_17", "udp_18_18", "udp_19_20", "icmp"],
  ])
  t.strictSame(doorsFor(compile(policy))(name("x.b.test")), [])
  t.strictSame(doorsFor(compile(policy))(name("c.test")), [])
  t.end()
})

t.test("needsUplink() only where a packet other than TCP may leave", (t) => {
  for (const [text, expected] of [
    ["allow: [a.test]", false],
    ["deny: ['10.0.0.0/8:53/udp']", false],
    ["allow: ['a.test:53/udp']", true],
    ["allow: ['10.0.0.0/8:53/udp']", true],
    ["allow: ['icmp://a.test']", true],
    ["mode: audit", true],
  ] as const) {
    t.equal(
      needsUplink(policyOf(`mode: block\n${text}`.replace(/^mode: block\n(?=mode)/, ""))),
      expected,
      text,
    )
  }
  t.end()
})

const port = fc.integer({ min: 1, max: 12 })
const rule = fc
  .record({
    host: fc.constantFrom("a.test", "b.test", "*.a.test", "**.a.test", "x.a.test"),
    ends: fc.tuple(port, port).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const),
    icmp: fc.nat(4).map((one) => one === 0),
  })
  .map(({ host, ends: [first, last], icmp }) => {
    return icmp ? `"icmp://${host}"` : `"${host}:${first}-${last}/udp"`
  })

t.test("doorsFor() opens for a name exactly what kernelEntries() says of it", (t) => {
  const both = fc.tuple(fc.array(rule, { maxLength: 6 }), fc.array(rule, { maxLength: 4 }))
  let judged = 0
  fc.assert(
    fc.property(both, ([allow, deny]) => {
      const { policy } = parsePolicy(
        `mode: block\nallow: [${allow.join(", ")}]\ndeny: [${deny.join(", ")}]\n`,
        { source: "p", environment: {}, presets: new Map() },
      )
      if (policy === null) return
      judged++
      const compiled = compile(policy)
      const doors = namedDoors(policy)
      const opened = doorsFor(compiled)
      for (const host of ["a.test", "b.test", "x.a.test", "y.x.a.test", "c.test"]) {
        const sets = opened(name(host))
        const entries = kernelEntries(compiled, name(host))
        for (let at = 1; at <= 12; at++) {
          const within = (ports: { first: number; last: number } | null): boolean =>
            ports !== null && ports.first <= at && at <= ports.last
          const byDoor = doors.some(({ set, ports }) => within(ports) && sets.includes(set))
          if (byDoor !== entries.some(({ ports }) => within(ports))) {
            throw new Error(`${host}:${at}, ${JSON.stringify({ sets, entries })}`)
          }
        }
        const pings = entries.some(({ transport }) => transport === "icmp")
        if (pings !== sets.includes("icmp")) throw new Error(`ping ${host}`)
      }
    }),
    { seed: 7, numRuns: 300 },
  )
  t.ok(judged > 200, `${judged} policies`)
  t.end()
})
