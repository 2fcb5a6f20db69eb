/**
 * What there is under a name: from the cache, from a question that is on its way already, or from a
 * new one. Whoever asked, an answer is only given out once its addresses are admitted and known.
 */
import type { Address } from "../net/address.ts"
import type { Hostname } from "../net/hostname.ts"
import type { Mode } from "../policies/policy.ts"
import type { Budget } from "./budget.ts"
import { Cache, keyOf } from "./cache.ts"
import { types } from "./code.ts"
import { found, notFound } from "./found.ts"
import type { Found } from "./found.ts"
import { heldMs } from "./names.ts"
import type { Names } from "./names.ts"
import { within } from "./owners.ts"
import type { Upstreams } from "./upstream.ts"
import { wireName } from "./wire-name.ts"

/**
 * Lets the kernel pass what the policy allows to these addresses of a name (UDP and ICMP rules), for
 * so long. Resolves when it does; null: nothing to do. A rejection withholds the answer.
 */
export type Admit = (
  name: Hostname,
  addresses: readonly Address[],
  ttlMs: number,
) => Promise<void> | null

/**
 * Addresses have a name more than before. Resolves when all who may know the names of one know it; null:
 * nobody does. A rejection withholds the answer.
 */
export type Changed = (addresses: readonly Address[]) => Promise<void> | null

interface Surroundings {
  readonly mode: Mode
  readonly upstreams: Upstreams
  readonly budget: Budget
  readonly names: Names
  readonly mayResolveTo: (name: Hostname, address: Address) => boolean
  readonly admit: Admit
  readonly changed: Changed
  readonly now: () => number
}

/** Clients that wait for answers; each costs a closure and its question. */
const waitingMax = 4_096
/** RFC 8305 §3, "Resolution Delay": for the other family, once one has addresses. */
const otherFamilyMs = 50

export class Lookup {
  readonly #surroundings: Surroundings
  readonly #cache = new Cache()
  readonly #open = new Map<string, Promise<Found>>()
  #waiting = 0

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings
  }

  /** @param denied looked up only because the mode is audit */
  find(name: Hostname, type: number, denied: boolean): Found | Promise<Found> {
    const { budget, now } = this.#surroundings
    const wire = wireName(name)
    const nowMs = now()
    const cached = this.#cache.get(wire, type, nowMs)
    if (cached !== null) return cached
    if (this.#waiting >= waitingMax) return notFound("limit-exceeded", nowMs)
    const key = keyOf(wire, type)
    let open = this.#open.get(key)
    if (open === undefined) {
      if (!budget.mayAsk(name, nowMs)) return notFound("limit-exceeded", nowMs)
      open = this.#ask(name, wire, type, denied).finally(() => this.#open.delete(key))
      this.#open.set(key, open)
    }
    this.#waiting++
    return open.finally(() => this.#waiting--)
  }

  /** Addresses of both families; those of one alone where the other takes its time. */
  async both(name: Hostname): Promise<{
    addresses: readonly Address[]
    reason: Exclude<Found["failure"], null> | null
  }> {
    const known: Found[] = []
    const pair = [types.a, types.aaaa].map(async (type) => {
      const one = await this.find(name, type, false)
      known.push(one)
      return one
    })
    const all = Promise.all(pair)
    await Promise.race(
      pair.map(async (one) => {
        const { addresses } = await one
        await (addresses.length > 0 ? within<unknown>(otherFamilyMs, all, null) : all)
      }),
    )
    const addresses = known.flatMap((one) => one.addresses)
    if (addresses.length > 0) return { addresses, reason: null }
    const failure = known.map((one) => one.failure).find((one) => one !== null)
    return { addresses, reason: failure ?? "upstream-failed" }
  }

  /** From here on the name is known; the answer must wait for those who were told otherwise. */
  #learn(name: Hostname, { addresses, ttlMs }: Found): Promise<void> | null {
    const { names, changed, now } = this.#surroundings
    const news = names.remember(name, addresses, ttlMs, now())
    return news.length === 0 ? null : changed(news)
  }

  close(): void {
    this.#surroundings.upstreams.close()
  }

  async #ask(name: Hostname, wire: string, type: number, denied: boolean): Promise<Found> {
    const { mode, upstreams, mayResolveTo, admit, now } = this.#surroundings
    const response = await upstreams.ask(wire, type, denied)
    const admission = {
      admits: (address: Address) => mayResolveTo(name, address),
      enforced: mode === "block",
    }
    const made =
      typeof response === "string"
        ? notFound(response, now())
        : found(wire, type, response, admission, now())
    if (made.addresses.length > 0) {
      try {
        await admit(name, made.addresses, heldMs(made.ttlMs))
        await this.#learn(name, made)
      } catch {
        return notFound("infrastructure", now())
      }
    }
    this.#cache.put(wire, type, made)
    return made
  }
}
