import t from "tap"
import { BodyReader, trailerBytesMax } from "../../../http/body.ts"
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
  [
    "a trailer without a name",
    chunked,
    "0\r\n: b\r\n\r\n",
    { passed: "0\r\n", done: false, broken: true },
  ],
  [
    "a folded trailer",
    chunked,
    "0\r\nA: b\r\n c\r\n\r\n",
    { passed: "0\r\n", done: false, broken: true },
  ],
  [
    "a trailer with white space before the colon",
    chunked,
    "0\r\nA : b\r\n\r\n",
    { passed: "0\r\n", done: false, broken: true },
  ],
  [
    "a bare LF after a trailer",
    chunked,
    "0\r\nA: b\n\r\n",
    { passed: "0\r\n", done: false, broken: true },
  ],
  [
    "a bare CR in a trailer",
    chunked,
    "0\r\nA: b\rc\r\n\r\n",
    { passed: "0\r\n", done: false, broken: true },
  ],
  [
    "a bare CR at the end",
    chunked,
    "0\r\n\rGET /evil",
    { passed: "0\r\n", done: false, broken: true },
  ],
  [
    "trailers without end",
    chunked,
    `0\r\nA: ${"b".repeat(trailerBytesMax)}\r\n\r\n`,
    { passed: "0\r\n", done: false, broken: true },
  ],
  ["an extension", chunked, "1;a=b\r\na\r\n0\r\n\r\n", { passed: "1", done: false, broken: true }],
  ["a bare CR", chunked, "1\rGET /evil", { passed: "1\r", done: false, broken: true }],
  [
    "a bare CR after a chunk",
    chunked,
    "1\r\na\rb",
    { passed: "1\r\na\r", done: false, broken: true },
  ],
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

/** What passes of a reply, fed in pieces of `size`. */
function replied(framing: Framing | { readonly kind: "close" }, text: string, size: number): Got {
  const reader = new BodyReader(framing, "reply")
  let out = ""
  for (let at = 0; at < text.length && !reader.done; at += size) {
    const piece = text.slice(at, at + size)
    const read = reader.read(Buffer.from(piece, "latin1"))
    t.equal(read.passed, read.length, "nothing is left out")
    out += piece.slice(0, read.passed)
    if (read.broken) return { passed: out, done: false, broken: true }
  }
  return { passed: out, done: reader.done, broken: false }
}

t.test("BodyReader passes the chunks of a reply as servers send them", async (t) => {
  const good = [
    "3\r\nabc\r\n0\r\n\r\n",
    "3  \r\nabc\r\n000 \r\n\r\n",
    '3;a="b";c\r\nabc\r\n0;d\r\n\r\n',
    "0\r\nX-Sum: 1\r\nodd line\r\n\tfolded\r\n\r\n",
  ]
  const bad: readonly (readonly [string, string])[] = [
    ["", "\r\nabc"],
    ["3", "\nabc"],
    ["3;a", "\nabc"],
    ["3\r\nabc", "d"],
    ["3\r\nabc\r\n", "x"],
    ["0\r\nA", "\n\r\n"],
    ["", "-3\r\n"],
    [`3;${"a".repeat(4_096)}`, "a\r\n"],
  ]
  for (const size of [1, 2, 5, 10_000]) {
    for (const text of good) {
      const expected = { passed: text, done: true, broken: false }
      t.same(replied(chunked, `${text}HTTP/1.1`, size), expected, `${text}, by ${size}`)
    }
    for (const [passes, rest] of bad) {
      const { broken, passed } = replied(chunked, passes + rest, size)
      t.equal(broken, true, `${passes}${rest}, by ${size}`)
      t.ok(passed.startsWith(passes), passed)
    }
  }
})

t.test("BodyReader leaves the end of some replies to the connection", async (t) => {
  const reader = new BodyReader({ kind: "close" }, "reply")
  t.equal(reader.endsWithConnection, true)
  t.match(reader.read(Buffer.from("abc")), { passed: 3, done: false })
  t.equal(new BodyReader(chunked, "reply").endsWithConnection, false)
})
