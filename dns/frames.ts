/**
 * Messages over TCP: two bytes of length before each (RFC 1035 §4.2.2), however the stream is cut.
 * Pure. Holds one message at most, in at most twice the memory of what has arrived of it.
 */

/** Most questions fit. */
const heldBytesMin = 512

export class Frames {
  /** The beginning of a message, `#length` bytes of it. */
  #held = Buffer.alloc(0)
  #length = 0

  /** Whether a message has begun and not ended. */
  get partial(): boolean {
    return this.#length > 0
  }

  /** The messages that are whole now, in their order. They are copies: `chunk` may be used again. */
  push(chunk: Buffer): Buffer[] {
    const messages: Buffer[] = []
    let at = 0
    while (at < chunk.length) {
      const end = Math.min(chunk.length, at + this.#missing())
      this.#hold(chunk, at, end)
      at = end
      if (this.#length >= 2 && this.#missing() === 0) {
        messages.push(Buffer.from(this.#held.subarray(2, this.#length)))
        this.#length = 0
      }
    }
    // Why: connections are many and mostly idle; an idle one holds nothing.
    if (this.#length === 0) this.#held = Buffer.alloc(0)
    return messages
  }

  /** Bytes until the message is whole; until its length is known, bytes of that. */
  #missing(): number {
    return (this.#length < 2 ? 2 : 2 + this.#held.readUInt16BE(0)) - this.#length
  }

  #hold(chunk: Buffer, from: number, to: number): void {
    const length = this.#length + to - from
    if (length > this.#held.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(heldBytesMin, length, this.#held.length * 2))
      larger.set(this.#held.subarray(0, this.#length))
      this.#held = larger
    }
    chunk.copy(this.#held, this.#length, from, to)
    this.#length = length
  }
}

/** A message with its length before it. */
export function framed(message: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(2 + message.length)
  bytes.writeUInt16BE(message.length, 0)
  bytes.set(message, 2)
  return bytes
}
