/**
 * Where a body ends: so that exactly one message passes, and nothing after it. Pure.
 *
 * Bodies pass as the bytes that came. A request's chunks are read strictly, and its trailers are left
 * out (RFC 9112 §7.1.2 lets a recipient discard them): they could not be judged before the body went
 * on. A reply's chunks may be padded, extended and followed by trailers, as servers do.
 */
import type { Framing } from "./head.ts"

/** What of some bytes belongs to the body. */
export interface BodyRead {
  /** How many of them, from the first, go on. */
  readonly passed: number
  /** How many are the body's: those beyond are no part of this message. */
  readonly length: number
  /** The body ended with them. */
  readonly done: boolean
  /** The framing is broken after them. */
  readonly broken: boolean
}

/** What ends a chunked body without trailers, after its last chunk (RFC 9112 §7.1). */
export const chunkedTail = "\r\n"

/** Longest chunk size, in hexadecimal digits: exact in a number. */
const sizeDigitsMax = 12
/** Most bytes in the line of a chunk's size, extensions included, in a reply. nginx takes any. */
const sizeLineBytesMax = 4_096
/** Most bytes of trailers. Node: --max-http-header-size, 16 KiB. */
export const trailerBytesMax = 16_384

type Part =
  | "size"
  | "extension"
  | "size-lf"
  | "data"
  | "data-cr"
  | "data-lf"
  | "trailer"
  | "trailer-name"
  | "trailer-value"
  | "trailer-lf"
  | "end-lf"
  | "close"
  | "done"
  | "broken"

/** Counts one body through its end, over any segmentation. */
export class BodyReader {
  #part: Part
  readonly #chunked: boolean
  readonly #strict: boolean
  /** Bytes left of the body, or of the open chunk. */
  #left: number
  #digits = 0
  /** Bytes of the open line, or of all trailers. */
  #counted = 0

  /** @param of whose body it is: a request's is read strictly */
  constructor(framing: Framing | { readonly kind: "close" }, of: "request" | "reply" = "request") {
    this.#strict = of === "request"
    this.#chunked = framing.kind === "chunked"
    this.#left = framing.kind === "length" ? framing.bytes : 0
    const empty = framing.kind === "length" && framing.bytes === 0
    this.#part = empty ? "done" : begins[framing.kind]
  }

  get done(): boolean {
    return this.#part === "done"
  }

  /** Whether it ends when the connection does. */
  get endsWithConnection(): boolean {
    return this.#part === "close"
  }

  read(bytes: Uint8Array): BodyRead {
    const all = bytes.length
    if (this.#part === "close") return { passed: all, length: all, done: false, broken: false }
    let position = 0
    let passed: number | null = null
    while (position < all && this.#part !== "done") {
      if (this.#part === "data") {
        const count = Math.min(this.#left, all - position)
        position += count
        this.#left -= count
        if (this.#left === 0) this.#part = this.#chunked ? "data-cr" : "done"
        continue
      }
      if (this.#strict && this.#trailing) passed ??= position
      this.#part = this.#next(bytes[position] ?? 0)
      if (this.#part === "broken") {
        return { passed: passed ?? position, length: position, done: false, broken: true }
      }
      position++
    }
    return { passed: passed ?? position, length: position, done: this.done, broken: false }
  }

  /** After the last chunk. */
  get #trailing(): boolean {
    switch (this.#part) {
      case "trailer":
      case "trailer-name":
      case "trailer-value":
      case "trailer-lf":
      case "end-lf":
        return true
      default:
        return false
    }
  }

  /** What follows a byte of a chunk's frame. */
  #next(byte: number): Part {
    switch (this.#part) {
      case "size":
        return this.#size(byte)
      case "extension":
        if (byte === 13) return "size-lf"
        return ++this.#counted > sizeLineBytesMax || byte === 10 ? "broken" : "extension"
      case "size-lf":
        if (byte !== 10) return "broken"
        this.#digits = 0
        this.#counted = 0
        return this.#left === 0 ? "trailer" : "data"
      case "data-cr":
        return byte === 13 ? "data-lf" : "broken"
      case "data-lf":
        return byte === 10 ? "size" : "broken"
      case "end-lf":
        return byte === 10 ? "done" : "broken"
      default:
        return ++this.#counted > trailerBytesMax ? "broken" : this.#trailer(byte)
    }
  }

  #size(byte: number): Part {
    const digit = digitOf(byte)
    if (digit !== -1) {
      this.#left = this.#left * 16 + digit
      return ++this.#digits > sizeDigitsMax ? "broken" : "size"
    }
    if (this.#digits === 0) return "broken"
    if (byte === 13) return "size-lf"
    // Why: RFC 9112 §7.1.1 lets a recipient ignore extensions. A request's could hide a line end that
    // one reader sees and another does not, and no client needs them; so they are refused.
    const extends_ = byte === 59 || byte === 32 || byte === 9
    return extends_ && !this.#strict ? "extension" : "broken"
  }

  /** Trailers: lines of fields up to an empty one (RFC 9112 §7.1.2). */
  #trailer(byte: number): Part {
    switch (this.#part) {
      case "trailer":
        if (byte === 13) return "end-lf"
        return !this.#strict || isNameByte(byte) ? "trailer-name" : "broken"
      case "trailer-name":
        if (byte === 58) return "trailer-value"
        if (this.#strict) return isNameByte(byte) ? "trailer-name" : "broken"
        return byte === 13 ? "trailer-lf" : byte === 10 ? "broken" : "trailer-name"
      case "trailer-value":
        if (byte === 13) return "trailer-lf"
        return (byte < 32 && byte !== 9) || byte === 127 ? "broken" : "trailer-value"
      case "trailer-lf":
        return byte === 10 ? "trailer" : "broken"
      default:
        return "broken"
    }
  }
}

const begins = { none: "done", length: "data", chunked: "size", close: "close" } as const

function digitOf(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const lower = byte | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

/** Of a token (RFC 9110 §5.6.2). */
function isNameByte(byte: number): boolean {
  return byte > 32 && byte < 127 && !'"(),/:;<=>?@[\\]{}'.includes(String.fromCharCode(byte))
}
