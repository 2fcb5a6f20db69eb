/**
 * The rules of a policy that the kernel itself holds: UDP and ICMP. Pure.
 *
 * A rule with a condition that the kernel cannot see (program, step, token) allows nothing here, and
 * denies everything that it names: closed.
 */
import type { Prefix } from "../net/address.ts"
import type { Hostname } from "../net/hostname.ts"
import type { Compiled } from "../policies/compile.ts"
import { kernelEntries, type KernelEntry } from "../policies/decide-name.ts"
import type { Policy, Ports, Rule, Target } from "../policies/policy.ts"

export interface PacketRule {
  readonly effect: "allow" | "deny"
  readonly transport: "udp" | "icmp"
  readonly prefix: Prefix
  /** null: no ports (ICMP). */
  readonly ports: Ports | null
}

/** What a name may be reached by: one kernel set of addresses each. */
export interface NamedDoor {
  /** The set's name, without the suffix for the family. */
  readonly set: string
  readonly transport: "udp" | "icmp"
  readonly ports: Ports | null
}

function conditional(rule: Rule): boolean {
  return rule.by !== null || rule.step !== null || rule.token !== null
}

/** Rules over addresses. */
export function packetRules(policy: Policy): PacketRule[] {
  return policy.rules.flatMap((rule): PacketRule[] => {
    const { effect, target } = rule
    if (effect === "allow" && conditional(rule)) return []
    if (target.kind === "address" && target.transport === "udp") {
      return [{ effect, transport: "udp", prefix: target.prefix, ports: target.ports }]
    }
    if (target.kind === "icmp" && "address" in target.to) {
      return [{ effect, transport: "icmp", prefix: target.to, ports: null }]
    }
    return []
  })
}

/**
 * Doors over names, of all kinds and ports that any name could have.
 *
 * Ports are cut wherever a rule's range begins or ends, so that what one name may use is always a
 * whole number of doors, whatever deny rules took out of its ranges.
 */
export function namedDoors(policy: Policy): NamedDoor[] {
  const udp = policy.rules.filter(({ target }) => isUdpByName(target))
  const edges = udp.flatMap(({ target }) =>
    isUdpByName(target) ? [target.ports.first, target.ports.last + 1] : [],
  )
  const sorted = [...new Set(edges)].toSorted((a, b) => a - b)
  const doors: NamedDoor[] = sorted.slice(1).flatMap((end, index) => {
    const ports = { first: sorted[index] ?? end, last: end - 1 }
    const wanted = udp.some(
      (rule) =>
        rule.effect === "allow" &&
        !conditional(rule) &&
        isUdpByName(rule.target) &&
        within(ports, rule.target.ports),
    )
    return wanted ? [{ set: `udp_${ports.first}_${ports.last}`, transport: "udp", ports }] : []
  })
  const ping = policy.rules.some(
    (rule) =>
      rule.effect === "allow" &&
      !conditional(rule) &&
      rule.target.kind === "icmp" &&
      "pattern" in rule.target.to,
  )
  return ping ? [...doors, { set: "icmp", transport: "icmp", ports: null }] : doors
}

function isUdpByName(target: Target): target is Extract<Target, { kind: "host" }> {
  return target.kind === "host" && target.transport === "udp"
}

/** Whether all of some ports lie within others. */
export function within(inner: Ports, outer: Ports): boolean {
  return outer.first <= inner.first && inner.last <= outer.last
}

/** Gives the function that names the sets into which the addresses of a name belong. */
export function doorsFor(policy: Compiled): (name: Hostname) => string[] {
  const doors = namedDoors(policy.policy)
  const opens = (door: NamedDoor, { transport, ports }: KernelEntry): boolean =>
    door.transport === transport &&
    (door.ports === null || (ports !== null && within(door.ports, ports)))
  return (name) => {
    if (doors.length === 0) return []
    const entries = kernelEntries(policy, name)
    return doors.filter((door) => entries.some((entry) => opens(door, entry))).map(({ set }) => set)
  }
}

/** Whether any packet other than TCP may leave, so that the gate needs a way to the machine. */
export function needsUplink(policy: Policy): boolean {
  return (
    policy.mode === "audit" ||
    packetRules(policy).some(({ effect }) => effect === "allow") ||
    namedDoors(policy).length > 0
  )
}
