/**
 * A reader of the XML that Maven writes: elements, text, lines. No document types, hence no
 * entities but the five of XML itself: nothing expands, and nothing outside the text is read.
 */

export interface Element {
  /** Without a namespace prefix. */
  readonly name: string
  readonly children: readonly Element[]
  /** Its own text, trimmed. */
  readonly text: string
  /** From 1, of its first character of text, else of its start. */
  readonly line: number
}

const elementsMax = 50_000
const depthMax = 64

interface Open {
  name: string
  children: Element[]
  text: string
  line: number
}

/** The root element; null where the text is not well-formed, too deep or too large. */
export function parseXml(text: string): Element | null {
  const root: Open = { name: "", children: [], text: "", line: 1 }
  const open: Open[] = [root]
  let [at, line, count] = [0, 1, 0]
  const upTo = (end: number): string => {
    const passed = text.slice(at, end)
    for (let next = passed.indexOf("\n"); next !== -1; next = passed.indexOf("\n", next + 1)) line++
    at = end
    return passed
  }
  while (at < text.length) {
    const start = text.indexOf("<", at)
    addText(open.at(-1), text, at, start === -1 ? text.length : start, line)
    upTo(start === -1 ? text.length : start)
    if (start === -1) break
    const special = specialEnd(text, start)
    if (special === null) return null
    if (special !== undefined) {
      const passed = upTo(special)
      const inner = open.at(-1)
      if (passed.startsWith("<![CDATA[") && inner !== undefined) inner.text += passed.slice(9, -3)
      continue
    }
    const end = tagEnd(text, start)
    if (end === -1) return null
    const tag = text.slice(start + 1, end)
    const name = localName(tag)
    if (tag.startsWith("/")) {
      const closed = open.pop()
      if (closed === undefined || open.length === 0 || closed.name !== name) return null
      open.at(-1)?.children.push({ ...closed, text: closed.text.trim() })
    } else if (tag.endsWith("/")) {
      open.at(-1)?.children.push({ name, children: [], text: "", line })
    } else {
      open.push({ name, children: [], text: "", line })
    }
    if (++count > elementsMax || open.length > depthMax) return null
    upTo(end + 1)
  }
  const [only, second] = root.children
  return open.length === 1 && second === undefined ? (only ?? null) : null
}

function addText(to: Open | undefined, text: string, from: number, until: number, line: number) {
  const raw = text.slice(from, until)
  if (to === undefined || raw.trim() === "") return
  if (to.text === "") {
    const lead = raw.slice(0, raw.length - raw.trimStart().length)
    to.line = line + lead.split("\n").length - 1
  }
  to.text += decode(raw)
}

/** Where a comment, instruction or CDATA ends; undefined: it is a tag; null: refused or endless. */
function specialEnd(text: string, start: number): number | null | undefined {
  const kinds = [
    ["<!--", "-->"],
    ["<?", "?>"],
    ["<![CDATA[", "]]>"],
  ] as const
  for (const [opens, closes] of kinds) {
    if (!text.startsWith(opens, start)) continue
    const end = text.indexOf(closes, start + opens.length)
    return end === -1 ? null : end + closes.length
  }
  return text.startsWith("<!", start) ? null : undefined
}

/** The `>` of a tag, quoted ones aside. */
function tagEnd(text: string, start: number): number {
  let quote = ""
  for (let at = start; at < text.length; at++) {
    const next = text[at] ?? ""
    if (quote !== "") quote = next === quote ? "" : quote
    else if (next === '"' || next === "'") quote = next
    else if (next === ">") return at
  }
  return -1
}

function localName(tag: string): string {
  const name = /^\/?([^\s/>]*)/.exec(tag)?.[1] ?? ""
  return name.slice(name.indexOf(":") + 1)
}

const entities: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
}

function decode(text: string): string {
  return text.replaceAll(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => entities[name] ?? "")
}

/** Every element at a path below one: `at(root, "mirrors", "mirror")`. */
export function at(element: Element, ...path: readonly string[]): Element[] {
  let found: Element[] = [element]
  for (const name of path) {
    found = found.flatMap(({ children }) => children.filter((child) => child.name === name))
  }
  return found
}
