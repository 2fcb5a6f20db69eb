/** Figures as Markdown tables, with each goal and whether it is reached. */
import type { Goal, Table } from "./workloads/workload.ts"

function number(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return "–"
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toFixed(digits)
}

function goal({ what, figure, atLeast, atMost }: Goal): string {
  const wanted =
    atLeast === undefined ? (atMost === undefined ? "" : `≤ ${atMost}`) : `≥ ${atLeast}`
  const reached =
    wanted === "" || Number.isNaN(figure)
      ? ""
      : figure >= (atLeast ?? figure) && figure <= (atMost ?? figure)
        ? "yes"
        : "NO"
  return `| ${what} | ${number(figure)} | ${wanted} | ${reached} |`
}

function printTable({ title, rows, goals }: Table): string {
  const columns = [...new Set(rows.flatMap(({ figures }) => Object.keys(figures)))]
  const lines = [
    `### ${title}`,
    "",
    `| | ${columns.join(" | ")} |`,
    `|---|${columns.map(() => "---:|").join("")}`,
    ...rows.map(({ contestant, figures }) => {
      const cells = columns.map((column) => number(figures[column]))
      return `| ${contestant} | ${cells.join(" | ")} |`
    }),
  ]
  if (goals.length > 0) {
    lines.push("", "| goal | figure | wanted | reached |", "|---|---:|---|---|", ...goals.map(goal))
  }
  return `${lines.join("\n")}\n\n`
}

export function printTables(tables: readonly Table[]): string {
  return tables.map(printTable).join("")
}
