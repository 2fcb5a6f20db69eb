/** What a workload measures and how it is told. */
import type { Bed } from "../bed.ts"
import type { Contestant, Firewall } from "../contestant.ts"

/** One contestant's figures, the median over the runs, by column. */
export interface Row {
  readonly contestant: string
  readonly figures: Readonly<Record<string, number>>
}

export interface Table {
  readonly title: string
  readonly rows: readonly Row[]
  readonly goals: readonly Goal[]
}

/** A figure beside what it should be. */
export interface Goal {
  readonly what: string
  readonly figure: number
  readonly atLeast?: number
  readonly atMost?: number
}

export interface Settings {
  readonly runs: number
  readonly seconds: number
  readonly say: (text: string) => void
}

export interface Workload {
  readonly id: string
  readonly run: (
    bed: Bed,
    contestants: readonly Contestant[],
    settings: Settings,
  ) => Promise<Table[]>
}

/** Characters of a peer's failure that are printed. */
const failureShown = 500

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** Empty where a peer fails at it, which is told; our own failure ends the bench. */
export async function measured(
  firewall: Firewall,
  measure: (firewall: Firewall) => Promise<Readonly<Record<string, number>>>,
): Promise<Readonly<Record<string, number>>> {
  try {
    return await measure(firewall)
  } catch (error) {
    if (firewall.name === "Sluice") throw error
    process.stderr.write(`bench: ${firewall.name} fails: ${String(error).slice(0, failureShown)}\n`)
    return {}
  }
}

/** A figure of one contestant; NaN where it did not take part. */
export function figure(rows: readonly Row[], contestant: string, column: string): number {
  return rows.find((row) => row.contestant === contestant)?.figures[column] ?? Number.NaN
}

/** Ours over theirs. */
export function ratio(rows: readonly Row[], column: string, other: string): number {
  return figure(rows, "Sluice", column) / figure(rows, other, column)
}

/** What a firewall adds to the unguarded way. */
export function added(rows: readonly Row[], who: string, column: string): number {
  return figure(rows, who, column) - figure(rows, "no firewall", column)
}

/**
 * Measures all firewalls in turn, again and again, so that the machine's moods hit all alike.
 *
 * @param measure figures of one run of one firewall
 */
export async function interleaved(
  firewalls: readonly Firewall[],
  { runs, say }: Settings,
  what: string,
  measure: (firewall: Firewall) => Promise<Readonly<Record<string, number>>>,
): Promise<Row[]> {
  const seen = new Map<string, Record<string, number>[]>()
  for (let run = 0; run <= runs; run++) {
    for (const firewall of firewalls) {
      firewall.choose()
      const figures = await measured(firewall, measure)
      // Why: the first round warms caches, translators and JIT compilers.
      if (run === 0) continue
      seen.set(firewall.name, [...(seen.get(firewall.name) ?? []), { ...figures }])
      say(`${what}, run ${run}, ${firewall.name}`)
    }
  }
  return [...seen].map(([contestant, all]) => {
    const columns = [...new Set(all.flatMap((one) => Object.keys(one)))]
    const figures = Object.fromEntries(
      columns.map((column) => [column, median(all.map((one) => one[column] ?? Number.NaN))]),
    )
    return { contestant, figures }
  })
}
