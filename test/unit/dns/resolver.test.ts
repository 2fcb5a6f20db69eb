import t from "tap"
import type { Test } from "tap"
import { createSocket } from "node:dgram"
import { connect } from "node:net"
import { defaultLimits } from "../../../dns/budget.ts"
import { framed, Frames } from "../../../dns/frames.ts"
import { startResolver } from "../../../dns/resolver.ts"
import type { Resolver, ResolverOptions } from "../../../dns/resolver.ts"
import type { Drop, NameEvent } from "../../../events/event.ts"
import { parseHostname } from "../../../net/hostname.ts"
import type { Hostname } from "../../../net/hostname.ts"
import { a, answerTo, askedOf, cname, fakeUpstream, ip, question } from "./messages.ts"
import type { Answered, FakeUpstream } from "./messages.ts"

const host = (text: string): Hostname => parseHostname(text) ?? ("" as Hostname)

interface Setup {
  readonly resolver: Resolver
  readonly upstream: FakeUpstream
  readonly events: (NameEvent | Drop)[]
  readonly ask: (message: Buffer, waitMs?: number) => Promise<Buffer | null>
  readonly port: number
}

type Over = Partial<ResolverOptions>
type Zone = (name: string, type: number) => Answered | null

async function setup(t: Test, zone: Zone, over: Over = {}): Promise<Setup> {
  const upstream = await fakeUpstream((message) => {
    const [name, type] = askedOf(message)
    const answered = zone(name.toLowerCase(), type)
    return answered === null ? null : answerTo(message, answered)
  })
  const events: (NameEvent | Drop)[] = []
  const at = { address: ip("127.0.0.1"), port: 0 }
  const resolver = await startResolver({
    mode: "block",
    listeners: [
      { transport: "udp", at },
      { transport: "tcp", at },
    ],
    upstreams: [upstream.endpoint],
    nameVerdict: (name) =>
      name === "allowed.test" || name.endsWith(".allowed.test")
        ? { decision: "allow", reason: "allowed-by-rule", rule: null }
        : { decision: "deny", reason: "name-not-allowed", rule: null },
    mayResolveTo: (_name, address) => !/^(10|127|169\.254)\.|^::|^64:/.test(address),
    needsProcess: false,
    owner: async () => ({ process: null, step: "build" }),
    admit: () => null,
    record: (event) => {
      events.push(event)
      return null
    },
    ...over,
  })
  const socket = createSocket("udp4")
  t.teardown(() => {
    resolver.close()
    upstream.close()
    socket.close()
  })
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve))
  const [udp = 0, tcp = 0] = resolver.ports
  const ask = (message: Buffer, waitMs = 2_000): Promise<Buffer | null> =>
    new Promise((resolve) => {
      const take = (reply: Buffer): void => {
        if (reply.readUInt16BE(0) !== message.readUInt16BE(0)) return
        clearTimeout(timer)
        socket.off("message", take)
        resolve(reply)
      }
      const timer = setTimeout(() => {
        socket.off("message", take)
        resolve(null)
      }, waitMs)
      socket.on("message", take)
      socket.send(message, udp, "127.0.0.1")
    })
  return { resolver, upstream, events, ask, port: tcp }
}

const good: Zone = (name) => ({ answers: [a(name, "192.0.2.1")] })
const rcode = (reply: Buffer | null): number => (reply === null ? -1 : reply.readUInt16BE(2) & 15)
const answersIn = (reply: Buffer | null): number => reply?.readUInt16BE(6) ?? -1

void t.test("a denied name never reaches an upstream, and the client learns why", async (t) => {
  const { ask, upstream, events } = await setup(t, good)
  const reply = await ask(question({ name: "canary.evil.test", edns: 1232 }))
  t.equal(rcode(reply), 3)
  t.ok(reply?.includes("name-not-allowed"))
  t.same(upstream.asked, [])
  t.match(events, [
    {
      kind: "name",
      name: "canary.evil.test",
      type: "A",
      transport: "udp",
      rcode: "NXDOMAIN",
      verdict: "deny",
      enforced: true,
      reason: "name-not-allowed",
      process: null,
      step: "build",
    },
  ])
})

void t.test("an allowed name is asked once, cached, and known by its addresses", async (t) => {
  const { ask, upstream, resolver } = await setup(t, good)
  for (let id = 1; id <= 20; id++) {
    const reply = await ask(question({ id }))
    t.equal(answersIn(reply), 1)
    t.same(reply?.subarray(-4), Buffer.from([192, 0, 2, 1]))
  }
  t.equal(upstream.asked.length, 1)
  t.same(resolver.namesOf(ip("192.0.2.1")), ["allowed.test"])
})

void t.test("what is cached is given with what is left of its time", async (t) => {
  let now = 1_000_000
  const { ask, upstream } = await setup(t, good, { now: () => now })
  const ttlOf = (reply: Buffer | null): number => reply?.readUInt32BE(reply.length - 10) ?? -1
  t.equal(ttlOf(await ask(question({ id: 1 }))), 300)
  now += 100_000
  t.equal(ttlOf(await ask(question({ id: 2 }))), 200, "from the whole answer that is kept")
  t.equal(ttlOf(await ask(question({ id: 3, name: "ALLOWED.test" }))), 200, "from the cache")
  now += 199_999
  t.equal(ttlOf(await ask(question({ id: 4 }))), 1)
  now += 1
  t.equal(ttlOf(await ask(question({ id: 5 }))), 300)
  t.equal(upstream.asked.length, 2)
})

void t.test("questions that are the same at the same time are one question upstream", async (t) => {
  const { ask, upstream } = await setup(t, good)
  const replies = await Promise.all([1, 2, 3, 4, 5].map((id) => ask(question({ id }))))
  for (const reply of replies) t.equal(answersIn(reply), 1)
  t.equal(upstream.asked.length, 1)
})

void t.test("nothing that the client chose beside the name travels on", async (t) => {
  const { ask, upstream } = await setup(t, good)
  const canary = Buffer.from("canary-canary")
  const options = Buffer.concat([Buffer.from([0, 10, 0, canary.length]), canary])
  await ask(question({ id: 0xcafe, flags: 0x0130, edns: 4096, options, name: "aLLoWed.TEst" }))
  const [message] = upstream.messages
  t.equal(message?.readUInt16BE(2), 0x0100)
  t.notOk(message?.includes("canary"))
  t.equal(message?.readUInt16BE(message.length - 8), 1232)
})

void t.test(
  "an answer that leaves the job is dropped, and nothing is learned from it",
  async (t) => {
    const { ask, resolver, upstream, events } = await setup(t, good)
    const forged = answerTo(question(), { answers: [a("allowed.test", "198.51.100.66")] })
    t.equal(await ask(forged, 200), null)
    t.same(resolver.namesOf(ip("198.51.100.66")), [])
    t.same(upstream.asked, [])
    t.same(events, [])
  },
)

void t.test("two questions in one message are refused and recorded", async (t) => {
  const { ask, upstream, events } = await setup(t, good)
  const two = question({
    counts: [2, 0, 0, 0],
    tail: question({ name: "x.evil.test" }).subarray(12),
  })
  t.equal(rcode(await ask(two)), 1)
  t.same(upstream.asked, [])
  t.match(events, [{ name: "allowed.test", reason: "malformed", verdict: "deny" }])
})

void t.test("private addresses are dropped from answers, in every spelling", async (t) => {
  const hidden: Zone = (name, type) =>
    type === 28
      ? {
          answers: ["00000000000000000000ffff0a000001", "0064ff9b0000000000000000a9fea9fe"].map(
            (hex) => ({ name, type: 28, data: Buffer.from(hex, "hex") }),
          ),
        }
      : { answers: ["10.0.0.1", "127.0.0.1", "169.254.169.254"].map((text) => a(name, text)) }
  const { ask, events, resolver } = await setup(t, hidden)
  for (const type of [1, 28]) {
    const reply = await ask(question({ id: type, type, edns: 1232 }))
    t.equal(answersIn(reply), 0)
    t.ok(reply?.includes("private-address"))
  }
  t.match(events, [{ reason: "private-address" }, { reason: "private-address" }])
  t.same(await resolver.resolve(host("allowed.test")), {
    addresses: [],
    reason: "private-address",
  })
  t.same(resolver.namesOf(ip("10.0.0.1")), [])
})

void t.test("audit mode gives what block mode would not, with the same reasons", async (t) => {
  const zone: Zone = (name) => ({
    answers: [a(name, name === "private.allowed.test" ? "10.0.0.1" : "192.0.2.1")],
  })
  const { ask, events, upstream } = await setup(t, zone, { mode: "audit" })
  t.equal(answersIn(await ask(question({ id: 1, name: "evil.test" }))), 1)
  t.equal(answersIn(await ask(question({ id: 2, name: "private.allowed.test" }))), 1)
  t.equal(answersIn(await ask(question({ id: 3, type: 10 }))), 0, "a type that is not there")
  t.match(events, [
    { name: "evil.test", verdict: "deny", enforced: false, reason: "name-not-allowed" },
    { name: "private.allowed.test", verdict: "deny", enforced: false, reason: "private-address" },
    { name: "allowed.test", verdict: "deny", enforced: false, reason: "query-type-refused" },
  ])
  t.equal(upstream.asked.length, 3)
})

void t.test("verdicts wait for the process where they depend on it", async (t) => {
  const { ask, upstream } = await setup(t, good, {
    needsProcess: true,
    owner: async ({ source }) => ({ process: null, step: source.port > 0 ? "deploy" : null }),
    nameVerdict: (_name, _type, _process, step) =>
      step === "deploy"
        ? { decision: "allow", reason: "allowed-by-rule", rule: null }
        : { decision: "deny", reason: "step-not-allowed", rule: null },
  })
  t.equal(answersIn(await ask(question())), 1)
  t.equal(upstream.asked.length, 1)
})

void t.test(
  "an owner that is never found delays a refusal little, an answer not at all",
  async (t) => {
    const { ask, events } = await setup(t, good, { owner: () => new Promise(() => {}) })
    const began = performance.now()
    t.equal(answersIn(await ask(question({ id: 1 }))), 1)
    t.ok(performance.now() - began < 200)
    t.equal(rcode(await ask(question({ id: 2, name: "evil.test" }))), 3)
    t.ok(performance.now() - began < 1_000)
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    t.equal(events.length, 2, "recorded as nobody's")
  },
)

void t.test("an answer is given only once its addresses are admitted", async (t) => {
  let admitted: () => void = () => {}
  const { ask, resolver } = await setup(t, good, {
    admit: (name, addresses, ttlMs) => {
      t.equal(name, "allowed.test")
      t.same(addresses, ["192.0.2.1"])
      t.equal(ttlMs, 330_000)
      return new Promise((resolve) => (admitted = resolve))
    },
  })
  t.equal(await ask(question({ id: 1 }), 150), null)
  t.same(resolver.namesOf(ip("192.0.2.1")), [])
  const reply = ask(question({ id: 2 }))
  admitted()
  t.equal(answersIn(await reply), 1)
})

void t.test("an answer whose addresses cannot be admitted is withheld", async (t) => {
  const { ask, resolver, events } = await setup(t, good, {
    admit: () => Promise.reject(new Error("no room in the set")),
  })
  t.equal(rcode(await ask(question())), 2)
  t.same(resolver.namesOf(ip("192.0.2.1")), [])
  t.match(events, [{ verdict: "deny", reason: "infrastructure", rcode: "SERVFAIL" }])
})

void t.test("an upstream's failure is said, and forgotten soon", async (t) => {
  let now = 0
  let works = false
  const { ask, events, upstream } = await setup(
    t,
    (name) => (works ? { answers: [a(name, "192.0.2.1")] } : { rcode: 2 }),
    { now: () => now },
  )
  const reply = await ask(question({ id: 1, edns: 1232 }))
  t.equal(rcode(reply), 2)
  t.ok(reply?.includes("upstream-failed"))
  t.match(events, [{ verdict: "allow", reason: "upstream-failed", rcode: "SERVFAIL" }])
  works = true
  t.equal(rcode(await ask(question({ id: 2 }))), 2)
  t.equal(upstream.asked.length, 1)
  now += 1_000
  t.equal(answersIn(await ask(question({ id: 3 }))), 1)
})

void t.test("resolve() gives both families and asks no policy again", async (t) => {
  const zone: Zone = (name, type) =>
    type === 28
      ? { answers: [{ name, type, data: Buffer.from(ip6) }] }
      : { answers: [a(name, "192.0.2.1")] }
  const ip6 = Buffer.from("20010db8000000000000000000000001", "hex")
  const { resolver, events } = await setup(t, zone)
  const { addresses, reason } = await resolver.resolve(host("allowed.test"))
  t.same([...addresses].sort(), ["192.0.2.1", "2001:db8::1"])
  t.equal(reason, null)
  t.same(events, [])
  t.same(resolver.namesOf(ip("2001:db8::1")), ["allowed.test"])
})

void t.test("resolve() gives one family where the other is silent", async (t) => {
  const { resolver } = await setup(t, (name, type) => (type === 1 ? good(name, 1) : null))
  const began = performance.now()
  t.same((await resolver.resolve(host("allowed.test"))).addresses, ["192.0.2.1"])
  t.ok(performance.now() - began < 500)
})

void t.test(
  "resolve() pays for names as questions do, and never gives the machine itself",
  async (t) => {
    const { resolver, upstream } = await setup(t, good)
    let refused = 0
    for (let n = 0; n < 200; n++) {
      const name = host(`${`${n}x`.padEnd(32, "q")}.allowed.test`)
      if ((await resolver.resolve(name)).reason === "name-budget-exceeded") refused++
    }
    t.ok(refused >= 136, `${refused} of 200 refused`)
    t.ok(upstream.asked.length <= 128)
    t.match(await resolver.resolve(host("localhost")), { addresses: [], reason: "private-address" })
  },
)

void t.test("questions that repeat are one line, and every one is counted", async (t) => {
  const { ask, events, resolver } = await setup(t, good)
  for (let id = 1; id <= 30; id++) {
    await ask(question({ id }))
    await ask(question({ id: id + 100, name: "evil.test" }))
  }
  resolver.close()
  const count = (name: string): number =>
    events
      .filter((event) => event.kind === "name" && event.name === name)
      .reduce((sum, event) => sum + (event.kind === "name" ? (event.repeated ?? 1) : 0), 0)
  t.equal(count("allowed.test"), 30)
  t.equal(count("evil.test"), 30)
  t.ok(events.length <= 8, `${events.length} lines`)
})

void t.test("a log that is full stops the reading, and what was lost is counted", async (t) => {
  let room: () => void = () => {}
  const { ask, upstream, events } = await setup(t, good, {
    record: (event) => {
      events.push(event)
      return events.length === 1 ? new Promise((resolve) => (room = resolve)) : null
    },
  })
  t.equal(answersIn(await ask(question({ id: 1 }))), 1)
  t.equal(await ask(question({ id: 2, name: "evil.test" }), 150), null)
  t.equal(await ask(question({ id: 3, name: "b.allowed.test" }), 150), null)
  t.equal(answersIn(await ask(question({ id: 4 }))), 1, "what needs no line is answered")
  t.equal(upstream.asked.length, 1)
  room()
  await new Promise((resolve) => setTimeout(resolve, 700))
  t.equal(rcode(await ask(question({ id: 5, name: "evil.test" }))), 3)
  t.match(
    events.find(({ kind }) => kind === "drop"),
    { packets: 2, reason: "limit-exceeded" },
  )
})

/** What comes back over one connection for some chunks; ends when it is closed or `count` came. */
function overTcp(port: number, chunks: readonly Buffer[], count: number): Promise<Buffer[]> {
  return new Promise((resolve) => {
    const frames = new Frames()
    const replies: Buffer[] = []
    const socket = connect(port, "127.0.0.1")
    socket.setNoDelay(true)
    socket.on("error", () => {})
    socket.on("close", () => resolve(replies))
    socket.on("data", (chunk) => {
      replies.push(...frames.push(chunk))
      if (replies.length >= count) socket.destroy()
    })
    void (async () => {
      for (const chunk of chunks) {
        if (socket.destroyed) return
        socket.write(chunk)
        await new Promise((next) => setImmediate(next))
      }
    })()
  })
}

void t.test("each message of a connection has its own verdict, however it is cut", async (t) => {
  const { port, upstream, events } = await setup(t, good)
  const stream = Buffer.concat([
    framed(question({ id: 1 })),
    framed(question({ id: 2, name: "canary.evil.test" })),
  ])
  for (const size of [1, 2, 5, stream.length]) {
    const chunks: Buffer[] = []
    for (let at = 0; at < stream.length; at += size) chunks.push(stream.subarray(at, at + size))
    const replies = await overTcp(port, chunks, 2)
    const codes = new Map(replies.map((reply) => [reply.readUInt16BE(0), rcode(reply)]))
    t.equal(codes.get(1), 0, `${size} bytes at a time`)
    t.equal(codes.get(2), 3, `${size} bytes at a time`)
  }
  t.same(new Set(upstream.asked.map(({ name }) => name.toLowerCase())), new Set(["allowed.test"]))
  t.match(events[0], { transport: "tcp" })
})

void t.test("a message of 65,535 bytes is refused and the next one answered", async (t) => {
  const { port } = await setup(t, good)
  const huge = Buffer.concat([question({ id: 7 }), Buffer.alloc(65_535 - question().length)])
  const replies = await overTcp(port, [framed(huge), framed(question({ id: 8 }))], 2)
  t.same(new Set(replies.map(rcode)), new Set([0, 1]))
})

void t.test("a connection with an answer or junk in it is closed", async (t) => {
  const { port } = await setup(t, good)
  t.same(await overTcp(port, [framed(question({ flags: 0x8180 }))], 1), [])
  t.same(await overTcp(port, [Buffer.from([0, 0])], 1), [])
  t.same(await overTcp(port, [framed(Buffer.alloc(5))], 1), [])
})

void t.test("a half-closed connection still gets its answers", async (t) => {
  const { port } = await setup(t, good)
  const replies = await new Promise<Buffer[]>((resolve) => {
    const frames = new Frames()
    const got: Buffer[] = []
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true })
    socket.on("data", (chunk) => got.push(...frames.push(chunk)))
    socket.on("end", () => {
      socket.destroy()
      resolve(got)
    })
    socket.end(framed(question()))
  })
  t.equal(replies.length, 1)
})

void t.test("answers that are too large for a datagram come over TCP", async (t) => {
  const many: Zone = (name) => ({
    answers: Array.from({ length: 100 }, (_, n) => a(name, `192.0.2.${n}`)),
  })
  const { ask, port, resolver } = await setup(t, many)
  const cut = await ask(question({ id: 1 }))
  t.equal((cut?.readUInt16BE(2) ?? 0) & 0x0200, 0x0200)
  t.equal(answersIn(cut), 0)
  const [whole] = await overTcp(port, [framed(question({ id: 2 }))], 1)
  t.equal(answersIn(whole ?? null), 100)
  t.equal((await resolver.resolve(host("allowed.test"))).addresses.length >= 100, true)
})

void t.test(
  "of too many connections the oldest idle ones give way, and who asks is served",
  async (t) => {
    const { port } = await setup(t, good)
    const sockets = Array.from({ length: 300 }, () => connect(port, "127.0.0.1"))
    const closed = new Set<unknown>()
    for (const socket of sockets) {
      socket.on("error", () => {})
      socket.on("close", () => closed.add(socket))
    }
    await new Promise((resolve) => setTimeout(resolve, 400))
    t.equal(closed.size, 300 - 256)
    t.ok(closed.has(sockets[0]))
    const last = sockets.at(-1)
    const reply = new Promise((resolve) => last?.once("data", resolve))
    last?.write(framed(question()))
    t.ok(await reply)
    for (const socket of sockets) socket.destroy()
  },
)

void t.test("an alias is usable only for the name that has it", async (t) => {
  const cloaked: Zone = (name) => ({
    answers: [cname(name, "evil.test"), a("evil.test", "198.51.100.66")],
  })
  const { ask, resolver, upstream } = await setup(t, cloaked)
  t.equal(answersIn(await ask(question({ id: 1 }))), 2)
  t.same(resolver.namesOf(ip("198.51.100.66")), ["allowed.test"])
  t.equal(rcode(await ask(question({ id: 2, name: "evil.test" }))), 3)
  t.equal(upstream.asked.length, 1)
})

void t.test("a refusal for want of room is not kept", async (t) => {
  let now = 0
  const limits = { ...defaultLimits, questionsMax: 1, questionMs: 1_000 }
  const { ask, events } = await setup(t, (name) => ({ answers: [a(name, "192.0.2.1", 0)] }), {
    limits,
    now: () => now,
  })
  t.equal(answersIn(await ask(question({ id: 1 }))), 1)
  for (let id = 2; id < 6; id++) t.equal(rcode(await ask(question({ id }))), 2)
  now += 1_000
  t.equal(answersIn(await ask(question({ id: 7 }))), 1)
  t.match(events[1], { verdict: "deny", reason: "limit-exceeded", rcode: "SERVFAIL" })
})

void t.test("withheld private addresses are asked for again when their time is over", async (t) => {
  let now = 0
  let address = "10.0.0.1"
  const { ask } = await setup(t, (name) => ({ answers: [a(name, address)] }), { now: () => now })
  for (let id = 1; id < 5; id++) t.equal(answersIn(await ask(question({ id }))), 0)
  address = "192.0.2.1"
  now += 5_000
  t.equal(answersIn(await ask(question({ id: 7 }))), 1)
})

void t.test(
  "a time to live of zero is passed on, and the name is known for a minute",
  async (t) => {
    let now = 0
    const flipping: Zone = (name) => ({ answers: [a(name, `192.0.2.${count++}`, 0)] })
    let count = 1
    const { ask, upstream, resolver } = await setup(t, flipping, { now: () => now })
    const first = await ask(question({ id: 1 }))
    t.equal(first?.readUInt32BE(first.length - 10), 0)
    await ask(question({ id: 2 }))
    t.equal(upstream.asked.length, 2)
    now += 60_000
    t.same(resolver.namesOf(ip("192.0.2.1")), ["allowed.test"])
    t.same(resolver.namesOf(ip("192.0.2.2")), ["allowed.test"])
  },
)
