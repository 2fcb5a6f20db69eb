/**
 * The head of an HTTP/1 request: read strictly, so that it has one meaning only.
 *
 * What two servers could read differently is refused, never mended: bare line ends, folded fields,
 * two ways of framing, two hosts. What is taken is written anew from what was understood, so the
 * upstream cannot read anything else (RFC 9110, RFC 9112 §11). No I/O.
 */
import type { Reason } from "../flows/reason.ts"
import {
  authorityOf,
  originOf,
  pathOf,
  printAuthority,
  sameAuthority,
  methodPattern,
  overriding,
} from "./authority.ts"
import type { Scheme } from "./authority.ts"
import { decisive, fieldLine, hopByHop, isToken, keyOf, namesIn, trimmed } from "./field.ts"
import type { Field, RequestHead } from "./request.ts"

export type { Field } from "./request.ts"

/** Longest head taken, in bytes. HAProxy and nginx end at 16 and 32 KiB, Node at 16 KiB. */
export const headBytesMax = 65_536
/** Most fields of a head. Apache takes 100 (LimitRequestFields), HAProxy 101. */
export const headFieldsMax = 200

/** How the body's end is known. */
export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" }

export interface Head extends RequestHead {
  readonly version: "1.0" | "1.1"
  readonly framing: Framing
  /** Whether another request may follow on the connection (RFC 9112 §9.3). */
  readonly persistent: boolean
  /** Whether the client takes the trailers of a reply (`TE: trailers`, RFC 9110 §10.1.4). */
  readonly takesTrailers: boolean
  /** What `Connection` names, in lower case: for this hop only. */
  readonly options: readonly string[]
  /** The head's length in bytes, the empty line included. */
  readonly length: number
}

export type HeadRead = Head | { readonly broken: Reason }

const malformed = { broken: "malformed" } as const
const tooMuch = { broken: "limit-exceeded" } as const

/** What a byte is to the reader. */
const plain = 0
const white = 1
const returns = 2
const refused = 3

/** Control characters are refused anywhere, CR is judged with what follows. */
const kinds = Uint8Array.from({ length: 256 }, (_, code) => {
  if (code === 32 || code === 9) return white
  if (code === 13) return returns
  return code < 32 || code === 127 ? refused : plain
})

/** Reads one head over any segmentation. Keeps positions, not bytes. */
export class HeadReader {
  readonly #scheme: Scheme
  /** Index of the next byte to look at. */
  #position = 0
  #lineStart = 0
  /** Where the lines end that are whole, in order. */
  readonly #ends: number[] = []

  constructor(scheme: Scheme = "http") {
    this.#scheme = scheme
  }

  /**
   * The head, what is wrong with it, or null where more bytes are needed.
   *
   * @param bytes All bytes of the head so far, the same ones as before and more.
   */
  read(bytes: Buffer): HeadRead | null {
    const end = Math.min(bytes.length, headBytesMax)
    let position = this.#position
    while (position < end) {
      const kind = kinds[bytes[position] ?? 0]
      if (kind === plain) {
        position++
      } else if (kind === white) {
        // Why: a line that begins with white space continues the one before, for some servers.
        if (position++ === this.#lineStart) return malformed
      } else if (kind === refused) {
        return malformed
      } else {
        if (position + 1 >= end) break
        // Why: a CR that no LF follows ends a line for some servers.
        if (bytes[position + 1] !== 10) return malformed
        if (position === this.#lineStart) {
          if (this.#ends.length === 0) return malformed
          return headOf(bytes.toString("latin1", 0, position), this.#ends, this.#scheme)
        }
        this.#ends.push(position)
        if (this.#ends.length > headFieldsMax + 1) return tooMuch
        position += 2
        this.#lineStart = position
      }
    }
    this.#position = position
    return end === headBytesMax ? tooMuch : null
  }
}

/**
 * @param text the lines with their ends, in Latin-1: each byte is one character, so that the text
 *   can be written back unchanged
 * @param ends where each line ends
 */
function headOf(text: string, ends: readonly number[], scheme: Scheme): HeadRead {
  const lineEnd = ends[0] ?? 0
  const first = text.indexOf(" ")
  const second = text.indexOf(" ", first + 1)
  const method = text.slice(0, Math.max(0, Math.min(first, lineEnd)))
  if (method === "PRI") return { broken: "unsupported-protocol" }
  if (second === -1 || second > lineEnd || !methodPattern.test(method)) return malformed
  const version = text.slice(second + 1, lineEnd)
  if (version !== "HTTP/1.1" && version !== "HTTP/1.0") return malformed
  const seen = new Seen()
  for (let index = 1; index < ends.length; index++) {
    const from = (ends[index - 1] ?? 0) + 2
    if (!seen.take(text, from, ends[index] ?? 0)) return malformed
  }
  // Why: TRACE shows a client its own credentials, CONNECT makes a tunnel that nobody looks into.
  if (method === "CONNECT" || method === "TRACE") return { broken: "method-not-allowed" }
  const target = text.slice(first + 1, second)
  return understood(method, target, version === "HTTP/1.1" ? "1.1" : "1.0", seen, scheme, text)
}

/** The fields of one head, and those among them that decide something. */
class Seen {
  readonly fields: Field[] = []
  host: string | null = null
  length: string | null = null
  coding: string | null = null
  connection: string | null = null
  upgrade: string | null = null
  te: string | null = null
  expect: string | null = null
  /** `Sec-WebSocket-Key` and `-Version`; "" where there are several. */
  key: string | null = null
  keyVersion: string | null = null
  overridden = false

  /** Takes one line; false: the head is malformed by it (RFC 9112 §5). */
  take(text: string, from: number, to: number): boolean {
    const colon = text.indexOf(":", from)
    if (colon <= from || colon >= to) return false
    const name = text.slice(from, colon)
    // White space before the colon makes the name no token.
    const key = keyOf(name)
    if (key === null) return false
    // Why: some servers take `_` for `-`, and so a second Content-Length that no reader here saw.
    if (key.includes("_") && decisive.has(key.replaceAll("_", "-"))) return false
    const value = trimmed(text, colon + 1, to)
    this.fields.push({ name, value })
    return this.#note(key, value)
  }

  /** Lists of tokens may stand in several lines (RFC 9110 §5.3); the others have one value. */
  #note(key: string, value: string): boolean {
    switch (key) {
      case "host":
        if (this.host !== null) return false
        this.host = value
        return true
      case "content-length":
        if (this.length !== null) return false
        this.length = value
        return true
      case "transfer-encoding":
        if (this.coding !== null) return false
        this.coding = value
        return true
      case "expect":
        if (this.expect !== null) return false
        this.expect = value
        return true
      case "upgrade":
        if (this.upgrade !== null) return false
        this.upgrade = value
        return true
      case "connection":
        this.connection = listed(this.connection, value)
        return true
      case "te":
        this.te = listed(this.te, value)
        return true
      case "sec-websocket-key":
        this.key = this.key === null ? value : ""
        return true
      case "sec-websocket-version":
        this.keyVersion = this.keyVersion === null ? value : ""
        return true
      default:
        if (overriding.has(key)) this.overridden = true
        return true
    }
  }
}

function listed(before: string | null, value: string): string {
  return before === null ? value : `${before},${value}`
}

function understood(
  method: string,
  target: string,
  version: Head["version"],
  seen: Seen,
  scheme: Scheme,
  text: string,
): HeadRead {
  const framing = framingOf(seen, version)
  const authority = seen.host === null ? nowhere : authorityOf(seen.host)
  const origin = originOf(target, method, scheme)
  const options = optionsOf(seen.connection)
  if (framing === null || authority === null || origin === null || options === null) {
    return malformed
  }
  if (version === "1.1" && seen.host === null) return malformed
  if (origin.authority !== null && !sameAuthority(origin.authority, authority, scheme)) {
    return { broken: "host-mismatch" }
  }
  // RFC 9110 §10.1.1: another expectation may be answered by 417; it is refused.
  if (seen.expect !== null && seen.expect.toLowerCase() !== "100-continue") return malformed
  return {
    method,
    version,
    webSocket:
      method === "GET" && version === "1.1" && framing.kind === "none" && opens(seen, options),
    host: authority.host,
    address: authority.address,
    port: authority.port,
    target: origin.target,
    path: seen.overridden ? null : pathOf(origin.target),
    framing,
    persistent: version === "1.1" ? !options.includes("close") : options.includes("keep-alive"),
    takesTrailers: seen.te !== null && namesIn(seen.te).includes("trailers"),
    options,
    fields: seen.fields,
    length: text.length + 2,
  }
}

const nowhere = { host: null, address: null, port: null } as const

/** RFC 9112 §6.3, without its lenient ways; null where the end of the body could be disputed. */
function framingOf({ coding, length }: Seen, version: string): Framing | null {
  if (coding !== null) {
    // Why: §6.1 lets a server process both fields, or a coding in HTTP/1.0, and close; it is refused.
    const sure = coding.toLowerCase() === "chunked" && version === "1.1" && length === null
    return sure ? { kind: "chunked" } : null
  }
  if (length === null) return { kind: "none" }
  // Why: fifteen digits stay exact in a number.
  if (!/^(?:0|[1-9]\d{0,14})$/.test(length)) return null
  return length === "0" ? { kind: "none" } : { kind: "length", bytes: Number(length) }
}

const noOptions: readonly string[] = []
const keepAlive: readonly string[] = ["keep-alive"]
const close: readonly string[] = ["close"]

/** Names of fields that are for this hop only (RFC 9110 §7.6.1); null where they may not be. */
function optionsOf(connection: string | null): readonly string[] | null {
  if (connection === null || connection === "") return noOptions
  if (connection === "keep-alive") return keepAlive
  if (connection === "close") return close
  const names = namesIn(connection)
  for (const name of names) {
    if (!isToken(name)) return null
    // Why: who has the Host or the framing taken out makes two requests of one.
    if (decisive.has(name) && !hopByHop.has(name) && name !== "trailer") return null
  }
  // RFC 9112 §9.3: close, whatever else is said.
  return names.includes("close") ? names.filter((name) => name !== "keep-alive") : names
}

/** RFC 6455 §4.2.1: a key of sixteen bytes, in base64. */
const keyPattern = /^[+/0-9A-Za-z]{22}==$/

/**
 * Whether it asks to become a WebSocket. Any other `Upgrade` is left out, as if we were a server that
 * ignores it (RFC 9110 §7.8): clients that offer h2c on every request (Java) rely on that.
 */
function opens({ upgrade, key, keyVersion }: Seen, options: readonly string[]): boolean {
  if (upgrade === null || key === null || keyVersion !== "13") return false
  const offered = namesIn(upgrade).includes("websocket") && options.includes("upgrade")
  return offered && keyPattern.test(key)
}

/**
 * The head as it goes to the upstream: written anew. Latin-1 bytes.
 *
 * @param closes whether it is the last request of its connection
 */
export function forwardedHead(head: Head, closes = true): Buffer {
  const { options, webSocket, takesTrailers } = head
  let text = `${head.method} ${head.target} HTTP/${head.version}\r\n`
  for (const field of head.fields) {
    const key = keyOf(field.name) ?? ""
    if (hopByHop.has(key) || key === "trailer" || options.includes(key)) continue
    text += key === "host" ? `Host: ${printAuthority(head)}\r\n` : fieldLine(field)
  }
  if (takesTrailers) text += "TE: trailers\r\n"
  if (webSocket) text += "Upgrade: websocket\r\n"
  return Buffer.from(`${text}${connectionLine(head, closes)}\r\n`, "latin1")
}

function connectionLine({ webSocket, takesTrailers, version }: Head, closes: boolean): string {
  const named = takesTrailers ? ", TE" : ""
  if (webSocket) return `Connection: Upgrade${named}\r\n`
  if (closes) return `Connection: close${named}\r\n`
  if (version === "1.0") return `Connection: keep-alive${named}\r\n`
  return takesTrailers ? "Connection: TE\r\n" : ""
}
