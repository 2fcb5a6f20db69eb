/**
 * Tells a client that it is refused, in the words of its own protocol: a TLS alert, an HTTP page, or
 * a reset. Then lets it read that before the connection goes.
 */
import type { Socket } from "node:net"
import type { Refusal } from "./turn.ts"
import type { Side } from "./splice.ts"

/** TLS alerts (RFC 8446 §6). */
export const alerts = {
  accessDenied: 49,
  decodeError: 50,
  internalError: 80,
  unrecognizedName: 112,
} as const

/** How long a refused client may take to read and close. nginx: lingering_timeout 5 s. */
const lingerMs = 2_000
/** Most bytes read and dropped of a refused client. */
const lingerBytesMax = 1_048_576

const alertRecord = 21
const fatal = 2

export interface Words {
  /** For HTTP: 403, or its own word (400, 421, 431); 502 where the upstream is at fault. */
  readonly status: number
  readonly alert: number
  /** One line, without its end. */
  readonly text: string
  /** Whether a page may have a body: not after HEAD. */
  readonly bodyless: boolean
}

/** Refuses, and closes within a short time. */
export function refuse(client: Side, by: Exclude<Refusal, "inside">, words: Words): void {
  const { socket } = client
  if (socket.destroyed) return
  switch (by) {
    case "reset":
      socket.on("error", () => {})
      socket.resetAndDestroy()
      return
    case "alert":
      linger(client, alert(words.alert))
      return
    case "page":
      linger(client, page(words))
      return
  }
}

/** A fatal alert in a record of its own (RFC 8446 §5.1, §6). */
export function alert(description: number): Buffer {
  return Buffer.from([alertRecord, 3, 3, 0, 2, fatal, description])
}

const statusTexts: Readonly<Record<number, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  408: "Request Timeout",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  502: "Bad Gateway",
}

/**
 * A whole reply of one line of text, over HTTP/1.1.
 *
 * @param closes whether the connection ends after it
 */
export function page(
  { status, text, bodyless }: Pick<Words, "status" | "text" | "bodyless">,
  closes = true,
): Buffer {
  const body = Buffer.from(`${printable(text)}\n`, "latin1")
  const head = [
    `HTTP/1.1 ${status} ${statusTexts[status] ?? ""}`,
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${body.length}`,
    "Cache-Control: no-store",
    "X-Content-Type-Options: nosniff",
    closes ? "Connection: close\r\n\r\n" : "\r\n",
  ].join("\r\n")
  const whole = Buffer.from(head, "latin1")
  return bodyless ? whole : Buffer.concat([whole, body])
}

/** ASCII without controls: everything else as `\x…`. */
export function printable(text: string): string {
  return text.replaceAll(
    /[^\x20-\x7e]/gu,
    (character) => `\\x${(character.codePointAt(0) ?? 0).toString(16).padStart(2, "0")}`,
  )
}

/** Says the last word, ends our side, and drops what the client still sends until it closes. */
function linger(client: Side, last: Buffer): void {
  const { socket, inlet } = client
  const start = inlet.total
  const close = (): void => {
    socket.destroy()
  }
  const timer = setTimeout(close, lingerMs)
  socket.once("close", () => clearTimeout(timer))
  socket.on("error", close)
  inlet.take = () => {
    // Why: to close with bytes unread would be a reset, and the last word could be lost in it.
    if (inlet.total - start > lingerBytesMax) close()
  }
  endAfter(socket, last)
  inlet.resume()
}

function endAfter(socket: Socket, last: Buffer): void {
  if (socket.readableEnded) socket.end(last, () => socket.destroy())
  else socket.end(last)
}
