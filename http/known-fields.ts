/**
 * Fields that were decoded before, by their bytes: most of a request's are those of the one before.
 * Pure.
 */
import type { HeaderField } from "./header-field.ts"

/** A power of two. Clients of one machine say some dozens of things over and over. */
const slots = 512
/** A power of two, larger: two that meet here are never remembered, as each puts the other out. */
const seenSlots = 8_192
/** Longest field that is remembered, in bytes as it came. With `slots` it bounds the memory. */
const bytesMax = 160

interface Known {
  readonly bytes: Buffer
  readonly field: HeaderField
}

/** Remembers what comes at least twice. */
export class KnownFields {
  readonly #known: (Known | undefined)[] = Array.from({ length: slots })
  /** What was seen once, by its hash. */
  readonly #seen = new Int32Array(seenSlots)
  #hash = 0

  /** The field that these bytes are; null: not known. */
  find(source: Buffer, from: number, to: number): HeaderField | null {
    if (to - from > bytesMax) return null
    // FNV-1a, 32 bits, over some 16 to 32 bytes: what differs in others alone is forgotten sooner.
    const step = 1 + ((to - from) >> 5)
    let hash = 0x811c9dc5 ^ (to - from)
    for (let at = to - 1; at >= from; at -= step) {
      hash = Math.imul(hash ^ (source[at] ?? 0), 0x01000193)
    }
    hash ^= hash >>> 15
    this.#hash = hash
    return this.#at(hash, source, from, to) ?? this.#at(hash >>> 16, source, from, to)
  }

  /** Remembers the field that find() did not know just now. */
  add(source: Buffer, from: number, to: number, field: HeaderField): void {
    if (to - from > bytesMax) return
    const seen = (this.#hash >>> 6) & (seenSlots - 1)
    if (this.#seen[seen] !== this.#hash) {
      this.#seen[seen] = this.#hash
      return
    }
    const first = this.#hash & (slots - 1)
    // Why: each has two places, so that two that meet do not put each other out.
    const slot = this.#known[first] === undefined ? first : (this.#hash >>> 16) & (slots - 1)
    this.#known[slot] = { bytes: Buffer.from(source.subarray(from, to)), field }
  }

  #at(hash: number, source: Buffer, from: number, to: number): HeaderField | null {
    const known = this.#known[hash & (slots - 1)]
    if (known === undefined || known.bytes.length !== to - from) return null
    const { bytes, field } = known
    for (let at = 0; at < bytes.length; at++) if (bytes[at] !== source[from + at]) return null
    return field
  }
}
