/**
 * Lets a client's bytes go on only as a purse pays for them: the upward way of a splice whose rule
 * has a budget (`up`). Order is kept, and the client rests while the purse is being filled.
 */
import type { Purse } from "./relay.ts"
import type { Side } from "./splice.ts"

export interface TollOptions {
  readonly purse: Purse
  /** Whether bytes that nothing pays for stay here; else (audit mode) they go on, and it is told. */
  readonly enforced: boolean
  /** The purse has no more. Called once. */
  readonly exhausted: () => void
}

/** Where paid bytes go, and whether more may follow at once. */
export interface Way {
  readonly send: (bytes: Buffer, owned: boolean) => void
  readonly stopped: boolean
}

export class Toll {
  readonly #client: Side
  readonly #way: Way
  readonly #options: TollOptions
  /** Bytes that are not paid for yet: one read, as the client rests meanwhile. */
  readonly #unpaid: Buffer[] = []
  /** Nothing is paid for any more, because nothing is held back. */
  #free = false
  /** Nothing goes on any more. */
  #shut = false
  #after: (() => void) | null = null

  constructor(client: Side, way: Way, options: TollOptions) {
    this.#client = client
    this.#way = way
    this.#options = options
  }

  /** Sends bytes on, at once or when they are paid for. */
  pass(bytes: Buffer, owned: boolean): void {
    if (bytes.length === 0 || this.#shut) return
    const clear = this.#unpaid.length === 0
    if (this.#free || (clear && this.#options.purse.take(bytes.length))) {
      this.#way.send(bytes, owned)
      return
    }
    this.#unpaid.push(owned ? bytes : Buffer.from(bytes))
    this.#client.inlet.pause()
    if (clear) this.#pay()
  }

  /** Calls once all that was passed so far has gone on; never where it does not. */
  whenClear(then: () => void): void {
    if (this.#unpaid.length === 0) then()
    else this.#after = then
  }

  /** Nothing more goes on: both sides are gone. */
  close(): void {
    this.#shut = true
    this.#unpaid.length = 0
  }

  #pay(): void {
    const [first] = this.#unpaid
    if (first === undefined) return
    this.#options.purse.fill(first.length, (taken) => {
      if (this.#shut) return
      if (!taken) return this.#broke()
      this.#unpaid.shift()
      this.#way.send(first, true)
      if (this.#unpaid.length > 0) return this.#pay()
      this.#goOn()
    })
  }

  #broke(): void {
    const { enforced, exhausted } = this.#options
    if (enforced) {
      this.close()
      exhausted()
      return
    }
    this.#free = true
    exhausted()
    for (const bytes of this.#unpaid.splice(0)) this.#way.send(bytes, true)
    this.#goOn()
  }

  #goOn(): void {
    const after = this.#after
    this.#after = null
    after?.()
    if (!this.#way.stopped && !this.#client.socket.destroyed) this.#client.inlet.resume()
  }
}
