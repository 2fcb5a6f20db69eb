/** Chances for the fuzz tests of proxy/: the same on every machine for the same FUZZ_SEED. */

export interface Chances {
  /** A whole number from 0, below the limit. */
  readonly below: (limit: number) => number
  readonly bytes: (length: number) => Buffer
  readonly one: <T>(list: readonly T[]) => T
  /** A copy with some bytes changed, left out, doubled, or cut off. */
  readonly mutated: (bytes: Buffer) => Buffer
}

export function randomly(seed: number = Number(process.env["FUZZ_SEED"] ?? 20_261_123)): Chances {
  // mulberry32: small, and the same on every machine.
  let state = seed
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => below(256)))
  const one = <T>(list: readonly T[]): T => {
    const chosen = list[below(list.length)]
    if (chosen === undefined) throw new Error("Cannot choose: the list is empty")
    return chosen
  }
  const mutated = (before: Buffer): Buffer => {
    let after = Buffer.from(before)
    for (let count = 1 + below(3); count > 0 && after.length > 0; count--) {
      const at = below(after.length)
      const to = Math.min(after.length, at + 1 + below(8))
      const kept = [after.subarray(0, at), after.subarray(to)] as const
      switch (below(5)) {
        case 0:
          after[at] = below(256)
          break
        case 1:
          after = Buffer.concat(kept)
          break
        case 2:
          after = Buffer.concat([kept[0], after.subarray(at, to), after.subarray(at)])
          break
        case 3:
          after = Buffer.concat([kept[0], bytes(1 + below(4)), kept[1]])
          break
        default:
          if (below(4) === 0) after = after.subarray(0, at)
      }
    }
    return after
  }
  return { below, bytes, one, mutated }
}
