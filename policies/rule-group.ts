/**
 * Rules over one host that are alike in all but their paths and methods: a connection is judged by
 * one of them, a request by those whose path may fit.
 */
import type { Pattern } from "../net/hostname.ts"
import { pathIndex, pathsFind } from "./path-index.ts"
import type { PathIndex } from "./path-index.ts"
import type { Rule } from "./policy.ts"
import { hostOf } from "./target.ts"

export interface RuleGroup {
  /** Stands for all where paths and methods do not matter. */
  readonly rule: Rule
  readonly rules: readonly Rule[]
  /** null: the rules are no request rules. */
  readonly paths: PathIndex | null
}

/** Groups of the rules over names, each with the pattern that all of it has. */
export function ruleGroups(rules: readonly Rule[]): (readonly [Pattern, RuleGroup])[] {
  const alike = new Map<string, { pattern: Pattern; rules: Rule[] }>()
  for (const rule of rules) {
    const { effect, target, by, step, token, up } = rule
    const pattern = hostOf(target)
    if (pattern === null) continue
    const shape = target.kind === "request" ? { ...target, methods: null, path: "" } : target
    const key = JSON.stringify([effect, shape, by, step, token, up])
    const known = alike.get(key)
    if (known === undefined) alike.set(key, { pattern, rules: [rule] })
    else known.rules.push(rule)
  }
  return [...alike.values()].flatMap(({ pattern, rules }) => {
    const [rule] = rules
    if (rule === undefined) return []
    const paths = rule.target.kind === "request" ? pathIndex(rules) : null
    return [[pattern, { rule, rules, paths }] as const]
  })
}

/** The rules of a group that may fit a path: all where it has no paths. */
export function rulesFor({ rules, paths }: RuleGroup, path: string): readonly Rule[] {
  return paths === null ? rules : pathsFind(paths, path)
}
