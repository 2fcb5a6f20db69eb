import t from "tap"
import { BodyReader } from "../../../http/body.ts"
import type { Framing } from "../../../http/head.ts"

interface Got {
  readonly passed: string
  readonly done: boolean
  readonly broken: boolean
}

/** What passes, fed in pieces of `size`. */
function passed(framing: Framing, text: string, size: number): Got {
  const reader = new BodyReader(framing)
  let out = ""
  let broken = false
  for (let at = 0; at < text.length && !broken; at += size) {
    const piece = text.slice(at, at + size)
    const read = reader.read(Buffer.from(piece, "latin1"))
    out += piece.slice(0, read.passed)
    broken = read.broken
    if (read.done && framing.kind === "chunked") return { passed: `${out}\r\n`, done: true, broken }
  }
  return { passed: out, done: reader.done, broken }
}

const chunked: Framing = { kind: "chunked" }

const table: readonly (readonly [string, Framing, string, Got])[] = [
  ["no body", { kind: "none" }, "GET /evil", { passed: "", done: true, broken: false }],
  [
    "a length",
    { kind: "length", bytes: 3 },
    "abcGET /evil",
    { passed: "abc", done: true, broken: false },
  ],
  [
    "half a length",
    { kind: "length", bytes: 9 },
    "abc",
    { passed: "abc", done: false, broken: false },
  ],
  [
    "chunks",
    chunked,
    "3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\nGET /evil",
    { passed: "3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n", done: true, broken: false },
  ],
  [
    "chunks with trailers, which are left out",
    chunked,
    "1\r\na\r\n0\r\nX-Evil: b\r\n\r\n",
    { passed: "1\r\na\r\n0\r\n\r\n", done: true, broken: false },
  ],
  ["an extension", chunked, "1;a=b\r\na\r\n0\r\n\r\n", { passed: "1", done: false, broken: true }],
  ["a bare LF", chunked, "1\na\r\n0\r\n\r\n", { passed: "1", done: false, broken: true }],
  ["a sign", chunked, "+1\r\na\r\n", { passed: "", done: false, broken: true }],
  ["0x", chunked, "0x1\r\na\r\n", { passed: "0", done: false, broken: true }],
  ["a space", chunked, "1 \r\na\r\n", { passed: "1", done: false, broken: true }],
  ["no size", chunked, "\r\na\r\n", { passed: "", done: false, broken: true }],
  [
    "a chunk that is too long",
    chunked,
    "1\r\nab\r\n",
    { passed: "1\r\na", done: false, broken: true },
  ],
  [
    "an endless size",
    chunked,
    "0".repeat(20),
    { passed: "0".repeat(12), done: false, broken: true },
  ],
]

t.test("BodyReader passes one body and nothing after it, over any segmentation", async (t) => {
  for (const [what, framing, text, expected] of table) {
    for (const size of [1, 2, 3, 7, 1000]) {
      t.same(passed(framing, text, size), expected, `${what}, by ${size}`)
    }
  }
})
