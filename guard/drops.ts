/** Reads what the kernel refused, and what it let through by rule, out of its counting sets. */
import { readFileSync } from "node:fs"
import { tableName } from "../firewall/ruleset.ts"
import { inNetwork, type Network } from "../kernel/namespace.ts"
import { countedElements, type CountedElement } from "../kernel/nft.ts"
import type { Drop } from "../events/event.ts"
import { classify } from "../net/special.ts"
import { parseAddress } from "../net/address.ts"
import type { Mode } from "../policies/policy.ts"

/** Often enough for a person who follows the log; rarely enough to cost nothing. */
const everyMs = 5_000

const families = ["4", "6"] as const

/** Names of users, from /etc/passwd; a number where there is none. */
function userName(uid: string): string {
  try {
    const lines = readFileSync("/etc/passwd", "utf8").split("\n")
    return lines.map((line) => line.split(":")).find((parts) => parts[2] === uid)?.[0] ?? uid
  } catch {
    return uid
  }
}

/** Protocols that the event log names; all others are numbers there (IANA, protocol numbers). */
const transports = new Map([
  ["1", "icmp"],
  ["6", "tcp"],
  ["17", "udp"],
  ["58", "icmpv6"],
])

interface Source {
  readonly network: Network
  readonly set: "refused" | "unclaimed"
}

function dropOf(source: Source, kind: "ports" | "plain", element: CountedElement): Drop | null {
  const parts = element.key.map(String)
  const user = source.set === "refused" ? userName(parts.shift() ?? "") : null
  const [transport, address, port] = parts
  if (transport === undefined || address === undefined) return null
  const parsed = parseAddress(address)
  const special = parsed !== null && classify(parsed) !== "public"
  return {
    kind: "drop",
    transport: transports.get(transport) ?? transport,
    target: { address, port: kind === "ports" ? Number(port) : null },
    packets: element.packets,
    reason: special ? "private-address" : "address-not-allowed",
    user,
  }
}

/**
 * Watches the sets, and records what has grown since the last look.
 *
 * @returns what looks once more and ends the watch
 */
export function watchDrops(
  networks: { readonly gate: Network; readonly job: Network },
  mode: Mode,
  record: (drop: Drop) => void,
): () => void {
  const sources: Source[] = [
    { network: networks.job, set: "refused" },
    { network: networks.job, set: "unclaimed" },
    { network: networks.gate, set: "unclaimed" },
  ]
  const seen = new Map<string, number>()
  const look = (): void => {
    sources.forEach((source, index) => {
      for (const family of families) {
        for (const kind of ["ports", "plain"] as const) {
          const set = `${source.set}_${kind}${family}`
          const elements = inNetwork(source.network, () => countedElements(tableName, set))
          for (const element of elements) {
            const drop = dropOf(source, kind, element)
            if (drop === null) continue
            const key = `${index} ${element.key.join(" ")}`
            const packets = element.packets - (seen.get(key) ?? 0)
            seen.set(key, element.packets)
            if (packets > 0) record({ ...drop, packets, enforced: mode === "block" })
          }
        }
      }
    })
  }
  const timer = setInterval(look, everyMs)
  timer.unref()
  return () => {
    clearInterval(timer)
    look()
  }
}
