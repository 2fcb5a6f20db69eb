/** Which names we gave for an address, until when. Bounded; the least asked for goes first. */
import { LRUCache } from "lru-cache"
import { unmap } from "../net/address.ts"
import type { Address } from "../net/address.ts"
import type { Hostname } from "../net/hostname.ts"

const addressesMax = 50_000
/** A front of a large network carries many names; more at one time are a flood. */
const namesPerAddressMax = 64
/** Programs keep an answer for at least this long, whatever it says (browsers, the JVM). */
const heldMsMin = 60_000
/** From the end of an answer's time: to a connection that was about to be opened. */
const graceMs = 30_000

/** For how long a name is known for an address, when its answer may be given for `ttlMs`. */
export function heldMs(ttlMs: number): number {
  return Math.max(ttlMs, heldMsMin) + graceMs
}

export class Names {
  /** For each address: name → until when, milliseconds. */
  readonly #names = new LRUCache<Address, Map<Hostname, number>>({ max: addressesMax })

  /** @returns the addresses for which the name was not known */
  remember(
    name: Hostname,
    addresses: readonly Address[],
    ttlMs: number,
    nowMs: number,
  ): readonly Address[] {
    const until = nowMs + heldMs(ttlMs)
    const changed: Address[] = []
    for (const given of addresses) {
      const address = unmap(given)
      let names = this.#names.get(address)
      if (names === undefined) this.#names.set(address, (names = new Map()))
      const before = names.get(name) ?? 0
      if (before <= nowMs) changed.push(address)
      // Why: taken out and put back, so that the first key is the one not seen for longest.
      names.delete(name)
      if (names.size >= namesPerAddressMax) {
        for (const oldest of names.keys()) {
          names.delete(oldest)
          break
        }
      }
      names.set(name, Math.max(before, until))
    }
    return changed
  }

  /** When the first of an address's names ends to hold, milliseconds; null: it has none. */
  untilOf(address: Address, nowMs: number): number | null {
    const names = this.namesOf(address, nowMs)
    const known = this.#names.get(unmap(address))
    return names.length === 0
      ? null
      : names.reduce((first, name) => Math.min(first, known?.get(name) ?? first), Infinity)
  }

  /** The names that still hold, newest last. */
  namesOf(address: Address, nowMs: number): Hostname[] {
    const names = this.#names.get(unmap(address))
    if (names === undefined) return []
    const holding: Hostname[] = []
    for (const [name, until] of names) {
      if (until > nowMs) holding.push(name)
      else names.delete(name)
    }
    return holding
  }
}
