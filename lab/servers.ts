/**
 * The far end: every server of the lab's Internet, in one process inside its namespace. Writes down
 * all that it receives.
 */
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from "node:http"
import { appendFileSync, writeFileSync } from "node:fs"
import { createSocket } from "node:dgram"
import { createServer as createTcp } from "node:net"
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from "node:http2"
import type { Duplex } from "node:stream"
import { createSecureContext } from "node:tls"
import { authority, type Authority } from "../certs/authority.ts"
import { leaf, leafKey } from "../certs/leaf.ts"
import { answer } from "./answer.ts"
import { serveZone } from "./authority-server.ts"
import type { Record_ } from "./evidence.ts"
import { places, type Zone } from "./places.ts"
import { sinkPort } from "./sink-port.ts"
import { refusal } from "./sites/transfers.ts"
import { serveWebSocket } from "./sites/websocket.ts"
import { visit } from "./visit.ts"

/** What internet.ts tells this process. */
export interface FarEnd {
  readonly zone: Zone
  readonly evidence: string
  /** Where the authority's certificate is to be written, PEM. */
  readonly authorityFile: string
  /** A directory served at git.example.com; null: none. */
  readonly repositories: string | null
}

/** Enough for every canary; of a large file nobody keeps more. */
const bodyBytesMax = 1 << 20

/** Of a stream of HTTP/2, so that an upload is not made of waiting (RFC 9113 §5.2: at first 64 KiB). */
const windowBytes = 1 << 20

const order = JSON.parse(process.argv[2] ?? "{}") as FarEnd
const write = (record: Record_): void => {
  appendFileSync(order.evidence, `${JSON.stringify(record)}\n`)
}

/** Writes a request down once: when it has come whole, or when it breaks off. */
function note(request: IncomingMessage): void {
  const chunks: Buffer[] = []
  let kept = 0
  let written = false
  const { localAddress, localPort } = request.socket
  const done = (): void => {
    if (written) return
    written = true
    const headers = request.rawHeaders.join(" ")
    const body = Buffer.concat(chunks).toString("latin1")
    const text = `${request.method} ${request.url} ${headers} ${body}`
    write({ kind: "http", at: `${localAddress}:${localPort}`, text })
  }
  request.on("data", (chunk: Buffer) => {
    if (kept < bodyBytesMax) chunks.push(chunk)
    kept += chunk.length
  })
  request.on("end", done)
  request.on("close", done)
}

function take(request: IncomingMessage, response: ServerResponse, secure: boolean): void {
  request.on("error", () => {})
  response.on("error", () => {})
  note(request)
  answer(visit(request, response, secure), order.repositories)
}

/** Asks for the body of a client that waits to be asked (RFC 9110 §10.1.1), unless it is not wanted. */
function invite(request: IncomingMessage, response: ServerResponse, secure: boolean): void {
  if (visit(request, response, secure).path !== refusal) response.writeContinue()
  take(request, response, secure)
}

/** A WebSocket, at whatever path; any other upgrade is refused. */
function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { localAddress, localPort } = request.socket
  const at = `${localAddress}:${localPort}`
  const headers = request.rawHeaders.join(" ")
  write({ kind: "http", at, text: `${request.method} ${request.url} ${headers} ` })
  if (request.headers.upgrade?.toLowerCase() !== "websocket") {
    socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    return
  }
  serveWebSocket(request, socket, head, (text) => write({ kind: "tcp", at, text }))
}

function serveHttps(signer: Authority): void {
  const key = leafKey()
  const contexts = new Map<string, ReturnType<typeof createSecureContext>>()
  const contextFor = (name: string): ReturnType<typeof createSecureContext> => {
    const known = contexts.get(name)
    if (known !== undefined) return known
    const made = leaf(signer, key, [name], Date.now())
    const context = createSecureContext({ key: key.pem, cert: made.pem })
    contexts.set(name, context)
    return context
  }
  const fallback = leaf(signer, key, ["unnamed.test"], Date.now())
  for (const port of [443, 8443]) {
    const server = createSecureServer({
      key: key.pem,
      cert: fallback.pem,
      allowHTTP1: true,
      settings: { initialWindowSize: windowBytes },
      SNICallback: (name, done) => {
        write({ kind: "tls", at: `:${port}`, text: name })
        done(null, contextFor(name))
      },
    })
    server.on("session", (session) => session.setLocalWindowSize(4 * windowBytes))
    // Why: what is asked is the same over both versions; only the host stands elsewhere.
    const heard =
      (act: typeof take) => (request: Http2ServerRequest, response: Http2ServerResponse) => {
        request.headers.host ??= request.headers[":authority"]
        act(request as unknown as IncomingMessage, response as unknown as ServerResponse, true)
      }
    server.on("request", heard(take))
    server.on("checkContinue", heard(invite))
    server.on("upgrade", upgrade)
    server.on("tlsClientError", () => {})
    server.listen(port, "::")
  }
}

function serveHttp(): void {
  for (const port of [80, 8080]) {
    const server = createHttp((request, response) => take(request, response, false))
    server.on("checkContinue", (request, response) => invite(request, response, false))
    server.on("upgrade", upgrade)
    server.on("clientError", (_error, socket) => socket.destroy())
    server.listen(port, "::")
  }
}

/** Servers that speak first. */
const greetings: Readonly<Record<number, string>> = {
  22: "SSH-2.0-OpenSSH_9.2\r\n",
  25: "220 mail.test ESMTP\r\n",
  3306: "J\0\0\0\n8.0.36\0",
}

function serveSink(): void {
  const take = (port: number, greeting: string | null): void => {
    const server = createTcp((socket) => {
      socket.on("error", () => socket.destroy())
      if (greeting !== null) socket.write(greeting)
      socket.on("data", (bytes: Buffer) => {
        write({ kind: "tcp", at: `${socket.localAddress}:${port}`, text: bytes.toString("latin1") })
        if (greeting === null) socket.write("taken\n")
      })
    })
    server.listen(port, "::")
  }
  take(sinkPort, null)
  for (const [port, greeting] of Object.entries(greetings)) take(Number(port), greeting)
  const socket = createSocket("udp6")
  socket.on("message", (bytes, peer) => {
    write({ kind: "datagram", at: `udp ${peer.address}`, text: bytes.toString("latin1") })
    socket.send(`taken ${bytes.toString("latin1")}`, peer.port, peer.address)
  })
  socket.bind(sinkPort, "::")
}

process.on("uncaughtException", (error) => {
  process.stderr.write(`lab: ${error.message}\n`)
})
const signer = authority("Sluice lab", Date.now())
writeFileSync(order.authorityFile, signer.pem)
serveZone(places.resolver, order.zone, write)
serveZone(places.otherResolver, { "*": { a: [places.evil] } }, write)
serveHttps(signer)
serveHttp()
serveSink()
process.stdout.write("ready\n")
// Why: the lab's own process holds our standard input; when it ends, so do we.
process.stdin.resume()
process.stdin.on("end", () => process.exit(0))
