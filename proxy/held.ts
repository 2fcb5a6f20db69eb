/** The beginning of a head, kept until the rest of it has come. Pure. */
import { headBytesMax } from "../http/head.ts"

/** First allocation, in bytes: most heads fit. */
const firstBytes = 2_048

const nothing = Buffer.alloc(0)

/** At most headBytesMax bytes, which are copied. */
export class Held {
  #bytes: Buffer = nothing
  #length = 0

  get length(): number {
    return this.#length
  }

  /** All that is kept; valid until the next call. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Keeps as many of the bytes as there is room for. How many. */
  add(bytes: Buffer): number {
    const count = Math.min(bytes.length, headBytesMax - this.#length)
    const wanted = this.#length + count
    if (wanted > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(firstBytes, wanted, this.#bytes.length * 2))
      grown.set(this.bytes)
      this.#bytes = grown
    }
    bytes.copy(this.#bytes, this.#length, 0, count)
    this.#length = wanted
    return count
  }

  /** Keeps nothing. What was given out stays as it is. */
  clear(): void {
    this.#bytes = nothing
    this.#length = 0
  }
}
