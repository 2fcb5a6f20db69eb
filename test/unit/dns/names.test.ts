import t from "tap"
import { Names } from "../../../dns/names.ts"
import type { Hostname } from "../../../net/hostname.ts"
import { ip } from "./messages.ts"

const name = (text: string): Hostname => text as Hostname

void t.test("Names remembers for which names an address was given, and forgets", async (t) => {
  const names = new Names()
  names.remember(name("a.test"), [ip("192.0.2.1"), ip("192.0.2.2")], 300_000, 0)
  names.remember(name("b.test"), [ip("192.0.2.1")], 300_000, 0)
  t.same(names.namesOf(ip("192.0.2.1"), 0), ["a.test", "b.test"])
  t.same(names.namesOf(ip("192.0.2.2"), 329_999), ["a.test"], "a grace after the end")
  t.same(names.namesOf(ip("192.0.2.2"), 330_000), [])
  t.same(names.namesOf(ip("192.0.2.3"), 0), [])
})

void t.test("Names holds an answer without a time to live for a minute and more", async (t) => {
  const names = new Names()
  names.remember(name("a.test"), [ip("192.0.2.1")], 0, 0)
  t.same(names.namesOf(ip("192.0.2.1"), 60_000), ["a.test"])
  t.same(names.namesOf(ip("192.0.2.1"), 90_000), [])
})

void t.test("Names says which addresses have a name more, and until when all hold", async (t) => {
  const names = new Names()
  const [one, other] = [ip("192.0.2.1"), ip("192.0.2.2")]
  t.equal(names.untilOf(one, 0), null)
  t.same(names.remember(name("a.test"), [one], 300_000, 0), [one])
  t.same(names.remember(name("a.test"), [one, other], 400_000, 0), [other])
  t.equal(names.untilOf(one, 0), 430_000)
  t.same(names.remember(name("b.test"), [one], 0, 0), [one])
  t.equal(names.untilOf(one, 0), 90_000, "the first that ends")
  t.equal(names.untilOf(one, 90_000), 430_000)
  t.same(names.remember(name("b.test"), [one], 0, 90_000), [one], "it had ended")
})

void t.test("Names never shortens what it promised", async (t) => {
  const names = new Names()
  names.remember(name("a.test"), [ip("192.0.2.1")], 300_000, 0)
  names.remember(name("a.test"), [ip("192.0.2.1")], 0, 0)
  t.same(names.namesOf(ip("192.0.2.1"), 300_000), ["a.test"])
})

void t.test("Names knows a mapped address under the address that it carries", async (t) => {
  const names = new Names()
  names.remember(name("a.test"), [ip("::ffff:192.0.2.1")], 0, 0)
  t.same(names.namesOf(ip("192.0.2.1"), 0), ["a.test"])
  t.same(names.namesOf(ip("::ffff:192.0.2.1"), 0), ["a.test"])
})

void t.test("Names is bounded for one address: the name not seen for longest goes", async (t) => {
  const names = new Names()
  for (let n = 0; n < 200; n++) names.remember(name(`n${n}.test`), [ip("192.0.2.1")], 0, 0)
  const held = names.namesOf(ip("192.0.2.1"), 0)
  t.equal(held.length, 64)
  t.equal(held.at(-1), "n199.test")
})
