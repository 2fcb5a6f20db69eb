/** A report → JSON: the Report of report.ts as it is, for programs. Pure. */
import type { Report } from "./report.ts"

/**
 * Two spaces deep, newline at its end. Plain characters only, and no `##[`: it may be printed into a
 * terminal or a CI log, where other characters turn text round and runners look for commands.
 */
export function json(report: Report): string {
  const text = JSON.stringify(report, null, 2)
  return `${text.replace(/[\u007f-\uffff]/g, escaped).replaceAll("##[", "#\\u0023[")}\n`
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
}
