/**
 * The cases of h2spec (https://github.com/summerwind/h2spec) that matter to whoever reads a client,
 * by the sections of RFC 9113 and RFC 7541: it cannot be had from the registries. Rules on priority
 * are left out, RFC 9113 §5.3 dropped them. A case ends in an error of the connection (GOAWAY with
 * one of the codes), in one of the stream, or goes on as given.
 */
import t from "tap"
import {
  block,
  data,
  frame,
  get,
  greeted,
  headers,
  play,
  post,
  preface,
  setting,
  u32,
} from "./h2.ts"
import type { Fields } from "./h2.ts"

const [protocol, flowControl, closed, size, refused, compression, calm] = [1, 3, 5, 6, 7, 9, 11]

type Expected =
  | { readonly goAway: number }
  | { readonly reset: number; readonly stream: number }
  /** What the upstream hears, and nothing is said to the client. */
  | { readonly upstream: readonly (string | RegExp)[] }

const goAway = (code: number): Expected => ({ goAway: code })
const reset = (stream: number, code: number): Expected => ({ stream, reset: code })
const passes = (...upstream: (string | RegExp)[]): Expected => ({ upstream })

type Case = readonly [section: string, title: string, bytes: Buffer | readonly Buffer[], Expected]

const open = headers(1, post, false)
const whole = headers(1, get)
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex")
const more = (...fields: Fields): Fields => [...get, ...fields]
const without = (name: string): Fields => get.filter(([each]) => each !== name)
const getBlock = block(get)

const cases: readonly Case[] = [
  ["4.1", "a frame of an unknown type is dropped", frame(0x16, 0, 0, "\0\0\0\0\0\0\0\0"), passes()],
  ["4.1", "undefined flags are left out", frame("PING", 0x16, 0, "12345678"), passes(/^PING 0/)],
  [
    "4.1",
    "the reserved bit is left out",
    frame("PING", 0, 0x8000_0000, "12345678"),
    passes(/^PING 0/),
  ],
  ["4.2", "DATA of the largest size", [open, data(1, "x".repeat(16_384))], passes(/^H/, /^DATA 1/)],
  ["4.2", "DATA beyond MAX_FRAME_SIZE", [open, data(1, "x".repeat(16_385))], goAway(size)],
  ["4.2", "HEADERS beyond it", frame("HEADERS", 5, 1, Buffer.alloc(16_385)), goAway(size)],
  ["4.3", "a block that cannot be decoded", frame("HEADERS", 5, 1, hex("40")), goAway(compression)],
  [
    "4.3",
    "HEADERS within another block",
    [frame("HEADERS", 1, 1, getBlock), headers(3, get)],
    goAway(protocol),
  ],
  [
    "4.3",
    "PRIORITY within a block",
    [frame("HEADERS", 1, 1, getBlock), frame("PRIORITY", 0, 1, "\0\0\0\0\0")],
    goAway(protocol),
  ],
  [
    "4.3",
    "an unknown frame within a block",
    [frame("HEADERS", 1, 1, getBlock), frame(0x16, 0, 0, "")],
    goAway(protocol),
  ],
  ["5.1", "idle: DATA", data(1, "x", true), goAway(protocol)],
  ["5.1", "idle: RST_STREAM", frame("RST_STREAM", 0, 1, u32(8)), goAway(protocol)],
  ["5.1", "idle: WINDOW_UPDATE", frame("WINDOW_UPDATE", 0, 1, u32(100)), goAway(protocol)],
  ["5.1", "idle: CONTINUATION", frame("CONTINUATION", 4, 1, getBlock), goAway(protocol)],
  ["5.1", "idle: PRIORITY", frame("PRIORITY", 0, 1, "\0\0\0\0\0"), passes()],
  ["5.1", "half-closed (remote): DATA", [whole, data(1, "x")], reset(1, closed)],
  ["5.1", "half-closed (remote): HEADERS", [whole, headers(1, get)], reset(1, closed)],
  [
    "5.1",
    "half-closed (remote): CONTINUATION",
    [whole, frame("CONTINUATION", 4, 1, getBlock)],
    goAway(protocol),
  ],
  [
    "5.1",
    "half-closed (remote): WINDOW_UPDATE",
    [whole, frame("WINDOW_UPDATE", 0, 1, u32(9))],
    passes(/^H/, "WINDOW_UPDATE 1 9"),
  ],
  [
    "5.1",
    "closed by RST_STREAM: a request",
    [whole, frame("RST_STREAM", 0, 1, u32(8)), headers(1, get)],
    goAway(closed),
  ],
  [
    "5.1",
    "closed by RST_STREAM: CONTINUATION",
    [whole, frame("RST_STREAM", 0, 1, u32(8)), frame("CONTINUATION", 4, 1, getBlock)],
    goAway(protocol),
  ],
  ["5.1.1", "an even stream", headers(2, get), goAway(protocol)],
  ["5.1.1", "a stream below one that was used", [headers(5, get), headers(3, get)], goAway(closed)],
  [
    "5.4.1",
    "after an error of the connection nothing is read",
    [frame("PING", 0, 1, "12345678"), headers(1, get)],
    goAway(protocol),
  ],
  [
    "5.5",
    "an unknown frame between others",
    [open, frame(0x16, 0, 1, "x"), data(1, "y")],
    passes(/^H/, "DATA 1 y"),
  ],
  ["6.1", "DATA on stream 0", data(0, "x"), goAway(protocol)],
  [
    "6.1",
    "padding as long as the frame",
    [open, frame("DATA", 8, 1, "\x05abcd")],
    goAway(protocol),
  ],
  [
    "6.1",
    "padding that fits",
    [open, frame("DATA", 8, 1, "\x03a\0\0\0")],
    passes(/^H/, "DATA 1 padded \x03a\0\0\0"),
  ],
  ["6.2", "HEADERS on stream 0", headers(0, get), goAway(protocol)],
  [
    "6.2",
    "padding longer than the frame",
    frame("HEADERS", 13, 1, Buffer.concat([hex("ff"), getBlock])),
    goAway(protocol),
  ],
  [
    "6.2",
    "padding and priority are left out",
    frame("HEADERS", 0x2d, 1, Buffer.concat([hex("020000000009"), getBlock, hex("0000")])),
    passes(/^HEADERS 1 end :method: GET/),
  ],
  ["6.2", "priority without its bytes", frame("HEADERS", 0x25, 1, "\0\0"), goAway(protocol)],
  ["6.3", "PRIORITY on stream 0", frame("PRIORITY", 0, 0, "\0\0\0\0\0"), goAway(protocol)],
  ["6.3", "PRIORITY of another size", frame("PRIORITY", 0, 1, "\0\0\0\0"), goAway(size)],
  ["6.4", "RST_STREAM on stream 0", frame("RST_STREAM", 0, 0, u32(8)), goAway(protocol)],
  ["6.4", "RST_STREAM of another size", [open, frame("RST_STREAM", 0, 1, "abc")], goAway(size)],
  ["6.5", "an ACK that says something", frame("SETTINGS", 1, 0, setting(4, 1)), goAway(size)],
  ["6.5", "an ACK of nothing", frame("SETTINGS", 1, 0), goAway(protocol)],
  ["6.5", "SETTINGS on a stream", frame("SETTINGS", 0, 1), goAway(protocol)],
  ["6.5", "SETTINGS of another size", frame("SETTINGS", 0, 0, "abc"), goAway(size)],
  ["6.5.2", "ENABLE_PUSH of 2", frame("SETTINGS", 0, 0, setting(2, 2)), goAway(protocol)],
  [
    "6.5.2",
    "INITIAL_WINDOW_SIZE beyond 2^31-1",
    frame("SETTINGS", 0, 0, setting(4, 0x8000_0000)),
    goAway(flowControl),
  ],
  [
    "6.5.2",
    "MAX_FRAME_SIZE below 2^14",
    frame("SETTINGS", 0, 0, setting(5, 16_383)),
    goAway(protocol),
  ],
  [
    "6.5.2",
    "MAX_FRAME_SIZE beyond 2^24-1",
    frame("SETTINGS", 0, 0, setting(5, 0x100_0000)),
    goAway(protocol),
  ],
  [
    "6.5.2",
    "a setting that is unknown",
    frame("SETTINGS", 0, 0, setting(0xff, 1)),
    passes("SETTINGS 0"),
  ],
  [
    "6.5.3",
    "several values: each is passed in order",
    [
      frame("SETTINGS", 0, 0, Buffer.concat([setting(4, 1), setting(4, 2)])),
      frame("SETTINGS", 0, 0, setting(4, 3)),
    ],
    passes("SETTINGS 0 4=2", "SETTINGS 0 4=3"),
  ],
  [
    "6.6",
    "a push by a client",
    frame("PUSH_PROMISE", 4, 1, Buffer.concat([u32(2), getBlock])),
    goAway(protocol),
  ],
  ["6.7", "PING", frame("PING", 0, 0, "12345678"), passes(/^PING 0/)],
  ["6.7", "an ACK is passed", frame("PING", 1, 0, "12345678"), passes(/^PING 0 ack/)],
  ["6.7", "PING on a stream", frame("PING", 0, 1, "12345678"), goAway(protocol)],
  ["6.7", "PING of another size", frame("PING", 0, 0, "123456"), goAway(size)],
  ["6.8", "GOAWAY on a stream", frame("GOAWAY", 0, 1, u32(0, 0)), goAway(protocol)],
  [
    "6.8",
    "GOAWAY, without its words",
    frame("GOAWAY", 0, 0, Buffer.concat([u32(7, 2), hex("414243")])),
    passes("GOAWAY 0 0 2"),
  ],
  ["6.9", "WINDOW_UPDATE of 0, connection", frame("WINDOW_UPDATE", 0, 0, u32(0)), goAway(protocol)],
  [
    "6.9",
    "WINDOW_UPDATE of 0, stream",
    [open, frame("WINDOW_UPDATE", 0, 1, u32(0))],
    reset(1, protocol),
  ],
  ["6.9", "WINDOW_UPDATE of another size", frame("WINDOW_UPDATE", 0, 0, "abc"), goAway(size)],
  [
    "6.9.1",
    "windows are the upstream's to count",
    [open, frame("WINDOW_UPDATE", 0, 1, u32(0x7fff_ffff))],
    passes(/^H/, "WINDOW_UPDATE 1 2147483647"),
  ],
  [
    "6.10",
    "several CONTINUATIONs",
    [
      frame("HEADERS", 1, 1, getBlock.subarray(0, 2)),
      frame("CONTINUATION", 0, 1, getBlock.subarray(2, 5)),
      frame("CONTINUATION", 4, 1, getBlock.subarray(5)),
    ],
    passes(/^HEADERS 1 end :method: GET.*:path: \/$/),
  ],
  [
    "6.10",
    "CONTINUATION without HEADERS",
    [open, data(1, "x"), frame("CONTINUATION", 4, 1, getBlock)],
    goAway(protocol),
  ],
  [
    "6.10",
    "CONTINUATION of another stream",
    [frame("HEADERS", 1, 1, getBlock), frame("CONTINUATION", 4, 3, getBlock)],
    goAway(protocol),
  ],
  [
    "6.10",
    "CONTINUATION after the end of a block",
    [whole, frame("CONTINUATION", 4, 1, getBlock)],
    goAway(protocol),
  ],
  [
    "6.10",
    "DATA within a block",
    [frame("HEADERS", 0, 1, getBlock), data(1, "x")],
    goAway(protocol),
  ],
  [
    "8.1",
    "a second HEADERS without END_STREAM",
    [open, data(1, "x"), headers(1, [["a", "b"]], false)],
    reset(1, protocol),
  ],
  ["8.1", "a request without a head", [open, headers(1, [])], passes(/^H/, "DATA 1 end")],
  [
    "8.1.1",
    "content-length other than the body",
    [headers(1, [...post, ["content-length", "1"]], false), data(1, "test", true)],
    reset(1, protocol),
  ],
  [
    "8.1.1",
    "content-length other than several DATA",
    [headers(1, [...post, ["content-length", "5"]], false), data(1, "te"), data(1, "st", true)],
    reset(1, protocol),
  ],
  ["8.2.1", "a name in upper case", headers(1, more(["X-Test", "ok"])), reset(1, protocol)],
  ["8.2.1", "a line end in a value", headers(1, more(["x", "a\r\nb: c"])), reset(1, protocol)],
  ["8.2.2", "connection", headers(1, more(["connection", "keep-alive"])), reset(1, protocol)],
  [
    "8.2.2",
    "te other than trailers",
    headers(1, more(["te", "trailers, deflate"])),
    reset(1, protocol),
  ],
  ["8.2.2", "te: trailers", headers(1, more(["te", "trailers"])), passes(/te: trailers$/)],
  ["8.3", "an unknown pseudo-header field", headers(1, more([":test", "ok"])), reset(1, protocol)],
  ["8.3", "one of replies", headers(1, more([":status", "200"])), reset(1, protocol)],
  ["8.3", "one in trailers", [open, headers(1, [[":method", "GET"]])], reset(1, protocol)],
  ["8.3", "one after regular fields", headers(1, [["x", "y"], ...get]), reset(1, protocol)],
  ["8.3.1", "an empty :path", headers(1, [...without(":path"), [":path", ""]]), reset(1, protocol)],
  ["8.3.1", "no :method", headers(1, without(":method")), reset(1, protocol)],
  ["8.3.1", "no :scheme", headers(1, without(":scheme")), reset(1, protocol)],
  ["8.3.1", "no :path", headers(1, without(":path")), reset(1, protocol)],
  ["8.3.1", ":method twice", headers(1, more([":method", "GET"])), reset(1, protocol)],
  ["8.3.1", ":scheme twice", headers(1, more([":scheme", "https"])), reset(1, protocol)],
  ["8.3.1", ":path twice", headers(1, more([":path", "/"])), reset(1, protocol)],
  [
    "8.5",
    "CONNECT",
    headers(1, [
      [":method", "CONNECT"],
      [":authority", "evil.test:443"],
    ]),
    reset(1, protocol),
  ],
  [
    "RFC 8441",
    "extended CONNECT",
    headers(1, [[":method", "CONNECT"], [":protocol", "websocket"], ...get.slice(1)]),
    reset(1, protocol),
  ],
  [
    "7541 2.3.3",
    "an index beyond the tables",
    frame("HEADERS", 5, 1, hex("828784 c8")),
    goAway(compression),
  ],
  [
    "7541 4.2",
    "a change of the table's size at a block's end",
    frame("HEADERS", 5, 1, Buffer.concat([getBlock, hex("20")])),
    goAway(compression),
  ],
  [
    "7541 5.2",
    "padding of Huffman code of zeros",
    frame("HEADERS", 5, 1, Buffer.concat([getBlock, hex("00017881 00")])),
    goAway(compression),
  ],
  [
    "7541 5.2",
    "padding of Huffman code of 8 bits and more",
    frame("HEADERS", 5, 1, Buffer.concat([getBlock, hex("00017884 f1e3ffff")])),
    goAway(compression),
  ],
  [
    "7541 5.2",
    "EOS in a string",
    frame("HEADERS", 5, 1, Buffer.concat([getBlock, hex("00017884 ffffffff")])),
    goAway(compression),
  ],
  [
    "7541 6.1",
    "index 0",
    frame("HEADERS", 5, 1, Buffer.concat([getBlock, hex("80")])),
    goAway(compression),
  ],
  [
    "7541 6.3",
    "a table larger than was offered",
    frame("HEADERS", 5, 1, Buffer.concat([hex("21"), getBlock])),
    goAway(compression),
  ],
]

for (const [section, title, given, expected] of cases) {
  t.test(`§${section}: ${title}`, async (t) => {
    const { relay, heard, acts } = greeted()
    relay.client(Buffer.isBuffer(given) ? given : Buffer.concat(given))
    const { client, upstream } = heard()
    if ("upstream" in expected) {
      t.match(upstream, expected.upstream)
      t.equal(upstream.length, expected.upstream.length)
      t.same(client, [])
      t.same(acts, [])
    } else if ("goAway" in expected) {
      t.match(client.at(-1) ?? "", new RegExp(`^GOAWAY 0 \\d+ ${expected.goAway}$`))
      t.match(upstream.at(-1), "GOAWAY 0 0 0")
      t.same(acts.slice(1), ["end client", "end upstream"])
      t.match(acts[0], /^broken/)
    } else {
      t.ok(client.includes(`RST_STREAM ${expected.stream} ${expected.reset}`), client.join())
      relay.client(Buffer.concat([headers(9, get)]))
      t.match(heard().upstream.at(-1), /^HEADERS 9/, "the connection goes on")
    }
  })
}

t.test("§3.4: the preface is exact, and SETTINGS come first", async (t) => {
  const wrong = play()
  wrong.relay.client(Buffer.from("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"))
  t.match(wrong.heard(), { client: ["SETTINGS 0", "GOAWAY 0 0 1"] })
  t.notMatch(wrong.heard().upstream.join(), /PRI/)
  const other = play()
  other.relay.client(Buffer.from("GET / HTTP/1.1\r\n"))
  t.match(other.heard().client, ["SETTINGS 0", "GOAWAY 0 0 1"])
  const late = play()
  late.relay.client(Buffer.concat([Buffer.from(preface), frame("PING", 0, 0, "12345678")]))
  t.match(late.heard().client, ["SETTINGS 0", "GOAWAY 0 0 1"])
  const acknowledged = play()
  acknowledged.relay.client(Buffer.concat([Buffer.from(preface), frame("SETTINGS", 1, 0)]))
  t.match(acknowledged.heard().client, ["SETTINGS 0", "GOAWAY 0 0 1"])
})

t.test("§4.2: a larger frame may come once the upstream has said so", async (t) => {
  const { relay, heard } = greeted()
  relay.upstream(frame("SETTINGS", 0, 0, setting(5, 1 << 20)))
  t.same(heard().client, ["SETTINGS 0 5=65536"], "and no larger than is good for others")
  relay.client(Buffer.concat([open, data(1, "x".repeat(65_536))]))
  t.match(heard().upstream, [/^H/, "DATA 1 65536 bytes"])
  relay.client(data(1, "x".repeat(65_537)))
  t.match(heard().client, [/^GOAWAY 0 1 6/])
})

t.test("§5.1.2: more streams than were allowed are refused, and may be tried again", async (t) => {
  const { relay, heard, judged } = greeted()
  for (let id = 1; id <= 515; id += 2) relay.client(headers(id, get))
  t.same(heard().client, [`RST_STREAM 513 ${refused}`, `RST_STREAM 515 ${refused}`])
  t.equal(judged.length, 256)
  relay.upstream(headers(1, [[":status", "200"]]))
  relay.client(headers(517, get))
  t.equal(judged.length, 257)
})

t.test("§10.5: floods end in ENHANCE_YOUR_CALM", async (t) => {
  const head = frame("HEADERS", 0, 1, getBlock)
  // Why 9,999: greeting each other took two of them.
  const floods: readonly (readonly [string, (at: number) => Buffer, number])[] = [
    [
      "resets (CVE-2023-44487)",
      (at) => Buffer.concat([headers(2 * at + 1, get), frame("RST_STREAM", 0, 2 * at + 1, u32(8))]),
      1_001,
    ],
    [
      "requests that are reset for their errors (CVE-2025-8671)",
      (at) => headers(2 * at + 1, more(["te", "x"])),
      1_001,
    ],
    [
      "resets of streams that were denied",
      (at) =>
        Buffer.concat([
          headers(2 * at + 1, [...without(":path"), [":path", "/denied"]], false),
          frame("RST_STREAM", 0, 2 * at + 1, u32(8)),
        ]),
      1_001,
    ],
    [
      "CONTINUATION (CVE-2024-27316)",
      (at) => (at === 0 ? head : frame("CONTINUATION", 0, 1, "")),
      10,
    ],
    [
      "heads that are too long",
      (at) =>
        headers(2 * at + 1, [
          ...get,
          ...Array.from({ length: 300 }, (): [string, string] => ["x", "y"]),
        ]),
      17,
    ],
    ["PING (CVE-2019-9512)", () => frame("PING", 0, 0, "12345678"), 9_999],
    ["SETTINGS (CVE-2019-9515)", () => frame("SETTINGS", 0, 0), 9_999],
    ["empty DATA (CVE-2019-9518)", (at) => (at === 0 ? open : data(1, "")), 10_000],
    ["PRIORITY (CVE-2019-9513)", () => frame("PRIORITY", 0, 1, "\0\0\0\0\0"), 9_999],
    ["WINDOW_UPDATE", () => frame("WINDOW_UPDATE", 0, 0, u32(1)), 9_999],
    ["frames of unknown types", () => frame(99, 0, 0, ""), 9_999],
  ]
  for (const [what, each, most] of floods) {
    const { relay, heard, acts, upstream } = greeted()
    let count = 0
    for (; acts.filter((act) => act === "end client").length === 0 && count < 20_000; count++) {
      relay.client(each(count))
      upstream.take()
    }
    t.equal(count, most, what)
    t.match(heard().client.at(-1), new RegExp(`^GOAWAY 0 \\d+ ${calm}$`), what)
    t.ok(
      acts.some((act) => act.startsWith("broken limit-exceeded")),
      what,
    )
  }
})

t.test("§10.5: what a second may hold is no flood", async (t) => {
  let nowMs = 0
  const { relay, acts, upstream, client } = greeted({ now: () => nowMs })
  for (let at = 0; at < 2_000; at++) {
    nowMs += 35
    relay.client(
      Buffer.concat([headers(2 * at + 1, get), frame("RST_STREAM", 0, 2 * at + 1, u32(8))]),
    )
    relay.client(Buffer.concat(Array.from({ length: 30 }, () => frame("PING", 0, 0, "12345678"))))
    upstream.take()
  }
  t.same(acts, [])
  // A download of 1 GiB whose client answers each frame with two of its own.
  relay.client(headers(10_001, get))
  relay.upstream(headers(10_001, [[":status", "200"]], false))
  const piece = data(10_001, "x".repeat(16_384))
  const answer = Buffer.concat([
    frame("WINDOW_UPDATE", 0, 0, u32(16_384)),
    frame("WINDOW_UPDATE", 0, 10_001, u32(16_384)),
    frame("PING", 0, 0, "12345678"),
  ])
  for (let at = 0; at < 8_192; at++) {
    relay.upstream(piece)
    relay.client(answer)
    upstream.take()
    client.take()
  }
  t.same(acts, [])
})

t.test("§10.5.1: a block beyond 64 KiB ends the connection", async (t) => {
  const { relay, heard } = greeted()
  const piece = Buffer.alloc(16_384, getBlock)
  relay.client(frame("HEADERS", 0, 1, piece))
  for (let at = 0; at < 4; at++) relay.client(frame("CONTINUATION", 0, 1, piece))
  t.match(heard().client, [`GOAWAY 0 0 ${calm}`])
})

/** What the upstream must not say. */
const upstreamCases: readonly (readonly [string, string, Buffer, RegExp])[] = [
  ["3.4", "something before SETTINGS", frame("PING", 0, 0, "12345678"), /^GOAWAY 0 1 2/],
  ["5.1", "DATA on a stream that nobody opened", data(7, "x"), /^GOAWAY 0 1 2/],
  [
    "5.1",
    "HEADERS on a stream that nobody opened",
    headers(7, [[":status", "200"]]),
    /^GOAWAY 0 1 2/,
  ],
  [
    "5.1",
    "RST_STREAM on a stream that nobody opened",
    frame("RST_STREAM", 0, 7, u32(8)),
    /^GOAWAY 0 1 2/,
  ],
  [
    "6.6",
    "a push",
    frame("PUSH_PROMISE", 4, 1, Buffer.concat([u32(2), getBlock])),
    /^GOAWAY 0 1 2/,
  ],
  ["6.5", "an ACK of nothing", frame("SETTINGS", 1, 0), /^GOAWAY 0 1 2/],
  ["4.3", "a block that cannot be decoded", frame("HEADERS", 5, 1, hex("40")), /^GOAWAY 0 1 2/],
  ["4.2", "a frame that is too long", frame("DATA", 0, 1, Buffer.alloc(16_385)), /^GOAWAY 0 1 2/],
  ["8.1", "DATA before the head", data(1, "x"), /^HEADERS 1 end :status: 502/],
  ["8.3.2", "no :status", headers(1, [["a", "b"]]), /^HEADERS 1 end :status: 502/],
  [
    "8.2.1",
    "a line end in a value",
    headers(1, [
      [":status", "200"],
      ["a", "b\r\nc"],
    ]),
    /^HEADERS 1 end :status: 502/,
  ],
  [
    "8.1",
    "an interim reply that ends",
    headers(1, [[":status", "100"]]),
    /^HEADERS 1 end :status: 502/,
  ],
  ["8.6", "101", headers(1, [[":status", "101"]], false), /^HEADERS 1 end :status: 502/],
  ["RFC 7838", "ALTSVC", frame(0xa, 0, 0, "\0\0h3"), /^nothing/],
  ["RFC 8336", "ORIGIN", frame(0xc, 0, 0, "x"), /^nothing/],
]

for (const [section, title, bytes, expected] of upstreamCases) {
  t.test(`§${section}, by the upstream: ${title}`, async (t) => {
    const { relay, heard, acts } = section === "3.4" ? play() : greeted()
    if (section === "3.4") {
      relay.client(Buffer.concat([Buffer.from(preface), frame("SETTINGS", 0, 0)]))
    }
    relay.client(headers(1, get))
    heard()
    relay.upstream(bytes)
    const { client, upstream } = heard()
    // Why: where the upstream has not greeted, we do.
    if (client[0] === "SETTINGS 0") client.shift()
    t.match(client[0] ?? "nothing", expected)
    if (client[0]?.startsWith("GOAWAY") === true) {
      t.match(upstream, [/^GOAWAY 0 0 [16]|^GOAWAY 0 0 9/])
      t.same(acts, ["end client", "end upstream"], "it is no fault of the client's")
    } else {
      const bad = client.length > 0
      t.same(acts, bad ? ["stopped upstream-failed"] : [])
      t.equal(upstream[0], bad ? "RST_STREAM 1 1" : undefined)
    }
  })
}
