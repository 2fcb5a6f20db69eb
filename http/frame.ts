/**
 * The frames of HTTP/2 (RFC 9113 §4, §6): their words, and a reader that takes them as they come.
 * Pure.
 *
 * The reader shows the head of each frame and keeps nothing of the payload of DATA: its bytes are
 * shown where they landed, as many as have come. All other frames are shown whole.
 */

/** RFC 9113 §6. */
export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const flags = {
  endStream: 1,
  /** Of SETTINGS and PING. */
  ack: 1,
  endHeaders: 4,
  padded: 8,
  priority: 32,
} as const

/** RFC 9113 §7. */
export const errorCodes = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  enhanceYourCalm: 11,
} as const

export type ErrorCode = (typeof errorCodes)[keyof typeof errorCodes]

/** What each client says first (RFC 9113 §3.4). */
export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1")

/** Of a frame without its payload (RFC 9113 §4.1). */
export const headBytes = 9
/** The least that every peer takes, and the most that we write (RFC 9113 §4.2). */
export const frameBytesDefault = 16_384
/** Largest window (RFC 9113 §6.9.1). */
export const windowMax = 0x7fff_ffff

/** What is read of GOAWAY: the last stream and the code; what follows them is for people. */
const goAwayBytes = 8
/** What is kept of one frame other than DATA: a block of fields of 64 KiB, padding and priority. */
const keptBytesMax = 65_536 + 1 + 255 + 5

/** What becomes of a frame, or of what of its payload was not shown with it. */
export type Fate =
  /** Shown to `payload`, as it comes. */
  | "pass"
  | "drop"
  /** The same frame is shown again when reading goes on; see FrameReader.stop. */
  | "again"

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  /** Of the payload. */
  readonly length: number
}

export interface FrameSink {
  /**
   * A frame whose head begins at `at`. Its payload follows: whole, but for DATA (only the length
   * of the padding, where there is one), GOAWAY (the first 8 bytes) and types that are unknown (nothing).
   */
  readonly frame: (bytes: Buffer, at: number, frame: Frame) => Fate
  /** Some of the payload of DATA that passes. */
  readonly payload: (bytes: Buffer, from: number, to: number) => void
  /** All of a DATA frame that passes was shown. Called for the empty one as well. */
  readonly payloadEnds: () => void
  /** The bytes are no frames that can be read; nothing is shown any more. */
  readonly broken: (code: ErrorCode, detail: string) => void
}

interface Mutable {
  type: number
  flags: number
  stream: number
  length: number
}

/** Reads one direction of one connection, over any segmentation. */
export class FrameReader {
  /** Largest payload that the peer may send, in bytes. */
  payloadBytesMax = frameBytesDefault
  readonly #sink: FrameSink
  /** The same object for every frame. */
  readonly #frame: Mutable = { type: 0, flags: 0, stream: 0, length: 0 }
  /** Bytes that the open payload still has. */
  #left = 0
  #passing = false
  /** What came of a frame that is to be shown whole. */
  #part: Buffer = empty
  #partLength = 0
  #stopped = false

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  /** The beginning of a frame has come, and what is to be shown of it has not. */
  get partial(): boolean {
    return this.#partLength > 0
  }

  /** Reading ends after the frame that is shown now: read() then gives how far it came. */
  stop(): void {
    this.#stopped = true
  }

  /** How many of the bytes were read: all of them, unless it was stopped. */
  read(bytes: Buffer): number {
    this.#stopped = false
    let at = 0
    if (this.#partLength === this.#part.length && this.#partLength > 0) this.#showPart()
    while (at < bytes.length && !this.#stopped) {
      if (this.#left > 0) {
        const to = Math.min(bytes.length, at + this.#left)
        this.#left -= to - at
        if (this.#passing) {
          this.#sink.payload(bytes, at, to)
          if (this.#left === 0) this.#sink.payloadEnds()
        }
        at = to
      } else if (this.#partLength > 0 || bytes.length - at < headBytes) {
        at = this.#fill(bytes, at)
      } else {
        const shown = this.#shownBytes(bytes, at)
        if (shown === -1) return at
        if (bytes.length - at < shown) at = this.#fill(bytes, at)
        else {
          this.#show(bytes, at, shown)
          at += shown
        }
      }
    }
    return at
  }

  /** Adds to what came of a frame, and shows it once it is there. Gives the index after what it took. */
  #fill(bytes: Buffer, from: number): number {
    let at = from
    if (this.#partLength === 0) this.#part = Buffer.allocUnsafe(headBytes)
    for (;;) {
      const count = Math.min(this.#part.length - this.#partLength, bytes.length - at)
      bytes.copy(this.#part, this.#partLength, at, at + count)
      this.#partLength += count
      at += count
      if (this.#partLength < this.#part.length) return at
      if (this.#partLength > headBytes) break
      const shown = this.#shownBytes(this.#part, 0)
      if (shown === -1) return at
      if (shown === headBytes) break
      const whole = Buffer.allocUnsafe(shown)
      this.#part.copy(whole)
      this.#part = whole
    }
    this.#showPart()
    return at
  }

  #showPart(): void {
    const part = this.#part
    this.#part = empty
    this.#partLength = 0
    this.#headOf(part, 0)
    this.#show(part, 0, part.length)
  }

  #show(bytes: Buffer, at: number, shown: number): void {
    const { length } = this.#frame
    const fate = this.#sink.frame(bytes, at, this.#frame)
    if (fate === "again") {
      this.#part = Buffer.from(bytes.subarray(at, at + shown))
      this.#partLength = shown
      return
    }
    this.#left = headBytes + length - shown
    this.#passing = fate === "pass"
    if (this.#passing && this.#left === 0) this.#sink.payloadEnds()
  }

  #headOf(bytes: Buffer, at: number): void {
    const frame = this.#frame
    frame.length = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
    frame.type = bytes[at + 3] ?? 0
    frame.flags = bytes[at + 4] ?? 0
    frame.stream =
      (((bytes[at + 5] ?? 0) & 0x7f) << 24) |
      ((bytes[at + 6] ?? 0) << 16) |
      ((bytes[at + 7] ?? 0) << 8) |
      (bytes[at + 8] ?? 0)
  }

  /** Bytes of the frame that begins at `at` that are shown at once; -1 where it is refused. */
  #shownBytes(bytes: Buffer, at: number): number {
    this.#headOf(bytes, at)
    const { type, flags: set, length } = this.#frame
    if (length > this.payloadBytesMax) return this.#refuse("a frame is too long")
    switch (type) {
      case frameTypes.data:
        if ((set & flags.padded) === 0) return headBytes
        return length === 0 ? this.#refuse("padding without its length") : headBytes + 1
      case frameTypes.resetStream:
      case frameTypes.windowUpdate:
        return length === 4 ? headBytes + 4 : this.#refuse("a frame of 4 bytes has others")
      case frameTypes.ping:
        return length === 8 ? headBytes + 8 : this.#refuse("a PING has not 8 bytes")
      case frameTypes.priority:
        return length === 5 ? headBytes + 5 : this.#refuse("a PRIORITY has not 5 bytes")
      case frameTypes.goAway:
        return length >= goAwayBytes ? headBytes + goAwayBytes : this.#refuse("a short GOAWAY")
      case frameTypes.settings:
        return length % 6 === 0 ? headBytes + length : this.#refuse("SETTINGS not of 6 bytes each")
      case frameTypes.headers:
      case frameTypes.continuation:
        if (length <= keptBytesMax) return headBytes + length
        return this.#refuse("a block of fields is too long", errorCodes.enhanceYourCalm)
      default:
        return headBytes
    }
  }

  #refuse(detail: string, code: ErrorCode = errorCodes.frameSizeError): -1 {
    this.#stopped = true
    this.#part = empty
    this.#partLength = 0
    this.#sink.broken(code, detail)
    return -1
  }
}

const empty: Buffer = Buffer.alloc(0)

/** Writes the head of a frame, and gives the index after it. */
export function writeHead(
  target: Buffer,
  at: number,
  length: number,
  type: number,
  set: number,
  stream: number,
): number {
  target[at] = length >>> 16
  target[at + 1] = length >>> 8
  target[at + 2] = length
  target[at + 3] = type
  target[at + 4] = set
  return writeUint32(target, at + 5, stream)
}

/** Big-endian. Gives the index after it. */
export function writeUint32(target: Buffer, at: number, value: number): number {
  target[at] = value >>> 24
  target[at + 1] = value >>> 16
  target[at + 2] = value >>> 8
  target[at + 3] = value
  return at + 4
}

/** Big-endian, unsigned. */
export function uint32(bytes: Buffer, at: number): number {
  return (
    (bytes[at] ?? 0) * 0x100_0000 +
    (((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0))
  )
}
