import t from "tap"
import { headBytesMax, headFieldsMax } from "../../../http/head.ts"
import { forwardedReply, hasBody, ReplyReader } from "../../../http/reply.ts"
import type { Reply, ReplyRead } from "../../../http/reply.ts"

function read(text: string): ReplyRead | null {
  const bytes = Buffer.from(text, "latin1")
  const whole = new ReplyReader().read(bytes)
  const reader = new ReplyReader()
  let bytewise: ReplyRead | null = null
  for (let length = 1; length <= bytes.length && bytewise === null; length++) {
    bytewise = reader.read(bytes.subarray(0, length))
  }
  t.same(bytewise, whole, `byte by byte as whole: ${text.slice(0, 60)}`)
  return whole
}

function good(text: string): Reply {
  const found = read(text)
  if (found === null || found === "broken") throw new Error(`no reply: ${text}`)
  return found
}

/** A reply with these lines after the status line. */
function ok(...lines: string[]): string {
  return `HTTP/1.1 200 OK\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`
}

/** How the client gets it. */
function forwarded(text: string): string {
  return forwardedReply(good(text), "open")
}

t.test("ReplyReader reads a reply", (t) => {
  t.match(good(`${ok("Content-Length: 3", "A: b")}abc`), {
    version: "1.1",
    status: 200,
    phrase: "OK",
    framing: { kind: "length", bytes: 3 },
    persistent: true,
    keepAlive: null,
    webSocket: false,
    length: ok("Content-Length: 3", "A: b").length,
  })
  t.end()
})

t.test("ReplyReader reads one head after another", (t) => {
  const reader = new ReplyReader()
  const first = Buffer.from("HTTP/1.1 103 Early Hints\nLink: a\n\n")
  t.match(reader.read(first), { status: 103 })
  t.match(reader.read(Buffer.from(ok("A: b"))), { status: 200, lines: "A: b\r\n" })
  t.end()
})

t.test("ReplyReader knows where a body ends", (t) => {
  const table: readonly (readonly [string, unknown, boolean])[] = [
    [ok("Content-Length: 0"), { kind: "length", bytes: 0 }, true],
    [ok("Content-Length: 012"), { kind: "length", bytes: 12 }, true],
    [ok("Content-Length: 12", "content-length: 12"), { kind: "length", bytes: 12 }, true],
    [ok("Transfer-Encoding: chunked"), { kind: "chunked" }, true],
    [ok("Transfer-Encoding: gzip, Chunked"), { kind: "chunked" }, true],
    [ok("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"), { kind: "chunked" }, true],
    [ok("Transfer-Encoding: gzip"), { kind: "close" }, true],
    [ok("Transfer-Encoding: chunked, gzip"), { kind: "close" }, true],
    [ok("Transfer-Encoding: xchunked"), { kind: "close" }, true],
    [ok("Transfer-Encoding: identity", "Content-Length: 3"), { kind: "length", bytes: 3 }, true],
    [ok("Transfer-Encoding: chunked", "Content-Length: 3"), { kind: "chunked" }, false],
    [ok("A: b"), { kind: "close" }, true],
    [ok("Content-Length: 3", "Connection: a, Close"), { kind: "length", bytes: 3 }, false],
    [ok("Content-Length: 3").replace("1.1", "1.0"), { kind: "length", bytes: 3 }, false],
    [
      ok("Content-Length: 3", "Connection: Keep-Alive").replace("1.1", "1.0"),
      { kind: "length", bytes: 3 },
      true,
    ],
  ]
  for (const [text, framing, persistent] of table) {
    t.match(good(text), { framing, persistent }, text)
  }
  t.end()
})

t.test("hasBody() knows the replies that have none", (t) => {
  for (const status of [100, 101, 204, 304]) t.equal(hasBody("GET", status), false)
  for (const status of [200, 205, 206, 301, 404, 500]) {
    t.equal(hasBody("GET", status), true)
    t.equal(hasBody("HEAD", status), false)
  }
  t.end()
})

t.test("ReplyReader takes what servers really send", (t) => {
  const table: readonly (readonly [string, string, string])[] = [
    ["no phrase", "HTTP/1.1 200\r\nA: b\r\n\r\n", "HTTP/1.1 200 \r\nA: b\r\n\r\n"],
    ["an empty phrase", "HTTP/1.1 200 \r\nA: b\r\n\r\n", "HTTP/1.1 200 \r\nA: b\r\n\r\n"],
    ["a phrase beyond ASCII", "HTTP/1.1 200 \u00e9\r\n\r\n", "HTTP/1.1 200 \u00e9\r\n\r\n"],
    ["no field", "HTTP/1.1 200 OK\r\n\r\n", ok()],
    ["an odd status", "HTTP/1.1 999 No\r\n\r\n", "HTTP/1.1 999 No\r\n\r\n"],
    ["HTTP/1.0", ok("A: b").replace("1.1", "1.0"), ok("A: b")],
    ["bare LFs", "HTTP/1.1 200 OK\nA: b\nC: d\n\n", ok("A: b", "C: d")],
    ["one bare LF", "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n", ok("A: b", "C: d")],
    ["a folded field", ok("A: b", " c", "\td", "E: f"), ok("A: b c d", "E: f")],
    ["white space before a colon", ok("A : b", "C\t: d"), ok("A: b", "C: d")],
    ["white space around a value", ok("A:b", "C:   d \t", "E:"), ok("A: b", "C: d", "E: ")],
    ["a control character", ok("A: b\u0001"), ok("A: b\u0001")],
    ["lines that are no fields", ok("A: b", "abc", "a b: c", ": d", "E: f"), ok("A: b", "E: f")],
    ["a length twice", ok("Content-Length: 3", "Content-Length: 3"), ok("Content-Length: 3")],
    [
      "a coding that is none",
      ok("Transfer-Encoding: identity", "Content-Length: 3"),
      ok("Content-Length: 3"),
    ],
    [
      "two framings",
      ok("A: b", "Content-Length: 3", "Transfer-Encoding: chunked"),
      ok("A: b", "Transfer-Encoding: chunked"),
    ],
  ]
  for (const [what, text, expected] of table) t.equal(forwarded(text), expected, what)
  t.end()
})

t.test("ReplyReader refuses what has no reading", (t) => {
  const table: readonly (readonly [string, string])[] = [
    ["another protocol", "ICY 200 OK\r\n\r\n"],
    ["another version", "HTTP/2 200 OK\r\n\r\n"],
    ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
    ["a status below 100", "HTTP/1.1 099 OK\r\n\r\n"],
    ["an empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n"],
    ["a CR in the status line", "HTTP/1.1 200 O\rK\r\n\r\n"],
    ["a CR at the phrase's end", "HTTP/1.1 200 OK\r\r\nA: b\r\n\r\n"],
    ["a CR in a value", ok("A: b\rSet-Cookie: c")],
    ["a CR after a value", ok("A: b\r")],
    ["NUL in a value", ok("A: b\0c")],
    ["two lengths", ok("Content-Length: 3", "Content-Length: 4")],
    ["a list of lengths", ok("Content-Length: 3, 3")],
    ["a length with a sign", ok("Content-Length: +3")],
    ["a length that is no number", ok("Content-Length: abc")],
    ["an empty length", ok("Content-Length:")],
    ["an endless length", ok(`Content-Length: ${"9".repeat(16)}`)],
    ["a body alone", "<html>\r\n\r\n"],
  ]
  for (const [what, text] of table) t.equal(read(text), "broken", what)
  t.end()
})

t.test("ReplyReader is bounded in bytes and fields", (t) => {
  const fields = (count: number): Buffer =>
    Buffer.from(ok(...Array.from({ length: count }, (_, index) => `A${index}: b`)))
  t.match(new ReplyReader().read(fields(headFieldsMax)), { status: 200 })
  t.equal(new ReplyReader().read(fields(headFieldsMax + 1)), "broken")
  const long = Buffer.from(ok(`A: ${"b".repeat(headBytesMax)}`))
  t.equal(new ReplyReader().read(long), "broken")
  t.equal(new ReplyReader().read(long.subarray(0, headBytesMax - 1)), null)
  t.end()
})

t.test("forwardedReply() leaves out what was for this hop, and Alt-Svc", (t) => {
  const text = ok(
    "Date: today",
    'Alt-Svc: h3=":443"; ma=86400',
    "ALT-SVC: clear",
    "Connection: X-Hop, Upgrade, close",
    "X-Hop: 1",
    "Keep-Alive: nonsense",
    "Proxy-Connection: keep-alive",
    "Proxy-Authenticate: Basic",
    "Upgrade: h2c",
    "Trailer: X-Sum",
    "Set-Cookie: a",
    "Set-Cookie: b",
    "Transfer-Encoding: chunked",
  )
  const kept = [
    "Date: today",
    "Trailer: X-Sum",
    "Set-Cookie: a",
    "Set-Cookie: b",
    "Transfer-Encoding: chunked",
  ]
  t.equal(forwarded(text), ok(...kept))
  t.equal(forwardedReply(good(text), "close"), ok(...kept, "Connection: close"))
  t.equal(forwardedReply(good(text), "told"), ok(...kept, "Connection: keep-alive"))
  t.end()
})

t.test("forwardedReply() keeps the framing, whatever Connection names", (t) => {
  t.equal(forwarded(ok("Connection: content-length", "Content-Length: 3")), ok("Content-Length: 3"))
  t.end()
})

t.test("forwardedReply() says how patient the upstream is", (t) => {
  const kept = ["Content-Length: 0", "Connection: keep-alive", "Keep-Alive: timeout=5, max=100"]
  t.equal(forwarded(ok("Keep-Alive: timeout=5, max=100", "Content-Length: 0")), ok(...kept))
  t.end()
})

t.test("forwardedReply() has no framing where there may be none", (t) => {
  for (const line of ["HTTP/1.1 204 No Content", "HTTP/1.1 103 Early Hints"]) {
    const text = `${line}\r\nContent-Length: 3\r\nLink: a\r\nTransfer-Encoding: chunked\r\n\r\n`
    t.equal(forwarded(text), `${line}\r\nLink: a\r\n\r\n`)
  }
  t.end()
})
