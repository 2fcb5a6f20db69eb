/**
 * Things found by address: for each length of prefix in use, the blocks of that length. A look-up
 * costs what there are lengths (33 and 129 at most), however many blocks there are.
 */
import { isIPv6, prefixOf } from "../net/address.ts"
import type { Address, Prefix } from "../net/address.ts"

type Lengths<T> = Map<number, Map<Address, T[]>>

export interface BlockIndex<T> {
  readonly v4: Lengths<T>
  readonly v6: Lengths<T>
}

/** An index of values by the block that each has. */
export function blockIndex<T>(entries: Iterable<readonly [Prefix, T]>): BlockIndex<T> {
  const index: BlockIndex<T> = { v4: new Map(), v6: new Map() }
  for (const [{ address, length }, value] of entries) {
    const lengths = isIPv6(address) ? index.v6 : index.v4
    let blocks = lengths.get(length)
    if (blocks === undefined) lengths.set(length, (blocks = new Map()))
    const known = blocks.get(address)
    if (known === undefined) blocks.set(address, [value])
    else known.push(value)
  }
  return index
}

/** Every value whose block holds an address. */
export function blocksFind<T>(index: BlockIndex<T>, address: Address): T[] {
  const found: T[] = []
  for (const [length, blocks] of isIPv6(address) ? index.v6 : index.v4) {
    const values = blocks.get(prefixOf(address, length).address)
    // Why not push(...): a hundred thousand rules over one block do not fit into its arguments.
    for (const value of values ?? []) found.push(value)
  }
  return found
}
