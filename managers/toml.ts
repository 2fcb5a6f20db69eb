/**
 * A reader of TOML that knows lines: values as a flat list, each with its path and line.
 *
 * Why not a library: the small ones give values without positions, and an explanation of a rule
 * must name its line. It is lenient: dates and numbers are kept as text, a line that is no TOML is
 * left out. https://toml.io/en/v1.0.0
 */

export interface TomlValue {
  /** Keys from the top; an array's items have their index from 0 as key. */
  readonly path: readonly string[]
  readonly value: string | boolean
  /** From 1. */
  readonly line: number
}

const valuesMax = 20_000
/** Nesting of arrays and inline tables. */
const depthMax = 32

/** What cannot be read ends the statement it stands in, not the file. */
export function tomlValues(text: string): TomlValue[] {
  const reader = new Reader(text.replace(/^\uFEFF/, ""))
  return reader.values()
}

class Reader {
  readonly #text: string
  #at = 0
  #line = 1
  readonly #values: TomlValue[] = []
  /** How many tables an array of tables has so far, by its path. */
  readonly #tables = new Map<string, number>()

  constructor(text: string) {
    this.#text = text
  }

  values(): TomlValue[] {
    let table: string[] = []
    while (this.#at < this.#text.length && this.#values.length < valuesMax) {
      this.#skip(true)
      if (this.#peek() === "[") {
        table = this.#header() ?? [...table, "?"]
      } else if (this.#at < this.#text.length) {
        this.#statement(table)
      }
      this.#endLine()
    }
    return this.#values
  }

  #peek(): string {
    return this.#text[this.#at] ?? ""
  }

  #step(): void {
    if (this.#peek() === "\n") this.#line += 1
    this.#at += 1
  }

  /** Blanks and comments; line ends too where a value may go on after one. */
  #skip(overLines: boolean): void {
    for (;;) {
      const next = this.#peek()
      if (next === " " || next === "\t" || next === "\r") this.#at += 1
      else if (next === "\n" && overLines) this.#step()
      else if (next === "#") this.#toLineEnd()
      else return
    }
  }

  #toLineEnd(): void {
    const end = this.#text.indexOf("\n", this.#at)
    this.#at = end === -1 ? this.#text.length : end
  }

  #endLine(): void {
    this.#toLineEnd()
    this.#step()
  }

  /** `[a.b]` or `[[a.b]]`; null where it is neither. */
  #header(): string[] | null {
    const many = this.#text.startsWith("[[", this.#at)
    this.#at += many ? 2 : 1
    const keys = this.#keys()
    if (keys === null || !this.#text.startsWith(many ? "]]" : "]", this.#at)) return null
    const path = this.#resolve(many ? keys.slice(0, -1) : keys)
    if (!many) return path
    const list = [...path, keys.at(-1) ?? ""]
    const name = list.join("\0")
    const index = this.#tables.get(name) ?? 0
    this.#tables.set(name, index + 1)
    return [...list, String(index)]
  }

  /** Keys that name an array of tables mean its last one. */
  #resolve(keys: readonly string[]): string[] {
    const path: string[] = []
    for (const key of keys) {
      path.push(key)
      const count = this.#tables.get(path.join("\0"))
      if (count !== undefined) path.push(String(count - 1))
    }
    return path
  }

  #statement(table: readonly string[]): void {
    const keys = this.#keys()
    if (keys === null || this.#peek() !== "=") return
    this.#at += 1
    this.#skip(false)
    this.#value([...table, ...keys], 0)
  }

  /** Dotted keys up to the sign after them. */
  #keys(): string[] | null {
    const keys: string[] = []
    for (;;) {
      this.#skip(false)
      const quote = this.#peek()
      if (quote === '"' || quote === "'") {
        const key = this.#string()
        if (key === null) return null
        keys.push(key)
      } else {
        const start = this.#at
        while (/[A-Za-z0-9_-]/.test(this.#peek())) this.#at += 1
        if (start === this.#at) return null
        keys.push(this.#text.slice(start, this.#at))
      }
      this.#skip(false)
      if (this.#peek() !== "." || keys.length >= depthMax) return keys
      this.#at += 1
    }
  }

  /** False: the statement cannot be read further. */
  #value(path: readonly string[], depth: number): boolean {
    if (depth > depthMax || this.#values.length >= valuesMax) return false
    const line = this.#line
    const next = this.#peek()
    if (next === "[") return this.#array(path, depth)
    if (next === "{") return this.#inlineTable(path, depth)
    if (next === '"' || next === "'") {
      const value = this.#string()
      if (value === null) return false
      this.#values.push({ path, value, line })
      return true
    }
    const start = this.#at
    while (/[^\s,\]}#]/.test(this.#peek())) this.#at += 1
    const word = this.#text.slice(start, this.#at)
    const value = word === "true" ? true : word === "false" ? false : word
    if (word !== "") this.#values.push({ path, value, line })
    return word !== ""
  }

  #array(path: readonly string[], depth: number): boolean {
    this.#at += 1
    for (let index = 0; ; index++) {
      this.#skip(true)
      if (this.#peek() === "]") break
      if (!this.#value([...path, String(index)], depth + 1)) return false
      this.#skip(true)
      if (this.#peek() === ",") this.#at += 1
      else if (this.#peek() !== "]") return false
    }
    this.#at += 1
    return true
  }

  #inlineTable(path: readonly string[], depth: number): boolean {
    this.#at += 1
    for (;;) {
      this.#skip(true)
      if (this.#peek() === "}") break
      const keys = this.#keys()
      if (keys === null || this.#peek() !== "=") return false
      this.#at += 1
      this.#skip(false)
      if (!this.#value([...path, ...keys], depth + 1)) return false
      this.#skip(true)
      if (this.#peek() === ",") this.#at += 1
      else if (this.#peek() !== "}") return false
    }
    this.#at += 1
    return true
  }

  /** All four kinds of string. Escapes that a URL never needs stay as they are. */
  #string(): string | null {
    const quote = this.#peek()
    const long = this.#text.startsWith(quote.repeat(3), this.#at)
    const fence = long ? quote.repeat(3) : quote
    this.#at += fence.length
    let value = ""
    while (this.#at < this.#text.length) {
      if (this.#text.startsWith(fence, this.#at)) {
        this.#at += fence.length
        return value
      }
      const next = this.#peek()
      if (next === "\n" && !long) return null
      if (next === "\\" && quote === '"') {
        const escaped = this.#text[this.#at + 1] ?? ""
        value += { n: "\n", t: "\t", r: "\r" }[escaped] ?? escaped
        this.#step()
      } else {
        value += next
      }
      this.#step()
    }
    return null
  }
}
