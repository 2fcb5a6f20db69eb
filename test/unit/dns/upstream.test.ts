import t from "tap"
import type { Test } from "tap"
import { createSocket } from "node:dgram"
import { upstreams } from "../../../dns/upstream.ts"
import type { Upstreams } from "../../../dns/upstream.ts"
import type { Endpoint } from "../../../net/endpoint.ts"
import { a, answerTo, fakeUpstream, ip, question, wire } from "./messages.ts"

const name = wire("allowed.test").toString("latin1")
const answers = [a("allowed.test", "192.0.2.1")]

function asking(t: Test, ...endpoints: Endpoint[]): Upstreams {
  const made = upstreams(endpoints, Date.now)
  t.teardown(() => made.close())
  return made
}

/** A port where nobody listens. */
async function deadPort(): Promise<number> {
  const socket = createSocket("udp4")
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve))
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(() => resolve()))
  return port
}

void t.test("ask() sends a question of its own making, from many ports", async (t) => {
  const server = await fakeUpstream((message) => answerTo(message, { answers }))
  t.teardown(() => server.close())
  const up = asking(t, server.endpoint)
  for (let n = 0; n < 200; n++) {
    t.match(await up.ask(name, 1, false), { rcode: 0 })
  }
  t.ok(server.ports.size >= 4, `${server.ports.size} ports`)
  const spelled = new Set(server.asked.map((asked) => asked.name))
  t.ok(spelled.size > 50, `${spelled.size} spellings`)
  t.same(new Set([...spelled].map((text) => text.toLowerCase())), new Set(["allowed.test"]))
  const ids = new Set(server.messages.map((message) => message.readUInt16BE(0)))
  t.ok(ids.size > 150, `${ids.size} numbers`)
  for (const message of server.messages) {
    t.equal(message.readUInt16BE(2), 0x0100, "only RD")
    t.equal(message.length, 12 + name.length + 4 + 11)
  }
})

void t.test("ask() believes only the very question that it sent", async (t) => {
  const forged = [a("allowed.test", "192.0.2.66")]
  const server = await fakeUpstream((message) => [
    answerTo(message, { answers: forged, id: message.readUInt16BE(0) ^ 1 }),
    answerTo(message, { answers: forged, question: question({ name: "x.test" }).subarray(12) }),
    answerTo(message, { answers: forged, question: question({ type: 28 }).subarray(12) }),
    answerTo(message, { answers: forged, question: question({ class: 3 }).subarray(12) }),
    answerTo(message, { answers: forged }).subarray(0, 20),
    message,
    Buffer.alloc(0),
    answerTo(message, { answers }),
  ])
  t.teardown(() => server.close())
  const response = await asking(t, server.endpoint).ask(name, 1, false)
  t.match(response, { answers: [{ data: Buffer.from([192, 0, 2, 1]) }] })
})

void t.test("ask() asks by TCP where the answer is cut", async (t) => {
  const server = await fakeUpstream((message, transport) =>
    answerTo(message, transport === "udp" ? { truncated: true } : { answers }),
  )
  t.teardown(() => server.close())
  const response = await asking(t, server.endpoint).ask(name, 1, false)
  t.match(response, { rcode: 0, answers: [{ type: 1 }] })
  t.same(
    server.asked.map(({ transport }) => transport),
    ["udp", "tcp"],
  )
})

void t.test("ask() asks by TCP where the spelling was lost, and learns of it", async (t) => {
  const server = await fakeUpstream((message) =>
    answerTo(message, { answers, question: question().subarray(12) }),
  )
  t.teardown(() => server.close())
  const up = asking(t, server.endpoint)
  for (let n = 0; n < 6; n++) t.match(await up.ask(name, 1, false), { rcode: 0 })
  const byTcp = server.asked.filter(({ transport }) => transport === "tcp")
  t.equal(byTcp.length, 3)
  t.equal(server.asked.at(-1)?.name, "allowed.test")
  t.equal(server.asked.at(-1)?.transport, "udp")
})

void t.test("ask() asks by TCP while somebody guesses answers", async (t) => {
  const server = await fakeUpstream((message, transport) =>
    transport === "tcp"
      ? answerTo(message, { answers })
      : Array.from({ length: 70 }, (_, n) => answerTo(message, { id: n })),
  )
  t.teardown(() => server.close())
  t.match(await asking(t, server.endpoint).ask(name, 1, false), { answers: [{ type: 1 }] })
  t.equal(server.asked.at(-1)?.transport, "tcp")
})

void t.test("ask() asks without EDNS where that is not understood", async (t) => {
  const server = await fakeUpstream((message) =>
    answerTo(message, message.readUInt16BE(10) > 0 ? { rcode: 1 } : { answers }),
  )
  t.teardown(() => server.close())
  const up = asking(t, server.endpoint)
  t.match(await up.ask(name, 1, false), { rcode: 0 })
  t.match(await up.ask(name, 1, false), { rcode: 0 })
  t.equal(server.asked.length, 3)
})

void t.test("ask() goes to the next upstream when one is dead, fails or is silent", async (t) => {
  const good = await fakeUpstream((message) => answerTo(message, { answers }))
  const failing = await fakeUpstream((message) => answerTo(message, { rcode: 2 }))
  const silent = await fakeUpstream(() => null)
  for (const server of [good, failing, silent]) t.teardown(() => server.close())
  const dead = { address: ip("127.0.0.1"), port: await deadPort() }
  for (const first of [dead, failing.endpoint, silent.endpoint]) {
    const up = asking(t, first, good.endpoint)
    t.match(await up.ask(name, 1, false), { rcode: 0 })
  }
  const up = asking(t, silent.endpoint, good.endpoint)
  await up.ask(name, 1, false)
  const before = silent.asked.length
  await up.ask(name, 1, false)
  t.equal(silent.asked.length, before, "a silent one is asked last for a while")
})

void t.test("ask() fails within its time", async (t) => {
  const failing = await fakeUpstream((message) => answerTo(message, { rcode: 5 }))
  t.teardown(() => failing.close())
  t.equal(await asking(t, failing.endpoint).ask(name, 1, false), "upstream-failed")
  const dead = { address: ip("127.0.0.1"), port: await deadPort() }
  t.equal(await asking(t, dead).ask(name, 1, false), "upstream-failed")
  t.equal(await asking(t).ask(name, 1, false), "upstream-failed", "no upstream at all")
})

void t.test("ask() bounds what is open, and leaves room beside denied names", async (t) => {
  const server = await fakeUpstream(() => null)
  t.teardown(() => server.close())
  const up = asking(t, server.endpoint)
  const outcomes: string[] = []
  for (let n = 0; n < 1_300; n++) {
    void (async () => {
      const outcome = await up.ask(wire(`n${n}.test`).toString("latin1"), 1, true)
      outcomes.push(typeof outcome === "string" ? outcome : "answer")
    })()
  }
  await new Promise((resolve) => setTimeout(resolve, 300))
  t.equal(outcomes.filter((outcome) => outcome === "limit-exceeded").length, 1_300 - 128 - 1_024)
  const before = server.asked.length
  void up.ask(name, 1, false)
  await new Promise((resolve) => setTimeout(resolve, 100))
  t.equal(server.asked.length, before + 1, "an allowed name does not wait for them")
})
