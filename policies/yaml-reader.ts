/** YAML, node by node, with a complaint and its place for all that a policy may not have in it. */
import { isAlias, isScalar, isSeq, parseDocument } from "yaml"
import type { LineCounter, Node, Pair, ParsedNode, YAMLMap } from "yaml"
import { problem, visible } from "./rule.ts"
import type { Place, Problem } from "./rule.ts"
import { nearestWord } from "./spelling.ts"

/** Room for a hundred thousand rules; a policy is read by root before anything else. In characters. */
export const policyLengthMax = 4_194_304
/** Deeper than any policy; the library's reader slows down, then overflows, far beyond it. */
const depthMax = 100

/** One break makes the rest of a text nonsense; more than so many of them tell nobody anything. */
const breaksMax = 100

const brokenYaml = "Cannot read YAML: "

/** A text that is being read, and what is wrong with it so far. */
export interface YamlReader {
  readonly source: string
  readonly lines: LineCounter
  readonly problems: Problem[]
}

/** A text as YAML; null where it is longer or nested deeper than the reader bears. */
export function parseYaml(
  text: string,
  lines: LineCounter,
): ReturnType<typeof parseDocument> | null {
  if (isDeep(text)) return null
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

/**
 * Whether a text opens more than any policy does: brackets, or lists, tags and anchors on one line.
 *
 * Why before reading: a text of brackets alone keeps the library busy for minutes. It need not be
 * exact; what stands in quotes and comments counts too.
 */
function isDeep(text: string): boolean {
  let brackets = 0
  let marks = 0
  let fresh = true
  for (let index = 0; index < text.length; index++) {
    const next = text[index]
    if (next === "\n") [marks, fresh] = [0, true]
    else if (next === " " || next === "\t") fresh = true
    else {
      if (next === "[" || next === "{") brackets++
      else if ((next === "]" || next === "}") && brackets > 0) brackets--
      if (fresh && (next === "-" || next === "?" || next === "!" || next === "&")) marks++
      fresh = false
    }
    if (brackets > depthMax || marks > depthMax) return true
  }
  return false
}

/** The contents of a text; null where it has none, or where it cannot be read at all. */
export function readDocument(text: string, reader: YamlReader): ParsedNode | null {
  const { source } = reader
  const whole = (fault: string): null => {
    reader.problems.push({
      source,
      line: 1,
      column: 1,
      message: visible(`Cannot read policy "${source}": ${fault}`),
    })
    return null
  }
  if (text.length > policyLengthMax) {
    return whole(`is ${text.length} characters, must be ${policyLengthMax} at most`)
  }
  const document = parseYaml(text, reader.lines)
  if (document === null) return whole("is nested too deeply, must be a mapping of lists")
  const complaints = [...document.errors, ...document.warnings]
  for (const { code, message, pos } of complaints.slice(0, breaksMax)) {
    // Why: an alias is reported where it stands, with what was meant.
    if (code === "BAD_ALIAS" || message.startsWith("Unresolved alias")) continue
    const [first = message] = message.split("\n")
    reader.problems.push({
      ...at(reader, pos[0]),
      message: visible(`${brokenYaml}${first.slice(0, 200)}`),
    })
  }
  return document.contents as ParsedNode | null
}

function at(reader: YamlReader, offset: number): Place {
  const { line, col } = reader.lines.linePos(offset)
  return { source: reader.source, line: Math.max(line, 1), column: Math.max(col, 1) }
}

/** Where a node begins. */
export function placeOf(reader: YamlReader, node: unknown): Place {
  const range = (node as Node | null)?.range
  return at(reader, range?.[0] ?? 0)
}

/** Adds a problem at a node: `Cannot read <what> "<text>": <fault>`. */
export function complain(
  reader: YamlReader,
  node: unknown,
  what: string,
  text: string,
  fault: string,
): void {
  reader.problems.push(problem(placeOf(reader, node), what, text, fault))
}

/** Whether a node is plain: no alias, anchor or tag. Complains where it is not. */
export function isPlain(reader: YamlReader, node: unknown): boolean {
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
export function entriesOf(
  reader: YamlReader,
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

/** A scalar as written, for people. */
export function keyText(key: unknown): string {
  return isScalar(key) ? String(key.source ?? key.value) : "a key"
}

/** A scalar's text; null and a complaint for anything else. */
export function textOf(reader: YamlReader, node: unknown, what: string): string | null {
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

/** The items of a list; an empty value is an empty list. Complains of anything else. */
export function listOf(reader: YamlReader, pair: Pair, name: string): readonly unknown[] {
  const { value } = pair
  if (value === null || (isScalar(value) && value.value === null)) return []
  if (!isPlain(reader, value)) return []
  if (isSeq(value)) return value.items
  complain(reader, value, name, keyText(value), `is no list, must be \`${name}: [ … ]\``)
  return []
}

/** One of some words; null and a complaint for anything else. */
export function choiceOf<T extends string>(
  reader: YamlReader,
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

/** Where the YAML breaks, what follows is noise; what stands before it is worth saying. */
export function forgetEchoes({ problems }: YamlReader): void {
  const breaks = problems.filter(isBreak)
  const first = breaks.reduce((least, { line }) => Math.min(least, line), Infinity)
  const kept = problems.filter((one) => isBreak(one) || one.line < first)
  problems.splice(0, problems.length)
  for (const one of kept) problems.push(one)
}

function isBreak({ message }: Problem): boolean {
  return message.startsWith(brokenYaml)
}
