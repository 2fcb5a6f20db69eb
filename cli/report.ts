/**
 * `sluice report EVENTS…`: what happened, from one event log or many. ✋ Reads the logs, writes the
 * file of `-o`.
 */
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { readLog } from "../events/read.ts"
import { json } from "../report/json.ts"
import { Reporter, type Report } from "../report/report.ts"
import { text } from "../report/text.ts"
import type { Io } from "./io.ts"

const formats = ["text", "json"] as const

type Format = (typeof formats)[number]

const help = `Usage: sluice report EVENTS... [--format text|json] [-o FILE]

Shows what one run did, or many together: what was denied, why, which program
asked, and the line of policy that would allow it; then what was reached.

  EVENTS           an event log (sluice run prints its path at the end);
                   - reads standard input
  --format FORMAT  text, for people (the default); json, for programs
  -o, --output FILE
                   write to FILE; one that ends in .json is written as json

Examples:
  sluice report ~/.local/state/sluice/runs/*.jsonl
  sluice report events.jsonl --format json | jq '.denied[].suggestion'

Exit status: 0; 2 when a log cannot be read or holds no event.
`

interface Options {
  readonly logs: readonly string[]
  readonly format: Format
  readonly output: string | null
}

/** @returns The exit status: 0, or 2 for bad input. */
export async function reportCommand(argv: readonly string[], io: Io): Promise<number> {
  const options = optionsOf(argv)
  if (options === "help") {
    io.out(help)
    return 0
  }
  if (typeof options === "string") return failed(io, `${options}\nSee: sluice report --help`)
  const reporter = new Reporter()
  for (const log of options.logs) {
    const problem = await read(log, reporter)
    if (problem !== null) return failed(io, problem)
  }
  return write(reporter.report(), options, io)
}

function optionsOf(argv: readonly string[]): Options | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        format: { type: "string" },
        output: { type: "string", short: "o" },
        help: { type: "boolean", short: "h" },
      },
    })
    if (values.help === true) return "help"
    const output = values.output ?? null
    const wanted = values.format ?? (output?.endsWith(".json") === true ? "json" : "text")
    const format = formats.find((each) => each === wanted)
    if (format === undefined) {
      return `Cannot write the report as "${wanted}": the formats are ${formats.join(" and ")}`
    }
    if (positionals.length === 0) return "Cannot report on nothing: name at least one event log"
    return { logs: positionals, format, output }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** What is wrong with the log; null: it is in the reporter. */
async function read(log: string, reporter: Reporter): Promise<string | null> {
  const name = log === "-" ? "standard input" : `"${log}"`
  try {
    const { events, broken } = await readLog(log, (event) => reporter.add(event))
    if (events === 0) return `Cannot report on ${name}: it holds no event, must be an event log`
    reporter.addBroken(broken)
    return null
  } catch (error) {
    return `Cannot read ${name}: ${reasonOf(error)}, must be a file that can be read`
  }
}

function write(report: Report, { format, output }: Options, io: Io): number {
  const colour = output === null && io.isTerminal && !io.environment["NO_COLOR"]
  const columns = output === null ? io.columns : 100
  const made = format === "json" ? json(report) : text(report, { columns, colour })
  if (output === null || output === "-") {
    io.out(made)
    return 0
  }
  try {
    writeFileSync(output, made)
    return 0
  } catch (error) {
    return failed(
      io,
      `Cannot write "${output}": ${reasonOf(error)}, must be a file that can be written`,
    )
  }
}

function failed(io: Io, problem: string): number {
  io.err(`sluice: ${problem.replaceAll("\n", "\nsluice: ")}\n`)
  return 2
}

/** `ENOENT: no such file or directory` → `no such file or directory`. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return /^[A-Z]+: ([^,]*)/.exec(message)?.[1] ?? message
}
