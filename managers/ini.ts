/**
 * Line readers for the configuration formats that are nearly INI: npm's, pip's, Java properties.
 * Each gives entries with their lines; what it does not understand it leaves out.
 */

export interface Entry {
  /** "" before the first section. */
  readonly section: string
  readonly key: string
  readonly value: string
  /** From 1. */
  readonly line: number
}

/** A file of 1 MiB could hold a million empty ones. */
const entriesMax = 20_000

/** npm's own format, the package `ini`: https://docs.npmjs.com/cli/configuring-npm/npmrc */
export function npmIni(text: string): Entry[] {
  const entries: Entry[] = []
  let section = ""
  for (const [index, raw] of linesOf(text)) {
    if (entries.length >= entriesMax) break
    const line = raw.trim()
    if (line === "" || line.startsWith(";") || line.startsWith("#")) continue
    const header = /^\[([^\]]*)\]\s*$/.exec(line)
    if (header !== null) {
      section = header[1] ?? ""
      continue
    }
    const equals = line.indexOf("=")
    const key = unquote(equals === -1 ? line : line.slice(0, equals))
    const value = equals === -1 ? "true" : unquote(line.slice(equals + 1))
    entries.push({ section, key, value, line: index + 1 })
  }
  return entries
}

/** A quoted text without its quotes; any other up to a comment. */
function unquote(raw: string): string {
  const text = raw.trim()
  const quote = text[0]
  if ((quote === '"' || quote === "'") && text.length > 1 && text.endsWith(quote)) {
    return text.slice(1, -1)
  }
  return (/^(?:\\.|[^;#])*/.exec(text)?.[0] ?? "").replaceAll(/\\([;#\\])/g, "$1").trim()
}

/** Python's configparser, as pip uses it: `key = value` or `key: value`, indented lines go on. */
export function pythonIni(text: string): Entry[] {
  const entries: Entry[] = []
  let section = ""
  let going: { section: string; key: string } | null = null
  for (const [index, raw] of linesOf(text)) {
    if (entries.length >= entriesMax) break
    const line = raw.trim()
    if (line === "" || line.startsWith(";") || line.startsWith("#")) continue
    // Why an entry for each line: a list of URLs then keeps the line of each.
    if (/^\s/.test(raw) && going !== null) {
      entries.push({ ...going, value: line, line: index + 1 })
      continue
    }
    const header = /^\[([^\]]*)\]$/.exec(line)
    if (header !== null) {
      section = header[1] ?? ""
      going = null
      continue
    }
    const end = line.search(/[=:]/)
    if (end === -1) continue
    going = { section, key: line.slice(0, end).trim().toLowerCase() }
    entries.push({ ...going, value: line.slice(end + 1).trim(), line: index + 1 })
  }
  return entries
}

/** Java properties, without what a URL never needs (Unicode escapes, lines that go on). */
export function properties(text: string): Entry[] {
  const entries: Entry[] = []
  for (const [index, raw] of linesOf(text)) {
    if (entries.length >= entriesMax) break
    const line = raw.trim()
    const end = line.search(/[\s=:]/)
    if (end <= 0 || line.startsWith("#") || line.startsWith("!")) continue
    const rest = line.slice(end).trimStart().replace(/^[=:]/, "").trimStart()
    const value = rest.replaceAll(/\\(.)/g, "$1")
    entries.push({ section: "", key: line.slice(0, end), value, line: index + 1 })
  }
  return entries
}

/** Lines with their number from 0, a byte order mark and carriage returns aside. */
export function linesOf(text: string): IterableIterator<[number, string]> {
  return text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .entries()
}
