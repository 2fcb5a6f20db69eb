/**
 * What a worker may know without asking: the names that an address had when it asked last.
 *
 * A lease ends with the first of its names, and the resolver calls it back before the job can learn of
 * another name for the address. So what is known by lease is what the resolver would say.
 */
import { LRUCache } from "lru-cache"
import type { Address } from "../net/address.ts"
import type { Hostname } from "../net/hostname.ts"

/** Addresses that one worker holds leases on. */
export const leasesMax = 16_384

/** The worker's side. */
export class Leases {
  readonly #held = new LRUCache<
    Address,
    { readonly names: readonly Hostname[]; readonly untilMs: number }
  >({ max: leasesMax })

  take(address: Address, names: readonly Hostname[], untilMs: number): void {
    this.#held.set(address, { names, untilMs })
  }

  /** null: it must be asked for. */
  namesOf(address: Address, nowMs: number): readonly Hostname[] | null {
    const lease = this.#held.get(address)
    return lease === undefined || lease.untilMs <= nowMs ? null : lease.names
  }

  giveBack(addresses: readonly Address[]): void {
    for (const address of addresses) this.#held.delete(address)
  }

  clear(): void {
    this.#held.clear()
  }
}

/** Time in which a worker must give a lease back; then it is cut off, and the name has no answer. */
const giveBackTimeoutMs = 1_000

/** The resolver's side: what one worker holds. */
export class Granted {
  readonly #send: (message: object) => void
  readonly #cutOff: () => void
  readonly #held = new Map<Address, number>()
  readonly #awaited = new Map<number, () => void>()
  #lastNumber = 0
  #closed = false

  constructor(send: (message: object) => void, cutOff: () => void) {
    this.#send = send
    this.#cutOff = cutOff
  }

  /** Whether the worker may know an address's names until then. */
  grant(address: Address, untilMs: number, nowMs: number): boolean {
    if (!this.#held.has(address) && this.#held.size >= leasesMax) {
      this.#prune(nowMs)
      if (this.#held.size >= leasesMax) return false
    }
    this.#held.set(address, untilMs)
    return true
  }

  /** Resolves when the worker knows of these no more; null: it does not. Rejects where it hangs. */
  callBack(addresses: readonly Address[]): Promise<void> | null {
    const held = addresses.filter((address) => this.#held.delete(address))
    if (held.length === 0 || this.#closed) return null
    const number = ++this.#lastNumber
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#awaited.delete(number)
        this.#cutOff()
        reject(new Error("Cannot call back a lease: the worker is silent"))
      }, giveBackTimeoutMs)
      this.#awaited.set(number, () => {
        clearTimeout(timer)
        resolve()
      })
      this.#send({ callBack: number, addresses: held })
    })
  }

  givenBack(number: number): void {
    this.#awaited.get(number)?.()
    this.#awaited.delete(number)
  }

  /** The worker is gone, and all that it knew with it. */
  close(): void {
    this.#closed = true
    for (const settle of this.#awaited.values()) settle()
    this.#awaited.clear()
  }

  #prune(nowMs: number): void {
    for (const [address, untilMs] of this.#held) {
      if (untilMs <= nowMs) this.#held.delete(address)
    }
  }
}
