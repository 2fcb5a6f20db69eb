import t from "tap"
import { fc } from "../../property.ts"
import type { Process } from "../../../flows/flow.ts"
import { doorIndex, hasDoor } from "../../../policies/door-index.ts"
import { fitsTcp } from "../../../policies/fit.ts"
import type { Rule } from "../../../policies/policy.ts"

const rule: fc.Arbitrary<Rule> = fc
  .record({
    effect: fc.constantFrom("allow" as const, "deny" as const),
    kind: fc.constantFrom("host" as const, "request" as const, "address" as const),
    transport: fc.constantFrom("tcp" as const, "udp" as const),
    first: fc.integer({ min: 1, max: 12 }),
    more: fc.integer({ min: 0, max: 4 }),
    by: fc.constantFrom(null, "curl", "/usr/bin/curl", "npm"),
    step: fc.constantFrom(null, "build", "deploy"),
  })
  .map(({ effect, kind, transport, first, more, by, step }) => {
    const ports = { first, last: first + more }
    const host = { pattern: "a.test" }
    const prefix = { address: "203.0.113.1" as never, length: 32 }
    const target: Rule["target"] =
      kind === "host"
        ? { kind, host, ports, transport }
        : kind === "request"
          ? { kind, scheme: "https", methods: null, host, ports, path: "/**" }
          : { kind, prefix, ports, transport }
    const origin = { source: "x", line: 1, column: 1, text: "x" }
    return { effect, target, by, step, token: null, up: null, wide: false, origin }
  })

const program = (executable: string): Process => ({
  pid: 1,
  executable,
  arguments: [],
  ancestors: [],
})

const actor = fc.record({
  process: fc.constantFrom(
    null,
    program(""),
    program("curl"),
    program("/usr/bin/curl"),
    program("/bin/curl"),
    program("/opt/npm"),
  ),
  step: fc.constantFrom(null, "build", "test"),
})

void t.test("hasDoor() says what trying each rule says", async (t) => {
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 8 }), actor, (rules, asker) => {
      for (const effect of ["allow", "deny"] as const) {
        const index = doorIndex(rules, effect)
        for (let port = 0; port <= 18; port++) {
          const slow = rules.some(
            (one) =>
              one.effect === effect && one.target.kind !== "address" && fitsTcp(one, port, asker),
          )
          if (hasDoor(index, port, asker) !== slow) return false
        }
      }
      return true
    }),
  )
  t.pass()
})

void t.test("a program named like a word of the index is no unknown asker", async (t) => {
  const rules: Rule[] = []
  t.equal(hasDoor(doorIndex(rules, "deny"), 443, { process: program("0"), step: "0" }), false)
})
