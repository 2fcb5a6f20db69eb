/**
 * Where the body of a request ends: so that exactly one request passes, and nothing after it. Pure.
 */
import type { Framing } from "./head.ts"

/** What of some bytes belongs to the body. */
export interface BodyRead {
  /** How many of them, from the first. */
  readonly length: number
  /** The body ended with them; what follows is no part of this request. */
  readonly done: boolean
  /** The framing is broken at that point. */
  readonly broken: boolean
  /** To be sent after them: the end of a chunked body, whose trailers are left out. */
  readonly tail: boolean
}

/** What ends a chunked body without trailers, after its last chunk (RFC 9112 §7.1). */
export const chunkedTail = "\r\n"

/** Longest chunk size, in hexadecimal digits: exact in a number. */
const sizeDigitsMax = 12

type Part = "size" | "size-lf" | "data" | "data-cr" | "data-lf" | "done" | "broken"

/** Counts one body through its end, over any segmentation. */
export class BodyReader {
  #part: Part
  readonly #chunked: boolean
  /** Bytes left of the body, or of the open chunk. */
  #left: number
  #digits = 0

  constructor(framing: Framing) {
    this.#chunked = framing.kind === "chunked"
    this.#left = framing.kind === "length" ? framing.bytes : 0
    this.#part = framing.kind === "none" ? "done" : this.#chunked ? "size" : "data"
  }

  get done(): boolean {
    return this.#part === "done"
  }

  read(bytes: Uint8Array): BodyRead {
    if (this.#part === "done") return { length: 0, done: true, broken: false, tail: false }
    let position = 0
    while (position < bytes.length && this.#part !== "broken") {
      if (this.#part === "data") {
        const count = Math.min(this.#left, bytes.length - position)
        position += count
        this.#left -= count
        if (this.#left > 0) break
        if (!this.#chunked) {
          this.#part = "done"
          return { length: position, done: true, broken: false, tail: false }
        }
        this.#part = "data-cr"
        continue
      }
      this.#part = this.#next(bytes[position] ?? 0)
      if (this.#part === "broken") break
      position++
      if (this.#part === "done") return { length: position, done: true, broken: false, tail: true }
    }
    return { length: position, done: false, broken: this.#part === "broken", tail: false }
  }

  /** What follows a byte of a chunk's frame. Extensions are refused: no client needs one. */
  #next(byte: number): Part {
    switch (this.#part) {
      case "size": {
        const digit = digitOf(byte)
        if (digit === -1) return byte === 13 && this.#digits > 0 ? "size-lf" : "broken"
        this.#left = this.#left * 16 + digit
        return ++this.#digits > sizeDigitsMax ? "broken" : "size"
      }
      case "size-lf":
        if (byte !== 10) return "broken"
        this.#digits = 0
        return this.#left === 0 ? "done" : "data"
      case "data-cr":
        return byte === 13 ? "data-lf" : "broken"
      case "data-lf":
        return byte === 10 ? "size" : "broken"
      default:
        return "broken"
    }
  }
}

function digitOf(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const lower = byte | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}
