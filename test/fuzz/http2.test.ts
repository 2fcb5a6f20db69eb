/**
 * HTTP/2 connections, well and badly made, cut anyhow: nothing throws, nothing takes long, how the
 * bytes come changes nothing, what goes on is what was judged, and both sides count the same windows.
 * Seeded and short; longer with FUZZ_SECONDS.
 */
import t from "tap"
import { HpackDecoder } from "../../http/hpack.ts"
import { huffmanText } from "../../http/huffman.ts"
import { block, data, frame, play, preface, purseOf, setting, u32 } from "../unit/proxy/h2.ts"
import type { Fields, Played } from "../unit/proxy/h2.ts"
import { allowed, judgeByPath } from "../unit/proxy/h2.ts"
import { randomly } from "./randomly.ts"

const seconds = Number(process.env["FUZZ_SECONDS"] ?? 1)
/** One connection of some dozens of frames, four times over: processor time, the machine is busy. */
const slowMs = 500
/** So many are tried, however slow the machine is. */
const leastRounds = 40

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

const { below, bytes, mutated, one } = randomly()

/** What a side says: one call each, so that all can be cut further. */
interface Said {
  readonly by: "client" | "upstream"
  readonly bytes: Buffer
}

const odd: Fields = [
  ["connection", "close"],
  ["te", "trailers"],
  ["te", "gzip"],
  ["host", "evil.test"],
  ["host", "allowed.test"],
  ["content-length", "5"],
  ["content-length", "0"],
  ["X-A", "b"],
  ["a", "b\r\nc: d"],
  ["a", " b"],
  ["authorization", "Bearer x"],
  ["alt-svc", "h3"],
  [":path", "/two"],
  [":protocol", "websocket"],
  ["expect", "100-continue"],
  ["x-http-method-override", "PUT"],
  ["long", "x".repeat(3_000)],
]

/** One that goes on. */
function goodRequest(): Fields {
  const more: Fields = [
    ["te", "trailers"],
    ["accept", "*/*"],
    ["cookie", "a=b"],
    ["long", "x".repeat(3_000)],
  ]
  return [
    [":method", one(["GET", "POST"])],
    [":scheme", "https"],
    [":authority", "allowed.test"],
    [":path", one(["/", "/a?b=c", "/a/b"])],
    ...more.filter(() => below(3) === 0),
  ]
}

function request(): Fields {
  const fields: (readonly [string, string])[] = [
    [":method", one(["GET", "POST", "HEAD", "OPTIONS", "CONNECT", "get"])],
    [":scheme", below(12) === 0 ? "http" : "https"],
    [":authority", one(["allowed.test", "allowed.test:443", "a@b", "[2001:db8::1]"])],
    [":path", one(["/", "/a?b=c", "/denied", "/denied/x", "*", "/%2e%2e/", "http://x/"])],
  ]
  if (below(15) === 0) fields.splice(below(4), 1)
  for (let count = below(3); count > 0; count--) fields.push(one(odd))
  return fields
}

/** A block that may use the table: as encoders do until they are told not to. */
function indexed(fields: Fields): Buffer {
  if (below(2) === 0) return block(fields)
  return Buffer.concat([
    // Room for one field, or for none.
    below(6) === 0 ? Buffer.from(one([[0x20], [0x3f, 0x21]])) : Buffer.alloc(0),
    block(fields),
    Buffer.from([0x40, 1, 97 + below(5), 2, 98, 99]),
    below(3) === 0 ? Buffer.from([0xbe + below(below(20) === 0 ? 9 : 1)]) : Buffer.alloc(0),
  ])
}

function fieldsOn(stream: number, fields: Fields, ends: boolean): Buffer {
  const whole = indexed(fields)
  if (below(5) > 0) return frame("HEADERS", ends ? 5 : 4, stream, whole)
  const at = below(whole.length)
  return Buffer.concat([
    frame("HEADERS", ends ? 1 : 0, stream, whole.subarray(0, at)),
    frame("CONTINUATION", 4, stream, whole.subarray(at)),
  ])
}

function dataOn(stream: number): Buffer {
  const ends = below(3) === 0
  const body = bytes(below(60))
  if (below(4) > 0) return data(stream, body, ends)
  const padding = below(4)
  const padded = Buffer.concat([Buffer.from([padding]), body, Buffer.alloc(padding)])
  return frame("DATA", ends ? 9 : 8, stream, padded)
}

function control(stream: number): Buffer {
  switch (below(9)) {
    case 0:
      return frame("PING", below(2), 0, bytes(8))
    case 1:
      return frame("WINDOW_UPDATE", 0, 0, u32(1 + below(9_000)))
    case 2:
      return frame("WINDOW_UPDATE", 0, stream, u32(below(5)))
    case 3:
      return frame("RST_STREAM", 0, stream, u32(below(14)))
    case 4:
      return frame("SETTINGS", 0, 0, setting(1 + below(8), below(70_000)))
    case 5:
      return frame("SETTINGS", 1, 0)
    case 6:
      return frame("PRIORITY", 0, stream, bytes(5))
    case 7:
      return frame(below(16), below(64), below(2) * stream, bytes(below(12)))
    default:
      return frame(0xa, 0, 0, bytes(4))
  }
}

/** One connection: mostly in order, sometimes not. */
function connection(broken = true): Said[] {
  const said: Said[] = [
    { by: "client", bytes: Buffer.concat([Buffer.from(preface), frame("SETTINGS", 0, 0)]) },
  ]
  const greeting: Said = { by: "upstream", bytes: frame("SETTINGS", 0, 0, setting(3, 100)) }
  if (below(4) > 0) said.push(greeting)
  let next = 1
  const open: number[] = []
  for (let count = 4 + below(20); count > 0; count--) {
    const stream = open.length > 0 && below(25) > 0 ? one(open) : 1 + 2 * below((next + 3) / 2)
    switch (below(8)) {
      case 0:
      case 1:
      case 2: {
        const good = below(3) > 0
        const fields = good ? goodRequest() : request()
        said.push({ by: "client", bytes: fieldsOn(next, fields, below(2) === 0) })
        if (good) open.push(next)
        next += 2
        break
      }
      case 3:
        said.push({ by: "client", bytes: dataOn(below(4) === 0 ? 1 : stream) })
        break
      case 4:
      case 5: {
        if (open.length === 0) break
        const fields: Fields = [
          [":status", one(["200", "200", "103", "403"])],
          ["a", "b"],
          ...(below(6) === 0 ? [one(odd)] : []),
        ]
        said.push({ by: "upstream", bytes: fieldsOn(stream, fields, below(4) === 0) })
        said.push({ by: "upstream", bytes: dataOn(stream) })
        break
      }
      case 6:
        said.push({
          by: open.length > 0 ? one(["client", "upstream"] as const) : "client",
          bytes: fieldsOn(stream, [["trailer-x", "x"]], below(5) > 0),
        })
        break
      default:
        said.push({ by: one(["client", "upstream"] as const), bytes: control(stream) })
    }
    if (broken && below(60) === 0) {
      const last = said.pop()
      if (last !== undefined) said.push({ ...last, bytes: mutated(last.bytes) })
    }
  }
  return said
}

/** DATA and connection windows of one direction of some bytes. */
class Tally {
  data = 0
  windows = 0
  #rest: Buffer = Buffer.alloc(0)

  add(piece: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, piece])
    if (this.#rest.subarray(0, 3).toString() === "PRI") this.#rest = this.#rest.subarray(24)
    while (this.#rest.length >= 9) {
      const length = this.#rest.readUIntBE(0, 3)
      if (this.#rest.length < 9 + length) return
      const stream = this.#rest.readUInt32BE(5) & 0x7fff_ffff
      if (this.#rest[3] === 0) this.data += length
      if (this.#rest[3] === 8 && stream === 0) {
        this.windows += this.#rest.readUInt32BE(9) & 0x7fff_ffff
      }
      this.#rest = this.#rest.subarray(9 + length)
    }
  }
}

interface Outcome {
  readonly client: string[]
  readonly upstream: string[]
  readonly acts: string[]
  readonly records: string[]
}

/** Credits are gathered for each call, so their sum alone is the same. */
function summed(lines: readonly string[]): string[] {
  let sum = 0
  const others = lines.filter((line) => {
    const credit = /^WINDOW_UPDATE 0 (\d+)$/.exec(line)
    if (credit !== null) sum += Number(credit[1])
    return credit === null
  })
  // Why: what is not said at the end of a connection nobody needs.
  return others.some((line) => line.startsWith("GOAWAY")) ? others : [...others, `windows ${sum}`]
}

function run(said: readonly Said[], most: number): Outcome & { played: Played } {
  const played = play()
  const { relay, client, upstream, acts, records } = played
  for (const { by, bytes: whole } of said) {
    for (let at = 0; at < whole.length;) {
      const size = most === 0 ? whole.length : 1 + below(most)
      // Why a copy: the bytes are lent for the call only.
      const piece = Buffer.from(whole.subarray(at, at + size))
      if (by === "client") relay.client(piece)
      else relay.upstream(piece)
      piece.fill(0xff)
      at += size
    }
  }
  relay.closed("gone")
  return {
    client: summed(client.lines),
    upstream: summed(upstream.lines),
    acts: [...acts],
    records: records.map((record) => JSON.stringify({ ...record, answer: record.answer.reason })),
    played,
  }
}

/** Requests that the upstream heard of, as `:method :path` by stream. */
function requestsIn(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const found = /^HEADERS \d+ (?:end )?:method: (\S+); .*:path: ([^;]+)/.exec(line)
    return found === null ? [] : [`${found[1]} ${found[2]}`]
  })
}

t.test("HTTP/2: how the bytes come changes nothing, and what goes on was allowed", async (t) => {
  const until = Date.now() + seconds * 1_000
  let count = 0
  let requests = 0
  let slowest = 0
  while (Date.now() < until || count < leastRounds) {
    const said = connection()
    const begun = cpuMs()
    const { played, ...whole } = run(said, 0)
    for (const most of [1, 7, 40]) {
      const { played: _, ...cut } = run(said, most)
      if (JSON.stringify(cut) === JSON.stringify(whole)) continue
      t.same(cut, whole, `by ${most}`)
      return
    }
    slowest = Math.max(slowest, cpuMs() - begun)
    const { judged, acts, records } = played
    const wanted = judged
      .filter((head) => judgeByPath(head).go)
      .map(({ method, target }) => `${method} ${target}`)
    t.strictSame(requestsIn(whole.upstream), wanted)
    const broken = acts.filter((act) => act.startsWith("broken"))
    if (records.length !== judged.length + broken.length) {
      t.equal(records.length, judged.length + broken.length, JSON.stringify(whole))
    }
    if (whole.upstream.some((line) => line.includes("UNREADABLE"))) t.fail("a block is unreadable")
    if (whole.client.some((line) => line.includes("UNREADABLE"))) t.fail("a block is unreadable")
    count++
    requests += wanted.length
  }
  t.ok(requests > leastRounds, `${requests} requests over ${count} connections went on`)
  t.ok(slowest < slowMs, `the slowest took ${slowest.toFixed(1)} ms`)
})

t.test("HTTP/2: both sides count the same windows, whatever is dropped", async (t) => {
  const until = Date.now() + seconds * 500
  let dropped = 0
  while (Date.now() < until) {
    // Why not broken: a frame that never ends counts for some and not for others.
    const said = connection(false)
    const tallies = {
      clientSaid: new Tally(),
      upstreamSaid: new Tally(),
      toClient: new Tally(),
      toUpstream: new Tally(),
    }
    const played = play()
    const { relay, acts, client, upstream } = played
    const hear = client.hear.bind(client)
    client.hear = (piece) => {
      tallies.toClient.add(piece)
      hear(piece)
    }
    const hearUpstream = upstream.hear.bind(upstream)
    upstream.hear = (piece) => {
      tallies.toUpstream.add(piece)
      hearUpstream(piece)
    }
    let greeted = false
    for (const { by, bytes: whole } of said) {
      if (by === "client") relay.client(Buffer.from(whole))
      else relay.upstream(Buffer.from(whole))
      if (acts.some((act) => act.startsWith("end") || act.startsWith("reset"))) break
      tallies[by === "client" ? "clientSaid" : "upstreamSaid"].add(whole)
      greeted ||= by === "upstream"
      const { clientSaid, upstreamSaid, toClient, toUpstream } = tallies
      // What the client may still send, as it sees it and as the upstream does.
      const seen = toClient.windows - clientSaid.data
      const meant = upstreamSaid.windows - toUpstream.data
      if (greeted && seen !== meant) t.equal(seen, meant, "the client's window")
      // What the upstream may still send: never more than the client takes.
      const given = clientSaid.windows - toClient.data
      const told = toUpstream.windows - upstreamSaid.data
      if (told > given) t.fail(`the upstream may send ${told - given} too many`)
      if (told < given - 4_096) t.fail(`the upstream may send ${given - told} too few`)
      dropped += clientSaid.data - toUpstream.data
    }
  }
  t.ok(dropped > 0)
})

t.test("HTTP/2: a purse that is filled late changes nothing but the time", async (t) => {
  const until = Date.now() + seconds * 500
  let asks = 0
  while (Date.now() < until) {
    const said = connection().filter(({ by }) => by === "client")
    const { upstream, records } = run(said, 0)
    const { purse, asked } = purseOf(below(200))
    const played = play({
      judge: (head) => {
        const answer = judgeByPath(head)
        return answer.go ? { ...allowed, purse } : answer
      },
    })
    for (const { bytes: whole } of said) {
      played.relay.client(Buffer.from(whole))
      for (let ask = asked.shift(); ask !== undefined; ask = asked.shift()) {
        asks++
        ask.answer(true)
      }
    }
    played.relay.closed("gone")
    t.strictSame(summed(played.upstream.lines), upstream)
    t.equal(played.records.length, records.length)
  }
  t.ok(asks > 0)
})

t.test("HPACK and Huffman: junk is read in time, and never beyond its end", async (t) => {
  const until = Date.now() + seconds * 500
  let good = 0
  let slowest = 0
  while (Date.now() < until) {
    const decoder = new HpackDecoder()
    for (let count = 0; count < 20; count++) {
      const junk = below(2) === 0 ? bytes(below(60)) : mutated(indexed(request()))
      const around = Buffer.concat([bytes(3), junk, bytes(3)])
      const begun = cpuMs()
      const list = decoder.decode(around, 3, 3 + junk.length)
      const alone = Buffer.concat([Buffer.alloc(3), junk])
      slowest = Math.max(slowest, cpuMs() - begun)
      if (list === null) break
      good++
      if (list.start < 3 || list.start > 3 + junk.length) t.fail("it begins elsewhere")
      if (!list.dynamic) {
        const other = new HpackDecoder().decode(alone, 3, alone.length)
        if (JSON.stringify(other) !== JSON.stringify(list)) t.fail(junk.toString("hex"))
      }
      huffmanText(around, 3, 3 + junk.length)
    }
  }
  t.ok(good > 0)
  t.ok(slowest < slowMs, `the slowest took ${slowest.toFixed(1)} ms`)
})
