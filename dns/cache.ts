/** What was found, for as long as it may be given. Bounded in entries and in bytes. */
import { LRUCache } from "lru-cache"
import type { Found } from "./found.ts"

/** As `cache-size` of dnsmasq's larger users; a build asks for some hundreds. */
const entriesMax = 10_000
const bytesMax = 16 * 1024 * 1024
/** What an entry costs beside its records, roughly. */
const overheadBytes = 512

export class Cache {
  readonly #found: LRUCache<string, Found>

  constructor() {
    this.#found = new LRUCache({ max: entriesMax, maxSize: bytesMax })
  }

  /** null: nothing is known, or no more. */
  get(wire: string, type: number, nowMs: number): Found | null {
    const key = keyOf(wire, type)
    const entry = this.#found.get(key)
    if (entry === undefined) return null
    if (nowMs < entry.bornAtMs + entry.ttlMs) return entry
    this.#found.delete(key)
    return null
  }

  put(wire: string, type: number, entry: Found): void {
    if (entry.ttlMs === 0) return
    const size = overheadBytes + wire.length + entry.section.bytes.length
    this.#found.set(keyOf(wire, type), entry, { size })
  }

  get size(): number {
    return this.#found.size
  }
}

/** One string for a name and a type; a wire name ends at its only NUL label. */
export function keyOf(wire: string, type: number): string {
  return `${wire}${type}`
}
