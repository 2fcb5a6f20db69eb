/**
 * Further servers of the far end, in a process of their own: they write down what they receive byte
 * by byte, connection by connection, and read as little of it as an answer needs. So a test can see
 * how many requests came, and how each was spelled.
 */
import { createHash } from "node:crypto"
import { appendFileSync, writeFileSync } from "node:fs"
import { createServer as createTcp, type Socket } from "node:net"
import { createSecureContext, createServer as createTls, type SecureContext } from "node:tls"
import { authority } from "../certs/authority.ts"
import { leafKey } from "../certs/leaf.ts"
import type { Record_ } from "./evidence.ts"
import { faultyLeaf } from "./faulty-leaf.ts"
import { faultyPort, faults, recorderPorts, type Fault } from "./recorder-ports.ts"

/** What a test tells this process. */
export interface Recorders {
  readonly evidence: string
  /** PEM of authorities that the firewall trusts; the one of these servers is added to it. */
  readonly authorityFile: string
  /** Where a sound certificate with its key is to be written, for servers that are no program of ours. */
  readonly sampleFile: string
}

/** Most bytes of one connection that are written down. */
const keptBytesMax = 1 << 18

const order = JSON.parse(process.argv[2] ?? "{}") as Recorders
let connections = 0

/** Writes down all that a connection has said, anew with each of its parts: none may be cut in two. */
function record(socket: Socket, port: number): () => Buffer {
  const number = ++connections
  let whole = Buffer.alloc(0)
  socket.on("error", () => socket.destroy())
  socket.on("data", (bytes: Buffer) => {
    if (whole.length > keptBytesMax) return
    whole = Buffer.concat([whole, bytes])
    const line: Record_ = { kind: "tcp", at: `:${port} #${number}`, text: whole.toString("latin1") }
    appendFileSync(order.evidence, `${JSON.stringify(line)}\n`)
  })
  return () => whole
}

/** Where the message that begins at `at` ends, as a reader without suspicion sees it; null: not yet. */
function endOfRequest(text: string, at: number): number | null {
  const gap = /\r?\n\r?\n/g
  gap.lastIndex = at
  const found = gap.exec(text)
  if (found === null) return null
  const head = text.slice(at, found.index)
  const body = found.index + found[0].length
  if (/^transfer-encoding: *chunked/im.test(head)) {
    const last = /(?:^|\r\n)0+\r\n(?:[^\r\n]+\r\n)*\r\n/g
    // Why two bytes before: the line end of the head may be the one before a first chunk that is the last.
    last.lastIndex = body - 2
    const end = last.exec(text)
    return end === null ? null : end.index + end[0].length
  }
  const end = body + Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
  return end <= text.length ? end : null
}

/** Answers each request that it can see, once it is whole. */
function speakHttp1(socket: Socket, port: number): void {
  const said = record(socket, port)
  let at = 0
  socket.on("data", () => {
    const text = said().toString("latin1")
    if (text.startsWith("PRI ")) return
    for (let end = endOfRequest(text, at); end !== null; end = endOfRequest(text, at)) {
      answerHead(socket, text.slice(at, end))
      at = end
    }
  })
}

function answerHead(socket: Socket, text: string): void {
  const key = /^sec-websocket-key: *(\S+)/im.exec(text)?.[1]
  const path = /^\S+ (\S+)/.exec(text)?.[1] ?? "/"
  if (key !== undefined) {
    // RFC 6455 §4.2.2
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    const hash = accept.digest("base64")
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${hash}\r\n\r\n`,
    )
    return
  }
  // Why backwards: so that the first request does not itself hold what the second one will.
  const backwards = /^\/ok\/redirect\?(.*)$/.exec(path)?.[1]
  if (backwards !== undefined) {
    const location = backwards.split("").toReversed().join("")
    socket.write(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`)
    return
  }
  if (path.startsWith("/ok/endless-head")) return endless(socket)
  const alternative = `Alt-Svc: h3=":443"; ma=86400\r\nalt-svc: h2="evil.test:443"\r\n`
  socket.write(`HTTP/1.1 200 OK\r\n${alternative}Content-Length: 3\r\n\r\nok\n`)
}

/** A reply whose head never ends. */
function endless(socket: Socket): void {
  const line = Buffer.from(`X-More: ${"x".repeat(1_000)}\r\n`.repeat(64))
  socket.write("HTTP/1.1 200 OK\r\n")
  const more = (): void => {
    while (!socket.destroyed && socket.write(line));
    socket.once("drain", more)
  }
  more()
}

const prefaceBytes = 24
const frameHeadBytes = 9
const frames = { headers: 1, settings: 4, ping: 6 } as const
/** SETTINGS without any; its acknowledgement; a reply `:status: 200` with an alt-svc that ends its stream. */
const settings = Buffer.from("000000040000000000", "hex")
const acknowledged = Buffer.from("000000040100000000", "hex")
const replyBlock = Buffer.concat([
  Buffer.from([0x88]),
  Buffer.from([0, 7]),
  Buffer.from("alt-svc"),
  Buffer.from([10]),
  Buffer.from('h3=":443";'),
])

/** Answers every HEADERS frame with 200, and understands no more of HTTP/2 than that (RFC 9113 §4.1). */
function speakHttp2(socket: Socket, port: number): void {
  const said = record(socket, port)
  let at = prefaceBytes
  socket.write(settings)
  socket.on("data", () => {
    const bytes = said()
    while (at + frameHeadBytes <= bytes.length) {
      const length = bytes.readUIntBE(at, 3)
      if (at + frameHeadBytes + length > bytes.length) return
      const [type = 0, flags = 0] = bytes.subarray(at + 3, at + 5)
      const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff
      const payload = bytes.subarray(at + frameHeadBytes, at + frameHeadBytes + length)
      at += frameHeadBytes + length
      if (type === frames.settings && (flags & 1) === 0) socket.write(acknowledged)
      if (type === frames.ping && (flags & 1) === 0) {
        socket.write(Buffer.concat([Buffer.from("000008060100000000", "hex"), payload]))
      }
      if (type === frames.headers) {
        const head = Buffer.from("000000010500000000", "hex")
        head.writeUIntBE(replyBlock.length, 0, 3)
        head.writeUInt32BE(stream, 5)
        socket.write(Buffer.concat([head, replyBlock]))
      }
    }
  })
}

const nowMs = Date.now()
const signer = authority("Sluice lab, recorders", nowMs)
const key = leafKey()

function serveTls(port: number, protocol: "http/1.1" | "h2", fault: Fault | null): void {
  const contexts = new Map<string, SecureContext>()
  const contextFor = (name: string): SecureContext => {
    const known = contexts.get(name)
    if (known !== undefined) return known
    const cert = faultyLeaf(fault, signer, key, name, nowMs).pem
    const context = createSecureContext({ key: key.pem, cert })
    contexts.set(name, context)
    return context
  }
  const cert = faultyLeaf(fault, signer, key, "unnamed.test", nowMs).pem
  const server = createTls(
    {
      key: key.pem,
      cert,
      ALPNProtocols: [protocol],
      SNICallback: (name, done) => done(null, contextFor(name)),
    },
    (socket) => (protocol === "h2" ? speakHttp2 : speakHttp1)(socket, port),
  )
  server.on("tlsClientError", () => {})
  server.listen(port, "::")
}

appendFileSync(order.authorityFile, signer.pem)
writeFileSync(
  order.sampleFile,
  `${faultyLeaf(null, signer, key, "allowed.test", nowMs).pem}${key.pem}`,
)
createTcp((socket) => speakHttp1(socket, recorderPorts.plain)).listen(recorderPorts.plain, "::")
serveTls(recorderPorts.secure, "http/1.1", null)
serveTls(recorderPorts.streams, "h2", null)
for (const fault of faults) serveTls(faultyPort(fault), "http/1.1", fault)
process.on("uncaughtException", (error) => {
  process.stderr.write(`lab: ${error.message}\n`)
})
process.stdout.write("ready\n")
// Why: the test holds our standard input; when it ends, so do we.
process.stdin.resume()
process.stdin.on("end", () => process.exit(0))
