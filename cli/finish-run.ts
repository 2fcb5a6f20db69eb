/** What a person sees when the command has ended, the report that was asked for, and the status. */
import { ftruncateSync, writeSync } from "node:fs"
import { openLogFile, type LogFile, type Owner } from "../events/log-file.ts"
import { readLog } from "../events/read.ts"
import type { RunResult } from "../guard/run.ts"
import { json } from "../report/json.ts"
import { Reporter } from "../report/report.ts"
import { summary } from "../report/summary.ts"
import { text } from "../report/text.ts"
import type { Io } from "./io.ts"

/** Something was denied, the command succeeded and `--fail-on-deny` was given. */
const deniedStatus = 3

/** A report's file, opened before the job could put something else in its place. */
export interface ReportFile {
  readonly file: LogFile
  readonly format: "text" | "json"
}

/**
 * Opens the file of `--report`.
 *
 * @throws Error when its ending names no format, or it cannot be written
 */
export function openReport(path: string, owner: Owner): ReportFile {
  const format = path.endsWith(".json") ? "json" : path.endsWith(".txt") ? "text" : null
  if (format === null) {
    throw new Error(`Cannot write --report "${path}": its ending must be .txt or .json`)
  }
  return { file: openLogFile(path, owner), format }
}

export interface Ending {
  readonly quiet: boolean
  readonly failOnDeny: boolean
  readonly report: ReportFile | null
  readonly io: Io
}

/** @returns the exit status of `sluice run` */
export async function finishRun({ id, status, log }: RunResult, ending: Ending): Promise<number> {
  const { io, report: wanted } = ending
  if (!ending.quiet || wanted !== null) {
    const reporter = new Reporter()
    const { broken } = await readLog(log.path, (event) => {
      // Why: runs before this one may stand in the same file.
      if (event.run === id) reporter.add(event)
    }).catch(() => ({ broken: 0 }))
    reporter.addBroken(broken)
    const report = reporter.report()
    if (wanted !== null) {
      const made =
        wanted.format === "json" ? json(report) : text(report, { columns: 100, colour: false })
      ftruncateSync(wanted.file.fd, 0)
      writeSync(wanted.file.fd, made)
    }
    if (!ending.quiet) {
      const lines = [...summary(report, log.path)]
      if (log.altered) {
        lines.unshift(
          "the event log was changed by somebody else while the command ran: no evidence",
        )
      }
      for (const line of lines) io.err(`sluice: ${line}\n`)
    }
  }
  const failed = ending.failOnDeny && status === 0 && log.counts.denied > 0
  return failed ? deniedStatus : status
}
