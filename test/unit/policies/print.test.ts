import t from "tap"
import { fc } from "../../property.ts"
import { parsePolicy } from "../../../policies/parse.ts"
import type { Policy } from "../../../policies/policy.ts"
import { printPolicy } from "../../../policies/print.ts"

const surroundings = { source: "p", environment: {}, presets: new Map() }

const host = fc
  .tuple(fc.constantFrom("", "*.", "**.", "ab*.", "*.*.", "x.*."), fc.domain())
  .map(([wild, name]) => wild + name)
const port = fc.oneof(
  fc.constantFrom("", ":*", ":443", ":80"),
  fc.integer({ min: 1, max: 65_535 }).map((one) => `:${one}`),
  fc
    .tuple(fc.integer({ min: 1, max: 30_000 }), fc.nat(30_000))
    .map(([first, more]) => `:${first}-${first + more}`),
)
const v4 = fc.tuple(fc.ipV4(), port).map(([address, ports]) => address + ports)
const v6 = fc.tuple(fc.ipV6(), port).map(([address, ports]) => `[${address}]${ports}`)
const path = fc
  .array(
    fc.oneof(
      fc.constantFrom("**", "*", "a*b", "%C3%BC", "a;b", "", "~", "$x"),
      fc.stringMatching(/^[\w-]{1,8}$/),
    ),
    { maxLength: 5 },
  )
  .map((segments) => `/${segments.join("/")}`)
const request = fc
  .tuple(
    fc.constantFrom("", "GET ", "GET,HEAD "),
    fc.constantFrom("http", "https"),
    host,
    port,
    path,
  )
  .map(([methods, scheme, name, ports, rest]) => `${methods}${scheme}://${name}${ports}${rest}`)
const plain = fc
  .tuple(
    fc.oneof(
      host.chain((name) => port.map((ports) => name + ports)),
      v4,
      v6,
    ),
    fc.boolean(),
  )
  .map(([text, tcp]) => (tcp ? `${text}/tcp` : text))
const to = fc.oneof(plain, request)
const rule = fc.oneof(
  to,
  fc.record({ to, wide: fc.boolean() }),
  fc.record({ to, up: fc.constantFrom("10MB", "3 KiB", "7B", "1KB") }),
  fc.record({
    to,
    by: fc.constantFrom("curl", "/usr/bin/x y: #"),
    step: fc.constantFrom("a: b", "#", "*x", "1"),
  }),
  fc.constantFrom("a.test/udp", "10.0.0.0/8:1-9/udp", "icmp://a.test", "icmp://10.0.0.0/8"),
)
const policy = fc.record({
  mode: fc.constantFrom("audit", "block"),
  intercept: fc.constantFrom("when-needed", "always", "never"),
  allow: fc.array(rule, { maxLength: 6 }),
  deny: fc.array(rule, { maxLength: 3 }),
  opaque: fc.array(fc.domain(), { maxLength: 2 }),
  "resolve-private": fc.array(host, { maxLength: 2 }),
})

/** Where a rule was written is no part of its meaning. */
const meaning = (one: Policy): unknown => ({
  ...one,
  rules: one.rules.map((rule) => ({ ...rule, origin: null })),
})

void t.test("parsePolicy() of what printPolicy() writes is the same policy", async (t) => {
  let read = 0
  fc.assert(
    fc.property(policy, (document) => {
      const first = parsePolicy(JSON.stringify(document), surroundings).policy
      if (first === null) return
      read++
      const again = parsePolicy(printPolicy(first), surroundings)
      t.same(again.policy === null ? again.problems : meaning(again.policy), meaning(first))
      // Why: allow and deny stand apart in print, so their order among each other is lost.
    }),
    { numRuns: 400, seed: 1 },
  )
  t.ok(read > 100, `${read} policies were read`)
})
