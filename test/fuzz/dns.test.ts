/**
 * DNS messages, whole, mutated and random, from the job and from the upstream: nothing throws, nothing
 * takes long, and every answer can be read. Seeded and short; longer with FUZZ_SECONDS.
 */
import t from "tap"
import type { Test } from "tap"
import { createSocket } from "node:dgram"
import { connect } from "node:net"
import { found } from "../../dns/found.ts"
import { framed, Frames } from "../../dns/frames.ts"
import { readQuery, readResponse, writeFault, writeReply } from "../../dns/message.ts"
import { writeTtls } from "../../dns/section.ts"
import { lowered } from "../../dns/wire-name.ts"
import { startResolver } from "../../dns/resolver.ts"
import type { Resolver } from "../../dns/resolver.ts"
import { parseHostname } from "../../net/hostname.ts"
import type { Hostname } from "../../net/hostname.ts"
import { a, answerTo, askedOf, cname, fakeUpstream, ip } from "../unit/dns/messages.ts"
import { question, soa, wire } from "../unit/dns/messages.ts"
import type { FakeUpstream } from "../unit/dns/messages.ts"

const seconds = Number(process.env["FUZZ_SECONDS"] ?? 1)
t.setTimeout((60 + 4 * seconds) * 1_000)

/** One message of 65,535 bytes at the worst, on a busy machine. */
const slowMs = 250

/** mulberry32: small, and the same on every machine. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

const next = random(Number(process.env["FUZZ_SEED"] ?? 20_261_123))
const below = (limit: number): number => Math.floor(next() * limit)

const pointers = Buffer.concat(
  Array.from({ length: 1_900 }, (_, n) => {
    const to = 12 + ((n * 12) % 16_000)
    return Buffer.from([0xc0 | (to >>> 8), to & 255, 0, 5, 0, 1, 0, 0, 0, 9, 0, 0])
  }),
)

function counted(message: Buffer, answers: number): Buffer {
  message.writeUInt16BE(answers, 6)
  return message
}

const asked = question({ name: "allowed.test", edns: 1232 })
const seeds: readonly Buffer[] = [
  asked,
  question({ name: "a.b.c.allowed.test", type: 65 }),
  question({ name: "", type: 2 }),
  question({ counts: [2, 0, 0, 0], tail: wire("evil.test") }),
  question({ edns: 512, options: Buffer.from([0, 10, 0, 4, 1, 2, 3, 4, 0, 12, 0, 2, 0, 0]) }),
  answerTo(asked, { answers: [cname("allowed.test", "cdn.test"), a("cdn.test", "192.0.2.1")] }),
  answerTo(asked, { rcode: 3, authority: [soa("test", 60, 60)] }),
  answerTo(asked, {
    answers: Array.from({ length: 40 }, (_, n) => a("allowed.test", `10.0.0.${n}`)),
  }),
  answerTo(asked, {
    answers: [2, 12, 15, 16, 33, 64, 65, 257].map((type) => ({
      name: "allowed.test",
      type,
      data: Buffer.concat([Buffer.from([0, 1, 0, 2, 0, 3]), wire("x.test")]),
    })),
  }),
  counted(Buffer.concat([answerTo(asked, {}), pointers]), 1_900),
  Buffer.alloc(12),
  Buffer.alloc(65_535, 0xc0),
]

const interesting = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff, 12, 41]

function mutated(): Buffer {
  const from = seeds[below(seeds.length)] ?? asked
  let bytes = Buffer.from(from)
  if (below(20) === 0) return Buffer.from(Array.from({ length: below(80) }, () => below(256)))
  for (let n = below(6); n >= 0; n--) {
    const at = below(Math.max(1, bytes.length))
    const kind = below(5)
    if (kind === 0) bytes[at] = below(256)
    else if (kind === 1) bytes[at] = interesting[below(interesting.length)] ?? 0
    else if (kind === 2) bytes = bytes.subarray(0, at)
    else if (kind === 3 && bytes.length > 1)
      bytes.writeUInt16BE(below(0x1_0000), at % (bytes.length - 1))
    else
      bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(below(at + 1))]).subarray(
        0,
        65_535,
      )
  }
  return bytes
}

/** What is wrong with the handling of a message; null: nothing. */
function problem(message: Buffer): string | null {
  const query = readQuery(message)
  if ("rcode" in query) {
    if (query.rcode === null) return null
    const reply = writeFault(query)
    return reply.length >= 12 && readQuery(reply) !== null ? null : "a bad error answer"
  }
  if (query.shown.length > 1_100) return "a name for people that is too long"
  const response = readResponse(message)
  if (response !== null) return "a question that is an answer"
  for (const limit of [512, 1232, 65_535]) {
    const error = { code: 15, text: "Blocked by Sluice: name-not-allowed" }
    const parts = { rcode: 3, section: Buffer.alloc(0), answers: 0, authority: 0, error }
    const reply = writeReply(query, parts, limit)
    const read = readResponse(reply)
    if (read === null || read.id !== query.id || read.rcode !== 3) return "an unreadable answer"
    if (lowered(read.exact) !== query.wire || read.type !== query.type) return "another question"
    if (reply.length > limit) return "a long answer"
  }
  return null
}

/** The same for what an upstream says: what is given on must be readable, and answer the question. */
function upstreamProblem(message: Buffer): string | null {
  const response = readResponse(message)
  if (response === null) return null
  const name = lowered(response.exact)
  const admission = { admits: (address: string) => !address.startsWith("10."), enforced: true }
  const one = found(name, response.type, response, admission, 0)
  const query = readQuery(question({ name: Buffer.from(name, "latin1"), type: response.type }))
  if ("rcode" in query) return null
  const { section } = one
  const parts = {
    rcode: one.rcode,
    section: section.bytes,
    answers: section.answers,
    authority: section.authority,
    error: null,
  }
  const reply = writeReply(query, parts, 65_535)
  if ((reply.readUInt16BE(2) & 0x0200) === 0) {
    writeTtls(reply, 12 + query.question.length, section, 7)
  }
  const read = readResponse(reply)
  if (read === null) return "records that cannot be read"
  if (one.addresses.some((address) => address.startsWith("10."))) return "a private address"
  let owner = name
  for (const record of read.answers) {
    if (record.type === 64 || record.type === 65) return "parameters of a service"
    if (record.owner !== owner) return "a record that does not belong to the question"
    if (record.type === 5 && response.type !== 5) owner = lowered(record.data.toString("latin1"))
  }
  return null
}

void t.test(
  "no DNS message throws, hangs or is answered with junk",
  { timeout: (30 + 2 * seconds) * 1_000 },
  async (t) => {
    const end = performance.now() + seconds * 1_000
    let count = 0
    let slowest = 0
    while (performance.now() < end) {
      const message = mutated()
      const began = performance.now()
      const wrong = problem(message) ?? upstreamProblem(message)
      slowest = Math.max(slowest, performance.now() - began)
      if (wrong !== null) t.fail(`${wrong}: ${message.subarray(0, 400).toString("hex")}`)
      count++
    }
    t.ok(slowest < slowMs, `the slowest of ${count} messages took ${slowest.toFixed(1)} ms`)
  },
)

void t.test("no cut of a stream changes the messages in it", async (t) => {
  for (let n = 0; n < 200; n++) {
    const stream = Buffer.concat(
      Array.from({ length: 5 }, () => {
        const body = Buffer.alloc(below(400), below(256))
        return Buffer.concat([Buffer.from([body.length >>> 8, body.length & 255]), body])
      }),
    )
    const whole = new Frames().push(stream)
    const frames = new Frames()
    const cut: Buffer[] = []
    for (let at = 0; at < stream.length;) {
      const size = 1 + below(9)
      cut.push(...frames.push(stream.subarray(at, at + size)))
      at += size
    }
    t.same(cut, whole)
  }
})

const named = (text: string): Hostname => parseHostname(text) ?? ("" as Hostname)
const at = { address: ip("127.0.0.1"), port: 0 }

async function listening(t: Test, upstream: FakeUpstream): Promise<Resolver> {
  const resolver = await startResolver({
    mode: "block",
    listeners: [
      { transport: "udp", at },
      { transport: "tcp", at },
    ],
    upstreams: [upstream.endpoint],
    nameVerdict: (name) =>
      name.endsWith("allowed.test")
        ? { decision: "allow", reason: "allowed-by-rule", rule: null }
        : { decision: "deny", reason: "name-not-allowed", rule: null },
    mayResolveTo: (_name, address) => !address.startsWith("10."),
    needsProcess: false,
    owner: async () => ({ process: null, step: null }),
    admit: () => null,
    record: (event) => {
      JSON.parse(JSON.stringify(event))
      return null
    },
  })
  t.teardown(() => {
    resolver.close()
    upstream.close()
  })
  return resolver
}

void t.test(
  "a resolver that was sent junk for a while still answers",
  { timeout: (30 + 2 * seconds) * 1_000 },
  async (t) => {
    const answers = (message: Buffer): Buffer =>
      answerTo(message, { answers: [a("allowed.test", "192.0.2.1")] })
    const resolver = await listening(t, await fakeUpstream(answers))
    const [udp = 0, tcp = 0] = resolver.ports
    const socket = createSocket("udp4")
    t.teardown(() => socket.close())
    let wrong = 0
    let answered: (() => void) | null = null
    socket.on("message", (reply) => {
      if (reply.length < 12 || (reply[2] ?? 0) < 0x80) wrong++
      if (reply.readUInt16BE(0) === 0x1111 && reply.readUInt16BE(6) === 1) answered?.()
    })
    const end = performance.now() + seconds * 1_000
    while (performance.now() < end) {
      for (let n = 0; n < 50; n++) {
        const message = mutated()
        if (message.length < 60_000) socket.send(message, udp, "127.0.0.1")
      }
      const stream = connect(tcp, "127.0.0.1")
      stream.on("error", () => {})
      for (let n = 0; n < 5; n++) stream.write(below(2) === 0 ? mutated() : framed(mutated()))
      await new Promise((resolve) => setTimeout(resolve, 5))
      stream.destroy()
    }
    t.equal(wrong, 0)
    const good = new Promise<void>((resolve) => (answered = resolve))
    const again = setInterval(() => socket.send(question({ id: 0x1111 }), udp, "127.0.0.1"), 100)
    await good
    clearInterval(again)
  },
)

void t.test(
  "an upstream that answers junk costs its own names only, and little time",
  async (t) => {
    const upstream = await fakeUpstream((message) => {
      const [name] = askedOf(message)
      const answered = answerTo(message, { answers: [a(name.toLowerCase(), "192.0.2.1")] })
      if (name.toLowerCase().startsWith("good")) return answered
      const junk = mutated()
      // Why: with the right number and question it gets past the first look.
      return below(2) === 0 ? junk : Buffer.concat([answered.subarray(0, 40), junk.subarray(40)])
    })
    const resolver = await listening(t, upstream)
    const began = performance.now()
    const bad = Array.from({ length: 60 }, (_, n) => resolver.resolve(named(`n${n}.allowed.test`)))
    for (let n = 0; n < 10; n++) {
      const { addresses } = await resolver.resolve(named(`good${n}.allowed.test`))
      t.same(addresses, ["192.0.2.1"])
    }
    t.ok(performance.now() - began < 2_000, "others are served meanwhile")
    for (const { addresses } of await Promise.all(bad)) {
      t.ok(addresses.every((address) => !address.startsWith("10.")))
    }
    t.ok(performance.now() - began < 8_000, "five seconds for a question")
  },
)
