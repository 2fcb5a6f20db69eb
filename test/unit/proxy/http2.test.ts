import t from "tap"
import { lingerMs } from "../../../proxy/h2-lingering.ts"
import { http2 } from "../../../proxy/http2.ts"
import type { Links } from "../../../proxy/relay.ts"
import {
  allowed,
  block,
  data,
  denied,
  frame,
  get,
  greeted,
  headers,
  play,
  post,
  preface,
  purseOf,
  setting,
  u32,
} from "./h2.ts"
import type { Fields } from "./h2.ts"

const getLine = ":method: GET; :scheme: https; :authority: allowed.test; :path: /"
const ok: Fields = [[":status", "200"]]
const deniedGet: Fields = [...get.slice(0, 3), [":path", "/denied"]]
const deniedPost: Fields = [[":method", "POST"], ...deniedGet.slice(1)]
/** The first block says one byte more: that there is no table. */
const firstBytes = block(post).length + 1
const grant = frame("WINDOW_UPDATE", 0, 0, u32(100_000))

t.test("a request goes on as it was understood, and its reply comes back as it came", async (t) => {
  const { relay, heard, records, judged } = greeted()
  relay.client(headers(1, [...get, ["accept", "*/*"], ["host", "allowed.test"]]))
  t.same(heard(), { client: [], upstream: [`HEADERS 1 end ${getLine}; accept: */*`] })
  t.match(judged, [{ method: "GET", host: "allowed.test", path: "/" }])
  relay.upstream(Buffer.concat([headers(1, [...ok, ["a", "b"]], false), data(1, "body")]))
  t.same(heard().client, ["HEADERS 1 :status: 200; a: b", "DATA 1 body"])
  t.same(records, [], "it is not over")
  relay.upstream(data(1, "", true))
  t.same(heard().client, ["DATA 1 end"])
  t.match(records, [{ protocol: "h2", status: 200, bytesReceived: 11, detail: null }])
  t.equal(records.length, 1)
  relay.closed("gone")
  t.equal(records.length, 1, "it is recorded once")
})

t.test("what passes untouched passes in one piece of what came in", async (t) => {
  const pieces: { bytes: Buffer; to: string }[] = []
  const links = {
    toClient: (bytes: Buffer) => pieces.push({ bytes, to: "client" }),
    toUpstream: (bytes: Buffer) => pieces.push({ bytes, to: "upstream" }),
    judge: () => allowed,
    record: () => {},
    timer: () => {},
  } as unknown as Links
  const relay = http2(links, { now: () => 0 })
  relay.client(Buffer.concat([Buffer.from(preface), frame("SETTINGS", 0, 0)]))
  relay.upstream(Buffer.concat([frame("SETTINGS", 0, 0), frame("SETTINGS", 1, 0)]))
  relay.client(Buffer.concat([headers(1, post, false), headers(3, post, false)]))
  relay.upstream(headers(3, ok, false))
  pieces.length = 0
  const up = Buffer.concat([
    data(1, "a".repeat(500)),
    data(3, "b"),
    frame("PING", 0, 0, "12345678"),
  ])
  relay.client(up)
  t.equal(pieces.length, 1)
  t.equal(pieces[0]?.bytes.buffer, up.buffer, "not a copy")
  t.equal(pieces[0]?.bytes.length, up.length)
  const down = Buffer.concat([headers(1, ok, false), data(1, "x".repeat(300)), data(3, "y", true)])
  // A frame that has not come whole passes as far as it has.
  relay.upstream(down.subarray(0, 100))
  relay.upstream(down.subarray(100))
  t.same(
    pieces.slice(1).map(({ bytes, to }) => [bytes.buffer === down.buffer, bytes.length, to]),
    [
      [true, 100, "client"],
      [true, down.length - 100, "client"],
    ],
  )
})

t.test("whatever the segmentation, the same goes on", async (t) => {
  const up = Buffer.concat([
    Buffer.from(preface),
    frame("SETTINGS", 0, 0, setting(4, 70_000)),
    grant,
    headers(1, post, false),
    data(1, "hello"),
    frame("DATA", 8, 1, "\x03padded\0\0\0"),
    headers(3, deniedPost, false),
    data(3, "never"),
    frame("PRIORITY", 0, 5, "\0\0\0\0\0"),
    headers(1, [["checksum", "1"]]),
    frame(
      "HEADERS",
      0x2d,
      5,
      Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 9]), block(get), Buffer.from([0, 0])]),
    ),
    frame("SETTINGS", 1, 0),
  ])
  const down = Buffer.concat([
    frame("SETTINGS", 0, 0, setting(3, 100)),
    frame("SETTINGS", 1, 0),
    frame("HEADERS", 0, 1, block(ok)),
    frame(
      "CONTINUATION",
      4,
      1,
      block([
        ["alt-svc", "h3"],
        ["a", "b"],
      ]),
    ),
    data(1, "reply".repeat(50)),
    headers(1, [["grpc-status", "0"]]),
    frame(0xa, 0, 0, "\0\0clear"),
    headers(5, ok),
  ])
  const results = [up.length, 1, 2, 3, 7, 64].map((size) => {
    const { relay, client, upstream, records, acts } = play()
    const cut = (bytes: Buffer): Buffer[] =>
      Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        Buffer.from(bytes.subarray(at * size, (at + 1) * size)),
      )
    for (const piece of cut(up.subarray(0, -9))) relay.client(piece)
    for (const piece of cut(down)) relay.upstream(piece)
    for (const piece of cut(up.subarray(-9))) relay.client(piece)
    return { client: client.take(), upstream: upstream.take(), acts, records }
  })
  const [whole, ...others] = results
  t.same(whole?.upstream, [
    "preface",
    "SETTINGS 0 1=0 2=0 4=70000 6=65536",
    "WINDOW_UPDATE 0 95904",
    "HEADERS 1 :method: POST; :scheme: https; :authority: allowed.test; :path: /",
    "DATA 1 hello",
    "DATA 1 padded \x03padded\0\0\0",
    "HEADERS 1 end checksum: 1",
    `HEADERS 5 end ${getLine}`,
    "SETTINGS 0 ack",
  ])
  t.same(
    whole?.client.filter((line) => !line.startsWith("WINDOW_UPDATE")),
    [
      "SETTINGS 0 1=0 3=100 6=65536",
      "HEADERS 3 :status: 403; content-type: text/plain; charset=utf-8; content-length: 11; cache-control: no-store; x-content-type-options: nosniff",
      "DATA 3 end sluice: no\n",
      "SETTINGS 0 ack",
      "HEADERS 1 :status: 200; a: b",
      "DATA 1 250 bytes",
      "HEADERS 1 end grpc-status: 0",
      "HEADERS 5 end :status: 200",
    ],
  )
  for (const other of others) {
    const credit = (lines: readonly string[]): string[] =>
      lines.filter((line) => !line.startsWith("WINDOW_UPDATE"))
    t.same(other.upstream, whole?.upstream)
    t.same(credit(other.client), credit(whole?.client ?? []))
    t.same(other.records, whole?.records)
    t.same(other.acts, whole?.acts)
  }
})

t.test("a denied request gets our own reply, and the upstream hears nothing", async (t) => {
  const { relay, heard, records } = greeted()
  relay.client(grant)
  heard()
  relay.client(headers(1, deniedGet))
  t.same(heard(), {
    client: [
      "HEADERS 1 :status: 403; content-type: text/plain; charset=utf-8; content-length: 11; cache-control: no-store; x-content-type-options: nosniff",
      "DATA 1 end sluice: no\n",
    ],
    upstream: [],
  })
  t.match(records, [
    { answer: { decision: "deny" }, status: 403, bytesSent: 0, head: { target: "/denied" } },
  ])
  relay.client(headers(3, get))
  t.same(heard().upstream, [`HEADERS 3 end ${getLine}`], "the next stream is one of many")
})

t.test("the body of a denied request is dropped, and its window given back", async (t) => {
  const { relay, heard, records } = greeted()
  relay.client(headers(1, deniedPost, false))
  t.match(heard().client, [/^HEADERS 1 end :status: 403/])
  relay.client(
    Buffer.concat([data(1, "x".repeat(1_000)), frame("DATA", 8, 1, "\x05abc\0\0\0\0\0")]),
  )
  t.same(heard(), { client: ["WINDOW_UPDATE 0 1009"], upstream: [] })
  relay.client(Buffer.concat([data(1, "", true), headers(1, [["a", "b"]])]))
  t.same(heard(), { client: [], upstream: [] })
  relay.client(frame("WINDOW_UPDATE", 0, 1, u32(5)))
  relay.client(frame("RST_STREAM", 0, 1, u32(8)))
  t.same(heard(), { client: [], upstream: [] })
  t.equal(records.length, 1)
})

t.test("a client that goes on sending to a denied path is reset after a while", async (t) => {
  const timers: (number | null)[] = []
  const { relay, heard } = greeted({ timer: (afterMs) => timers.push(afterMs) })
  timers.length = 0
  relay.client(Buffer.concat([1, 3, 5, 7].map((id) => headers(id, deniedPost, false))))
  t.same(timers.splice(0), [lingerMs])
  relay.client(Buffer.concat([data(1, "x", true), headers(3, [["a", "b"]])]))
  relay.client(frame("RST_STREAM", 0, 5, u32(8)))
  heard()
  relay.late()
  t.same(heard().client, [], "it has that time at least")
  relay.client(headers(9, deniedPost, false))
  heard()
  relay.late()
  t.same(heard().client, ["RST_STREAM 7 0"])
  relay.late()
  t.same(heard().client, ["RST_STREAM 9 0"])
  t.same(timers, [lingerMs, lingerMs])
  for (let id = 11; id < 11 + 2 * 257; id += 2) relay.client(headers(id, deniedPost, false))
  t.same(heard().client.at(-1), "RST_STREAM 523 0", "too many do not linger")
})

t.test(
  "a refusal has its text in a field where the client's window has no room for it",
  async (t) => {
    const { relay, heard } = greeted()
    relay.client(headers(1, deniedGet))
    t.match(heard().client, [/^HEADERS 1 end :status: 403;.*; x-sluice: sluice: no/])
    relay.client(grant)
    t.same(heard().upstream, ["WINDOW_UPDATE 0 95904"], "some of the window is kept for us")
    relay.client(frame("WINDOW_UPDATE", 0, 0, u32(100_000)))
    t.same(heard().upstream, ["WINDOW_UPDATE 0 100000"], "once")
    relay.client(headers(3, deniedGet))
    t.match(heard().client, [/content-length: 11/, "DATA 3 end sluice: no\n"])
    relay.client(frame("WINDOW_UPDATE", 0, 0, u32(11)))
    t.same(heard().upstream, [], "what we used is given back to us")
    relay.client(frame("WINDOW_UPDATE", 0, 0, u32(11)))
    t.same(heard().upstream, ["WINDOW_UPDATE 0 11"])
    relay.client(frame("SETTINGS", 0, 0, setting(4, 10)))
    relay.client(headers(5, deniedGet))
    t.match(heard().client, [/^HEADERS 5 end/], "nor where the stream's window has none")
    relay.client(headers(7, [[":method", "HEAD"], ...deniedGet.slice(1)]))
    t.match(heard().client, [/^HEADERS 7 end/], "nor after HEAD")
  },
)

t.test("refusals never take more of the client's window than was kept", async (t) => {
  const long = { ...denied, refusal: { status: 403, text: "x".repeat(5_000) } }
  const { relay, heard } = greeted({ judge: () => long })
  relay.client(grant)
  heard()
  let bytes = 0
  for (let id = 1; id < 21; id += 2) {
    relay.client(headers(id, get))
    const line = heard().client.find((text) => text.startsWith("DATA"))
    bytes += line === undefined ? 0 : 1_025
  }
  t.ok(bytes > 2_000 && bytes <= 4_096, `${bytes}`)
})

t.test("a frame on its way is never cut in two: what is ours waits for its end", async (t) => {
  const { relay, heard, client } = greeted()
  relay.client(headers(1, get))
  relay.upstream(headers(1, ok, false))
  const whole = data(1, "z".repeat(200))
  relay.upstream(whole.subarray(0, 100))
  heard()
  relay.client(Buffer.concat([headers(3, deniedGet), headers(5, deniedGet)]))
  t.same(heard().client, [])
  t.equal(client.rest, 100, "nothing came between")
  relay.upstream(whole.subarray(100))
  t.match(heard().client, ["DATA 1 200 bytes", /^HEADERS 3 end/, /^HEADERS 5 end/])
})

t.test("too much that waits for the end of a frame ends the connection", async (t) => {
  const long = { ...denied, refusal: { status: 403, text: "x".repeat(1_000) } }
  const { relay, acts } = greeted({ judge: ({ target }) => (target === "/" ? allowed : long) })
  relay.client(headers(1, get))
  relay.upstream(headers(1, ok, false))
  relay.upstream(data(1, "z".repeat(200)).subarray(0, 100))
  for (let id = 3; id < 2_000 && acts.length === 0; id += 2) relay.client(headers(id, deniedGet))
  t.match(acts, [/^reset: too much waits/])
})

t.test("trailers pass both ways, interim replies too, and Alt-Svc never", async (t) => {
  const { relay, heard, records } = greeted()
  relay.client(
    Buffer.concat([headers(1, post, false), data(1, "x"), headers(1, [["checksum", "1"]])]),
  )
  t.same(heard().upstream.slice(1), ["DATA 1 x", "HEADERS 1 end checksum: 1"])
  relay.upstream(
    headers(
      1,
      [
        [":status", "103"],
        ["link", "</a>"],
      ],
      false,
    ),
  )
  relay.upstream(
    headers(
      1,
      [
        [":status", "200"],
        ["alt-svc", "h3"],
        ["a", "b"],
      ],
      false,
    ),
  )
  relay.upstream(
    Buffer.concat([
      data(1, "y"),
      headers(1, [
        ["grpc-status", "0"],
        ["alt-svc", "h3"],
      ]),
    ]),
  )
  t.same(heard().client, [
    "HEADERS 1 :status: 103; link: </a>",
    "HEADERS 1 :status: 200; a: b",
    "DATA 1 y",
    "HEADERS 1 end grpc-status: 0",
  ])
  t.match(records, [{ status: 200, detail: null }])
})

t.test(
  "trailers that may hold a credential are left out, and the body ends all the same",
  async (t) => {
    const { relay, heard } = greeted()
    relay.client(headers(1, post, false))
    heard()
    relay.client(headers(1, [["authorization", "Bearer x"]]))
    t.same(heard().upstream, ["DATA 1 end"])
  },
)

t.test("a block that is longer than a frame goes on in several", async (t) => {
  const { relay, heard } = greeted()
  const long: Fields = [...get, ["a", "x".repeat(30_000)]]
  const whole = block(long)
  relay.client(
    Buffer.concat([
      frame("HEADERS", 1, 1, whole.subarray(0, 16_000)),
      frame("CONTINUATION", 0, 1, whole.subarray(16_000, 20_000)),
      frame("CONTINUATION", 4, 1, whole.subarray(20_000)),
    ]),
  )
  const { upstream } = heard()
  t.same(upstream, [
    "HEADERS 1 end 16384 bytes",
    `CONTINUATION 1 ${whole.length + 1 - 16_384} bytes`,
  ])
})

t.test("a reply that needs the table is written anew; one that does not passes", async (t) => {
  const { relay, heard, client } = greeted()
  relay.client(Buffer.concat([headers(1, get), headers(3, get), headers(5, get)]))
  relay.upstream(frame("HEADERS", 5, 1, Buffer.from("88400161 0162".replaceAll(" ", ""), "hex")))
  // The second block takes a field from the table that the first one filled.
  relay.upstream(frame("HEADERS", 5, 3, Buffer.from("88be", "hex")))
  const before = client.bytes
  // Only changes of the table's size are cut out of the third.
  relay.upstream(frame("HEADERS", 5, 5, Buffer.from("2088", "hex")))
  t.equal(client.bytes - before, 10)
  t.same(heard().client, [
    "HEADERS 1 end :status: 200; a: b",
    "HEADERS 3 end :status: 200; a: b",
    "HEADERS 5 end :status: 200",
  ])
})

t.test("each side's decoder is told that there is no table, once", async (t) => {
  const { relay, client, upstream } = play()
  const first: number[] = []
  relay.client(Buffer.concat([Buffer.from(preface), frame("SETTINGS", 0, 0), headers(1, get)]))
  first.push(upstream.bytes)
  relay.client(headers(3, get))
  first.push(upstream.bytes - (first[0] ?? 0))
  t.equal(first[1], 9 + block(get).length)
  t.equal(first[0], preface.length + 9 + 18 + 10 + block(get).length)
  relay.upstream(Buffer.concat([frame("SETTINGS", 0, 0), headers(1, ok)]))
  t.equal(client.bytes, 9 + 18 + 9 + 2)
  relay.upstream(headers(3, ok))
  t.equal(client.bytes, 9 + 18 + 9 + 2 + 9 + 1)
})

t.test("nothing is said to a client before the upstream's SETTINGS (RFC 9113 §3.4)", async (t) => {
  const hello = Buffer.concat([Buffer.from(preface), frame("SETTINGS", 0, 0)])
  const { relay, heard } = play()
  relay.client(Buffer.concat([hello, headers(1, deniedPost, false), data(1, "x")]))
  t.same(heard().client, [])
  relay.upstream(Buffer.concat([frame("SETTINGS", 0, 0), frame("SETTINGS", 1, 0)]))
  t.match(heard().client, [
    /^SETTINGS 0 /,
    /^HEADERS 1 end :status: 403/,
    "WINDOW_UPDATE 0 1",
    "SETTINGS 0 ack",
  ])
  const other = play()
  other.relay.client(Buffer.concat([hello, headers(2, get)]))
  t.same(other.heard().client, ["SETTINGS 0", "GOAWAY 0 0 1"], "but for the last word")
})

t.test("streams end when both sides have, or one resets", async (t) => {
  const { relay, heard, records } = greeted()
  relay.client(Buffer.concat([headers(1, post, false), headers(3, get), headers(5, get)]))
  relay.upstream(headers(1, ok))
  t.equal(records.length, 0, "the client may still send")
  heard()
  relay.upstream(frame("RST_STREAM", 0, 1, u32(0)))
  t.match(records, [{ status: 200, detail: null }], "the reply is whole, no more is wanted")
  relay.client(frame("RST_STREAM", 0, 3, u32(8)))
  relay.upstream(frame("RST_STREAM", 0, 5, u32(7)))
  t.match(records.slice(1), [
    { status: null, detail: "the client reset the stream, code 8" },
    { status: null, detail: "the upstream reset the stream, code 7" },
  ])
  t.same(heard(), {
    client: ["RST_STREAM 1 0", "RST_STREAM 5 7"],
    upstream: ["RST_STREAM 3 8"],
  })
  relay.upstream(Buffer.concat([headers(3, ok, false), data(3, "late", true)]))
  t.same(heard(), { client: [], upstream: ["WINDOW_UPDATE 0 4"] }, "its window is given back")
  relay.client(data(1, "late"))
  t.same(heard(), { client: ["WINDOW_UPDATE 0 4"], upstream: [] })
})

t.test("streams that are open at the end are recorded with what went wrong", async (t) => {
  const { relay, records, acts, heard } = greeted()
  relay.client(Buffer.concat([headers(1, get), headers(3, get)]))
  relay.upstream(headers(1, ok, false))
  heard()
  relay.upstreamEnded()
  t.match(heard().client, ["GOAWAY 0 3 0"])
  t.same(acts, ["end client", "end upstream"])
  relay.closed("client: ECONNRESET")
  t.match(records, [
    { status: 200, detail: "the upstream ended" },
    { status: null, detail: "the upstream ended" },
  ])
  const other = greeted()
  other.relay.client(headers(1, get))
  other.relay.clientEnded()
  t.same(other.acts, ["end upstream"])
  other.relay.upstream(headers(1, ok))
  t.match(other.heard().client, ["HEADERS 1 end :status: 200"], "a half-closed client is answered")
  other.relay.closed(null)
  t.match(other.records, [{ status: 200, detail: null }])
})

t.test("an upstream that goes away leaves the streams it will not serve", async (t) => {
  const { relay, heard, records } = greeted()
  relay.client(Buffer.concat([headers(1, get), headers(3, get)]))
  heard()
  relay.upstream(frame("GOAWAY", 0, 0, Buffer.concat([u32(1, 0), Buffer.from("words")])))
  t.same(heard().client, ["GOAWAY 0 1 0"])
  t.match(records, [{ detail: "the upstream went away before it" }])
  relay.client(headers(5, get))
  t.same(heard(), { client: ["RST_STREAM 5 7"], upstream: [] })
  relay.upstream(headers(1, ok))
  t.same(heard().client, ["HEADERS 1 end :status: 200"])
  t.equal(records.length, 2)
  relay.upstream(frame("GOAWAY", 0, 0, u32(9, 0)))
  t.same(heard().client, ["GOAWAY 0 1 0"], "it takes nothing back (RFC 9113 §6.8)")
  relay.upstreamEnded()
  t.same(heard().client, ["GOAWAY 0 1 0"])
})

t.test(
  "a body that is not as long as it says is an error of its stream (RFC 9113 §8.1.1)",
  async (t) => {
    const said = (bytes: number): Fields => [...post, ["content-length", String(bytes)]]
    const table: readonly (readonly [string, Buffer])[] = [
      ["too long", data(1, "abcdef")],
      ["too long by its last frame", Buffer.concat([data(1, "abcde"), data(1, "f", true)])],
      ["too short", data(1, "abcd", true)],
      ["too short, with trailers", Buffer.concat([data(1, "abcd"), headers(1, [["a", "b"]])])],
      ["padding does not count", frame("DATA", 9, 1, "\x01abcd\0")],
    ]
    for (const [what, bytes] of table) {
      const { relay, heard, records } = greeted()
      relay.client(headers(1, said(5), false))
      heard()
      relay.client(bytes)
      const { client, upstream } = heard()
      t.ok(client.includes("RST_STREAM 1 1"), what)
      t.ok(upstream.includes("RST_STREAM 1 8"), what)
      t.notOk(
        upstream.some((line) => line.includes("end")),
        what,
      )
      t.match(records, [{ detail: "the body is not as long as it says" }], what)
    }
    const { relay, heard, acts } = greeted()
    relay.client(headers(1, said(5)))
    t.same(heard(), { client: ["RST_STREAM 1 1"], upstream: [] })
    t.match(acts, [/^broken malformed/])
    relay.client(Buffer.concat([headers(3, said(5), false), data(3, "abcde"), data(3, "", true)]))
    t.same(heard().upstream.slice(1), ["DATA 3 abcde", "DATA 3 end"])
  },
)

t.test("a request that is malformed is reset, told, and never goes on", async (t) => {
  const { relay, heard, records, acts, judged } = greeted()
  relay.client(headers(1, [...get, ["connection", "close"]]))
  t.same(heard(), { client: ["RST_STREAM 1 1"], upstream: [] })
  t.same(acts, ['broken malformed: the field "connection"'])
  t.match(records, [{ head: null, status: null, bytesSent: 0 }])
  relay.client(headers(3, [...get, ["expect", "tea"]]))
  t.match(heard(), { client: [/^HEADERS 3 end :status: 400/], upstream: [] })
  relay.client(
    headers(5, [...get, ["a", "x".repeat(33_000)], ["b", "x".repeat(33_000)]].slice() as Fields),
  )
  t.equal(judged.length, 0)
})

t.test("a request that breaks the rules after its head is told as malformed", async (t) => {
  const { relay, heard, records } = greeted()
  relay.client(headers(1, post, false))
  relay.client(headers(1, [[":path", "/denied"]]))
  t.match(heard(), { client: ["RST_STREAM 1 1"] })
  t.match(records, [{ answer: { decision: "deny", reason: "malformed" }, status: null }])
})

t.test(
  "a header list beyond its bounds is refused with 431, and the connection goes on",
  async (t) => {
    const { relay, heard } = greeted()
    const fields = Array.from({ length: 300 }, (_, at) => [`f${at}`, "v"] as const)
    relay.client(headers(1, [...get, ...fields]))
    t.match(heard(), { client: [/^HEADERS 1 end :status: 431/], upstream: [] })
    relay.client(headers(3, get))
    t.match(heard().upstream, [/^HEADERS 3/])
  },
)

t.test(
  "a purse pays before anything goes on, and the client rests while it is filled",
  async (t) => {
    const { purse, asked } = purseOf(firstBytes + 3)
    const { relay, heard, acts } = greeted({ judge: () => ({ ...allowed, purse }) })
    relay.client(Buffer.concat([headers(1, post, false), data(1, "abc"), data(1, "def", true)]))
    t.match(heard().upstream, [/^HEADERS 1/, "DATA 1 abc"], "so much was paid for")
    t.same(acts, ["pause client"])
    t.equal(asked[0]?.bytes, 3)
  },
)

t.test("a purse that is filled lets go on what was held back, in order", async (t) => {
  const { purse, asked } = purseOf(0)
  const { relay, heard, acts, records } = greeted({ judge: () => ({ ...allowed, purse }) })
  relay.client(Buffer.concat([headers(1, post, false), data(1, "body"), data(1, "more", true)]))
  t.same(heard().upstream, [])
  t.same(acts, ["pause client"])
  t.equal(asked[0]?.bytes, firstBytes)
  asked[0]?.answer(true)
  t.match(heard().upstream, [/^HEADERS 1/])
  t.equal(asked[1]?.bytes, 4)
  asked[1]?.answer(true)
  t.match(heard().upstream, ["DATA 1 body"])
  asked[2]?.answer(true)
  t.match(heard().upstream, ["DATA 1 end more"])
  t.same(acts.filter((act) => act === "resume client").length, 1)
  relay.upstream(headers(1, ok))
  t.match(records, [{ bytesSent: firstBytes + 8, status: 200 }])
})

t.test("a purse pays for a frame before it has come whole", async (t) => {
  const { purse, asked } = purseOf(firstBytes + 100)
  const { relay, heard } = greeted({ judge: () => ({ ...allowed, purse }) })
  relay.client(headers(1, post, false))
  heard()
  const whole = data(1, "x".repeat(101))
  relay.client(whole.subarray(0, 20))
  t.equal(asked[0]?.bytes, 101)
  asked[0]?.answer(true)
  relay.client(whole.subarray(20))
  t.same(heard().upstream, ["DATA 1 101 bytes"])
})

t.test("an empty purse ends the request: 403 where no reply began, else a reset", async (t) => {
  const { purse, asked } = purseOf(0)
  const first = greeted({ judge: () => ({ ...allowed, purse }) })
  first.relay.client(Buffer.concat([headers(1, get), headers(3, get)]))
  asked[0]?.answer(false)
  t.match(first.heard(), { client: [/^HEADERS 1 end :status: 403/], upstream: [] })
  t.match(first.records, [
    {
      status: 403,
      answer: { go: false, decision: "deny", reason: "upload-budget-exceeded" },
      bytesSent: 0,
    },
  ])
  t.equal(asked.length, 2, "the next one asks for itself")

  const some = purseOf(firstBytes)
  const second = greeted({ judge: () => ({ ...allowed, purse: some.purse }) })
  second.relay.client(headers(1, post, false))
  second.heard()
  second.relay.client(data(1, "x"))
  some.asked[0]?.answer(false)
  t.match(second.heard(), {
    client: [/^HEADERS 1 end :status: 403/, "WINDOW_UPDATE 0 1"],
    upstream: ["RST_STREAM 1 8"],
  })

  const other = purseOf(firstBytes)
  const third = greeted({ judge: () => ({ ...allowed, purse: other.purse }) })
  third.relay.client(headers(1, post, false))
  third.relay.upstream(headers(1, ok, false))
  third.heard()
  third.relay.client(data(1, "x"))
  other.asked[0]?.answer(false)
  t.match(third.heard(), {
    client: ["RST_STREAM 1 8", "WINDOW_UPDATE 0 1"],
    upstream: ["RST_STREAM 1 8"],
  })
  t.match(third.records, [{ status: 200, answer: { reason: "upload-budget-exceeded" } }])
})

t.test("in audit mode an empty purse bounds nothing any more", async (t) => {
  const { purse, asked } = purseOf(0)
  const { relay, heard, records } = greeted({ audit: true, judge: () => ({ ...allowed, purse }) })
  relay.client(Buffer.concat([headers(1, post, false), data(1, "body", true)]))
  asked[0]?.answer(false)
  t.match(heard().upstream, [/^HEADERS 1/, "DATA 1 end body"])
  relay.upstream(headers(1, ok))
  t.match(records, [
    { answer: { decision: "deny", reason: "upload-budget-exceeded" }, status: 200 },
  ])
  t.equal(asked.length, 1)
})

t.test("a reply that is malformed after its head ends in a reset", async (t) => {
  const { relay, heard, records } = greeted()
  relay.client(headers(1, get))
  relay.upstream(Buffer.concat([headers(1, ok, false), data(1, "x")]))
  heard()
  relay.upstream(headers(1, [["a", "b\r\nc"]]))
  t.same(heard(), { client: ["RST_STREAM 1 1"], upstream: ["RST_STREAM 1 1"] })
  t.match(records, [{ status: 200, answer: { reason: "upstream-failed" } }])
})

t.test("a purse that is answered after the end does nothing", async (t) => {
  const { purse, asked } = purseOf(0)
  const { relay, heard, records, acts } = greeted({ judge: () => ({ ...allowed, purse }) })
  relay.client(headers(1, get))
  relay.closed("gone")
  asked[0]?.answer(true)
  t.same(heard(), { client: [], upstream: [] })
  t.same(acts, ["pause client"])
  t.match(records, [{ bytesSent: 0, detail: "gone" }])
})

t.test("what is sent when a purse is answered stays as it is", async (t) => {
  const { purse, asked } = purseOf(0)
  const sent: { bytes: Buffer; owned: boolean }[] = []
  const links = {
    toClient: () => {},
    toUpstream: (bytes: Buffer, owned: boolean) => sent.push({ bytes, owned }),
    judge: () => ({ ...allowed, purse }),
    record: () => {},
    timer: () => {},
    pauseClient: () => {},
    resumeClient: () => {},
  } as unknown as Links
  const relay = http2(links, { now: () => 0 })
  relay.client(
    Buffer.concat([Buffer.from(preface), frame("SETTINGS", 0, 0), headers(1, post, false)]),
  )
  sent.length = 0
  asked[0]?.answer(true)
  t.match(sent, [{ owned: true }])
  const before = sent.map(({ bytes }) => bytes.toString("hex"))
  relay.client(headers(3, [...post, ["other", "x".repeat(200)]], false))
  asked[1]?.answer(true)
  t.same(
    sent.slice(0, 1).map(({ bytes }) => bytes.toString("hex")),
    before,
  )
})

t.test("a client that ends while a purse is filled is heard to its end", async (t) => {
  const { purse, asked } = purseOf(0)
  const { relay, heard, acts } = greeted({ judge: () => ({ ...allowed, purse }) })
  relay.client(headers(1, get))
  relay.clientEnded()
  t.same(acts, ["pause client"])
  asked[0]?.answer(true)
  t.match(heard().upstream, [/^HEADERS 1/])
  t.same(acts, ["pause client", "resume client", "end upstream"])
})

t.test("a timer runs while a head is not whole, and only then", async (t) => {
  const timers: (number | null)[] = []
  const links = {
    toClient: () => {},
    toUpstream: () => {},
    judge: () => allowed,
    record: () => {},
    broken: () => denied,
    endClient: () => {},
    endUpstream: () => {},
    timer: (afterMs: number | null) => timers.push(afterMs),
  } as unknown as Links
  const relay = http2(links, { now: () => 0 })
  t.same(timers, [30_000], "until the client has greeted")
  relay.client(Buffer.concat([Buffer.from(preface), frame("SETTINGS", 0, 0)]))
  t.same(timers.splice(0), [30_000, null])
  relay.client(frame("HEADERS", 0, 1, block(post)))
  t.same(timers.splice(0), [30_000])
  relay.client(frame("CONTINUATION", 0, 1, "").subarray(0, 4))
  t.same(timers.splice(0), [], "more of the same head is no reason to wait longer")
  relay.client(frame("CONTINUATION", 4, 1, "").subarray(0, 9).subarray(4))
  t.same(timers.splice(0), [null])
  relay.client(data(1, "abc").subarray(0, 11))
  t.same(timers.splice(0), [], "a body takes its time")
  relay.client(
    Buffer.concat([data(1, "abc").subarray(11), frame("PING", 0, 0, "12345678").subarray(0, 4)]),
  )
  relay.client(
    Buffer.concat([frame("PING", 0, 0, "12345678").subarray(4), headers(3, get).subarray(0, 20)]),
  )
  t.same(timers.splice(0), [30_000, 30_000], "a new head has time of its own")
})

t.test("a head that takes too long ends the connection", async (t) => {
  const { relay, heard, acts } = greeted()
  relay.client(headers(1, get).subarray(0, 20))
  relay.late()
  t.same(heard().client, ["GOAWAY 0 0 11"])
  t.same(acts, ["broken limit-exceeded: a head takes too long", "end client", "end upstream"])
})
