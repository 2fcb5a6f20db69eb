/** What a policy enforces, as one number: equal policies have equal digests however written. */
import { createHash } from "node:crypto"
import type { Policy, Rule } from "./policy.ts"
import { printTarget } from "./target.ts"

/** Hex SHA-256 over the meaning of a policy: order, layout, presets and variables aside. */
export function digest(policy: Omit<Policy, "sha256" | "source">): string {
  const sorted = (list: readonly string[]): string[] => [...new Set(list)].toSorted()
  const meaning = {
    mode: policy.mode,
    intercept: policy.intercept,
    opaque: sorted(policy.opaque.map(({ pattern }) => pattern)),
    resolvePrivate: sorted(policy.resolvePrivate.map(({ pattern }) => pattern)),
    rules: sorted(policy.rules.map(ruleMeaning)),
  }
  return createHash("sha256").update(JSON.stringify(meaning)).digest("hex")
}

function ruleMeaning({ effect, target, by, step, token, up }: Rule): string {
  // Why: a policy without budgets keeps the digest that it had before there were any.
  const budget = up === null ? [] : [up]
  return JSON.stringify([effect, printTarget(target), by, step, token, ...budget])
}
