/** Amounts of bytes as a policy writes them: `10MB`, `512 KiB`. Pure. */
import type { Fault } from "./target.ts"

/** In bytes. Decimal units as SI has them, binary ones as IEC 80000-13; `KB` is what many write for `kB`. */
const units: ReadonlyMap<string, number> = new Map([
  ["GB", 1e9],
  ["MB", 1e6],
  ["kB", 1e3],
  ["GiB", 2 ** 30],
  ["MiB", 2 ** 20],
  ["KiB", 2 ** 10],
  ["B", 1],
  ["KB", 1e3],
])

/** 1 PB: far more than any run sends, and exact in a number. */
const amountMax = 1e15

const form = "a whole number and a unit (B, kB, MB, GB, KiB, MiB, GiB), such as 10MB"

/** The amount in bytes, 1 to 10^15, or what is wrong with it. */
export function parseAmount(text: string): number | Fault {
  const [, digits = "", unit = ""] = /^(\d{1,15}) ?([A-Za-z]*)$/.exec(text.trim()) ?? []
  if (digits === "") return { fault: `must be ${form}` }
  const bytes = Number(digits) * (units.get(unit) ?? Number.NaN)
  if (Number.isNaN(bytes)) {
    if (unit === "") return { fault: `has no unit, must be \`${digits}B\` or ${form}` }
    const near = nearUnit(unit)
    const wanted = near === null ? form : `\`${digits}${near}\` (case matters)`
    return { fault: `has the unit "${unit}", must be ${wanted}` }
  }
  if (bytes === 0) return { fault: "lets nothing out, must be 1B at least, or no rule" }
  return bytes <= amountMax ? bytes : { fault: "is too much, must be 1000000GB at most" }
}

/** The unit that other letter case, or a missing B, would make of a text; null: none. */
function nearUnit(text: string): string | null {
  const folded = text.toLowerCase()
  const names = [...units.keys()]
  return (
    names.find((name) => [name, name.slice(0, -1)].some((each) => each.toLowerCase() === folded)) ??
    null
  )
}

/** The shortest way to write an amount; parseAmount of it gives the same amount. */
export function printAmount(bytes: number): string {
  for (const [unit, size] of units) {
    if (bytes % size === 0) return `${bytes / size}${unit}`
  }
  return `${bytes}B`
}
