/**
 * A report → the few lines that `sluice run` prints at its end. Pure. The caller leads each line
 * with `sluice: `, which also keeps it from being a command to a CI runner.
 *
 * No arguments of programs: they are in the log, which is no public page.
 */
import { elided } from "./escape.ts"
import { attempts, type DeniedReport, type Report } from "./report.ts"
import { asListItem, bytes, chain, counted, denialText } from "./words.ts"

/** Targets that are told; what is beyond is counted. */
const targetsMax = 8

const columns = 92

/** @param eventsPath Where the log is; null: there is none to point to. */
export function summary(report: Report, eventsPath: string | null): readonly string[] {
  const denied = report.denied.filter(({ noise }) => !noise)
  const more = denied.length - targetsMax
  return [
    ...headline(report, denied),
    ...denied.slice(0, targetsMax).flatMap(lines),
    ...(more > 0 ? [`  … and ${counted(more, "more target")}`] : []),
    ...report.findings
      .slice(0, targetsMax)
      .map((each) => elided(`finding, ${each.severity}: ${each.summary || each.finding}`, columns)),
    ...(report.lost > 0 ? [`${counted(report.lost, "event")} could not be recorded`] : []),
    ...(eventsPath === null ? [] : [`full report: sluice report ${path(eventsPath)}`]),
  ]
}

function headline(report: Report, denied: readonly DeniedReport[]): string[] {
  const reached = report.allowed.filter(({ connections, requests }) => connections + requests > 0)
  const received = bytes(reached.reduce((total, each) => total + each.bytesReceived, 0))
  const sent = bytes(reached.reduce((total, each) => total + each.bytesSent, 0))
  const hosts =
    reached.length === 0
      ? "no host was reached"
      : `${counted(reached.length, "host")} reached (${received} received, ${sent} sent)`
  if (denied.length === 0) return [`nothing denied; ${hosts}`]
  const tries = denied.reduce((total, each) => total + attempts(each), 0)
  const what = `${counted(denied.length, "target")} (${counted(tries, "attempt")})`
  const title = report.enforced
    ? `denied ${what}`
    : `audit let through what block would deny: ${what}`
  return [`${title}; ${hosts}`]
}

function lines(each: DeniedReport): string[] {
  const times = attempts(each) > 1 ? ` (${counted(attempts(each), "time")})` : ""
  const many =
    each.targets > 1 ? `, ${counted(each.targets, each.lookups > 0 ? "name" : "target")}` : ""
  const by = chain(each.programs) || (each.user === null ? "" : `user ${each.user}`)
  const step = each.step === null ? "" : ` in step ${each.step}`
  const who = by === "" ? "" : `, by ${by}`
  return [
    `  ${elided(each.target, columns - 24)}${many}${times}`,
    `    ${elided(`${each.reason}: ${why(each)}${denier(each)}${who}${step}`, columns - 4)}`,
    ...(each.suggestion === null
      ? []
      : [`    to allow it:  ${elided(asListItem(each.suggestion), columns - 18)}`]),
  ]
}

/** What a protocol lacks is known only where it was refused. */
function why(each: DeniedReport): string {
  const { reason, detail } = each
  return reason === "unsupported-protocol" && detail !== null
    ? detail.replace(/\.$/, "")
    : denialText(each)
}

function denier({ rule }: DeniedReport): string {
  return rule === null ? "" : ` (${rule.source}${rule.line > 0 ? `:${rule.line}` : ""})`
}

/** A path as a shell takes it. */
function path(text: string): string {
  return /^[\w./@:+-]+$/.test(text) ? text : elided(`'${text.replaceAll("'", "'\\''")}'`, 400)
}
