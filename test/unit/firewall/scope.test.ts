import t from "tap"
import { contains, parsePrefix, prefixOf } from "../../../net/address.ts"
import type { Prefix } from "../../../net/address.ts"
import { coversPool, link } from "../../../firewall/scope.ts"

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text)
  if (parsed === null) throw new Error(`Cannot read "${text}": must be a prefix`)
  return parsed
}

t.test("link() keeps clear of what is taken", (t) => {
  const taken = ["198.18.0.0/16", "198.19.0.0/17", "fd00::/9", "fd80::/10"].map(prefix)
  for (let seed = 0; seed < 50; seed++) {
    const random = Uint8Array.from({ length: 8 }, (_, index) => (seed * 31 + index * 57) & 255)
    const { inner, outer } = link(["a", "b"], random, taken)
    for (const { four, six } of [inner, outer]) {
      t.notOk(
        taken.some((each) => contains(each, four) || contains(each, six)),
        `${four} ${six}`,
      )
      t.ok(contains(prefix("198.18.0.0/15"), four) && contains(prefix("fd00::/8"), six))
    }
    t.strictSame(prefixOf(inner.four, 30), prefixOf(outer.four, 30))
  }
  t.end()
})

t.test("coversPool() is true of what no link could keep clear of", (t) => {
  for (const [text, wanted] of [
    ["198.18.0.0/15", true],
    ["198.0.0.0/8", true],
    ["0.0.0.0/0", true],
    ["198.18.0.0/16", false],
    ["10.0.0.0/8", false],
    ["fc00::/7", true],
    ["fd00::/8", true],
    ["fd00::/9", false],
    ["2001:db8::/32", false],
  ] as const) {
    t.equal(coversPool(prefix(text)), wanted, text)
  }
  t.end()
})
