/** How much of a kind is too much: so many at once, and so many a second after that. Pure. */

/** Fills with time, and with what is earned. */
export class Bucket {
  readonly #most: number
  readonly #perSecond: number
  readonly #now: () => number
  #left: number
  #filledAtMs: number

  /** @param now Milliseconds of any clock that only goes forward. */
  constructor(most: number, perSecond: number, now: () => number) {
    this.#most = most
    this.#perSecond = perSecond
    this.#now = now
    this.#left = most
    this.#filledAtMs = now()
  }

  /** More may come, because of what the other side did. */
  earn(count: number): void {
    if (this.#left < earnedMax) this.#left += count
  }

  /** false: there were too many. */
  spend(): boolean {
    if (this.#left < 1) {
      // Why: the clock is asked only here, so that what stays below its bounds costs nothing.
      const nowMs = this.#now()
      const filled = ((nowMs - this.#filledAtMs) / 1_000) * this.#perSecond
      this.#left += Math.min(filled, this.#most - this.#left)
      this.#filledAtMs = nowMs
      if (this.#left < 1) return false
    }
    this.#left--
    return true
  }
}

/** What can be earned at most. */
const earnedMax = 1_000_000
