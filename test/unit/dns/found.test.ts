import t from "tap"
import { found } from "../../../dns/found.ts"
import type { Found } from "../../../dns/found.ts"
import { readResponse } from "../../../dns/message.ts"
import { a, answerTo, cname, question, soa, wire } from "./messages.ts"
import type { Answered, Asked } from "./messages.ts"

const isPublic = (address: string): boolean => !/^(10|127)\.|^fe80/.test(address)

function foundIn(answered: Answered, asked: Asked = {}, enforced = true): Found {
  const message = question(asked)
  const response = readResponse(answerTo(message, answered))
  if (response === null) throw new Error("no answer")
  const name = wire("allowed.test").toString("latin1")
  return found(name, asked.type ?? 1, response, { admits: isPublic, enforced }, 1_000)
}

void t.test("found() gives all addresses and the least time to live", async (t) => {
  const answers = [a("allowed.test", "192.0.2.1", 60), a("Allowed.TEST", "192.0.2.2", 90)]
  const one = foundIn({ answers })
  t.same(one.addresses, ["192.0.2.1", "192.0.2.2"])
  t.same(one.section.ttls, [60, 90])
  t.match(one, { ttlMs: 60_000, bornAtMs: 1_000, failure: null, rcode: 0 })
})

void t.test("found() follows aliases from the question on, and nothing else", async (t) => {
  const answers = [
    a("evil.test", "192.0.2.66"),
    a("c.test", "192.0.2.1"),
    cname("b.test", "c.test", 20),
    cname("allowed.test", "b.test"),
    { name: "allowed.test", type: 16, data: Buffer.from("\x01x") },
  ]
  const one = foundIn({ answers })
  t.same(one.addresses, ["192.0.2.1"])
  t.equal(one.section.answers, 3)
  t.equal(one.ttlMs, 20_000)
  t.same(one.aliases, ["b.test", "c.test"])
})

void t.test("found() tells of a few aliases only, and of none that is no host name", async (t) => {
  const row = Array.from({ length: 12 }, (_, index) => `a${index}.test`)
  const answers = [
    cname("allowed.test", "a0.test"),
    ...row.slice(1).map((to, index) => cname(`a${index}.test`, to)),
    a("a11.test", "192.0.2.1"),
  ]
  t.same(foundIn({ answers }).aliases, row.slice(0, 8))
  const odd = [cname("allowed.test", "b!d.test"), a("b!d.test", "192.0.2.1")]
  t.match(foundIn({ answers: odd }), { aliases: [], addresses: ["192.0.2.1"] })
  t.same(foundIn({ answers: [a("allowed.test", "192.0.2.1")] }).aliases, [])
  const withheld = [cname("allowed.test", "b.test"), a("b.test", "10.0.0.1")]
  t.same(foundIn({ answers: withheld }).aliases, [])
})

void t.test("found() gives nothing of aliases in a circle", async (t) => {
  const answers = [cname("allowed.test", "b.test"), cname("b.test", "allowed.test")]
  t.match(foundIn({ answers }), { addresses: [], section: { answers: 0 } })
})

void t.test("found() gives nothing of aliases without an end", async (t) => {
  const answers = [cname("allowed.test", "n0.test")]
  for (let n = 0; n < 30; n++) answers.push(cname(`n${n}.test`, `n${n + 1}.test`))
  answers.push(a("n30.test", "192.0.2.1"))
  t.match(foundIn({ answers }), { addresses: [], section: { answers: 0 } })
})

void t.test("found() drops private addresses and keeps the others", async (t) => {
  const answers = [a("allowed.test", "10.0.0.1"), a("allowed.test", "192.0.2.1")]
  t.match(foundIn({ answers }), { addresses: ["192.0.2.1"], failure: null })
})

void t.test("found() says so where only private addresses were given", async (t) => {
  const answers = [a("allowed.test", "10.0.0.1"), a("allowed.test", "127.0.0.1")]
  t.match(foundIn({ answers }), {
    addresses: [],
    failure: "private-address",
    rcode: 0,
    section: { answers: 0, authority: 1 },
  })
})

void t.test("found() in audit mode gives private addresses, with the same reason", async (t) => {
  const answers = [a("allowed.test", "10.0.0.1")]
  t.match(foundIn({ answers }, {}, false), {
    addresses: ["10.0.0.1"],
    failure: "private-address",
    section: { answers: 1 },
  })
})

void t.test("found() never passes HTTPS and SVCB records", async (t) => {
  for (const type of [64, 65]) {
    const answers = [{ name: "allowed.test", type, data: Buffer.from([0, 1, 0]) }]
    t.equal(foundIn({ answers }, { type }).section.answers, 0)
    t.equal(foundIn({ answers }, { type: 255 }).section.answers, 0)
  }
})

void t.test("found() keeps a denial for the time that its SOA record says", async (t) => {
  t.equal(foundIn({ rcode: 3, authority: [soa("test", 900, 60)] }).ttlMs, 60_000)
  t.equal(foundIn({ rcode: 3, authority: [soa("test", 30, 60)] }).ttlMs, 30_000)
  t.equal(foundIn({ rcode: 3, authority: [soa("other.example", 900, 60)] }).ttlMs, 5_000)
  t.equal(foundIn({ rcode: 3 }).ttlMs, 5_000)
  t.match(foundIn({ rcode: 3 }), { rcode: 3, section: { authority: 1 } })
})

void t.test("found() gives 256 records at most", async (t) => {
  const answers = Array.from({ length: 1_500 }, (_, n) =>
    a("allowed.test", `192.0.${n >> 8}.${n & 255}`),
  )
  t.equal(foundIn({ answers }).addresses.length, 256)
})

void t.test("found() caps the time to live at a day", async (t) => {
  const one = foundIn({ answers: [a("allowed.test", "192.0.2.1", 604_800)] })
  t.same(one.section.ttls, [86_400])
})
