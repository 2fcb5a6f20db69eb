/**
 * Builds the two namespaces of a run and everything in them, in an order in which the drop always
 * stands before a packet can pass.
 */
import { closeSync } from "node:fs"
import { randomBytes } from "node:crypto"
import { addressBytes, parseAddress, parsePrefix, prefixOf } from "../net/address.ts"
import type { Address, Prefix } from "../net/address.ts"
import { namedDoors, needsUplink, packetRules } from "../firewall/packets.ts"
import { gateRuleset, jobRuleset, tableName, type Share } from "../firewall/ruleset.ts"
import {
  gateMark,
  gateTable,
  uplinkPrefix,
  link,
  type Link,
  type RunScope,
  coversPool,
} from "../firewall/scope.ts"
import { ip, routedPrefixes, setNetworkSetting } from "../kernel/link.ts"
import { bindSocket, listenTransparently } from "../kernel/listener.ts"
import { createNetwork, currentNetwork, inNetwork, type Network } from "../kernel/namespace.ts"
import { applyRuleset, hasChains } from "../kernel/nft.ts"
import { openSocketDiag, type SocketDiag } from "../kernel/socket-diag.ts"
import type { Policy } from "../policies/policy.ts"

export interface RunNetwork {
  /** The machine's, in which sluice was started. */
  readonly machine: Network
  readonly gate: Network
  readonly job: Network
  readonly scope: RunScope
  /** Addresses of our own ends: never dialled for anybody. */
  readonly ours: readonly Address[]
  /** One descriptor for each worker. */
  readonly listeners: readonly number[]
  readonly resolver: { readonly tcp: readonly number[]; readonly udp: readonly number[] }
  readonly diag: SocketDiag
  /** Sets that admission.ts may fill. */
  readonly doors: readonly string[]
  /** Joins both namespaces, each behind its rules. Call once; until then nothing can pass. */
  readonly build: () => void
  /** Whether both tables stand as they were made. */
  readonly stands: () => boolean
  readonly close: () => void
}

const gatePort = 15_001
const resolverPort = 15_053

/**
 * Why a number of its own: both ends would else be number 2 of their namespaces, and the kernel takes
 * a link whose two ends have one number for no pair, and lets its carrier wait for up to a second
 * (net/core/link_watch.c, linkwatch_urgent_event); IPv6 does not work before.
 */
const gateLinkIndex = 77

/** The addresses of both ends, ours and the job's, from the policy's and the machine's point of view. */
function planScope(policy: Policy, id: string): RunScope {
  const taken = takenPrefixes(policy)
  const job = link(["net0", "job0"], randomBytes(8), taken)
  const own = [prefixOf(job.outer.four, 30), prefixOf(job.outer.six, 64)]
  // Why the end of the id: it begins with the day, and two runs of one day must not meet.
  const uplink = needsUplink(policy)
    ? link(["up0", `${uplinkPrefix}${id.slice(-8)}`], randomBytes(8), [...taken, ...own])
    : null
  return { job, uplink, gatePort, resolverPort }
}

/** What the machine routes and what the policy names: no link of ours may lie there. */
function takenPrefixes(policy: Policy): Prefix[] {
  const routed = routedPrefixes().flatMap((text) => {
    const prefix = text === "default" ? null : (parsePrefix(text) ?? hostPrefix(text))
    return prefix === null || prefix.length === 0 ? [] : [prefix]
  })
  const named = policy.rules.flatMap(({ target }) =>
    target.kind === "address" && target.prefix.length > 0 ? [target.prefix] : [],
  )
  return [...routed, ...named].filter((prefix) => !coversPool(prefix))
}

function hostPrefix(text: string): Prefix | null {
  const address = parseAddress(text)
  return address === null ? null : prefixOf(address, text.includes(":") ? 128 : 32)
}

function addressCommands(end: Link["inner"], pair: Link): string[] {
  return [
    `addr add ${end.four}/${pair.lengthFour} dev ${end.name}`,
    `addr add ${end.six}/${pair.lengthSix} dev ${end.name} nodad`,
    `link set ${end.name} up`,
  ]
}

/** Nothing comes up by itself: no addresses, routes or solicitations that we did not ask for. */
function quieten(): void {
  for (const group of ["all", "default"]) {
    setNetworkSetting(`ipv6/conf/${group}/accept_ra`, "0")
    setNetworkSetting(`ipv6/conf/${group}/router_solicitations`, "0")
    setNetworkSetting(`ipv4/conf/${group}/rp_filter`, "0")
  }
}

function buildGate(gate: Network, job: Network, scope: RunScope, share: Share): void {
  inNetwork(gate, () => {
    applyRuleset(gateRuleset(scope, share))
    quieten()
    const { inner, outer } = scope.job
    ip([
      "link set lo up",
      `link add ${outer.name} index ${gateLinkIndex} type veth peer name ${inner.name} netns /proc/${process.pid}/fd/${job}`,
      ...addressCommands(outer, scope.job),
    ])
    for (const family of [4, 6] as const) {
      const marked = `fwmark ${gateMark} lookup ${gateTable}`
      ip([`rule add ${marked}`, `route add local default dev lo table ${gateTable}`], family)
    }
    if (scope.uplink !== null) {
      setNetworkSetting("ipv4/ip_forward", "1")
      setNetworkSetting("ipv6/conf/all/forwarding", "1")
    }
  })
}

function buildJob(job: Network, scope: RunScope, share: Share): void {
  inNetwork(job, () => {
    applyRuleset(jobRuleset(scope, share))
    quieten()
    const { inner, outer } = scope.job
    ip([
      ...addressCommands(inner, scope.job),
      `route add 0.0.0.0/0 via ${outer.four}`,
      `route add ::/0 via ${outer.six}`,
    ])
  })
}

/**
 * Makes the namespaces and sockets of one run, which nothing joins yet.
 *
 * @param id the run's id; names what must have a name in the machine's namespace
 * @param workers how many gate workers will share the listening port
 */
export function makeNetwork(policy: Policy, id: string, workers: number): RunNetwork {
  const scope = planScope(policy, id)
  const share = { mode: policy.mode, rules: packetRules(policy), doors: namedDoors(policy) }
  const machine = currentNetwork()
  const gate = createNetwork()
  const job = createNetwork()
  const listeners = inNetwork(gate, () =>
    Array.from({ length: workers }, () => listenTransparently(gatePort)),
  )
  const loopbacks = [Uint8Array.of(127, 0, 0, 1), addressBytes("::1" as Address)]
  // Why now: a socket bound to an address that is not there yet would answer from another one.
  inNetwork(job, () => ip(["link set lo up"]))
  const { resolver, diag } = inNetwork(job, () => ({
    resolver: {
      tcp: loopbacks.map((address) => bindSocket("tcp", address, resolverPort)),
      udp: loopbacks.map((address) => bindSocket("udp", address, resolverPort)),
    },
    diag: openSocketDiag(),
  }))
  const ends = [scope.job, scope.uplink].flatMap((pair) =>
    pair === null ? [] : [pair.inner.four, pair.inner.six, pair.outer.four, pair.outer.six],
  )
  return {
    machine,
    gate,
    job,
    scope,
    doors: share.doors.map(({ set }) => set),
    ours: ends,
    listeners,
    resolver,
    diag,
    build() {
      buildGate(gate, job, scope, share)
      buildJob(job, scope, share)
    },
    stands: () =>
      inNetwork(gate, () =>
        hasChains("inet", tableName, ["capture", "input", "forward", "output"]),
      ) && inNetwork(job, () => hasChains("inet", tableName, ["names", "output"])),
    close() {
      diag.close()
      for (const fd of [...listeners, ...resolver.tcp, ...resolver.udp, gate, job, machine])
        closeSync(fd)
    },
  }
}
