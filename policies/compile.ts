/**
 * Rules → indexes by name and by address, so that a decision does not grow with the policy.
 */
import { specialRanges } from "../net/special.ts"
import { blockIndex } from "./block-index.ts"
import { doorIndex } from "./door-index.ts"
import { nameIndex } from "./name-index.ts"
import type { BlockIndex } from "./block-index.ts"
import type { DoorIndex } from "./door-index.ts"
import type { NameIndex } from "./name-index.ts"
import type { Prefix } from "../net/address.ts"
import { ruleGroups } from "./rule-group.ts"
import type { RuleGroup } from "./rule-group.ts"
import type { SpecialRanges } from "../net/special.ts"
import type { Intercept, Mode, Policy, Rule } from "./policy.ts"

export interface Compiled {
  readonly policy: Policy
  readonly mode: Mode
  readonly intercept: Intercept
  /** Which addresses are not public. */
  readonly special: SpecialRanges
  /** Rules over names, of every transport; those alike but for path and method as one. */
  readonly names: NameIndex<RuleGroup>
  /** Rules over addresses, of every transport. */
  readonly blocks: BlockIndex<Rule>
  readonly opaque: NameIndex<true>
  readonly resolvePrivate: NameIndex<true>
  /** TCP ports that an allow rule by name opens, and for whom. */
  readonly allowDoors: DoorIndex
  /** The same for deny rules by name or request. */
  readonly denyDoors: DoorIndex
}

/**
 * A policy ready to decide.
 *
 * @param special which addresses are not public; the built-in table unless a lab replaces it
 */
export function compile(policy: Policy, special: SpecialRanges = specialRanges): Compiled {
  // Why: of several rules that fit, the one reported must not depend on their order.
  const rules = policy.rules.toSorted((one, other) => compareOrigins(one, other))
  return {
    policy,
    mode: policy.mode,
    intercept: policy.intercept,
    special,
    names: nameIndex(ruleGroups(rules)),
    blocks: blockIndex(rules.flatMap((rule) => blocked(rule))),
    opaque: nameIndex(policy.opaque.map((pattern) => [pattern, true] as const)),
    resolvePrivate: nameIndex(policy.resolvePrivate.map((pattern) => [pattern, true] as const)),
    allowDoors: doorIndex(rules, "allow"),
    denyDoors: doorIndex(rules, "deny"),
  }
}

function compareOrigins(one: Rule, other: Rule): number {
  const [first, second] = [one.origin, other.origin]
  if (first.source !== second.source) return first.source < second.source ? -1 : 1
  if (first.line !== second.line) return first.line - second.line
  if (first.column !== second.column) return first.column - second.column
  return first.text === second.text ? 0 : first.text < second.text ? -1 : 1
}

function blocked(rule: Rule): (readonly [Prefix, Rule])[] {
  const { target } = rule
  if (target.kind === "address") return [[target.prefix, rule]]
  return target.kind === "icmp" && "address" in target.to ? [[target.to, rule]] : []
}
