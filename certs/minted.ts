/**
 * What was made for a name, kept for the next who asks: bounded in number and in time. Asks once
 * where many wait for the same name.
 */
import { LRUCache } from "lru-cache"

export interface MintedOptions {
  /** Most names kept; the one that was not asked for longest goes first. */
  readonly namesMax: number
  /** How long one is kept, in milliseconds. */
  readonly keptMs: number
}

/** Gives `make(name)`, and the same again while it is kept. What fails is not kept. */
export function minted<Name extends string, Made extends object>(
  make: (name: Name) => Promise<Made>,
  { namesMax, keptMs }: MintedOptions,
): (name: Name) => Promise<Made> {
  const kept = new LRUCache<Name, Promise<Made>>({ max: namesMax, ttl: keptMs })
  return (name) => {
    const known = kept.get(name)
    if (known !== undefined) return known
    const made = make(name)
    kept.set(name, made)
    made.catch(() => {
      if (kept.peek(name) === made) kept.delete(name)
    })
    return made
  }
}
