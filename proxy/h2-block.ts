/** Blocks of fields, put together from HEADERS and CONTINUATION (RFC 9113 §4.3). Pure. */
import { flags, headBytes } from "../http/frame.ts"
import type { Frame } from "../http/frame.ts"

/** A whole block, without padding and priority. */
export interface Block {
  readonly bytes: Buffer
  readonly from: number
  readonly to: number
  /** Where the one frame begins that is nothing but this block; -1: there is none. */
  readonly frameAt: number
  readonly stream: number
  /** The stream ends with it. */
  readonly ends: boolean
}

/** Longest block, in bytes as they came. */
export const blockBytesMax = 65_536
/** Most frames of a block after its first: nghttp2 takes 8 (CVE-2024-27316). */
export const continuationsMax = 8

/** RFC 9113 §6.2: the stream on which this one depends, and its weight. */
const priorityBytes = 5

/** The block that comes now in one direction. */
export class BlockParts {
  #parts: Buffer[] = []
  #bytes = 0
  #stream = 0
  #ends = false
  /** A block has begun, and only CONTINUATION may follow. */
  open = false

  /**
   * Takes a HEADERS or CONTINUATION frame, whole. "more": the block goes on; any other text says
   * what is wrong.
   */
  take(bytes: Buffer, at: number, frame: Frame): Block | string {
    if (this.open) return this.#more(bytes, at, frame)
    let from = at + headBytes
    let to = from + frame.length
    if ((frame.flags & flags.padded) !== 0) to -= bytes[from++] ?? 0
    if ((frame.flags & flags.priority) !== 0) from += priorityBytes
    if (from > to) return "padding is longer than its frame"
    if (frame.stream % 2 === 0) return "HEADERS on a stream that no client opens"
    const ends = (frame.flags & flags.endStream) !== 0
    if ((frame.flags & flags.endHeaders) === 0) {
      this.open = true
      this.#parts = [Buffer.from(bytes.subarray(from, to))]
      this.#bytes = to - from
      this.#stream = frame.stream
      this.#ends = ends
      return "more"
    }
    const bare = (frame.flags & ~(flags.endStream | flags.endHeaders)) === 0
    const frameAt = bare && (bytes[at + 5] ?? 0) < 128 ? at : -1
    return { bytes, from, to, frameAt, stream: frame.stream, ends }
  }

  #more(bytes: Buffer, at: number, frame: Frame): Block | string {
    if (frame.stream !== this.#stream) return "CONTINUATION of another stream"
    if (this.#bytes + frame.length > blockBytesMax) return tooLong
    if (this.#parts.length > continuationsMax) return tooLong
    const from = at + headBytes
    this.#parts.push(Buffer.from(bytes.subarray(from, from + frame.length)))
    this.#bytes += frame.length
    if ((frame.flags & flags.endHeaders) === 0) return "more"
    const whole = Buffer.concat(this.#parts, this.#bytes)
    this.open = false
    this.#parts = []
    const stream = this.#stream
    return { bytes: whole, from: 0, to: whole.length, frameAt: -1, stream, ends: this.#ends }
  }
}

/** What take() says of a block beyond its bounds. */
export const tooLong = "a block of fields is too long"
