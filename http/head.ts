/**
 * The head of an HTTP/1 request: read strictly, so that it has one meaning only.
 *
 * What two servers could read differently is refused, never mended: bare line ends, folded fields,
 * two ways of framing, two hosts. What is taken is written anew from what was understood, so the
 * upstream cannot read anything else (RFC 9110, RFC 9112 §11). No I/O.
 */
import type { Reason } from "../flows/reason.ts"
import { originOf, pathOf, sameAuthority, methodPattern } from "./authority.ts"
import type { Scheme } from "./authority.ts"
import { blockOf } from "./block.ts"
import type { Block } from "./block.ts"
import type { RequestHead } from "./request.ts"

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
  /** The fields as they go on, with their line ends: without what is for this hop only. */
  readonly lines: string
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

/** Longest block of fields that is remembered, in bytes: those of a browser have room. */
const rememberedMax = 4_096

/** Reads one head after another over any segmentation. Keeps positions, not bytes. */
export class HeadReader {
  readonly #scheme: Scheme
  /** Index of the next byte to look at. */
  #position = 0
  #lineStart = 0
  #firstEnd = 0
  #lines = 0
  /** The fields of the head before, which often come again. */
  #text = ""
  #block: Block | null = null

  constructor(scheme: Scheme = "http") {
    this.#scheme = scheme
  }

  /**
   * The head, what is wrong with it, or null where more bytes are needed. After a head the next one is
   * read; after something wrong, nothing is.
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
        if (position === this.#lineStart) return this.#whole(bytes, position)
        if (++this.#lines > headFieldsMax + 1) return tooMuch
        if (this.#lines === 1) this.#firstEnd = position
        position += 2
        this.#lineStart = position
      }
    }
    this.#position = position
    return end === headBytesMax ? tooMuch : null
  }

  /** @param end of the last field's line */
  #whole(bytes: Buffer, end: number): HeadRead {
    if (this.#lines === 0) return malformed
    // Why: latin1 keeps each byte as one character, so that the text can be written back unchanged.
    const text = bytes.toString("latin1", 0, end)
    const lineEnd = this.#firstEnd
    this.#position = 0
    this.#lineStart = 0
    this.#lines = 0
    const line = lineOf(text, lineEnd)
    if ("broken" in line) return line
    const block = this.#blockOf(text.slice(lineEnd + 2))
    if (block === null) return malformed
    const { method, target, version } = line
    // Why: TRACE shows a client its own credentials, CONNECT makes a tunnel that nobody looks into.
    if (method === "CONNECT" || method === "TRACE") return { broken: "method-not-allowed" }
    return understood(method, target, version, block, this.#scheme, end + 2)
  }

  #blockOf(text: string): Block | null {
    if (this.#block !== null && text === this.#text) return this.#block
    const block = blockOf(text)
    this.#block = text.length <= rememberedMax ? block : null
    this.#text = this.#block === null ? "" : text
    return block
  }
}

interface RequestLine {
  readonly method: string
  readonly target: string
  readonly version: Head["version"]
}

/** RFC 9112 §3: three words, and one space between each. */
function lineOf(text: string, end: number): RequestLine | { readonly broken: Reason } {
  const first = text.indexOf(" ")
  const second = text.indexOf(" ", first + 1)
  const method = text.slice(0, Math.max(0, Math.min(first, end)))
  if (method === "PRI") return { broken: "unsupported-protocol" }
  if (second === -1 || second > end || !methodPattern.test(method)) return malformed
  const version = text.slice(second + 1, end)
  if (version !== "HTTP/1.1" && version !== "HTTP/1.0") return malformed
  const target = text.slice(first + 1, second)
  return { method, target, version: version === "HTTP/1.1" ? "1.1" : "1.0" }
}

function understood(
  method: string,
  target: string,
  version: Head["version"],
  block: Block,
  scheme: Scheme,
  length: number,
): HeadRead {
  const { fields, options, takesTrailers, lines } = block
  const framing = framingOf(block, version)
  const origin = originOf(target, method, scheme)
  if (framing === null || origin === null) return malformed
  if (version === "1.1" && block.authority === null) return malformed
  const { host, address, port } = block.authority ?? nowhere
  if (origin.authority !== null && !sameAuthority(origin.authority, block.authority, scheme)) {
    return { broken: "host-mismatch" }
  }
  return {
    method,
    version,
    webSocket: block.webSocket && method === "GET" && version === "1.1" && framing.kind === "none",
    host,
    address,
    port,
    target: origin.target,
    path: block.overridden ? null : pathOf(origin.target),
    framing,
    persistent: staysOpen(version, options),
    takesTrailers,
    fields,
    lines,
    length,
  }
}

const nowhere = { host: null, address: null, port: null } as const

/** RFC 9112 §9.3. */
export function staysOpen(version: Head["version"], options: readonly string[]): boolean {
  if (options.includes("close")) return false
  return version === "1.1" || options.includes("keep-alive")
}

/** RFC 9112 §6.3, without its lenient ways; null where the end of the body could be disputed. */
function framingOf({ coding, length }: Block, version: string): Framing | null {
  if (coding !== null) {
    // Why: §6.1 lets a server process both fields, or a coding in HTTP/1.0, and close; it is refused.
    const sure = coding.toLowerCase() === "chunked" && version === "1.1" && length === null
    return sure ? chunked : null
  }
  if (length === null) return noBody
  // Why: fifteen digits stay exact in a number.
  if (!/^(?:0|[1-9]\d{0,14})$/.test(length)) return null
  return length === "0" ? noBody : { kind: "length", bytes: Number(length) }
}

const noBody: Framing = { kind: "none" }
const chunked: Framing = { kind: "chunked" }

/**
 * The head as it goes to the upstream: written anew. Latin-1 bytes.
 *
 * @param closes whether it is the last request of its connection
 */
export function forwardedHead(head: Head, closes = true): Buffer {
  const { method, target, version, lines } = head
  const text = `${method} ${target} HTTP/${version}\r\n${lines}${hopLines(head, closes)}\r\n`
  return Buffer.from(text, "latin1")
}

/** The fields for the next hop. */
function hopLines({ webSocket, takesTrailers, version }: Head, closes: boolean): string {
  if (!webSocket && !takesTrailers) {
    if (closes) return "Connection: close\r\n"
    return version === "1.0" ? "Connection: keep-alive\r\n" : ""
  }
  const options = [
    ...(closes && !webSocket ? ["close"] : []),
    ...(webSocket ? ["Upgrade"] : []),
    ...(takesTrailers ? ["TE"] : []),
  ]
  const te = takesTrailers ? "TE: trailers\r\n" : ""
  const upgrade = webSocket ? "Upgrade: websocket\r\n" : ""
  return `${te}${upgrade}Connection: ${options.join(", ")}\r\n`
}
