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

const names = ["in", "out"] as const
const random = Uint8Array.of(0, 0, 1, 2, 3, 4, 5, 6)

t.test("link() gives both ends of one small network of each family", (t) => {
  const { inner, outer } = link(names, random, [])
  t.strictSame([inner.name, outer.name], ["in", "out"])
  t.ok(contains(prefixOf(inner.four, 30), outer.four))
  t.ok(contains(prefixOf(inner.six, 64), outer.six))
  t.not(inner.four, outer.four)
  t.not(inner.six, outer.six)
  t.end()
})

t.test("link() stays within the ranges it is meant for, whatever the dice say", (t) => {
  for (let first = 0; first < 256; first += 5) {
    const bytes = Uint8Array.from({ length: 8 }, (_, index) => (first * (index + 3)) & 0xff)
    for (const { four, six } of Object.values(link(names, bytes, [])).filter(isEnd)) {
      t.ok(contains(prefix("198.18.0.0/15"), four), four)
      t.ok(contains(prefix("fd00::/8"), six), six)
    }
  }
  t.end()
})

function isEnd(value: unknown): value is ReturnType<typeof link>["inner"] {
  return typeof value === "object"
}

t.test("link() collides with nothing that is taken, larger or smaller", (t) => {
  const first = link(names, random, [])
  for (const taken of [
    prefixOf(first.inner.four, 32),
    prefixOf(first.inner.four, 30),
    prefixOf(first.inner.four, 16),
    prefixOf(first.outer.six, 128),
    prefixOf(first.outer.six, 64),
    prefixOf(first.outer.six, 48),
  ]) {
    const second = link(names, random, [taken])
    for (const end of [second.inner, second.outer]) {
      t.notOk(contains(taken, end.four) || contains(taken, end.six), JSON.stringify(taken))
    }
  }
  t.end()
})

t.test("link() says when there is no room", (t) => {
  t.throws(() => link(names, random, [prefix("198.18.0.0/15")]), /wholly in use/)
  t.end()
})
