/**
 * Text → Policy, or every error at once. Nothing of a policy with an error is ever applied.
 *
 * Pure: presets and the environment arrive as values (see usedPresets).
 */
import { isMap, isScalar, isSeq, LineCounter } from "yaml"
import type { ParsedNode, YAMLMap } from "yaml"
import { parsePattern } from "../net/hostname.ts"
import type { Pattern } from "../net/hostname.ts"
import { digest } from "./digest.ts"
import { nameIndex, namesFind } from "./name-index.ts"
import type { Intercept, Mode, Policy, Rule } from "./policy.ts"
import { makeRule, overlap, problem } from "./rule.ts"
import type { Place, Problem, WrittenRule } from "./rule.ts"
import { nearestWord } from "./spelling.ts"
import {
  choiceOf,
  complain,
  entriesOf,
  forgetEchoes,
  isPlain,
  keyText,
  listOf,
  parseYaml,
  placeOf,
  readDocument,
  textOf,
} from "./yaml-reader.ts"
import type { YamlReader } from "./yaml-reader.ts"
import { expand } from "./variables.ts"
import type { Environment } from "./variables.ts"

/** What a preset stands for: lines in the policy's own language. */
export interface PresetLines {
  readonly lines: readonly {
    readonly text: string | WrittenRule
    readonly source: string
    readonly line: number
  }[]
  /** Names that may resolve to private addresses, as the machine's own configuration says. */
  readonly resolvePrivate?: readonly string[]
  /** What a person should know: a configuration that could not be read, or used. */
  readonly notes?: readonly string[]
}

export interface Surroundings {
  /** What the text was read from, for people. */
  readonly source: string
  readonly environment: Environment
  /** By name, those that the text uses at least. */
  readonly presets: ReadonlyMap<string, PresetLines>
  /** Names of all presets there are, to suggest one. */
  readonly presetNames?: readonly string[]
}

export type Parsed =
  | { readonly policy: Policy; readonly problems: null }
  | { readonly policy: null; readonly problems: readonly Problem[] }

/** A language over YAML: which keys, which modes, and what a line means. */
export interface Dialect {
  readonly keys: readonly string[]
  readonly modes: ReadonlyMap<string, Mode>
  /** The rule that a short form stands for. */
  readonly rule: (text: string) => WrittenRule
  /** Whether a rule may be a mapping. */
  readonly long: boolean
}

export const sluiceDialect: Dialect = {
  keys: ["mode", "use", "allow", "deny", "intercept", "opaque", "resolve-private"],
  modes: new Map([
    ["audit", "audit"],
    ["block", "block"],
  ]),
  rule: (to) => ({ to }),
  long: true,
}

const ruleKeys = ["to", "by", "step", "token", "up", "wide"] as const
const intercepts: readonly Intercept[] = ["when-needed", "always", "never"]

type Mutable<T> = { -readonly [key in keyof T]: T[key] }

interface Reader extends YamlReader {
  readonly dialect: Dialect
  readonly surroundings: Surroundings
  readonly rules: Rule[]
  readonly opaque: Pattern[]
  readonly resolvePrivate: Pattern[]
  mode: Mode
  intercept: Intercept
}

/** A policy in Sluice's own language, or in another over YAML; an empty text allows nothing. */
export function parsePolicy(
  text: string,
  surroundings: Surroundings,
  dialect: Dialect = sluiceDialect,
): Parsed {
  const reader: Reader = {
    dialect,
    surroundings,
    source: surroundings.source,
    lines: new LineCounter(),
    problems: [],
    rules: [],
    opaque: [],
    resolvePrivate: [],
    mode: "block",
    intercept: "when-needed",
  }
  const contents = readDocument(text, reader)
  if (contents !== null) readTop(contents, reader)
  forgetEchoes(reader)
  if (reader.problems.length > 0) return failed(reader.problems)
  const { mode, rules, intercept, opaque, resolvePrivate } = reader
  const source = surroundings.source
  return finish({ mode, rules, intercept, opaque, resolvePrivate, source })
}

/** The names under `use:`, so that their presets can be read before the policy is. */
export function usedPresets(text: string): string[] {
  const contents = parseYaml(text, new LineCounter())?.contents ?? null
  if (!isMap(contents)) return []
  const list = contents.items.find(({ key }) => isScalar(key) && key.value === "use")?.value
  if (!isSeq(list)) return []
  return list.items.flatMap((item) =>
    isScalar(item) && typeof item.value === "string" ? [item.value] : [],
  )
}

/** One rule in the short form, as `--allow` and `--deny` take it. */
export function parseRuleLine(
  effect: Rule["effect"],
  text: string,
  environment: Environment,
  source: string = `--${effect}`,
): Rule | Problem[] {
  return makeRule(effect, { to: text }, { source, line: 0, column: 0 }, environment)
}

/** A policy with further rules, and with another mode where one is given. */
export function extendPolicy(policy: Policy, rules: readonly Rule[], mode?: Mode): Parsed {
  return finish({ ...policy, rules: [...policy.rules, ...rules], mode: mode ?? policy.mode })
}

/** The policy where there is none: nothing is allowed. */
export function emptyPolicy(mode: Mode = "block"): Policy {
  const policy = {
    mode,
    rules: [],
    intercept: "when-needed" as const,
    opaque: [],
    resolvePrivate: [],
    source: "none",
  }
  return { ...policy, sha256: digest(policy) }
}

function failed(problems: readonly Problem[]): Parsed {
  const sorted = problems.toSorted((one, other) =>
    one.source === other.source ? one.line - other.line || one.column - other.column : 0,
  )
  return { policy: null, problems: sorted }
}

/** What concerns several parts of a policy at once, and its digest. */
export function finish(policy: Omit<Policy, "sha256">): Parsed {
  const problems = opaqueProblems(policy)
  if (problems.length > 0) return failed(problems)
  return { policy: { ...policy, sha256: digest(policy) }, problems: null }
}

function opaqueProblems({ rules, opaque }: Omit<Policy, "sha256">): Problem[] {
  if (opaque.length === 0) return []
  const index = nameIndex(opaque.map((pattern) => [pattern, pattern] as const))
  const problems: Problem[] = []
  for (const { target, token, origin } of rules) {
    const looks = target.kind === "request" ? target.scheme === "https" : token !== null
    if (!looks || target.kind === "address" || target.kind === "icmp") continue
    const { host } = target
    const literal = host.pattern.includes("*") ? null : namesFind(index, host.pattern as never)
    const [found] = literal ?? opaque.filter((pattern) => overlap(pattern, host))
    if (found === undefined) continue
    const fault = `needs a look inside ${host.pattern}, which is opaque (${found.pattern}), must be a host rule, or the host not opaque`
    problems.push(problem(origin, "rule", origin.text, fault))
  }
  return problems
}

function readTop(contents: ParsedNode, reader: Reader): void {
  if (isScalar(contents) && contents.value === null) return
  if (!isPlain(reader, contents)) return
  if (!isMap(contents)) {
    const { source } = reader.surroundings
    return complain(reader, contents, "policy", source, "is no mapping, must be `allow: [ … ]`")
  }
  const entries = entriesOf(reader, contents, reader.dialect.keys, "key")
  for (const [name, pair] of entries) {
    if (name === "mode") {
      const { modes } = reader.dialect
      const chosen = choiceOf(reader, pair, name, [...modes.keys()])
      reader.mode = modes.get(chosen ?? "") ?? reader.mode
    } else if (name === "intercept") {
      reader.intercept = choiceOf(reader, pair, name, intercepts) ?? reader.intercept
    } else {
      for (const item of listOf(reader, pair, name)) readItem(reader, name, item)
    }
  }
}

function readItem(reader: Reader, name: string, item: unknown): void {
  if (name === "allow" || name === "deny") readRule(reader, name, item)
  else if (name === "use") readUse(reader, item)
  else readPattern(reader, name, item, name === "opaque" ? reader.opaque : reader.resolvePrivate)
}

function readRule(reader: Reader, effect: Rule["effect"], item: unknown): void {
  if (isMap(item) && reader.dialect.long) {
    if (isPlain(reader, item)) readLongRule(reader, effect, item)
    return
  }
  const to = textOf(reader, item, "rule")
  if (to !== null) addRule(reader, effect, reader.dialect.rule(to), placeOf(reader, item), to)
}

function readLongRule(reader: Reader, effect: Rule["effect"], map: YAMLMap): void {
  const before = reader.problems.length
  const entries = entriesOf(reader, map, ruleKeys, "key")
  const written: Mutable<WrittenRule> = { to: "" }
  for (const key of ["to", "by", "step", "token"] as const) {
    const pair = entries.get(key)
    if (pair === undefined) continue
    const text = textOf(reader, pair.value, key)
    if (text !== null) written[key] = text
  }
  const up = entries.get("up")
  if (up !== undefined) {
    // Why as written: `up: 1000` is a number in YAML, and the fault to tell is its missing unit.
    const number = isScalar(up.value) && typeof up.value.value === "number"
    const text = number ? keyText(up.value) : textOf(reader, up.value, "up")
    if (text !== null) written.up = text
  }
  const wide = entries.get("wide")
  if (wide !== undefined) {
    if (isScalar(wide.value) && typeof wide.value.value === "boolean")
      written.wide = wide.value.value
    else complain(reader, wide.value, "wide", keyText(wide.value), "must be true or false")
  }
  if (!entries.has("to") && reader.problems.length === before) {
    complain(reader, map, "rule", [...entries.keys()].join(", "), "has no `to`, must have one")
  }
  if (reader.problems.length > before) return
  addRule(reader, effect, written, placeOf(reader, entries.get("to")?.key ?? map))
}

function addRule(
  reader: Reader,
  effect: Rule["effect"],
  written: WrittenRule,
  place: Place,
  shown?: string,
): void {
  const rule = makeRule(effect, written, place, reader.surroundings.environment, shown)
  if (Array.isArray(rule)) reader.problems.push(...rule)
  else reader.rules.push(rule)
}

function readUse(reader: Reader, item: unknown): void {
  const name = textOf(reader, item, "preset")
  if (name === null) return
  const { presets, presetNames = [] } = reader.surroundings
  const preset = presets.get(name)
  if (preset === undefined) {
    const near = nearestWord(name, [...presets.keys(), ...presetNames])
    const all = [...new Set([...presets.keys(), ...presetNames])].toSorted().join(", ")
    const wanted = near === null ? `one of: ${all}` : `\`${near}\``
    return complain(reader, item, "preset", name, `is unknown, must be ${wanted}`)
  }
  for (const { text, source, line } of preset.lines) {
    addRule(reader, "allow", typeof text === "string" ? { to: text } : text, {
      source,
      line,
      column: line === 0 ? 0 : 1,
    })
  }
  for (const text of preset.resolvePrivate ?? []) {
    const pattern = parsePattern(text)
    if (pattern !== null) reader.resolvePrivate.push(pattern)
  }
}

function readPattern(reader: Reader, name: string, item: unknown, into: Pattern[]): void {
  const text = textOf(reader, item, name)
  if (text === null) return
  const value = expand(text, reader.surroundings.environment)
  if (typeof value !== "string") return complain(reader, item, name, text, value.fault)
  const pattern = parsePattern(value.trim())
  if (pattern !== null) into.push(pattern)
  else {
    const fault = "is no host, must be a host name or a pattern over one, without port or path"
    complain(reader, item, name, text, fault)
  }
}
