/** The table of special ranges that `$SLUICE_SPECIAL_RANGES` puts in place of ours. */
import type { Owner } from "../events/log-file.ts"
import { parseSpecialRanges } from "../net/special.ts"
import { readFileAs } from "./read-file.ts"

/**
 * The table's text; null: the built-in table holds.
 *
 * @param owner whose right to read the file counts
 * @throws Error when the file cannot be read or is no such table
 */
export function specialRangesText(
  environment: Readonly<Record<string, string | undefined>>,
  owner: Owner,
): string | null {
  const named = environment["SLUICE_SPECIAL_RANGES"] ?? ""
  if (named === "") return null
  const text = /^[/.]/.test(named) ? readFileAs(owner, named, "the special ranges") : named
  const table = parseSpecialRanges(text)
  if ("problem" in table) throw new Error(`Cannot read $SLUICE_SPECIAL_RANGES: ${table.problem}`)
  return text
}
