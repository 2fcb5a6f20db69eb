/**
 * Messages over TCP: two bytes of length before each (RFC 1035 §4.2.2), however the stream is cut.
 * Pure. Holds one message at most, and no more memory than has arrived of it.
 */
export class Frames {
  #held: Buffer[] = []
  #heldBytes = 0

  /** Whether a message has begun and not ended. */
  get partial(): boolean {
    return this.#heldBytes > 0
  }

  /** The messages that are whole now, in their order. They are copies: `chunk` may be used again. */
  push(chunk: Buffer): Buffer[] {
    if (chunk.length === 0) return []
    this.#held.push(Buffer.from(chunk))
    this.#heldBytes += chunk.length
    const wanted = this.#wanted()
    if (wanted === null || this.#heldBytes < wanted) return []
    // Why: joined only when a message is whole, so that one-byte segments do not cost their square.
    const joined = Buffer.concat(this.#held, this.#heldBytes)
    const messages: Buffer[] = []
    let at = 0
    while (joined.length - at >= 2) {
      const end = at + 2 + joined.readUInt16BE(at)
      if (end > joined.length) break
      messages.push(joined.subarray(at + 2, end))
      at = end
    }
    const rest = joined.subarray(at)
    this.#held = rest.length === 0 ? [] : [rest]
    this.#heldBytes = rest.length
    return messages
  }

  /** Bytes until the message that has begun is whole, its length included; null: not known yet. */
  #wanted(): number | null {
    const [first, second] = this.#held
    if (first === undefined || this.#heldBytes < 2) return null
    const low = first[1] ?? second?.[0] ?? 0
    return 2 + (((first[0] ?? 0) << 8) | low)
  }
}

/** A message with its length before it. */
export function framed(message: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(2 + message.length)
  bytes.writeUInt16BE(message.length, 0)
  bytes.set(message, 2)
  return bytes
}
