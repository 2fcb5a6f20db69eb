/**
 * What goes to the upstream for one request, under the purse that bounds it: no byte goes on before
 * it was taken out of the purse. Does no I/O of its own.
 */
import type { Links, Purse } from "./relay.ts"

export interface OutletOptions {
  readonly toUpstream: Links["toUpstream"]
  /** All that waited has gone on. */
  readonly went: () => void
  /** The purse is empty for good; what waits is kept until free() or begin(). */
  readonly spent: () => void
}

export class Outlet {
  readonly #options: OutletOptions
  #purse: Purse | null = null
  /** What waits for the purse, in order. */
  #kept: Buffer[] = []
  /** Counts requests: an answer that comes after its request is over is for nobody. */
  #round = 0
  /** Gone on for this request. */
  bytes = 0

  constructor(options: OutletOptions) {
    this.#options = options
  }

  /** Whether something waits: then what comes after it has to wait too, and is better not read. */
  get waits(): boolean {
    return this.#kept.length > 0
  }

  /** A new request: what waited is dropped. */
  begin(purse: Purse | null): void {
    this.#round++
    this.#purse = purse
    if (this.#kept.length > 0) this.#kept = []
    this.bytes = 0
  }

  /** @param owned see Links */
  send(bytes: Buffer, owned: boolean): void {
    if (bytes.length === 0) return
    const purse = this.#purse
    if (!this.waits && (purse === null || purse.take(bytes.length))) return this.#go(bytes, owned)
    this.#kept.push(owned ? bytes : Buffer.from(bytes))
    if (this.#kept.length === 1) this.#ask()
  }

  /** No purse bounds the request any more. */
  free(): void {
    this.#round++
    this.#purse = null
    this.#drain()
  }

  #ask(): void {
    const [first] = this.#kept
    if (first === undefined || this.#purse === null) return
    const round = this.#round
    this.#purse.fill(first.length, (taken) => {
      if (round !== this.#round) return
      if (!taken) return this.#options.spent()
      this.#kept.shift()
      this.#go(first, true)
      this.#drain()
    })
  }

  #drain(): void {
    for (;;) {
      const [first] = this.#kept
      if (first === undefined) return this.#options.went()
      if (this.#purse !== null && !this.#purse.take(first.length)) return this.#ask()
      this.#kept.shift()
      this.#go(first, true)
    }
  }

  #go(bytes: Buffer, owned: boolean): void {
    this.bytes += bytes.length
    this.#options.toUpstream(bytes, owned)
  }
}
