/** Values of a YAML file with their lines, for the package managers that are configured in it. */
import { isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml"
import type { Node } from "yaml"

export interface YamlValue {
  /** Keys from the top; a list's items have their index as key. */
  readonly path: readonly string[]
  readonly value: string
  /** From 1. */
  readonly line: number
}

const valuesMax = 20_000
const depthMax = 16

/** Text values, as a flat list; null where the text is no YAML. Anchors and aliases are left out. */
export function yamlValues(text: string): YamlValue[] | null {
  const counter = new LineCounter()
  const values: YamlValue[] = []
  const walk = (node: unknown, path: readonly string[]): void => {
    if (path.length > depthMax || values.length >= valuesMax) return
    if (isMap(node)) {
      for (const { key, value } of node.items) {
        if (isScalar(key)) walk(value, [...path, String(key.value)])
      }
    } else if (isSeq(node)) {
      for (const [index, item] of node.items.entries()) walk(item, [...path, String(index)])
    } else if (isScalar(node) && typeof node.value === "string") {
      const offset = (node as Node).range?.[0] ?? 0
      values.push({ path, value: node.value, line: counter.linePos(offset).line })
    }
  }
  try {
    const document = parseDocument(text, { lineCounter: counter })
    if (document.errors.length > 0) return null
    walk(document.contents, [])
  } catch {
    // Why: a text nested deeper than the stack is no configuration; the reader must not end us.
    return null
  }
  return values
}
