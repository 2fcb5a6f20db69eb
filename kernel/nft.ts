/** nft(8): one transaction in, a listing out, in the namespace of the calling thread. */
import { runTool } from "./tool.ts"

/**
 * Applies a ruleset in one transaction: all of it or nothing.
 *
 * @throws KernelError with nft's own words
 */
export function applyRuleset(text: string): void {
  runTool("nft", ["-f", "-"], text)
}

/** One element of a dynamic set and what its counter has seen. */
export interface CountedElement {
  /** The concatenated parts, as nft prints them: `udp`, `198.51.100.66`, 53… */
  readonly key: readonly (string | number)[]
  readonly packets: number
  readonly bytes: number
}

interface ListedElement {
  readonly elem?: {
    readonly val?: unknown
    readonly counter?: { readonly packets: number; readonly bytes: number }
  }
}

interface ListedObject {
  readonly set?: { readonly name: string; readonly elem?: readonly ListedElement[] }
  readonly counter?: { readonly name: string; readonly packets: number }
}

/** What a table has counted: by set, and by named counter. */
export interface Counted {
  readonly sets: ReadonlyMap<string, readonly CountedElement[]>
  /** Packets. */
  readonly counters: ReadonlyMap<string, number>
}

/** The elements of all sets of a table that have counters, `nft -j list table`. */
export function countedTable(table: string): Counted {
  const text = runTool("nft", ["-j", "-n", "list", "table", "inet", table])
  const listing = JSON.parse(text) as { readonly nftables: readonly ListedObject[] }
  const sets = new Map<string, CountedElement[]>()
  const counters = new Map<string, number>()
  for (const { set, counter } of listing.nftables) {
    if (counter !== undefined) counters.set(counter.name, counter.packets)
    if (set === undefined) continue
    const counted = (set.elem ?? []).flatMap(({ elem }) =>
      elem?.counter === undefined ? [] : [{ key: keyOf(elem.val), ...elem.counter }],
    )
    sets.set(set.name, counted)
  }
  return { sets, counters }
}

function keyOf(value: unknown): (string | number)[] {
  if (typeof value === "string" || typeof value === "number") return [value]
  if (typeof value === "object" && value !== null && "concat" in value) {
    const parts = (value as { concat: unknown[] }).concat
    return parts.map((part) => (typeof part === "number" ? part : String(part)))
  }
  return []
}

/** Whether a table exists with every one of these chains. */
export function hasChains(family: "inet" | "ip" | "ip6", table: string, chains: string[]): boolean {
  try {
    const listed = runTool("nft", ["list", "table", family, table])
    return chains.every((chain) => listed.includes(`chain ${chain} {`))
  } catch {
    return false
  }
}
