/**
 * Things found by host name: a tree of labels, from the right. A look-up costs what the name has
 * labels, however many patterns there are.
 */
import { coversLabel, labels } from "../net/hostname.ts"
import type { Hostname, Pattern } from "../net/hostname.ts"

type Tails<T> = Map<string, { readonly label: string; readonly found: T[] }[]>

interface Node<T> {
  readonly children: Map<string, Node<T>>
  /** Below a label that is `*` alone. */
  any: Node<T> | null
  /** First labels with a `*` in them, by what stands before their first `*` and after their last. */
  readonly partial: Map<string, Tails<T>>
  /** Patterns that end here. */
  readonly here: T[]
  /** `**` over this. */
  readonly below: T[]
}

export interface NameIndex<T> {
  readonly root: Node<T>
}

function node<T>(): Node<T> {
  return { children: new Map(), any: null, partial: new Map(), here: [], below: [] }
}

/** An index of values by the pattern that each has. */
export function nameIndex<T>(entries: Iterable<readonly [Pattern, T]>): NameIndex<T> {
  const root = node<T>()
  for (const [{ pattern }, value] of entries) placeOf(root, pattern).push(value)
  return { root }
}

function placeOf<T>(root: Node<T>, pattern: string): T[] {
  let at = root
  const parts = pattern.split(".").toReversed()
  for (const [index, label] of parts.entries()) {
    if (index === parts.length - 1) {
      if (label === "**") return at.below
      if (label !== "*" && label.includes("*")) {
        return placeOfPartial(at, label)
      }
    }
    at = label === "*" ? (at.any ??= node()) : childOf(at, label)
  }
  return at.here
}

function placeOfPartial<T>({ partial }: Node<T>, label: string): T[] {
  const head = label.slice(0, label.indexOf("*"))
  const tail = label.slice(label.lastIndexOf("*") + 1)
  let tails = partial.get(head)
  if (tails === undefined) partial.set(head, (tails = new Map() as Tails<T>))
  let alike = tails.get(tail)
  if (alike === undefined) tails.set(tail, (alike = []))
  const known = alike.find((one) => one.label === label)
  if (known !== undefined) return known.found
  const found: T[] = []
  alike.push({ label, found })
  return found
}

function collectPartial<T>({ partial }: Node<T>, label: string, found: T[]): void {
  for (let head = 0; head <= label.length; head++) {
    const tails = partial.get(label.slice(0, head))
    if (tails === undefined) continue
    for (let tail = head; tail <= label.length; tail++) {
      for (const one of tails.get(label.slice(tail)) ?? []) {
        if (coversLabel(one.label, label)) addAll(found, one.found)
      }
    }
  }
}

function childOf<T>(at: Node<T>, label: string): Node<T> {
  let child = at.children.get(label)
  if (child === undefined) at.children.set(label, (child = node()))
  return child
}

/** Every value whose pattern covers a name. */
export function namesFind<T>(index: NameIndex<T>, name: Hostname): T[] {
  const found: T[] = []
  const parts = labels(name)
  collect(index.root, parts, parts.length - 1, found)
  return found
}

function collect<T>(at: Node<T>, parts: readonly string[], last: number, found: T[]): void {
  const label = parts[last]
  if (label === undefined) {
    addAll(found, at.here)
    return
  }
  addAll(found, at.below)
  if (last === 0 && at.partial.size > 0) collectPartial(at, label, found)
  const child = at.children.get(label)
  if (child !== undefined) collect(child, parts, last - 1, found)
  if (at.any !== null) collect(at.any, parts, last - 1, found)
}

/** Why not push(...): a hundred thousand rules over one name do not fit into a call's arguments. */
function addAll<T>(to: T[], values: readonly T[]): void {
  for (const value of values) to.push(value)
}
