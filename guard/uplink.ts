/**
 * The gate's way to the machine for packets other than TCP: a second link, address translation, and
 * the machine's own forwarding, each noted before it is made.
 *
 * Only where the policy allows such packets, or in audit mode; else nothing of the machine changes.
 */
import { machineRuleset } from "../firewall/ruleset.ts"
import type { Link } from "../firewall/scope.ts"
import { ip, setNetworkSetting } from "../kernel/link.ts"
import { inNetwork, type Network } from "../kernel/namespace.ts"
import { applyRuleset } from "../kernel/nft.ts"
import { runTool } from "../kernel/tool.ts"
import { readdirSync, readFileSync } from "node:fs"
import type { RunDirectory } from "./run-directory.ts"

interface ListedChain {
  readonly chain?: {
    readonly family: string
    readonly table: string
    readonly name: string
    readonly hook?: string
    readonly policy?: string
  }
}

/** Base chains of others that drop what they do not know on its way through (Docker's, firewalld's). */
function droppingChains(): { family: string; table: string; chain: string }[] {
  const text = runTool("nft", ["-j", "list", "chains"])
  const listed = (JSON.parse(text) as { nftables: ListedChain[] }).nftables
  return listed.flatMap(({ chain }) =>
    chain?.hook === "forward" && chain.policy === "drop"
      ? [{ family: chain.family, table: chain.table, chain: chain.name }]
      : [],
  )
}

/** Interfaces whose IPv6 router announcements would stop once the machine forwards. */
function announced(): string[] {
  return readdirSync("/proc/sys/net/ipv6/conf").filter((name) => {
    try {
      return readFileSync(`/proc/sys/net/ipv6/conf/${name}/accept_ra`, "utf8").trim() === "1"
    } catch {
      return false
    }
  })
}

/** Families in which this machine forwards nothing as yet. */
function closed(): ("ipv4" | "ipv6")[] {
  const forwards = (path: string): boolean =>
    readFileSync(`/proc/sys/net/${path}`, "utf8").trim() !== "0"
  return [
    ...(forwards("ipv4/ip_forward") ? [] : (["ipv4"] as const)),
    ...(forwards("ipv6/conf/all/forwarding") ? [] : (["ipv6"] as const)),
  ]
}

/** As network.ts's gateLinkIndex: unlikely to be the number of the other end too. */
const uplinkIndex = 7_777

/** Joins the gate to the machine. The calling thread stands in the machine's namespace. */
export function buildUplink(
  gate: Network,
  machine: Network,
  pair: Link,
  id: string,
  directory: RunDirectory,
): void {
  const { inner, outer } = pair
  const set = (name: string, value: string): void => {
    const before = readFileSync(`/proc/sys/net/${name}`, "utf8").trim()
    directory.note({ kind: "setting", name, before })
    setNetworkSetting(name, value)
  }
  const addresses = (end: Link["inner"]): string[] => [
    `addr add ${end.four}/${pair.lengthFour} dev ${end.name}`,
    `addr add ${end.six}/${pair.lengthSix} dev ${end.name} nodad`,
    `link set ${end.name} up`,
  ]
  inNetwork(gate, () => {
    ip([
      `link add ${inner.name} index ${uplinkIndex} type veth peer name ${outer.name} netns /proc/${process.pid}/fd/${machine}`,
      ...addresses(inner),
      `route add 0.0.0.0/0 via ${outer.four} dev ${inner.name} onlink`,
      `route add ::/0 via ${outer.six} dev ${inner.name}`,
    ])
  })
  ip(addresses(outer))
  const table = `sluice-${id}`
  directory.note({ kind: "table", table })
  applyRuleset(machineRuleset(table, pair, closed()))
  set("ipv4/ip_forward", "1")
  for (const name of announced()) set(`ipv6/conf/${name}/accept_ra`, "2")
  set("ipv6/conf/all/forwarding", "1")
  const comment = `sluice ${id}`
  for (const { family, table, chain } of droppingChains()) {
    directory.note({ kind: "rule", family, table, chain, comment })
    for (const match of [
      ["iifname", outer.name],
      ["oifname", outer.name],
    ]) {
      const rule = [...match, "accept", "comment", `"${comment}"`]
      runTool("nft", ["insert", "rule", family, table, chain, ...rule])
    }
  }
}
