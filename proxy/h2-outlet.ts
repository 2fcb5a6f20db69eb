/**
 * What goes to one side of an HTTP/2 connection, in order: spans of what came in, and frames of our
 * own between them. Neighbours go on as one. Pure.
 *
 * A frame that is passed while it still comes is never cut in two: what is ours waits for its end.
 */
import {
  flags,
  frameBytesDefault,
  frameTypes,
  headBytes,
  writeHead,
  writeUint32,
} from "../http/frame.ts"
import type { ErrorCode } from "../http/frame.ts"

/** Where our own frames are written: shared by all connections, for one call at a time. */
const pageBytes = 65_536
const sharedPage = Buffer.allocUnsafeSlow(pageBytes)

/** Most bytes of our own that wait for the end of a frame. */
const waitingBytesMax = 262_144

/** Room for the frames that one call writes. */
class Page {
  bytes = sharedPage
  used = 0

  /** Where so many bytes may be written. */
  room(count: number): number {
    if (this.used + count > this.bytes.length) {
      // Why: what was written so far may not have been sent; it keeps its place.
      this.bytes = Buffer.allocUnsafeSlow(Math.max(pageBytes, count))
      this.used = 0
    }
    const at = this.used
    this.used += count
    return at
  }

  /** Gives back what of the last room was not needed. */
  cut(to: number): void {
    this.used = to
  }

  /** All of it was sent. */
  free(): void {
    this.bytes = sharedPage
    this.used = 0
  }
}

/** The one page: calls into relays never overlap (see Links in relay.ts). */
export const page = new Page()

export class Outlet {
  /** The peer's decoder is to be told that the table has no room (RFC 7541 §4.2). */
  tellTable = true
  readonly #send: (bytes: Buffer) => void
  readonly #overflow: () => void
  #source: Buffer = sharedPage
  #from = 0
  #to = 0
  /** The first SETTINGS have not been passed yet: nothing may come before them (RFC 9113 §3.4). */
  #silent = true
  /** Bytes that the frame which is passed now still has. */
  #open = 0
  #waiting: Buffer[] = []
  #waitingBytes = 0

  /** @param overflow Called where too much waits: the connection is to end at once. */
  constructor(send: (bytes: Buffer) => void, overflow: () => void) {
    this.#send = send
    this.#overflow = overflow
  }

  /** The head of a frame, of which so many bytes are still to be passed. */
  begin(bytes: Buffer, from: number, to: number, open: number): void {
    this.#append(bytes, from, to)
    this.#open = open
  }

  /** More of the frame that has begun. */
  payload(bytes: Buffer, from: number, to: number): void {
    this.#append(bytes, from, to)
    this.#open -= to - from
    if (this.#open === 0 && this.#waiting.length > 0) this.#release()
  }

  /** The first SETTINGS, and what comes before them. */
  greet(bytes: Buffer, from: number, to: number): void {
    this.#append(bytes, from, to)
  }

  /** The first SETTINGS were passed. */
  greeted(): void {
    this.#silent = false
    this.#release()
  }

  /** Whole frames, as they came or from the page. */
  pass(bytes: Buffer, from: number, to: number): void {
    if (this.#open === 0 && !this.#silent) {
      this.#append(bytes, from, to)
      return
    }
    this.#waiting.push(Buffer.from(bytes.subarray(from, to)))
    this.#waitingBytes += to - from
    if (this.#waitingBytes > waitingBytesMax) this.#overflow()
  }

  /** A frame whose payload are numbers of four bytes. */
  frame(type: number, set: number, stream: number, ...values: readonly number[]): void {
    const at = page.room(headBytes + 4 * values.length)
    let to = writeHead(page.bytes, at, 4 * values.length, type, set, stream)
    for (const value of values) to = writeUint32(page.bytes, to, value)
    this.pass(page.bytes, at, to)
  }

  reset(stream: number, code: ErrorCode): void {
    this.frame(frameTypes.resetStream, 0, stream, code)
  }

  /**
   * Sends a block of fields that was written to the page, with room for the head of a frame before
   * it, in as many frames as it needs (RFC 9113 §6.10).
   *
   * @param at where the room for the head begins
   * @param to after the block's last byte
   */
  block(at: number, to: number, stream: number, ends: boolean): void {
    page.cut(to)
    const length = to - at - headBytes
    const set = ends ? flags.endStream : 0
    if (length <= frameBytesDefault) {
      writeHead(page.bytes, at, length, frameTypes.headers, set | flags.endHeaders, stream)
      this.pass(page.bytes, at, to)
      return
    }
    const block = page.bytes.subarray(at + headBytes, to)
    for (let sent = 0; sent < length; sent += frameBytesDefault) {
      const piece = block.subarray(sent, sent + frameBytesDefault)
      const last = sent + piece.length === length ? flags.endHeaders : 0
      const from = page.room(headBytes + piece.length)
      const next =
        sent === 0
          ? writeHead(page.bytes, from, piece.length, frameTypes.headers, set | last, stream)
          : writeHead(page.bytes, from, piece.length, frameTypes.continuation, last, stream)
      piece.copy(page.bytes, next)
      this.pass(page.bytes, from, next + piece.length)
    }
  }

  /** The last word, where there is room for one (RFC 9113 §6.8). */
  goAway(lastStream: number, code: ErrorCode): void {
    if (this.#open === 0 && !this.#silent) this.frame(frameTypes.goAway, 0, 0, lastStream, code)
  }

  /** SETTINGS of our own, where nobody else can say them any more. */
  greetAlone(): void {
    if (!this.#silent) return
    this.#silent = false
    this.#waiting = []
    this.frame(frameTypes.settings, 0, 0)
  }

  /** Sends what was gathered. */
  flush(): void {
    if (this.#to > this.#from) {
      const whole = this.#from === 0 && this.#to === this.#source.length
      this.#send(whole ? this.#source : this.#source.subarray(this.#from, this.#to))
    }
    this.#source = sharedPage
    this.#from = 0
    this.#to = 0
  }

  #append(bytes: Buffer, from: number, to: number): void {
    if (from === this.#to && bytes === this.#source) {
      this.#to = to
      return
    }
    if (this.#to > this.#from) this.flush()
    this.#source = bytes
    this.#from = from
    this.#to = to
  }

  #release(): void {
    const waiting = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    for (const bytes of waiting) this.#append(bytes, 0, bytes.length)
  }
}
