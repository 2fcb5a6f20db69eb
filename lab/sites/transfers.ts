/**
 * What every site of the far end answers, to show how bodies pass: `/bytes/N`, `/digest`, `/echo`,
 * `/events`, `/poll/MS`, `/trailers`, `/status/STATUS`, `/hints`, `/refuse`. Pure.
 */
import { createHash } from "node:crypto"
import { content } from "../content.ts"
import type { Visit } from "../visit.ts"

const eventCount = 5
const eventMs = 100
const pollMsMax = 60_000

/** `/bytes/N`: the content of N bytes, with its length. */
function bytes({ method, request, response }: Visit, size: string): void {
  request.resume()
  response.setHeader("content-type", "application/octet-stream")
  response.setHeader("content-length", size)
  if (method === "HEAD") return void response.end()
  const blocks = content(Number(size))
  const more = (): void => {
    for (;;) {
      if (response.destroyed) return
      const next = blocks.next()
      if (next.done === true) return void response.end()
      if (!response.write(next.value)) return void response.once("drain", more)
    }
  }
  more()
}

/** `/digest`: length and SHA-256 of what was sent, which is not kept. */
function digest({ request, response }: Visit): void {
  const hash = createHash("sha256")
  let size = 0
  request.on("data", (chunk: Buffer) => {
    hash.update(chunk)
    size += chunk.length
  })
  request.on("end", () => response.end(`${size} ${hash.digest("hex")}\n`))
}

/** `/echo`: each piece as it comes. */
function echo({ request, response }: Visit): void {
  response.setHeader("content-type", request.headers["content-type"] ?? "text/plain")
  request.pipe(response)
}

/** `/events`: server-sent events, one each tenth of a second, each with the time of its sending. */
function events({ request, response }: Visit): void {
  request.resume()
  response.setHeader("content-type", "text/event-stream")
  response.flushHeaders()
  let sent = 0
  const timer = setInterval(() => {
    response.write(`id: ${++sent}\ndata: ${Date.now()}\n\n`)
    if (sent < eventCount) return
    clearInterval(timer)
    response.end()
  }, eventMs)
  response.on("close", () => clearInterval(timer))
}

/** `/poll/MS`: nothing for so long, not even a head; then an answer. */
function poll({ request, response }: Visit, ms: string): void {
  request.resume()
  const timer = setTimeout(() => response.end("at last\n"), Math.min(Number(ms), pollMsMax))
  response.on("close", () => clearTimeout(timer))
}

/** `/trailers`: gives the request's trailers back in the body, and one of its own (RFC 9110 §6.5). */
function trailers({ request, response }: Visit): void {
  request.resume()
  response.setHeader("trailer", "x-lab-sum")
  request.on("end", () => {
    response.write(`${JSON.stringify(request.trailers)}\n`)
    response.addTrailers({ "x-lab-sum": "42" })
    response.end()
  })
}

/** `/status/STATUS`: nothing but a head, that of a redirect with a place to go to. */
function status({ request, response }: Visit, code: string): void {
  request.resume()
  response.statusCode = Number(code)
  if (code.startsWith("3")) response.setHeader("location", "/")
  response.end()
}

/** `/hints`: 103 (RFC 8297) and then an answer. */
function hints({ request, response }: Visit): void {
  request.resume()
  response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" })
  response.end("with hints\n")
}

/** Where a client that asked first (`Expect: 100-continue`) is told no, before its body. */
export const refusal = "/refuse"

/** A refusal that does not wait for the body. */
function refuse({ response }: Visit): void {
  response.statusCode = 417
  response.end("no\n")
}

const routes: readonly (readonly [RegExp, (visit: Visit, argument: string) => void])[] = [
  [/^\/bytes\/(\d{1,12})$/, bytes],
  [/^\/digest$/, digest],
  [/^\/echo$/, echo],
  [/^\/events$/, events],
  [/^\/poll\/(\d{1,6})$/, poll],
  [/^\/trailers$/, trailers],
  [/^\/status\/([2-5]\d\d)$/, status],
  [/^\/hints$/, hints],
  [new RegExp(`^${refusal}$`), refuse],
]

/** @returns false when the path is none of these */
export function serveTransfer(seen: Visit): boolean {
  for (const [path, answer] of routes) {
    const match = path.exec(seen.path)
    if (match === null) continue
    answer(seen, match[1] ?? "")
    return true
  }
  return false
}
