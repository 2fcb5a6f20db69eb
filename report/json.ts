/** A report → JSON: the Report of report.ts as it is, for programs. Pure. */
import type { Report } from "./report.ts"

/** Two spaces deep, newline at its end. */
export function json(report: Report): string {
  return `${JSON.stringify(report, null, 2)}\n`
}
