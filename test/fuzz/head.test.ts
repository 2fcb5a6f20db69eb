/**
 * HTTP heads and bodies, whole, mutated and random, cut anyhow: nothing throws, nothing takes long,
 * how the bytes come changes nothing, and what goes on is read by another parser (Node's) as what
 * we read. Seeded and short; longer with FUZZ_SECONDS.
 */
import t from "tap"
import type { Test } from "tap"
import { createServer } from "node:http"
import type { IncomingMessage } from "node:http"
import { Duplex } from "node:stream"
import { BodyReader } from "../../http/body.ts"
import { OpeningReader } from "../../proxy/classify.ts"
import type { Classified } from "../../proxy/classify.ts"
import { forwardedHead, headBytesMax, HeadReader } from "../../http/head.ts"
import type { Framing, Head } from "../../http/head.ts"
import { randomly } from "./randomly.ts"

const seconds = Number(process.env["FUZZ_SECONDS"] ?? 1)
/** One head of the largest size, byte by byte, at the worst, on a busy machine. */
const slowMs = 500
/** Another parser reads one of so many heads: it is slow. */
const everyNth = 20

const { below, bytes, mutated, one } = randomly()

const lines = [
  "Host: allowed.test",
  "Host: allowed.test:8080",
  "host:evil.test",
  "Host : allowed.test",
  "Content-Length: 3",
  "Content-Length: 4",
  "Content-Length: 3, 3",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding:\tchunked",
  "Connection: close, X-A",
  "Connection: upgrade",
  "Upgrade: h2c",
  "Expect: 100-continue",
  "X-A: b",
  " folded",
  "X-B: \u00e9\u00ff",
  "Authorization: Bearer x",
  "Content_Length: 9",
]

function request(): Buffer {
  const method = one(["GET", "POST", "get", "CONNECT", "PRI", "M-SEARCH", "G"])
  const target = one(["/", "/a/../b", "/%2e%2e/", "http://allowed.test/x?y", "*", "/a?b=c#d", "a"])
  const version = one(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "http/1.1"])
  const end = below(10) === 0 ? "\n" : "\r\n"
  const fields = ["Host: allowed.test"].slice(below(8) === 0 ? 1 : 0)
  for (let count = below(4); count > 0; count--) fields.push(one(lines))
  const text = [`${method} ${target} ${version}`, ...fields, "", "abc"].join(end)
  const whole = Buffer.from(text, "latin1")
  return below(2) === 0 ? mutated(whole) : whole
}

function inPieces(input: Buffer, most: number): Classified | null {
  const reader = new OpeningReader()
  for (let at = 0; at < input.length;) {
    const size = 1 + below(most)
    const found = reader.push(input.subarray(at, at + size))
    if (found !== null) return found
    at += size
  }
  return null
}

/** What Node's own server makes of the bytes; null where it refuses them. */
function byNode(input: Buffer): Promise<IncomingMessage | null> {
  return new Promise((resolve) => {
    const server = createServer({ insecureHTTPParser: false }, (message) => resolve(message))
    server.on("checkContinue", (message: IncomingMessage) => resolve(message))
    server.on("clientError", () => resolve(null))
    const socket = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() })
    server.emit("connection", socket)
    socket.push(input)
    setTimeout(() => resolve(null), 200).unref()
  })
}

async function agrees(t: Test, head: Head): Promise<void> {
  const written = forwardedHead(head)
  const again = new HeadReader().read(written)
  const what = written.toString("latin1")
  if (again === null || "broken" in again) {
    t.fail(`not read again: ${what}`)
    return
  }
  for (const key of ["method", "version", "host", "address", "port", "target", "path"] as const) {
    if (again[key] !== head[key]) t.fail(`${key}: ${what}`)
  }
  if (JSON.stringify(again.framing) !== JSON.stringify(head.framing)) t.fail(`framing: ${what}`)
  if (/(?<!\r)\n|\r(?!\n)/.test(what)) t.fail(`line ends: ${what}`)
  if (below(everyNth) !== 0 || head.method === "M-SEARCH") return
  const message = await byNode(written)
  if (message === null) {
    // Why: Node does not know every method.
    if (["GET", "POST"].includes(head.method)) t.fail(`Node refuses: ${what}`)
    return
  }
  t.equal(message.method, head.method, what)
  t.equal(message.url, head.target, what)
  t.equal(
    message.headersDistinct["host"]?.length ?? 0,
    head.host === null && head.address === null ? 0 : 1,
  )
  t.equal(message.headers["transfer-encoding"] !== undefined, head.framing.kind === "chunked")
}

t.test("HTTP heads: how they come changes nothing, and what goes on has one meaning", async (t) => {
  const until = Date.now() + seconds * 1000
  let count = 0
  let good = 0
  let slowest = 0
  while (Date.now() < until) {
    const input = request()
    const begun = performance.now()
    const whole = new OpeningReader().push(input)
    for (const most of [1, 5, 60]) {
      const pieces = inPieces(input, most)
      if (JSON.stringify(pieces) !== JSON.stringify(whole)) {
        t.same(pieces, whole, `by ${most}: ${input.toString("latin1")}`)
        return
      }
    }
    slowest = Math.max(slowest, performance.now() - begun)
    count++
    if (whole?.head == null) continue
    good++
    await agrees(t, whole.head)
  }
  t.ok(good > 0 && good < count, `${good} of ${count} were good`)
  t.ok(slowest < slowMs, `the slowest took ${slowest.toFixed(1)} ms`)
})

t.test("HTTP heads: the largest, byte by byte, are read in time", async (t) => {
  for (const filler of ["a", "a: b\r\n", "%", "/../", "&a=", "authorization"]) {
    const text = `GET /?${filler.repeat(70_000)} HTTP/1.1\r\n`
    const input = Buffer.from(text).subarray(0, headBytesMax + 1)
    const reader = new HeadReader()
    const begun = performance.now()
    for (let length = 1; length <= input.length; length++) {
      if (reader.read(input.subarray(0, length)) !== null) break
    }
    t.ok(performance.now() - begun < slowMs, filler)
  }
  for (const filler of ["a", "%41", "/", ";", "/%c3", "&key=", "=", "0", "e."]) {
    const target = `/${filler.repeat(60_000 / filler.length)}`
    for (const place of [
      `GET ${target} HTTP/1.1\r\nHost: a.test`,
      `GET /?${target} HTTP/1.1\r\nHost: a.test`,
      `GET / HTTP/1.1\r\nHost: a.test\r\nX-A: ${target}`,
    ]) {
      const begun = performance.now()
      new HeadReader().read(Buffer.from(`${place}\r\n\r\n`))
      t.ok(performance.now() - begun < slowMs, place.slice(0, 20) + filler)
    }
  }
})

t.test("HTTP bodies: how they come changes nothing", async (t) => {
  const until = Date.now() + seconds * 500
  let ends = 0
  while (Date.now() < until) {
    const chunk = bytes(below(40))
    const text = Buffer.concat([
      Buffer.from(`${chunk.length.toString(16)}\r\n`),
      chunk,
      Buffer.from("\r\n0\r\n\r\nGET / HTTP/1.1\r\n"),
    ])
    const input = below(2) === 0 ? mutated(text) : text
    const framing = one<Framing>([{ kind: "chunked" }, { kind: "length", bytes: below(60) }])
    const whole = pass(framing, input, input.length)
    for (const most of [1, 4]) {
      if (pass(framing, input, most) !== whole) t.fail(input.toString("hex"))
    }
    if (whole.includes("done")) ends++
  }
  t.ok(ends > 0)
})

function pass(framing: Framing, input: Buffer, most: number): string {
  const reader = new BodyReader(framing)
  let passed = 0
  for (let at = 0; at < input.length;) {
    const size = most === input.length ? most : 1 + below(most)
    const read = reader.read(input.subarray(at, at + size))
    passed += read.length
    if (read.broken) return `broken after ${passed}`
    at += size
  }
  return `${reader.done ? "done" : "open"} after ${passed}`
}
