/**
 * May this name be asked for, and what may it resolve to? And the kernel's share of the policy: the
 * rules for UDP and ICMP, which nobody decides packet by packet.
 */
import { classify } from "../net/special.ts"
import type { Address, Prefix } from "../net/address.ts"
import type { Hostname } from "../net/hostname.ts"
import type { Reason } from "../flows/reason.ts"
import { blocksFind } from "./block-index.ts"
import { actorMiss, nearest } from "./fit.ts"
import type { Actor } from "./fit.ts"
import { namesFind } from "./name-index.ts"
import { coversPath } from "./path.ts"
import { rulesFor } from "./rule-group.ts"
import type { RuleGroup } from "./rule-group.ts"
import type { Compiled } from "./compile.ts"
import type { Ports, Rule, Target } from "./policy.ts"

/** A question, as far as the policy cares. */
export interface NameQuestion extends Actor {
  readonly name: Hostname
  /** `A`, `AAAA`…; which types may be asked is the resolver's business. */
  readonly type: string
}

export interface NameVerdict {
  readonly decision: "allow" | "deny"
  readonly reason: Reason
  /** The rule that decided; null where none did. */
  readonly rule: Rule | null
}

/**
 * A name may be asked for when some allow rule could let some connection to it pass, and no deny
 * rule takes all of that away. In audit mode the verdict is the same; the resolver asks all the same.
 */
export function decideName(policy: Compiled, question: NameQuestion): NameVerdict {
  const groups = namesFind(policy.names, question.name)
  const misses: (Reason | null)[] = []
  let shadow: Rule | null = null
  const denies = groups.filter(({ rule }) => {
    return rule.effect === "deny" && actorMiss(rule, question) === null
  })
  for (const { rule, rules } of groups) {
    if (rule.effect === "deny") continue
    const miss = actorMiss(rule, question)
    if (miss !== null) {
      misses.push(miss)
      continue
    }
    for (const one of rules) {
      const over = shadowOf(
        one,
        denies.flatMap((group) => nearOf(group, one)),
      )
      if (over === null) return { decision: "allow", reason: "allowed-by-rule", rule: one }
      shadow ??= over
    }
  }
  shadow ??= denies[0]?.rule ?? null
  if (shadow !== null) return { decision: "deny", reason: "denied-by-rule", rule: shadow }
  return { decision: "deny", reason: nearest(misses, "name-not-allowed"), rule: null }
}

/** The rules of a group that could take something away from a rule. */
function nearOf(group: RuleGroup, { target }: Rule): readonly Rule[] {
  if (target.kind !== "request") return [group.rule]
  return rulesFor(group, target.path)
}

/** A deny rule that, alone or with others, leaves nothing of an allow rule; null: something is left. */
export function shadowOf(rule: Rule, denies: readonly Rule[]): Rule | null {
  const { target } = rule
  if (target.kind === "icmp") return denies.find((deny) => deny.target.kind === "icmp") ?? null
  if (target.kind === "request") {
    const same = denies.find(
      (deny) => deny.target.kind === "request" && within(target, deny.target),
    )
    if (same !== undefined) return same
  }
  const transport = target.kind === "request" ? "tcp" : target.transport
  const over = denies.filter(
    (deny) => deny.target.kind === "host" && deny.target.transport === transport,
  )
  const left = subtract(
    target.ports,
    over.map(portsOf).filter((ports) => ports !== null),
  )
  return left.length === 0 ? (over[0] ?? null) : null
}

/** Whether every request that one target fits, the other fits too (their hosts aside). */
function within(
  one: Extract<Target, { kind: "request" }>,
  other: Extract<Target, { kind: "request" }>,
): boolean {
  const methods =
    other.methods === null ||
    (one.methods?.every((method) => other.methods?.includes(method)) ?? false)
  const ports = other.ports.first <= one.ports.first && one.ports.last <= other.ports.last
  const path =
    one.path === other.path || (!one.path.includes("*") && coversPath(other.path, one.path))
  return one.scheme === other.scheme && methods && ports && (path || other.path === "/**")
}

function portsOf({ target }: Rule): Ports | null {
  return target.kind === "icmp" ? null : target.ports
}

/** What is left of some ports, in order, when others are taken away. */
export function subtract(ports: Ports, taken: readonly Ports[]): Ports[] {
  const left: Ports[] = []
  let first = ports.first
  for (const hole of taken.toSorted((one, other) => one.first - other.first)) {
    if (hole.first > ports.last) break
    if (hole.first > first) left.push({ first, last: hole.first - 1 })
    first = Math.max(first, hole.last + 1)
  }
  if (first <= ports.last) left.push({ first, last: ports.last })
  return left
}

/**
 * Whether an address may stand in an answer for a name, or be dialled for it: public ones may;
 * private and shared ones where `resolve-private` covers the name; every other kind only where an
 * address rule covers it.
 */
export function mayResolveTo(policy: Compiled, name: Hostname, address: Address): boolean {
  const kind = classify(address, policy.special)
  if (kind === "public") return true
  if (kind === "private" || kind === "shared") {
    if (namesFind(policy.resolvePrivate, name).length > 0) return true
  }
  return allowsAddress(policy, address)
}

/** Whether some address rule allows an address, on whatever port. */
export function allowsAddress(policy: Compiled, address: Address): boolean {
  return blocksFind(policy.blocks, address).some(({ effect }) => effect === "allow")
}

/** What the kernel lets pass to an address; `ports` null for ICMP. */
export type KernelEntry =
  | { readonly transport: "udp"; readonly ports: Ports }
  | { readonly transport: "icmp"; readonly ports: null }

/** What the kernel must let pass to the addresses of a name, before the job learns them. */
export function kernelEntries(policy: Compiled, name: Hostname): KernelEntry[] {
  const rules = namesFind(policy.names, name).map(({ rule }) => rule)
  const denies = rules.filter(({ effect }) => effect === "deny")
  const entries: KernelEntry[] = []
  for (const rule of rules) {
    const { effect, target } = rule
    // Why: the kernel sees neither programs nor steps, so a rule that asks for one opens nothing.
    if (effect === "deny" || isConditional(rule)) continue
    if (target.kind === "icmp") {
      if (!denies.some((deny) => deny.target.kind === "icmp")) {
        entries.push({ transport: "icmp", ports: null })
      }
    } else if (target.kind === "host" && target.transport === "udp") {
      for (const ports of subtract(target.ports, udpPorts(denies))) {
        entries.push({ transport: "udp", ports })
      }
    }
  }
  return entries
}

function isConditional({ by, step, token }: Rule): boolean {
  return by !== null || step !== null || token !== null
}

function udpPorts(rules: readonly Rule[]): Ports[] {
  return rules.flatMap(({ target }) =>
    target.kind === "host" && target.transport === "udp" ? [target.ports] : [],
  )
}

/** A rule over addresses that the kernel applies by itself. */
export type KernelRule = KernelEntry & {
  readonly effect: "allow" | "deny"
  readonly prefix: Prefix
}

/** The UDP and ICMP rules over addresses. Deny rules must stand before all that allows. */
export function kernelRules(policy: Compiled): KernelRule[] {
  const found: KernelRule[] = []
  for (const rule of policy.policy.rules) {
    const { effect, target } = rule
    if (effect === "allow" && isConditional(rule)) continue
    if (target.kind === "address" && target.transport === "udp") {
      found.push({ effect, transport: "udp", prefix: target.prefix, ports: target.ports })
    } else if (target.kind === "icmp" && "address" in target.to) {
      found.push({ effect, transport: "icmp", prefix: target.to, ports: null })
    }
  }
  return found
}

/** Whether any rule concerns the kernel at all: only then does it need routes of its own. */
export function needsKernel(policy: Compiled): boolean {
  return policy.policy.rules.some(({ effect, target }) => {
    if (effect === "deny" || target.kind === "request") return false
    return target.kind === "icmp" || target.transport === "udp"
  })
}
