import t from "tap"
import { fc } from "../../property.ts"
import { covers, parseHostname, parsePattern } from "../../../net/hostname.ts"
import type { Hostname, Pattern } from "../../../net/hostname.ts"
import { nameIndex, namesFind } from "../../../policies/name-index.ts"

const label = fc.constantFrom("a", "b", "ab", "ba", "aba", "x-1")
const first = fc.oneof(
  label,
  fc.constantFrom("*", "**", "a*", "*a", "a*b", "*b*", "a*b*a", "*-*", "ab*ab"),
)
const later = fc.oneof(label, fc.constant("*"))

const pattern: fc.Arbitrary<Pattern> = fc
  .tuple(first, fc.array(later, { maxLength: 3 }))
  .map(([one, more]) => parsePattern([one, ...more].join(".")))
  .filter((found) => found !== null)
const hostname: fc.Arbitrary<Hostname> = fc
  .array(label, { minLength: 1, maxLength: 4 })
  .map((labels) => parseHostname(labels.join(".")))
  .filter((found) => found !== null)

void t.test("namesFind() finds what trying each pattern finds, each once", async (t) => {
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 12 }), hostname, (patterns, name) => {
      const index = nameIndex(patterns.map((one, at) => [one, at] as const))
      const found = namesFind(index, name).toSorted((one, other) => one - other)
      const slow = patterns.flatMap((one, at) => (covers(one, name) ? [at] : []))
      return JSON.stringify(found) === JSON.stringify(slow)
    }),
    { numRuns: 500 },
  )
  t.pass()
})

void t.test("namesFind() among 10,000 patterns of one label looks at few", async (t) => {
  const patterns = Array.from({ length: 10_000 }, (_, number): [Pattern, number] => [
    { pattern: number % 2 === 0 ? `h${number}x*.a.test` : `*x${number}h.a.test` },
    number,
  ])
  const index = nameIndex(patterns)
  t.same(namesFind(index, "h42x1.a.test" as Hostname), [42])
  t.same(namesFind(index, "1x43h.a.test" as Hostname), [43])
  const start = performance.now()
  for (let count = 0; count < 1000; count++) namesFind(index, "h42x1.a.test" as Hostname)
  // Why so much room: a machine under load; one look at all of them costs over a millisecond.
  t.ok(performance.now() - start < 500)
})
