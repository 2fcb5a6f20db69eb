/** The table of special ranges that `$SLUICE_SPECIAL_RANGES` puts in place of ours. */
import { readFileSync } from "node:fs"
import { parseSpecialRanges } from "../net/special.ts"

/**
 * The table's text; null: the built-in table holds.
 *
 * @throws Error when the file cannot be read or is no such table
 */
export function specialRangesText(
  environment: Readonly<Record<string, string | undefined>>,
): string | null {
  const named = environment["SLUICE_SPECIAL_RANGES"] ?? ""
  if (named === "") return null
  const text = named.startsWith("/") || named.startsWith(".") ? readFileSync(named, "utf8") : named
  const table = parseSpecialRanges(text)
  if ("problem" in table) throw new Error(`Cannot read $SLUICE_SPECIAL_RANGES: ${table.problem}`)
  return text
}
