/**
 * The relay between Node's own HTTP/2 client and server, over loopback: what it writes others read,
 * and what others write it reads. Plain sockets stand for the carrier.
 */
import { createHash, randomBytes } from "node:crypto"
import { connect as connectHttp2, constants, createServer as createHttp2Server } from "node:http2"
import type {
  ClientHttp2Session,
  Http2Server,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
  ServerHttp2Stream,
} from "node:http2"
import { connect, createServer } from "node:net"
import type { AddressInfo, Server, Socket } from "node:net"
import t from "tap"
import { http2 } from "../../../proxy/http2.ts"
import type { Exchange, Links } from "../../../proxy/relay.ts"
import { denied, judgeByPath } from "./h2.ts"

interface Between {
  readonly session: ClientHttp2Session
  readonly records: Exchange[]
  readonly broken: string[]
  readonly seen: IncomingHttpHeaders[]
  readonly close: () => Promise<void>
}

function portOf(server: Server | Http2Server): number {
  return (server.address() as AddressInfo).port
}

/** Reads the one as the other's bytes come, in pieces of odd sizes. */
function carry(client: Socket, upstream: Socket, records: Exchange[], broken: string[]): void {
  const links: Links = {
    toClient: (bytes) => void client.write(Buffer.from(bytes)),
    toUpstream: (bytes) => void upstream.write(Buffer.from(bytes)),
    judge: judgeByPath,
    broken: (reason, detail) => {
      broken.push(`${reason}: ${detail}`)
      return { ...denied, reason }
    },
    stopped: (_head, first, reason) => ({ ...first, go: false, decision: "deny", reason }),
    record: (exchange) => records.push(exchange),
    pauseClient: () => client.pause(),
    resumeClient: () => client.resume(),
    endClient: () => client.end(),
    endUpstream: () => upstream.end(),
    reset: () => {
      client.destroy()
      upstream.destroy()
    },
    timer: (afterMs) => {
      clearTimeout(timer)
      if (afterMs !== null) timer = setTimeout(() => relay.late(), afterMs)
    },
  }
  let timer: NodeJS.Timeout | undefined
  const relay = http2(links)
  let open = 2
  const sides = [
    { from: client, to: upstream, take: relay.client.bind(relay), end: () => relay.clientEnded() },
    {
      from: upstream,
      to: client,
      take: relay.upstream.bind(relay),
      end: () => relay.upstreamEnded(),
    },
  ]
  for (const { from, to, take, end } of sides) {
    from.on("data", (bytes: Buffer) => {
      for (let at = 0; at < bytes.length;) {
        const size = 1 + ((at * 7919 + bytes.length) % 9_001)
        take(bytes.subarray(at, at + size))
        at += size
      }
    })
    from.on("end", end)
    from.on("error", () => to.destroy())
    from.on("close", () => {
      if (--open > 0) return
      clearTimeout(timer)
      relay.closed(null)
    })
  }
}

async function between(
  respond: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void,
): Promise<Between> {
  const records: Exchange[] = []
  const broken: string[] = []
  const seen: IncomingHttpHeaders[] = []
  const server = createHttp2Server({ maxSessionMemory: 200 })
  server.on("stream", (stream, headers) => {
    seen.push(headers)
    stream.on("error", () => {})
    respond(stream, headers)
  })
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  const relays = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ port: portOf(server), host: "127.0.0.1", allowHalfOpen: true })
    for (const socket of [client, upstream]) socket.setNoDelay(true)
    carry(client, upstream, records, broken)
  })
  await new Promise<void>((done) => relays.listen(0, "127.0.0.1", done))
  const session = connectHttp2("https://allowed.test", {
    createConnection: () => connect({ port: portOf(relays), host: "127.0.0.1" }),
    maxSessionMemory: 200,
  })
  session.on("error", () => {})
  const close = async (): Promise<void> => {
    await new Promise<void>((done) => session.close(done))
    await new Promise((done) => relays.close(done))
    await new Promise((done) => server.close(done))
  }
  return { session, records, broken, seen, close }
}

interface Reply {
  readonly headers: IncomingHttpHeaders
  readonly trailers: IncomingHttpHeaders
  readonly informational: IncomingHttpHeaders[]
  readonly body: Buffer
  readonly code: number
}

function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body: Buffer | null = null,
): Promise<Reply> {
  return new Promise((done) => {
    const stream = session.request(headers, { endStream: body === null })
    let reply: IncomingHttpHeaders = {}
    let trailers: IncomingHttpHeaders = {}
    const informational: IncomingHttpHeaders[] = []
    const pieces: Buffer[] = []
    stream.on("headers", (found) => informational.push(found))
    stream.on("response", (found) => {
      reply = found
    })
    stream.on("trailers", (found: IncomingHttpHeaders) => {
      trailers = found
    })
    stream.on("data", (piece: Buffer) => pieces.push(piece))
    stream.on("error", () => {})
    stream.on("close", () => {
      const whole = Buffer.concat(pieces)
      done({ headers: reply, trailers, informational, body: whole, code: stream.rstCode })
    })
    if (body !== null) stream.end(body)
  })
}

/** Gives back what it gets, with its digest in the trailers. */
function echo(stream: ServerHttp2Stream): void {
  const digest = createHash("sha256")
  stream.respond({ ":status": 200, "alt-svc": 'h3=":443"' }, { waitForTrailers: true })
  stream.on("data", (piece: Buffer) => digest.update(piece))
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-digest": digest.digest("hex") }))
  stream.pipe(stream)
}

t.test("bodies pass both ways, whole, beside each other, with trailers", async (t) => {
  const { session, records, broken, close } = await between(echo)
  const sizes = [0, 1, 16_384, 65_536, 1_000_001, 8_000_000]
  await Promise.all(
    sizes.map(async (size) => {
      const body = randomBytes(size)
      const reply = await ask(session, { ":method": "POST", ":path": `/${size}` }, body)
      t.equal(reply.headers[":status"], 200)
      t.equal(reply.headers["alt-svc"], undefined)
      t.ok(reply.body.equals(body), `${size} bytes`)
      t.equal(reply.trailers["x-digest"], createHash("sha256").update(body).digest("hex"))
    }),
  )
  await close()
  t.equal(records.length, sizes.length)
  t.same(broken, [])
  for (const { head, bytesSent, bytesReceived, detail } of records) {
    const size = Number(head?.target.slice(1))
    t.ok(bytesSent >= size && bytesSent < size + 200, `${size} sent: ${bytesSent}`)
    t.ok(bytesReceived >= size && bytesReceived < size + 1_000)
    t.equal(detail, null)
  }
})

t.test("many streams at once, denied ones between them", async (t) => {
  const { session, records, broken, seen, close } = await between((stream, headers) => {
    stream.respond({ ":status": 200, "x-path": headers[":path"], "x-same": "same" })
    stream.end(headers[":path"])
  })
  // Why first: what the upstream allows is not known before.
  await ask(session, { ":path": "/first" })
  const replies = await Promise.all(
    Array.from({ length: 1_000 }, async (_, at) => {
      const path = at % 3 === 0 ? `/denied/${at}` : `/${at}`
      const body = at % 2 === 0 ? Buffer.alloc(3_000, "b") : null
      return {
        path,
        reply: await ask(
          session,
          {
            ":path": path,
            ":method": body === null ? "GET" : "POST",
            cookie: ["a=b", "c=d"],
            "x-large": "y".repeat(at),
          },
          body,
        ),
      }
    }),
  )
  for (const { path, reply } of replies) {
    if (path.startsWith("/denied")) {
      if (String(reply.headers[":status"]) !== "403") t.fail(path)
    } else if (reply.body.toString() !== path || reply.headers["x-path"] !== path) t.fail(path)
  }
  await close()
  t.equal(records.length, 1_001)
  t.same(broken, [])
  t.notOk(seen.some((headers) => headers[":path"]?.startsWith("/denied")))
  t.equal(records.filter(({ answer }) => answer.decision === "deny").length, 334)
})

t.test("interim replies pass, and a long head does", async (t) => {
  const { session, close } = await between((stream) => {
    stream.additionalHeaders({ ":status": 103, link: "</style.css>" })
    stream.respond({ ":status": 200, "x-large": "z".repeat(40_000) })
    stream.end("done")
  })
  const reply = await ask(session, { ":path": "/", "x-large": "a".repeat(40_000) })
  t.match(reply.informational, [{ ":status": 103, link: "</style.css>" }])
  t.equal(reply.headers["x-large"], "z".repeat(40_000))
  t.equal(reply.body.toString(), "done")
  await close()
})

t.test("resets by either side end one stream only", async (t) => {
  const { session, records, close } = await between((stream, headers) => {
    if (headers[":path"] === "/reset") stream.close(constants.NGHTTP2_REFUSED_STREAM)
    else if (headers[":path"] === "/endless") {
      stream.respond({ ":status": 200 })
      const more = (): void => {
        while (!stream.destroyed && stream.write(Buffer.alloc(10_000))) {
          // Until it is full.
        }
      }
      stream.on("drain", more)
      more()
    } else echo(stream)
  })
  t.equal((await ask(session, { ":path": "/reset" })).code, constants.NGHTTP2_REFUSED_STREAM)
  for (let round = 0; round < 20; round++) {
    const endless = session.request({ ":path": "/endless" })
    endless.on("error", () => {})
    await new Promise<void>((done) => {
      let bytes = 0
      endless.on("data", (piece: Buffer) => {
        bytes += piece.length
        if (bytes > 200_000) endless.close(constants.NGHTTP2_CANCEL)
      })
      endless.on("close", done)
    })
  }
  // Why: were the window of what was dropped not given back, nothing could come any more.
  const body = randomBytes(1_000_000)
  t.ok((await ask(session, { ":path": "/", ":method": "POST" }, body)).body.equals(body))
  await close()
  t.equal(records.length, 22)
  t.match(records[0], { detail: "the upstream reset the stream, code 7" })
  t.match(records[1], { detail: "the client reset the stream, code 8" })
})

t.test("an upload to a denied path does not use up the connection's window", async (t) => {
  const { session, records, close } = await between(echo)
  for (let round = 0; round < 10; round++) {
    const reply = await ask(
      session,
      { ":path": "/denied", ":method": "POST" },
      Buffer.alloc(200_000),
    )
    t.equal(reply.headers[":status"], 403)
  }
  const body = randomBytes(500_000)
  t.ok((await ask(session, { ":path": "/", ":method": "POST" }, body)).body.equals(body))
  await close()
  t.equal(records.length, 11)
})

t.test("a reader who rests holds up its own stream, and no other", async (t) => {
  const { session, close } = await between((stream, headers) => {
    stream.respond({ ":status": 200 })
    stream.end(Buffer.alloc(headers[":path"] === "/large" ? 3_000_000 : 10))
  })
  const resting = session.request({ ":path": "/large" })
  await new Promise((done) => resting.once("response", done))
  for (let round = 0; round < 5; round++) {
    t.equal((await ask(session, { ":path": "/small" })).body.length, 10)
  }
  let bytes = 0
  resting.on("data", (piece: Buffer) => (bytes += piece.length))
  await new Promise((done) => resting.once("close", done))
  t.equal(bytes, 3_000_000)
  await close()
})
