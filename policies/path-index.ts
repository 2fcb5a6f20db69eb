/**
 * Request rules found by path: a tree of segments. A look-up costs what the path has segments, not
 * what there are rules.
 */
import { coversLabel } from "../net/hostname.ts"
import { plainPath } from "./path.ts"
import type { Rule } from "./policy.ts"

interface Node {
  readonly children: Map<string, Node>
  /** Segments with a `*` in them. */
  readonly partial: Map<string, Node>
  /** Below `**`. */
  deep: Node | null
  readonly here: Rule[]
}

export interface PathIndex {
  readonly root: Node
  /** Rules whose own path has two readings; always looked at. */
  readonly odd: Rule[]
}

function node(): Node {
  return { children: new Map(), partial: new Map(), deep: null, here: [] }
}

/** An index of request rules by their paths; rules of another kind are left out. */
export function pathIndex(rules: readonly Rule[]): PathIndex {
  const index: PathIndex = { root: node(), odd: [] }
  for (const rule of rules) {
    if (rule.target.kind !== "request") continue
    const { path } = rule.target
    if (plainPath(path) === path) placeOf(index.root, path).here.push(rule)
    else index.odd.push(rule)
  }
  return index
}

function placeOf(root: Node, path: string): Node {
  let at = root
  for (const segment of path.slice(1).split("/")) {
    if (segment === "**") at = at.deep ??= node()
    else {
      const kind = segment.includes("*") ? at.partial : at.children
      let child = kind.get(segment)
      if (child === undefined) kind.set(segment, (child = node()))
      at = child
    }
  }
  return at
}

/** Rules whose path may fit this one, in one reading or the other: none that fits is missing. */
export function pathsFind(index: PathIndex, path: string): Rule[] {
  const found = new Set<Rule>(index.odd)
  const plain = plainPath(path)
  for (const reading of plain === path ? [path] : [path, plain]) {
    collect(index.root, reading.slice(1).split("/"), found)
  }
  return [...found]
}

function collect(root: Node, segments: readonly string[], found: Set<Rule>): void {
  // Why: `**` may end anywhere. Below one, all that follows a segment was tried once what follows
  // an earlier segment was; without that memory several would be tried in every combination.
  const since = new Map<Node, number>()
  const visit = (at: Node, from: number): void => {
    const segment = segments[from]
    if (segment === undefined) for (const rule of at.here) found.add(rule)
    else {
      const child = at.children.get(segment)
      if (child !== undefined) visit(child, from + 1)
      if (at.partial.size > 0) {
        for (const [label, next] of at.partial) {
          if (coversLabel(label, segment)) visit(next, from + 1)
        }
      }
    }
    if (at.deep === null) return
    const until = since.get(at.deep) ?? segments.length + 1
    if (from >= until) return
    since.set(at.deep, from)
    for (let after = from; after < until; after++) visit(at.deep, after)
  }
  visit(root, 0)
}
