/**
 * Whether some rule by name could fit a port, for whom: what a flow is asked before its name is
 * known. A look-up costs a few searches by halves, however many rules there are.
 */
import { tcpPorts } from "./fit.ts"
import type { Actor } from "./fit.ts"
import type { Ports, Rule } from "./policy.ts"

export interface DoorIndex {
  readonly effect: Rule["effect"]
  /** Ports by the conditions on the asker, sorted, none touching another. */
  readonly ports: ReadonlyMap<string, readonly Ports[]>
}

/** In the place of a condition: fits an asker of whom nothing is known. */
const unknown = 0

type Condition = string | null | typeof unknown

function keyOf(by: Condition, step: Condition): string {
  return JSON.stringify([by, step])
}

/** The doors of all TCP rules by name or request that have an effect. */
export function doorIndex(rules: readonly Rule[], effect: Rule["effect"]): DoorIndex {
  const found = new Map<string, Ports[]>()
  for (const { effect: own, target, by, step } of rules) {
    if (own !== effect || target.kind === "address" || target.kind === "icmp") continue
    const ports = tcpPorts(target)
    if (ports === null) continue
    // Why: an unknown asker fits a deny rule, whatever its conditions; see fit.ts.
    const open: Condition[] = effect === "deny" ? [unknown] : []
    for (const one of [by, ...open]) {
      for (const other of [step, ...open]) {
        const key = keyOf(one, other)
        const known = found.get(key)
        if (known === undefined) found.set(key, [ports])
        else known.push(ports)
      }
    }
  }
  return { effect, ports: new Map([...found].map(([key, ports]) => [key, merged(ports)])) }
}

/** Whether a rule of the index would fit this port and asker. */
export function hasDoor(index: DoorIndex, port: number, { process, step }: Actor): boolean {
  if (index.ports.size === 0) return false
  const closed = index.effect === "deny"
  const programs: Condition[] = [null]
  if (process === null) {
    if (closed) programs.push(unknown)
  } else if (process.executable !== "") {
    const { executable } = process
    programs.push(executable, executable.slice(executable.lastIndexOf("/") + 1))
  }
  const steps: Condition[] = step === null ? (closed ? [null, unknown] : [null]) : [null, step]
  return programs.some((by) =>
    steps.some((one) => {
      const ports = index.ports.get(keyOf(by, one))
      return ports !== undefined && holdsPort(ports, port)
    }),
  )
}

function merged(ports: readonly Ports[]): Ports[] {
  const found: { first: number; last: number }[] = []
  for (const { first, last } of ports.toSorted((one, other) => one.first - other.first)) {
    const before = found.at(-1)
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last)
    else found.push({ first, last })
  }
  return found
}

function holdsPort(sorted: readonly Ports[], port: number): boolean {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    const { first, last } = sorted[middle] ?? { first: 0, last: 0 }
    if (port < first) high = middle
    else if (port > last) low = middle + 1
    else return true
  }
  return false
}
