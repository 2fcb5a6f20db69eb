/**
 * What protocol the first bytes of a connection speak. Pure, and incremental: fed byte by byte it
 * says what it says fed whole.
 */
import type { Opening } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import { HeadReader } from "./head.ts"
import type { Head } from "./head.ts"
import { HelloReader } from "./hello.ts"

/** Most bytes read before a verdict: a hello of 64 KiB in small records has room. */
export const openingBytesMax = 131_072

/** Longest first line looked at for `HTTP/`, in bytes; a longer one is of no known protocol. */
const firstLineBytesMax = 8_192

/** First allocation: a hello with one post-quantum key share fits. */
const firstBytes = 2_048

/** Of what is registered with IANA, and `PRI` (RFC 9113 §3.4). */
const methods = new Set(
  "GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH PRI PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK SEARCH REPORT".split(
    " ",
  ),
)
const methodLengthMax = 9

export interface Classified {
  readonly opening: Opening
  /** Of an http opening that is whole. */
  readonly head: Head | null
}

type Protocol = "tls" | "ssh" | "http" | "opaque"

/** Collects the first bytes of one connection until they say what they are. */
export class OpeningReader {
  #bytes: Buffer = Buffer.alloc(0)
  #length = 0
  #protocol: Protocol | null = null
  #hello: HelloReader | null = null
  #head: HeadReader | null = null
  /** How far the first line has been looked at. */
  #lineEnd = 0

  /** All bytes so far; valid until the next push. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  /** What the first bytes said so far; null where not even that is known. */
  get protocol(): Protocol | null {
    return this.#protocol
  }

  /** Copies the bytes. The opening, or null where more are needed. */
  push(chunk: Uint8Array): Classified | null {
    this.#append(chunk)
    const found = this.#read()
    if (found === null && this.#length >= openingBytesMax) return this.unfinished()
    return found
  }

  /** What to make of an opening that goes no further: time or room ran out, or the client ended. */
  unfinished(reason: Reason = "limit-exceeded"): Classified {
    const of = this.#protocol
    const opening: Opening =
      of === "tls" || of === "http"
        ? { kind: "broken", of, reason }
        : { kind: "opaque", serverFirst: false }
    return { opening, head: null }
  }

  #append(chunk: Uint8Array): void {
    const wanted = this.#length + chunk.length
    if (wanted > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(firstBytes, wanted, this.#bytes.length * 2))
      grown.set(this.bytes)
      this.#bytes = grown
    }
    this.#bytes.set(chunk, this.#length)
    this.#length = wanted
  }

  #read(): Classified | null {
    // Why: more than the most must not say more than the most did.
    const bytes = this.#bytes.subarray(0, Math.min(this.#length, openingBytesMax))
    this.#protocol ??= this.#guess(bytes)
    switch (this.#protocol) {
      case null:
        return null
      case "ssh":
        return { opening: { kind: "ssh" }, head: null }
      case "opaque":
        return { opening: { kind: "opaque", serverFirst: false }, head: null }
      case "tls": {
        this.#hello ??= new HelloReader()
        const opening = this.#hello.read(bytes)
        return opening === null ? null : { opening, head: null }
      }
      case "http": {
        this.#head ??= new HeadReader()
        const head = this.#head.read(bytes)
        if (head === null) return null
        if ("broken" in head) {
          return { opening: { kind: "broken", of: "http", reason: head.broken }, head: null }
        }
        return { opening: { kind: "http", host: head.host, port: head.port }, head }
      }
    }
  }

  #guess(bytes: Buffer): Protocol | null {
    if (bytes.length === 0) return null
    if (bytes[0] === 22) {
      if (bytes.length < 2) return null
      return bytes[1] === 3 ? "tls" : "opaque"
    }
    return guessText(bytes) ?? this.#guessLine(bytes)
  }

  /** A line whose last word is HTTP/ and a version; anything that is no text is opaque. */
  #guessLine(bytes: Buffer): Protocol | null {
    for (; this.#lineEnd < bytes.length; this.#lineEnd++) {
      const code = bytes[this.#lineEnd] ?? 0
      if (code === 10) {
        const line = bytes.toString("latin1", 0, this.#lineEnd)
        return /[ \t]HTTP\/\d(?:\.\d)?[ \t]*\r?$/i.test(line) ? "http" : "opaque"
      }
      if ((code < 32 && code !== 9 && code !== 13) || code > 126) return "opaque"
      if (this.#lineEnd >= firstLineBytesMax) return "opaque"
    }
    return null
  }
}

/** `SSH-`, or the name of a method in any case and white space after it. */
function guessText(bytes: Buffer): Protocol | null {
  if (bytes.length >= 4 && bytes.toString("latin1", 0, 4) === "SSH-") return "ssh"
  const start = bytes.toString("latin1", 0, methodLengthMax + 1)
  const space = start.search(/[ \t]/)
  return space > 0 && methods.has(start.slice(0, space).toUpperCase()) ? "http" : null
}
