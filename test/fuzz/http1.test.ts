/**
 * The relay of HTTP/1.1, fed requests and replies that are whole, mutated and random, cut anyhow:
 * nothing throws, how the bytes come changes nothing, no exchange is recorded twice or forgotten, and
 * what goes on is read by another parser (Node's) as exactly the requests that were judged. Seeded and
 * short; longer with FUZZ_SECONDS.
 */
import t from "tap"
import type { Test } from "tap"
import { createServer, METHODS } from "node:http"
import { Duplex } from "node:stream"
import { http1 } from "../../proxy/http1.ts"
import type { Links, Relay } from "../../proxy/relay.ts"
import { Stage } from "../unit/proxy/relayed.ts"
import type { Said } from "../unit/proxy/relayed.ts"
import { randomly } from "./randomly.ts"

const seconds = Number(process.env["FUZZ_SECONDS"] ?? 1)
/** One connection of a few kilobytes, at the worst, on a busy machine. */
const slowMs = 500
/** Another parser reads one of so many connections: it is slow. */
const everyNth = 10

const { below, mutated, one } = randomly()

const inside = (links: Links): Relay => http1(links, { scheme: "https", port: 443 })

const fields = [
  "Accept: a",
  "Connection: close",
  "Connection: keep-alive",
  "Connection: Upgrade, X-A",
  "Upgrade: websocket",
  "Upgrade: h2c",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version: 13",
  "X-A: b",
  "Cookie: \u00e9",
  "TE: trailers",
  "Expect: 100-continue",
  "Content-Length: 5",
  "Transfer-Encoding: chunked",
  "Host: evil.test",
]

const bodies: readonly (readonly [string, string])[] = [
  ["", ""],
  ["", ""],
  ["Content-Length: 5", "hello"],
  ["Content-Length: 33", "GET /evil HTTP/1.1\r\nHost: a.test\r\n"],
  ["Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"],
  ["Transfer-Encoding: chunked", "a\r\n0123456789\r\n5\r\nhello\r\n0\r\nX-T: a\r\n\r\n"],
]

function request(): string {
  const [framing, body] = one(bodies)
  const target = one(["/", "/a?b", "/denied", "https://a.test/b", "/%2e", "*"])
  const some = Array.from({ length: below(3) }, () => (below(3) === 0 ? one(fields) : "X: y"))
  const all = ["Host: a.test", ...some, framing].filter((line) => line !== "")
  const version = one(["1.1", "1.1", "1.1", "1.0"])
  const method = one(["GET", "POST", "HEAD", "PUT", "OPTIONS"])
  return `${method} ${target} HTTP/${version}\r\n${all.join("\r\n")}\r\n\r\n${body}`
}

const replies = [
  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n",
  "HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=5\r\n\r\n",
  "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
  "HTTP/1.0 200 OK\r\n\r\nuntil the end",
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
  "HTTP/1.1 200 OK\nContent-Length: 2\nA: b\n c\n\nok",
]

function maybeMutated(text: string, chance: number): string {
  if (below(chance) !== 0) return text
  return mutated(Buffer.from(text, "latin1")).toString("latin1")
}

/** What both sides say, in order; each is cut by `most` when it is said. */
function script(): readonly Said[] {
  const said: Said[] = []
  for (let count = 1 + below(4); count > 0; count--) {
    const requests = Array.from({ length: 1 + below(2) }, () => request()).join("")
    said.push(["client", maybeMutated(requests, 3)])
    const answers = Array.from({ length: below(3) }, (): Said => {
      return ["upstream", maybeMutated(one(replies), 4)]
    })
    said.push(...answers)
    if (below(15) === 0) said.push([one(["client ends", "upstream ends", "late"] as const)])
  }
  const clientEnds = said.findIndex(([what]) => what === "client ends")
  const upstreamEnds = said.findIndex(([what]) => what === "upstream ends")
  const heard = said.filter(
    ([what], index) =>
      !(what.startsWith("client") && clientEnds !== -1 && index > clientEnds) &&
      !(what.startsWith("upstream") && upstreamEnds !== -1 && index > upstreamEnds),
  )
  return [...heard, ["closed"]]
}

function perform(said: readonly Said[], most: number, audit: boolean): Stage {
  const stage = new Stage(inside, { denied: /denied/, audit })
  for (const part of said) {
    if (part[0] !== "client" && part[0] !== "upstream") {
      stage.say(part)
      continue
    }
    const [who, text] = part
    for (let at = 0; at < text.length;) {
      const size = most === Infinity ? text.length : 1 + below(most)
      stage.say([who, text.slice(at, at + size)])
      at += size
    }
  }
  return stage
}

/** What must not depend on how the bytes come. */
function outcome(stage: Stage): string {
  const { toUpstream, toClient, exchanges } = stage.played()
  const told = exchanges.map(({ answer, status, bytesSent }) => [answer.reason, status, bytesSent])
  return JSON.stringify([toUpstream, toClient, told])
}

/** The requests that Node's own server finds in the bytes. */
function byNode(input: string): Promise<readonly string[]> {
  return new Promise((resolve) => {
    const found: string[] = []
    const server = createServer({ insecureHTTPParser: false }, (message, response) => {
      found.push(`${message.method} ${message.url}`)
      message.resume()
      response.end()
    })
    server.on("checkContinue", (message, response) => server.emit("request", message, response))
    server.on("upgrade", (message: { method?: string; url?: string }) => {
      found.push(`${message.method} ${message.url}`)
    })
    server.on("clientError", () => {})
    const socket = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() })
    socket.on("error", () => {})
    server.emit("connection", socket)
    socket.push(Buffer.from(input, "latin1"))
    setTimeout(() => resolve(found), 20)
  })
}

async function agrees(t: Test, stage: Stage): Promise<void> {
  const { exchanges, toUpstream } = stage.played()
  const sent = exchanges.filter(({ bytesSent }) => bytesSent > 0)
  // Why: what a WebSocket says is no request, and Node does not know every method.
  if (sent.some(({ head, status }) => status === 101 || !METHODS.includes(head?.method ?? "")))
    return
  const wanted = sent.map(({ head }) => `${head?.method} ${head?.target}`)
  const found = await byNode(toUpstream)
  t.same(found, wanted, toUpstream)
}

t.test("http1(): how bytes come changes nothing, and what goes on has one meaning", async (t) => {
  const until = Date.now() + seconds * 1000
  let count = 0
  let passed = 0
  let slowest = 0
  while (Date.now() < until) {
    const said = script()
    const audit = below(4) === 0
    const begun = performance.now()
    const whole = perform(said, Infinity, audit)
    slowest = Math.max(slowest, performance.now() - begun)
    // Why: an upstream that says too much is cut off at once where that comes with its reply, and may
    // else speak into the next one's place: nobody can tell the two apart.
    const surplus = whole.acts.includes("reset")
    for (const most of surplus ? [] : [1, 4, 60]) {
      const pieces = perform(said, most, audit)
      if (outcome(pieces) !== outcome(whole)) {
        t.equal(outcome(pieces), outcome(whole), `by ${most}: ${JSON.stringify(said)}`)
        return
      }
    }
    count++
    const { judged, exchanges } = whole.played()
    if (exchanges.length < judged.length) {
      t.fail(`forgotten: ${JSON.stringify(said)}`)
      return
    }
    if (audit || whole.toUpstream === "") continue
    passed++
    if (passed % everyNth === 0) await agrees(t, whole)
  }
  t.ok(passed > 0 && passed < count, `${passed} of ${count} sent something on`)
  t.ok(slowest < slowMs, `the slowest took ${slowest.toFixed(1)} ms`)
})
