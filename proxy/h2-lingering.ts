/**
 * Streams that were answered by us while their request was still coming. Pure.
 *
 * They are to be reset, or a client whose window is used up would wait for ever. But not at once: curl
 * (7.88) that finds reply and reset in one read drops the reply.
 */

/** What a client has to end the stream by itself; it may be twice as long. */
export const lingerMs = 250
/** Most streams that linger: further ones are reset at once. */
const lingeringMax = 256

export class Lingering {
  readonly #reset: (stream: number) => void
  /** Those before the last time that expire() was called, and those since. */
  #old = new Set<number>()
  #fresh = new Set<number>()

  constructor(reset: (stream: number) => void) {
    this.#reset = reset
  }

  get size(): number {
    return this.#old.size + this.#fresh.size
  }

  add(stream: number): void {
    if (this.size >= lingeringMax) this.#reset(stream)
    else this.#fresh.add(stream)
  }

  /** The client has ended the stream. */
  ended(stream: number): void {
    if (!this.#fresh.delete(stream)) this.#old.delete(stream)
  }

  /** To be called every lingerMs. */
  expire(): void {
    for (const stream of this.#old) this.#reset(stream)
    this.#old = this.#fresh
    this.#fresh = new Set()
  }
}
