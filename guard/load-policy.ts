/**
 * From a policy file on disk to the policy that is enforced: presets read, package managers asked,
 * `--allow` and `--deny` added. ✋ Reads files; decides nothing.
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import type { Owner } from "../events/log-file.ts"
import { realSurroundings } from "../managers/surroundings.ts"
import type { Rule, Mode, Policy } from "../policies/policy.ts"
import { emptyPolicy, extendPolicy, parseRuleLine, usedPresets } from "../policies/parse.ts"
import { readPolicy } from "../policies/imports.ts"
import { printProblem } from "../policies/rule.ts"
import type { Problem } from "../policies/rule.ts"
import { presetNames, readPresets } from "./presets.ts"
import { readFileAs } from "./read-file.ts"

type Environment = Readonly<Record<string, string | undefined>>

export interface PolicyChoice {
  /** `--policy`; null: `$SLUICE_POLICY`, then the usual places, then nothing is allowed. */
  readonly file: string | null
  readonly mode: Mode | null
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}

/** For whom and where package managers are asked. */
export interface Asker {
  readonly environment: Environment
  readonly directory: string
  readonly home: string
  /** Whose right to read counts; null: our own. */
  readonly user: { readonly uid: number; readonly groups: readonly number[] } | null
}

export interface Loaded {
  readonly policy: Policy | null
  readonly problems: readonly Problem[]
  /** What a person should know of the presets. */
  readonly notes: readonly string[]
}

const usualPlaces = ["sluice.yml", ".github/sluice.yml"]

/** A policy out of a text in any form that can be read. */
export function policyOf(text: string, source: string, asker: Asker): Loaded {
  const { environment } = asker
  const presets = readPresets(usedPresets(text), realSurroundings(asker))
  const notes = [...presets.values()].flatMap((preset) => preset.notes)
  const read = readPolicy(text, { source, environment, presets, presetNames: presetNames() })
  return {
    policy: read.policy,
    problems: read.problems ?? [],
    notes: [...read.notes.map(printProblem), ...notes],
  }
}

/** The file that a choice comes to; null: none. */
export function policyFile(choice: PolicyChoice, { environment, directory }: Asker): string | null {
  const named = choice.file ?? environment["SLUICE_POLICY"] ?? null
  if (named !== null && named !== "") return named
  const names = usualPlaces.map((place) => join(directory, place))
  return names.find((path) => existsSync(path)) ?? null
}

/**
 * The policy of a run.
 *
 * @param reader whose right to read it counts: the project may hold a link in its place
 * @throws Error when the file cannot be read
 */
export function loadPolicy(choice: PolicyChoice, asker: Asker, reader: Owner): Loaded {
  const file = policyFile(choice, asker)
  const loaded: Loaded =
    file === null
      ? { policy: emptyPolicy(), problems: [], notes: [] }
      : policyOf(readFileAs(reader, file, "the policy"), file, asker)
  const problems = [...loaded.problems]
  const rules: Rule[] = []
  for (const effect of ["allow", "deny"] as const) {
    for (const text of choice[effect]) {
      const rule = parseRuleLine(effect, text, asker.environment)
      if (Array.isArray(rule)) problems.push(...rule)
      else rules.push(rule)
    }
  }
  if (loaded.policy === null || problems.length > 0) return { ...loaded, policy: null, problems }
  const extended = extendPolicy(loaded.policy, rules, choice.mode ?? undefined)
  return { ...loaded, policy: extended.policy, problems: extended.problems ?? [] }
}
