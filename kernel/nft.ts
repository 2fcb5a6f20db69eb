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

/** The elements of a set with counters, `nft -j list set`. */
export function countedElements(table: string, set: string): CountedElement[] {
  const text = runTool("nft", ["-j", "-n", "list", "set", "inet", table, set])
  const listing = JSON.parse(text) as {
    readonly nftables: readonly { readonly set?: { readonly elem?: readonly ListedElement[] } }[]
  }
  const counted: CountedElement[] = []
  for (const { set: found } of listing.nftables) {
    for (const { elem } of found?.elem ?? []) {
      if (elem?.counter === undefined) continue
      counted.push({ key: keyOf(elem.val), ...elem.counter })
    }
  }
  return counted
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
