import t from "tap"
import * as fc from "fast-check"
import { errorCodes, FrameReader, uint32, writeHead } from "../../../http/frame.ts"
import type { Fate, Frame } from "../../../http/frame.ts"
import { frame, u32 } from "../proxy/h2.ts"

/** What a reader shows of some bytes, cut anyhow; DATA passes. */
function read(bytes: Buffer, sizes: () => number, payloadBytesMax = 16_384): string[] {
  const lines: string[] = []
  let payload = ""
  const reader: FrameReader = new FrameReader({
    frame: (source, at, { type, flags, stream, length }: Frame): Fate => {
      const kept =
        type === 0 ? (flags & 8) / 8 : type === 7 ? 8 : type < 10 && type !== 5 ? length : 0
      const shown = source.subarray(at + 9, at + 9 + kept).toString("hex")
      lines.push(`${type} ${flags} ${stream} ${length} ${shown}`)
      return type === 0 ? "pass" : "drop"
    },
    payload: (source, from, to) => {
      payload += source.toString("hex", from, to)
    },
    payloadEnds: () => {
      lines.push(`payload ${payload}`)
      payload = ""
    },
    broken: (code, detail) => lines.push(`broken ${code}: ${detail}`),
  })
  reader.payloadBytesMax = payloadBytesMax
  for (let at = 0; at < bytes.length;) {
    const size = sizes()
    reader.read(Buffer.from(bytes.subarray(at, at + size)))
    if (lines.at(-1)?.startsWith("broken") === true) break
    at += size
  }
  return lines
}

const some = Buffer.concat([
  frame("SETTINGS", 0, 0, Buffer.alloc(12, 1)),
  frame("DATA", 1, 3, "hello"),
  frame("DATA", 9, 3, "\x02hello\0\0"),
  frame("DATA", 0, 5),
  frame("HEADERS", 4, 7, "block"),
  frame("CONTINUATION", 4, 7),
  frame("GOAWAY", 0, 0, Buffer.concat([u32(1, 2), Buffer.from("words for people")])),
  frame("PING", 0, 0, "12345678"),
  frame(200, 255, 0x7fff_ffff, "unknown"),
  frame("WINDOW_UPDATE", 0, 0, u32(5)),
])

t.test("FrameReader shows frames and passes DATA, whole as byte by byte", async (t) => {
  const whole = read(some, () => some.length)
  t.same(whole, [
    `4 0 0 12 ${"01".repeat(12)}`,
    "0 1 3 5 ",
    `payload ${Buffer.from("hello").toString("hex")}`,
    "0 9 3 8 02",
    `payload ${Buffer.from("hello\0\0").toString("hex")}`,
    "0 0 5 0 ",
    "payload ",
    `1 4 7 5 ${Buffer.from("block").toString("hex")}`,
    "9 4 7 0 ",
    "7 0 0 24 0000000100000002",
    `6 0 0 8 ${Buffer.from("12345678").toString("hex")}`,
    "200 255 2147483647 7 ",
    "8 0 0 4 00000005",
  ])
  for (let size = 1; size < 40; size++)
    t.same(
      read(some, () => size),
      whole,
      `by ${size}`,
    )
})

t.test("FrameReader says the same however bytes come", async (t) => {
  const frames = fc.array(
    fc.record({
      type: fc.integer({ min: 0, max: 12 }),
      flags: fc.integer({ min: 0, max: 255 }),
      stream: fc.integer({ min: 0, max: 9 }),
      length: fc.integer({ min: 0, max: 20 }),
    }),
  )
  fc.assert(
    fc.property(frames, fc.infiniteStream(fc.integer({ min: 1, max: 30 })), (list, sizes) => {
      const bytes = Buffer.concat(
        list.map(({ type, flags, stream, length }) =>
          frame(type, flags, stream, Buffer.alloc(length, length)),
        ),
      )
      const whole = read(bytes, () => Math.max(1, bytes.length))
      const cut = read(bytes, () => Number(sizes.next().value ?? 1))
      return JSON.stringify(whole) === JSON.stringify(cut)
    }),
  )
  t.pass()
})

t.test(
  "FrameReader refuses frames of a wrong size before they have come (RFC 9113 §4.2)",
  async (t) => {
    const { frameSizeError, enhanceYourCalm } = errorCodes
    const table: readonly (readonly [string, Buffer, number])[] = [
      ["a frame that is too long", frame("DATA", 0, 1, Buffer.alloc(16_385)), frameSizeError],
      ["RST_STREAM of 3", frame("RST_STREAM", 0, 1, "abc"), frameSizeError],
      ["RST_STREAM of 5", frame("RST_STREAM", 0, 1, "abcde"), frameSizeError],
      ["WINDOW_UPDATE of 5", frame("WINDOW_UPDATE", 0, 1, "abcde"), frameSizeError],
      ["PING of 7", frame("PING", 0, 0, "abcdefg"), frameSizeError],
      ["PRIORITY of 4", frame("PRIORITY", 0, 1, "abcd"), frameSizeError],
      ["SETTINGS of 5", frame("SETTINGS", 0, 0, "abcde"), frameSizeError],
      ["GOAWAY of 7", frame("GOAWAY", 0, 0, "abcdefg"), frameSizeError],
      ["DATA padded by nothing", frame("DATA", 8, 1), frameSizeError],
    ]
    for (const [what, bytes, code] of table) {
      const lines = read(bytes.subarray(0, 9), () => 4)
      t.match(lines, [new RegExp(`^broken ${code}`)], what)
    }
    const huge = frame("HEADERS", 4, 1, Buffer.alloc(66_000))
    t.match(
      read(huge.subarray(0, 9), () => 9, 1 << 24),
      [new RegExp(`^broken ${enhanceYourCalm}`)],
    )
  },
)

t.test("FrameReader stops where it is told to, and shows a frame again", async (t) => {
  const lines: string[] = []
  let again = 2
  const reader: FrameReader = new FrameReader({
    frame: (_source, _at, { stream }) => {
      lines.push(`frame ${stream}`)
      if (again-- > 0) {
        reader.stop()
        return "again"
      }
      return "pass"
    },
    payload: (source, from, to) => lines.push(source.toString("latin1", from, to)),
    payloadEnds: () => lines.push("end"),
    broken: () => lines.push("broken"),
  })
  const bytes = Buffer.concat([frame("DATA", 8, 1, "\0abc"), frame("DATA", 0, 3, "def")])
  t.equal(reader.read(bytes), 10)
  t.equal(reader.read(bytes.subarray(10)), 0)
  t.equal(reader.read(bytes.subarray(10)), bytes.length - 10)
  t.same(lines, ["frame 1", "frame 1", "frame 1", "abc", "end", "frame 3", "def", "end"])
})

t.test("writeHead() and uint32() are each other's reverse", async (t) => {
  const bytes = Buffer.alloc(9)
  t.equal(writeHead(bytes, 0, 0xabcdef, 1, 5, 0x7fff_ffff), 9)
  t.equal(bytes.toString("hex"), "abcdef01057fffffff")
  t.equal(uint32(Buffer.from("ffffffff", "hex"), 0), 0xffff_ffff)
})
