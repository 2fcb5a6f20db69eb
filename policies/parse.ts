/**
 * Text → Policy, or every error at once. Nothing of a policy with an error is ever applied.
 *
 * Pure: presets and the environment arrive as values (see usedPresets).
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml"
import type { Node, Pair, ParsedNode, YAMLMap } from "yaml"
import { parsePattern } from "../net/hostname.ts"
import type { Pattern } from "../net/hostname.ts"
import { digest } from "./digest.ts"
import { nameIndex, namesFind } from "./name-index.ts"
import type { Intercept, Mode, Policy, Rule } from "./policy.ts"
import { makeRule, overlap, problem } from "./rule.ts"
import type { Place, Problem, WrittenRule } from "./rule.ts"
import { nearestWord } from "./spelling.ts"
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

/** Room for a hundred thousand rules; a policy is read by root before anything else. In characters. */
export const policyLengthMax = 8_388_608

const brokenYaml = "Cannot read YAML: "

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

const ruleKeys = ["to", "by", "step", "token", "wide"] as const
const intercepts: readonly Intercept[] = ["when-needed", "always", "never"]

type Mutable<T> = { -readonly [key in keyof T]: T[key] }

interface Reader {
  readonly dialect: Dialect
  readonly surroundings: Surroundings
  readonly lines: LineCounter
  readonly problems: Problem[]
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

/** Where the YAML breaks, what follows is noise; what stands before it is worth saying. */
function forgetEchoes({ problems }: Reader): void {
  const breaks = problems.filter(({ message }) => message.startsWith(brokenYaml))
  const first = Math.min(...breaks.map(({ line }) => line))
  const kept = problems.filter((one) => breaks.includes(one) || one.line < first)
  problems.splice(0, problems.length, ...kept)
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

/** A text as YAML; null where it is nested beyond what the reader bears. */
export function parseYaml(
  text: string,
  lines: LineCounter,
): ReturnType<typeof parseDocument> | null {
  try {
    return parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      // Why: duplicates are found here, in one pass; the library compares each key with all.
      uniqueKeys: false,
      merge: false,
      logLevel: "error",
    })
  } catch {
    // Why: nesting without an end overflows the stack of the reader.
    return null
  }
}

function readDocument(text: string, reader: Reader): ParsedNode | null {
  const { source } = reader.surroundings
  const whole = (fault: string): null => {
    reader.problems.push({
      source,
      line: 1,
      column: 1,
      message: `Cannot read policy "${source}": ${fault}`,
    })
    return null
  }
  if (text.length > policyLengthMax) {
    return whole(`is ${text.length} characters, must be ${policyLengthMax} at most`)
  }
  const document = parseYaml(text, reader.lines)
  if (document === null) return whole("is nested too deeply, must be a mapping of lists")
  for (const { code, message, pos } of [...document.errors, ...document.warnings]) {
    // Why: an alias is reported where it stands, with what was meant.
    if (code === "BAD_ALIAS" || message.startsWith("Unresolved alias")) continue
    const [first = message] = message.split("\n")
    reader.problems.push({ ...at(reader, pos[0]), message: `${brokenYaml}${first}` })
  }
  return document.contents as ParsedNode | null
}

function at(reader: Reader, offset: number): Place {
  const { line, col } = reader.lines.linePos(offset)
  return { source: reader.surroundings.source, line: Math.max(line, 1), column: Math.max(col, 1) }
}

function placeOf(reader: Reader, node: unknown): Place {
  const range = (node as Node | null)?.range
  return at(reader, range?.[0] ?? 0)
}

function complain(reader: Reader, node: unknown, what: string, text: string, fault: string): void {
  reader.problems.push(problem(placeOf(reader, node), what, text, fault))
}

/** Whether a node is plain: no alias, anchor or tag. Complains where it is not. */
function isPlain(reader: Reader, node: unknown): boolean {
  if (isAlias(node)) {
    const text = `*${node.source}`
    complain(
      reader,
      node,
      "rule",
      text,
      `begins with *, must be in quotes: ${JSON.stringify(text)}`,
    )
    return false
  }
  const { anchor, tag } = (node ?? {}) as { anchor?: string; tag?: string }
  if (anchor !== undefined) complain(reader, node, "anchor", `&${anchor}`, "must be written out")
  if (tag !== undefined) complain(reader, node, "tag", tag, "is a tag, must be without")
  return anchor === undefined && tag === undefined
}

/** The entries of a mapping with text keys, each once; complains of all others. */
function entriesOf(
  reader: Reader,
  map: YAMLMap,
  known: readonly string[],
  what: string,
): Map<string, Pair> {
  const entries = new Map<string, Pair>()
  for (const pair of map.items) {
    const { key } = pair
    if (!isPlain(reader, key)) continue
    const name = isScalar(key) && typeof key.value === "string" ? key.value : null
    if (name === null) {
      complain(reader, key, what, keyText(key), `must be one of ${known.join(", ")}`)
    } else if (!known.includes(name)) {
      const near = nearestWord(name, known)
      const wanted = near === null ? `one of ${known.join(", ")}` : `\`${near}\``
      complain(reader, key, what, name, `is unknown, must be ${wanted}`)
    } else if (entries.has(name)) {
      complain(reader, key, what, name, "stands here again, must be there once")
    } else entries.set(name, pair)
  }
  return entries
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.source ?? key.value) : "a key"
}

/** A scalar's text; null and a complaint for anything else. */
function textOf(reader: Reader, node: unknown, what: string): string | null {
  if (!isPlain(reader, node)) return null
  if (isScalar(node) && typeof node.value === "string") return node.value
  const shown = isScalar(node) ? String(node.source ?? node.value) : ""
  const state = isScalar(node) ? `is ${kindOf(node.value)}` : "is a list or a mapping"
  complain(reader, node, what, shown, `${state}, must be text${isScalar(node) ? " in quotes" : ""}`)
  return null
}

function kindOf(value: unknown): string {
  return value === null ? "empty" : typeof value === "boolean" ? "true or false" : "a number"
}

function listOf(reader: Reader, pair: Pair, name: string): readonly unknown[] {
  const { value } = pair
  if (value === null || (isScalar(value) && value.value === null)) return []
  if (!isPlain(reader, value)) return []
  if (isSeq(value)) return value.items
  complain(reader, value, name, keyText(value), `is no list, must be \`${name}: [ … ]\``)
  return []
}

function choiceOf<T extends string>(
  reader: Reader,
  pair: Pair,
  name: string,
  choices: readonly T[],
): T | null {
  if (pair.value === null) {
    complain(reader, pair.key, name, "", `is empty, must be ${choices.join(", ")}`)
    return null
  }
  const text = textOf(reader, pair.value, name)
  if (text === null) return null
  const found = choices.find((choice) => choice === text)
  if (found === undefined) {
    complain(reader, pair.value, name, text, `is unknown, must be ${choices.join(", ")}`)
  }
  return found ?? null
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
