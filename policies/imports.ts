/**
 * Policies in the languages of others, read as they are: Harden-Runner's `allowed-endpoints` and
 * GitHub's `egress-firewall.yaml`.
 *
 * A wildcard keeps the meaning that it has there. Where Sluice by itself is narrower than the
 * original, a note says so.
 */
import { isMap, isScalar, LineCounter } from "yaml"
import { finish, parsePolicy } from "./parse.ts"
import type { Dialect, Parsed, Surroundings } from "./parse.ts"
import type { Policy, Rule } from "./policy.ts"
import { makeRule, problem } from "./rule.ts"
import type { Problem, WrittenRule } from "./rule.ts"
import { parseYaml } from "./yaml-reader.ts"

export type Form = "sluice" | "harden-runner" | "github"

/** A policy and what its reader should know: notes are no errors. */
export type Read = Parsed & { readonly form: Form; readonly notes: readonly Problem[] }

/** A policy in whichever language its text is written. */
export function readPolicy(text: string, surroundings: Surroundings): Read {
  const form = formOf(text, surroundings.source)
  if (form === "sluice") return { ...parsePolicy(text, surroundings), form, notes: [] }
  const parsed =
    form === "github" ? parsePolicy(text, surroundings, github) : parseEndpoints(text, surroundings)
  return { ...parsed, form, notes: parsed.policy === null ? [] : notesOf(parsed.policy, form) }
}

const endpoint = /^(?:\*\.)?[\w-]+(?:\.[\w-]+)*\.?(?::\d+)?$|^\[?[0-9a-f:]+\]?(?::\d+)?$/i

/** Which language a text is written in; Sluice's own where nothing else is plain. */
export function formOf(text: string, source: string): Form {
  const [first] = wordsOf(text)
  const yaml = /^\s*(?:[\w"'-]+\s*:(?:\s|$)|-\s|[{?%])/m.test(text)
  if (first !== undefined && !yaml && endpoint.test(first.text)) return "harden-runner"
  const contents = parseYaml(text, new LineCounter())?.contents ?? null
  if (!isMap(contents)) return "sluice"
  const mode = contents.items.find(({ key }) => isScalar(key) && key.value === "mode")?.value
  const value = isScalar(mode) ? mode.value : null
  if (value === "enforce" || value === "log") return "github"
  const named = /(?:^|\/)egress-firewall\.ya?ml$/.test(source)
  return named && value !== "audit" && value !== "block" ? "github" : "sluice"
}

/** GitHub's words for what Sluice calls block and audit. */
const github: Dialect = {
  keys: ["mode", "allow"],
  modes: new Map([
    ["enforce", "block"],
    ["log", "audit"],
  ]),
  rule: (text) => original(text),
  long: false,
}

/** `*.x` covers any depth there; and nobody there asks whether a suffix is anyone's. */
function original(text: string): WrittenRule {
  const to = text.trim()
  if (!to.startsWith("*.")) return { to }
  return { to: `*${to}`, wide: true }
}

interface Word {
  readonly text: string
  readonly line: number
  readonly column: number
}

/** Words between spaces, line ends and commas; `#` begins a comment. */
function wordsOf(text: string): Word[] {
  const words: Word[] = []
  for (const [index, line] of text.split("\n").entries()) {
    const end = line.search(/(?:^|[\s,])#/)
    for (const match of (end === -1 ? line : line.slice(0, end)).matchAll(/[^\s,]+/g)) {
      words.push({ text: match[0], line: index + 1, column: match.index + 1 })
    }
  }
  return words
}

/** Harden-Runner's `allowed-endpoints`: HOST:PORT words, port 443 where none is given. */
export function parseEndpoints(text: string, surroundings: Surroundings): Parsed {
  const { source, environment } = surroundings
  const rules: Rule[] = []
  const problems: Problem[] = []
  for (const word of wordsOf(text)) {
    const place = { source, line: word.line, column: word.column }
    if (word.text.includes("/") || word.text.includes("$")) {
      problems.push(
        problem(place, "endpoint", word.text, "has more than a host and a port, must be HOST:PORT"),
      )
      continue
    }
    const rule = makeRule("allow", original(word.text), place, environment, word.text)
    if (Array.isArray(rule)) problems.push(...rule)
    else rules.push(rule)
  }
  if (problems.length > 0) return { policy: null, problems }
  const none = { opaque: [], resolvePrivate: [], intercept: "when-needed" as const }
  return finish({ mode: "block", rules, source, ...none })
}

function notesOf(policy: Policy, form: Form): Problem[] {
  const { source } = policy
  const whose = form === "github" ? "GitHub's firewall" : "Harden-Runner"
  const notes: Problem[] = []
  for (const { wide, target, origin } of policy.rules) {
    if (!wide || target.kind !== "host") continue
    const own = target.host.pattern.slice(1)
    const message = `${origin.text} covers any number of labels, as with ${whose}; in Sluice's own language \`${own}\` would cover one`
    notes.push({ source, line: origin.line, column: origin.column, message })
  }
  const general = (message: string): void =>
    void notes.push({ source, line: 0, column: 0, message })
  if (form === "harden-runner") {
    general(
      "Harden-Runner lets private and link-local addresses pass without a rule; here each needs one, the cloud's metadata service too",
    )
    general(
      "Harden-Runner lets whatever bytes pass to an allowed endpoint; here port 443 must be TLS for that very host, port 80 HTTP",
    )
  } else {
    general(
      "GitHub's firewall judges HTTP and HTTPS; here each host is port 443 unless its line says another",
    )
  }
  return notes
}
