/** Policy → text; parsePolicy of it gives the same policy, presets and variables expanded. */
import { stringify } from "yaml"
import { printAmount } from "./amount.ts"
import type { Policy, Rule } from "./policy.ts"
import type { WrittenRule } from "./rule.ts"
import { printTarget } from "./target.ts"

/** YAML in Sluice's own language. */
export function printPolicy(policy: Policy): string {
  const rulesOf = (effect: Rule["effect"]): (string | WrittenRule)[] =>
    policy.rules.filter((rule) => rule.effect === effect).map(printRule)
  const document = {
    mode: policy.mode,
    allow: rulesOf("allow"),
    deny: rulesOf("deny"),
    intercept: policy.intercept,
    opaque: policy.opaque.map(({ pattern }) => pattern),
    "resolve-private": policy.resolvePrivate.map(({ pattern }) => pattern),
  }
  return stringify(document, { aliasDuplicateObjects: false, lineWidth: 0 })
}

/** The short form where it says all, else the long form. */
export function printRule({ target, by, step, token, up, wide }: Rule): string | WrittenRule {
  const to = printTarget(target)
  if (by === null && step === null && token === null && up === null && !wide) return to
  return {
    to,
    ...(by === null ? {} : { by }),
    ...(step === null ? {} : { step }),
    ...(token === null ? {} : { token }),
    ...(up === null ? {} : { up: printAmount(up) }),
    ...(wide ? { wide } : {}),
  }
}
