/** One rule, short or long: text → Rule, or everything that is wrong with it. */
import type { Pattern } from "../net/hostname.ts"
import { parseAmount } from "./amount.ts"
import type { Origin, Rule, Target } from "./policy.ts"
import { widthOf } from "./suffixes.ts"
import { hostOf, parseTarget, printTarget } from "./target.ts"
import type { Fault } from "./target.ts"
import { expand } from "./variables.ts"
import type { Environment } from "./variables.ts"

/** A rule as written; the short form is `to` alone. */
export interface WrittenRule {
  readonly to: string
  readonly by?: string
  readonly step?: string
  readonly token?: string
  /** An amount of bytes: see amount.ts. */
  readonly up?: string
  readonly wide?: boolean
}

/** Where it was written. */
export interface Place {
  readonly source: string
  readonly line: number
  readonly column: number
}

/** `<source>:<line>:<column>: <message>`: one thing that is wrong with a policy. */
export interface Problem extends Place {
  readonly message: string
}

/** Longer than any path or name of a step, in characters. */
const conditionLengthMax = 1024

export function printProblem({ source, line, column, message }: Problem): string {
  return line === 0 ? `${source}: ${message}` : `${source}:${line}:${column}: ${message}`
}

/** `Cannot read rule "x": <state now>, must be <state wanted>`. */
export function problem(place: Place, what: string, text: string, fault: string): Problem {
  const shown = text.length > 100 ? `${text.slice(0, 100)}…` : text
  const message = visible(`Cannot read ${what} ${JSON.stringify(shown)}: ${fault}`)
  return { source: place.source, line: place.line, column: place.column, message }
}

/** What a terminal would act on, or not show, as its code. */
export function visible(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  )
}

/**
 * The rule, or all that is wrong with it.
 *
 * @param shown the text that people know the rule by; as written unless another language wrote it
 */
export function makeRule(
  effect: Rule["effect"],
  written: WrittenRule,
  place: Place,
  environment: Environment,
  shown: string = printWritten(written),
): Rule | Problem[] {
  const faults: string[] = []
  const take = (text: string): string | null => {
    const value = expand(text, environment)
    if (typeof value === "string") return value
    faults.push(value.fault)
    return null
  }
  const to = take(written.to)
  const target = to === null ? null : keep(parseTarget(to), faults)
  const by = written.by === undefined ? null : take(written.by)
  const step = written.step ?? null
  const token = written.token === "job" ? "job" : null
  if (by !== null) faults.push(...byFaults(by))
  if (step !== null) faults.push(...stepFaults(step))
  if (written.token !== undefined && token === null) {
    faults.push(`has the token ${JSON.stringify(written.token)}, must be \`token: job\``)
  }
  const up = written.up === undefined ? null : amount(written.up, faults)
  if (target !== null) {
    const bounded = written.up !== undefined
    faults.push(...conditionFaults(effect, target, { by, step, token }, bounded))
    if (effect === "allow" && written.wide !== true) faults.push(...wideFaults(target))
  }
  if (target === null || faults.length > 0) {
    return faults.map((fault) => problem(place, "rule", shown, fault))
  }
  const { source, line, column } = place
  const wide = written.wide === true
  const origin: Origin = { source, line, column, text: shown.trim() }
  return { effect, target, by, step, token, up, wide, origin }
}

function keep<T extends object>(value: T | Fault, faults: string[]): T | null {
  if (!("fault" in value)) return value
  faults.push(value.fault)
  return null
}

function amount(text: string, faults: string[]): number | null {
  const bytes = parseAmount(text)
  if (typeof bytes === "number") return bytes
  faults.push(`has up: ${JSON.stringify(text)}, ${bytes.fault}`)
  return null
}

function byFaults(by: string): string[] {
  const plain = /^[^\p{Cc}\p{Cf}]+$/u.test(by) && by.length <= conditionLengthMax
  const segments = by.split("/")
  const dots = segments.some((segment) => segment === "." || segment === "..")
  const base = segments.length === 1
  const absolute = by.startsWith("/") && !segments.slice(1).includes("")
  if (plain && !dots && (base || absolute)) return []
  return [
    `has by: ${JSON.stringify(by)}, must be an absolute path without . or .. (/usr/bin/rsync) or a base name (rsync)`,
  ]
}

function stepFaults(step: string): string[] {
  const plain = /^[^\p{Cc}\p{Cf}]+$/u.test(step) && step.length <= conditionLengthMax
  return plain ? [] : [`has step: ${JSON.stringify(step)}, must be the name of a step`]
}

function conditionFaults(
  effect: Rule["effect"],
  target: Target,
  { by, step, token }: Pick<Rule, "by" | "step" | "token">,
  bounded: boolean,
): string[] {
  const faults: string[] = []
  const tcp = target.kind === "request" || (target.kind !== "icmp" && target.transport === "tcp")
  if (!tcp && (by !== null || step !== null)) {
    // Why: the kernel lets datagrams pass by address and port; it knows no programs.
    faults.push("has by: or step: for UDP or ICMP, must be a TCP rule or without")
  }
  if (token !== null && effect === "deny") faults.push("has token: in deny, must be in allow only")
  if (token !== null && (!tcp || target.kind === "address")) {
    faults.push("has token: without a host, must be a TCP host or a request rule")
  }
  if (bounded && effect === "deny") faults.push("has up: in deny, must be in allow only")
  // Why: the kernel lets datagrams pass by address and port; it does not count their bytes.
  if (bounded && !tcp) faults.push("has up: for UDP or ICMP, must be a TCP rule or without")
  return faults
}

function wideFaults(target: Target): string[] {
  const host = hostOf(target)
  const width = host === null ? null : widthOf(host)
  if (width === null) return []
  const where = width.suffix === "" ? "any name at all" : width.suffix
  const whose = width.kind === "public" ? "a public suffix" : "a suffix where anyone can register"
  const source = width.source === null ? "" : ` (${width.source})`
  const long = `{ to: ${JSON.stringify(printTarget(target))}, wide: true }`
  return [
    `has a wildcard directly over ${where}, ${whose}${source}, must be narrower, or say so: ${long}`,
  ]
}

/** As the author wrote it, on one line. */
export function printWritten({ to, by, step, token, up, wide }: WrittenRule): string {
  const conditions = [
    by === undefined ? "" : `by: ${by}`,
    step === undefined ? "" : `step: ${step}`,
    token === undefined ? "" : `token: ${token}`,
    up === undefined ? "" : `up: ${up}`,
    wide === true ? "wide: true" : "",
  ].filter((condition) => condition !== "")
  return conditions.length === 0 ? to : `${to.trim()} (${conditions.join(", ")})`
}

/** Whether some name is covered by both. */
export function overlap(one: Pattern, other: Pattern): boolean {
  const first = one.pattern.split(".").toReversed()
  const second = other.pattern.split(".").toReversed()
  for (let index = 0; ; index++) {
    const [left, right] = [first[index], second[index]]
    if (left === undefined || right === undefined) return left === right
    if (left === "**" || right === "**") return true
    if (!overlapLabel(left, right)) return false
  }
}

function overlapLabel(one: string, other: string): boolean {
  const [first, second] = [one.split("*"), other.split("*")]
  const meets = (left = "", right = ""): boolean => left.startsWith(right) || right.startsWith(left)
  const ends = (left = "", right = ""): boolean => left.endsWith(right) || right.endsWith(left)
  if (first.length === 1 && second.length === 1) return one === other
  // Why: too much rather than too little where only one has a wildcard; an error is not a hole.
  return meets(first[0], second[0]) && ends(first.at(-1), second.at(-1))
}
