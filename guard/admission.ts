/** Puts the addresses of a name into the kernel's sets, before the job is told of them. */
import { isIPv6 } from "../net/address.ts"
import { tableName } from "../firewall/ruleset.ts"
import { inNetwork } from "../kernel/namespace.ts"
import { applyRuleset } from "../kernel/nft.ts"
import type { RunNetwork } from "./network.ts"
import type { FromGate } from "./channel.ts"

/** A program may hold an address a little longer than its time to live; so does the kernel. */
const graceMs = 60_000

/** @returns false when the kernel refuses (a set is full): the gate then gives no answer */
export function admitted(
  network: RunNetwork,
  { addresses, doors, ttlMs }: Extract<FromGate, { t: "admit" }>,
): boolean {
  const seconds = Math.ceil((ttlMs + graceMs) / 1000)
  const known = doors.filter((door) => network.doors.includes(door))
  const lines = known.flatMap((door) =>
    addresses.flatMap((address) => {
      const set = `inet ${tableName} ${door}_${isIPv6(address) ? "6" : "4"}`
      // Why three: an element that is there keeps its old time unless it is made anew.
      return [
        `add element ${set} { ${address} }`,
        `delete element ${set} { ${address} }`,
        `add element ${set} { ${address} timeout ${seconds}s }`,
      ]
    }),
  )
  if (lines.length === 0) return true
  const text = `${lines.join("\n")}\n`
  try {
    inNetwork(network.gate, () => applyRuleset(text))
    inNetwork(network.job, () => applyRuleset(text))
    return true
  } catch {
    return false
  }
}
