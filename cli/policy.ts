/** `sluice policy check` and `sluice policy explain`. */
import { readFileSync } from "node:fs"
import { homedir } from "node:os"
import { parseArgs } from "node:util"
import { presetNames, readPresets } from "../guard/presets.ts"
import { specialRangesText } from "../guard/special-ranges.ts"
import { realSurroundings } from "../managers/surroundings.ts"
import { parseSpecialRanges, specialRanges } from "../net/special.ts"
import type { SpecialRanges } from "../net/special.ts"
import { compile } from "../policies/compile.ts"
import { anyone, explain } from "../policies/explain.ts"
import type { Asker, Explanation } from "../policies/explain.ts"
import { readPolicy } from "../policies/imports.ts"
import type { Read } from "../policies/imports.ts"
import { usedPresets } from "../policies/parse.ts"
import type { PresetLines } from "../policies/parse.ts"
import type { Policy, Rule } from "../policies/policy.ts"
import { printRule } from "../policies/print.ts"
import { printProblem, printWritten } from "../policies/rule.ts"
import type { Problem } from "../policies/rule.ts"
import { printTarget } from "../policies/target.ts"
import { warnings } from "../policies/warnings.ts"
import type { Io } from "./io.ts"

/** What the commands need of the machine. */
export interface PolicyWorld {
  /** The text of a file; throws where it cannot be read. */
  readonly read: (path: string) => string
  /** What presets stand for here; a name that is none is left out. */
  readonly presets: (names: readonly string[]) => ReadonlyMap<string, PresetLines>
  readonly presetNames: () => readonly string[]
  /** Which addresses are not public; throws where that cannot be read. */
  readonly special: () => SpecialRanges
}

/** Everything is as it should be; a verdict was found, whichever. */
const fine = 0
/** The policy or the question is wrong. */
const wrong = 2

export const policyHelp = `Usage: sluice policy check FILE [--json]
       sluice policy explain FILE [TARGET] [--json] [--by PROGRAM] [--step NAME] [--token KIND]

check    Reads a policy and says every error with its line and column, and which rules
         allow more than they seem to. Exit status 0, or 2 where the policy has errors.
         It asks nobody: which hosts lie on networks shared with others (CDNs), the report
         of a run says, by their DNS answers.

explain  Says what the policy does with a target, which rule decides and where that rule
         stands. Without a TARGET: every rule that holds, presets and variables expanded.
         TARGET is any of
           github.com                        a host, on port 443
           github.com:22                     a host on another port
           10.1.2.3:5432, [2001:db8::1]:443  an address
           udp://time.example.com:123        UDP; icmp://HOST is a ping
           https://api.github.com/user       a GET request
           "POST https://api.github.com/gists"
           wss://live.example.com/feed       a WebSocket: "WEBSOCKET https://…" in a rule
         --by PROGRAM   asked by this program (rules with \`by:\`)
         --step NAME    asked in this step (rules with \`step:\`)
         --token KIND   none, job or other: the credential of a request

FILE is Sluice's own YAML, Harden-Runner's \`allowed-endpoints\`, or GitHub's egress-firewall.yaml.
`

/** This machine: its files, and its package managers as they are set up for whoever asks. */
function realWorld({ environment }: Io): PolicyWorld {
  const home = environment["HOME"] ?? homedir()
  const surroundings = realSurroundings({ environment, directory: process.cwd(), home, user: null })
  return {
    read: (path) => readFileSync(path, "utf8"),
    presets: (names) => readPresets(names, surroundings),
    presetNames,
    special: () => {
      const text = specialRangesText(environment, { uid: 0, gid: 0 })
      const table = text === null ? specialRanges : parseSpecialRanges(text)
      return "problem" in table ? specialRanges : table
    },
  }
}

/** Runs one of the two commands; gives the exit status. */
export function policyCommand(
  given: readonly string[],
  io: Io,
  world: PolicyWorld = realWorld(io),
): number {
  const [command, ...rest] = given
  if (command === undefined) return usage(io, "has no command, must be check or explain")
  if (command === "--help" || command === "-h" || command === "help") {
    io.out(policyHelp)
    return fine
  }
  if (command !== "check" && command !== "explain") {
    return usage(io, `has the command "${command}", must be check or explain`)
  }
  const options = optionsOf(rest)
  if ("fault" in options) return usage(io, options.fault)
  if (options.help) {
    io.out(policyHelp)
    return fine
  }
  const [file, ...target] = options.words
  if (file === undefined) return usage(io, `has no FILE, must be: sluice policy ${command} FILE`)
  if (command === "check" && target.length > 0) {
    return usage(io, `has "${target.join(" ")}" after FILE, must be: sluice policy check FILE`)
  }
  const text = textOf(file, io, world)
  if (text === null) return wrong
  const presets = world.presets(usedPresets(text))
  const read = readPolicy(text, {
    source: file,
    environment: io.environment,
    presets,
    presetNames: world.presetNames(),
  })
  const notes = [...presets].flatMap(([name, { notes = [] }]) =>
    notes.map((message) => ({ source: `preset ${name}`, line: 0, column: 0, message })),
  )
  if (command === "check") {
    return check({ ...read, notes: [...read.notes, ...notes] }, io, options.json)
  }
  if (!options.json) for (const one of notes) io.err(`${printKind("note", one)}\n`)
  if (read.policy === null) {
    for (const one of read.problems) io.err(`${printKind("error", one)}\n`)
    return wrong
  }
  if (target.length === 0) return list(read.policy, presets, io, options.json)
  return explained(read.policy, target.join(" "), options.asker, io, world, options.json)
}

function usage(io: Io, fault: string): number {
  io.err(`Cannot read the command line: ${fault}\n\n${policyHelp}`)
  return wrong
}

interface Options {
  readonly words: readonly string[]
  readonly json: boolean
  readonly help: boolean
  readonly asker: Asker
}

function optionsOf(given: readonly string[]): Options | { fault: string } {
  try {
    const { values, positionals } = parseArgs({
      args: [...given],
      allowPositionals: true,
      options: {
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
        by: { type: "string" },
        step: { type: "string" },
        token: { type: "string", default: "none" },
      },
    })
    const { json, help, by = null, step = null, token } = values
    if (token !== "none" && token !== "job" && token !== "other") {
      return { fault: `has --token ${token}, must be none, job or other` }
    }
    return { words: positionals, json, help, asker: { ...anyone, by, step, token } }
  } catch (error) {
    return { fault: error instanceof Error ? (error.message.split(". ")[0] ?? "") : String(error) }
  }
}

function textOf(file: string, io: Io, world: PolicyWorld): string | null {
  try {
    return world.read(file)
  } catch (error) {
    const state = error instanceof Error ? error.message : String(error)
    io.err(`Cannot read policy "${file}": ${state}, must be a file that you can read\n`)
    return null
  }
}

function printKind(kind: "error" | "warning" | "note", one: Problem): string {
  return printProblem({ ...one, message: `${kind}: ${one.message}` })
}

function check(read: Read, io: Io, json: boolean): number {
  const { policy, problems, notes, form } = read
  const advice = policy === null ? [] : warnings(policy)
  if (json) {
    const { mode = null, sha256 = null, rules = [] } = policy ?? {}
    const document = { form, mode, rules: rules.length, sha256, errors: problems ?? [] }
    io.out(`${JSON.stringify({ ...document, warnings: advice, notes })}\n`)
    return policy === null ? wrong : fine
  }
  for (const one of problems ?? []) io.err(`${printKind("error", one)}\n`)
  for (const one of notes) io.err(`${printKind("note", one)}\n`)
  for (const one of advice) io.err(`${printKind("warning", one)}\n`)
  if (policy === null) {
    io.err(`${count(problems?.length ?? 0, "error")}; nothing of this policy would be applied.\n`)
    return wrong
  }
  const { mode, rules, source, sha256 } = policy
  const tail = advice.length === 0 ? "" : `, ${count(advice.length, "warning")}`
  io.out(`${source}: ${count(rules.length, "rule")}, mode ${mode}, sha256 ${sha256}${tail}\n`)
  return fine
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`
}

function ruleShown(rule: Rule | null): { source: string; line: number; text: string } | null {
  if (rule === null) return null
  const { source, line, text } = rule.origin
  return { source, line, text }
}

function explained(
  policy: Policy,
  text: string,
  asker: Asker,
  io: Io,
  world: PolicyWorld,
  json: boolean,
): number {
  let special: SpecialRanges
  try {
    special = world.special()
  } catch (error) {
    io.err(`${error instanceof Error ? error.message : String(error)}\n`)
    return wrong
  }
  const found = explain(compile(policy, special), text, asker)
  if ("fault" in found) {
    io.err(`Cannot explain target ${JSON.stringify(text)}: ${found.fault}\n`)
    return wrong
  }
  if (json) {
    const { target, verdict, reason, rule, layer, notes, wanted } = found
    const document = { verdict, reason, rule: ruleShown(rule), layer, target, notes, wanted }
    io.out(`${JSON.stringify(document)}\n`)
  } else io.out(printExplanation(found, policy))
  return fine
}

const layers: Readonly<Record<Explanation["layer"], string>> = {
  name: "name: decided by the host's name alone",
  connection: "connection: the name is known, the connection is refused",
  request: "request: decided inside the connection, request by request",
  address: "address: decided by address and port",
  kernel: "kernel: UDP and ICMP are decided by the kernel's rules",
}

function printExplanation(found: Explanation, policy: Policy): string {
  const { target, verdict, reason, rule, layer, notes, wanted } = found
  const enforced = policy.mode === "audit" && verdict === "deny" ? " (audit: let through)" : ""
  const lines = [
    `${verdict}  ${target}${enforced}`,
    `  reason  ${reason}`,
    `  rule    ${rule === null ? "none" : printOrigin(rule)}`,
    `  layer   ${layers[layer]}`,
    ...notes.map((note) => `  note    ${note}`),
  ]
  if (wanted !== null)
    lines.push("  to allow it, add under `allow:`", `    - ${printScalar(wanted)}`)
  return `${lines.join("\n")}\n`
}

function printOrigin({ origin: { source, line, text } }: Rule): string {
  return line === 0 ? `${source}: ${text}` : `${source}:${line}: ${text}`
}

/** A rule as an item of a YAML list. */
export function printScalar(text: string): string {
  return /^[\w][\w.,:/ ~;=@+-]*$/.test(text) && !/: | #/.test(text) ? text : JSON.stringify(text)
}

/** A rule on one line, its conditions behind it. */
function lineOf(rule: Rule): string {
  const printed = printRule(rule)
  return typeof printed === "string" ? printed : printWritten(printed)
}

/** Every rule that holds, with the line that brought it. */
function list(
  policy: Policy,
  presets: ReadonlyMap<string, PresetLines>,
  io: Io,
  json: boolean,
): number {
  const why = new Map<string, string>()
  for (const { lines } of presets.values()) {
    for (const line of lines) {
      if ("why" in line && typeof line.why === "string")
        why.set(`${line.source}:${line.line}`, line.why)
    }
  }
  const rows = policy.rules.map((rule) => ({
    effect: rule.effect,
    target: printTarget(rule.target),
    rule: ruleShown(rule),
    why: why.get(`${rule.origin.source}:${rule.origin.line}`) ?? null,
  }))
  const { mode, intercept, sha256 } = policy
  if (json) {
    io.out(`${JSON.stringify({ mode, intercept, sha256, rules: rows })}\n`)
    return fine
  }
  const texts = policy.rules.map(lineOf)
  const width = Math.min(60, Math.max(0, ...texts.map((text) => text.length)))
  io.out(`mode ${mode}, intercept ${intercept}, ${count(rows.length, "rule")}, sha256 ${sha256}\n`)
  for (const [index, { effect, rule, why }] of rows.entries()) {
    const place = rule === null ? "" : `${rule.source}${rule.line === 0 ? "" : `:${rule.line}`}`
    const note = why === null ? "" : `  (${why})`
    io.out(`${effect.padEnd(5)}  ${(texts[index] ?? "").padEnd(width)}  ${place}${note}\n`)
  }
  return fine
}
