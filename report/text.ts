/**
 * A report → text for a terminal, at most 100 columns wide. Pure.
 *
 * What was denied comes first. Everything that a job or a peer chose goes through escape.ts.
 */
import type { Program } from "../flows/flow.ts"
import { elided } from "./escape.ts"
import type { DeniedReport, Report, RunReport } from "./report.ts"
import { asListItem, attemptsText, bytes, chain, counted, denialText, duration } from "./words.ts"

export interface TextOptions {
  /** Columns of the terminal; the text uses 40 to 100 of them. */
  readonly columns: number
  readonly colour: boolean
}

/** Rows of each section; what is beyond is counted. */
const rowsMax = 20

interface Paper extends TextOptions {
  readonly paint: (style: Style, text: string) => string
}

type Style = "bold" | "red" | "green" | "yellow" | "dim"

const codes: Readonly<Record<Style, number>> = { bold: 1, red: 31, green: 32, yellow: 33, dim: 2 }

/** The report as text, newline at its end. */
export function text(report: Report, options: TextOptions): string {
  const paper: Paper = {
    columns: Math.min(100, Math.max(40, options.columns)),
    colour: options.colour,
    paint: (style, text) =>
      options.colour && text !== "" ? `\u001b[${codes[style]}m${text}\u001b[0m` : text,
  }
  const sections = [
    head(report, paper),
    denied(report, paper),
    noise(report, paper),
    findings(report, paper),
    allowed(report, paper),
    fronts(report, paper),
    notes(report, paper),
  ]
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`
}

function head(report: Report, paper: Paper): string[] {
  const lines = report.runs.slice(0, 3).map((run) => runLine(run, paper))
  if (report.runs.length > 3) lines.push(`… and ${counted(report.runs.length - 3, "more run")}`)
  const targets = report.denied.filter(({ noise }) => !noise)
  const reached = report.allowed.filter(({ connections, requests }) => connections + requests > 0)
  const word = report.enforced ? "denied" : "would be denied"
  const verdict =
    targets.length === 0
      ? paper.paint("green", "Nothing was denied.")
      : paper.paint("red", `${counted(targets.length, "target")} ${word}.`)
  const traffic =
    reached.length === 0
      ? "Nothing was reached."
      : `${counted(reached.length, "host")} reached: ${traffics(report)}.`
  return [...lines, "", ...wrapped(`${verdict} ${traffic}`, paper.columns, "")]
}

function traffics({ allowed }: Report): string {
  const sum = (key: "connections" | "bytesReceived" | "bytesSent"): number =>
    allowed.reduce((total, each) => total + each[key], 0)
  const connections = counted(sum("connections"), "connection")
  return `${connections}, ${bytes(sum("bytesReceived"))} received, ${bytes(sum("bytesSent"))} sent`
}

function runLine(run: RunReport, paper: Paper): string {
  const mode =
    run.mode === null ? "mode unknown" : run.mode === "audit" ? "audit (nothing blocked)" : "block"
  const parts = [
    paper.paint("bold", elided(run.run, 40)),
    paper.paint(run.mode === "audit" ? "yellow" : "bold", mode),
    run.policy === null
      ? null
      : `${elided(run.policy.source, 40)} (${counted(run.policy.rules, "rule")})`,
    duration(run.durationMs),
    run.status === null ? paper.paint("yellow", "no end recorded") : `exit ${run.status}`,
  ]
  return parts.filter((part) => part !== null).join("  ")
}

function denied(report: Report, paper: Paper): string[] {
  const all = report.denied.filter(({ noise }) => !noise)
  if (all.length === 0) return []
  const title = report.enforced ? "DENIED" : "WOULD BE DENIED (audit mode let it through)"
  const attempts = counted(report.deniedBeyond, "further attempt")
  const beyond = report.deniedBeyond > 0 ? `, and ${attempts}` : ""
  const more = all.length - rowsMax
  return [
    paper.paint("bold", title),
    ...blocks(all.slice(0, rowsMax), paper).flatMap(([heading, targets]) => [
      "",
      ...heading,
      ...targets.flatMap((each) => targetLines(each, paper)),
    ]),
    ...(more > 0 || beyond !== "" ? ["", `  … and ${counted(more, "more target")}${beyond}`] : []),
  ]
}

/** Targets that share reason and program, below one heading. */
function blocks(all: readonly DeniedReport[], paper: Paper): [string[], DeniedReport[]][] {
  const found = new Map<string, [string[], DeniedReport[]]>()
  for (const each of all) {
    const heading = headingLines(each, paper)
    const key = heading.join("\n")
    const block = found.get(key)
    if (block === undefined) found.set(key, [heading, [each]])
    else block[1].push(each)
  }
  return [...found.values()]
}

function headingLines(each: DeniedReport, paper: Paper): string[] {
  const by = who(each, paper.columns)
  const lines = [elided(because(each), 400), ...(by === "" ? [] : [elided(`by ${by}`, 300)])]
  return lines.flatMap((line) => wrapped(line, paper.columns - 4, "  "))
}

function targetLines(each: DeniedReport, paper: Paper): string[] {
  const many =
    each.targets > 1 ? `${counted(each.targets, each.lookups > 0 ? "name" : "target")}, ` : ""
  const tries = `${many}${attemptsText(each)}, first after ${duration(each.firstAfterMs)}`
  const target = elided(each.target, paper.columns - 4)
  const room = paper.columns - 6 - target.length
  const addresses = each.addresses.filter((address) => !each.target.includes(address))
  const sentTo = addresses.length > 0 && each.targets === 1 ? `sent to ${addresses.join(", ")}` : ""
  const example = each.example === null ? "" : `for example ${each.example}`
  const below = [example, sentTo].filter((line) => line !== "")
  return [
    `    ${paper.paint("red", target)}${
      tries.length <= room ? `  ${paper.paint("dim", tries.padStart(room))}` : ""
    }`,
    ...(tries.length <= room ? [] : [`      ${paper.paint("dim", tries)}`]),
    ...below.map((line) => `      ${elided(line, paper.columns - 6)}`),
    // Never broken nor elided: it is there to be copied.
    ...(each.suggestion === null
      ? []
      : [`      to allow it:  ${paper.paint("green", asListItem(each.suggestion))}`]),
    // Why both: a host that is left alone can only be allowed as a whole.
    ...(each.certificateRefused && each.suggestion !== null
      ? ["      and allow the whole host in place of its request rules, if you trust it"]
      : []),
  ]
}

function because(each: DeniedReport): string {
  const rule = each.rule
  const where =
    rule === null ? "" : ` (${rule.source}${rule.line > 0 ? `:${rule.line}` : ""}: ${rule.text})`
  const detail = each.detail === null ? "" : `; ${each.detail}`
  return `${each.reason}: ${denialText(each)}${where}${detail}`
}

function who(each: DeniedReport, columns: number): string {
  const step = each.step === null ? "" : ` in step ${each.step}`
  if (each.programs.length === 0) {
    if (each.user !== null) return `user ${each.user}${step}`
    return each.connections + each.lookups > 0
      ? `an unknown program: it had ended before it could be named${step}`
      : ""
  }
  const command = commandOf(each.programs[0], columns)
  return `${chain(each.programs)}${command === "" ? "" : ` (${command})`}${step}`
}

function commandOf(program: Program | undefined, columns: number): string {
  if (program === undefined || program.arguments.length < 2) return ""
  return elided(program.arguments.join(" "), Math.max(20, columns - 40))
}

function noise(report: Report, paper: Paper): string[] {
  const all = report.denied.filter(({ noise }) => noise)
  if (all.length === 0) return []
  const packets = all.reduce((total, each) => total + each.packets, 0)
  const line = `Also refused: ${counted(packets, "packet")} to neighbours (multicast, broadcast or link-local). Every Linux machine sends them.`
  return wrapped(line, paper.columns, "").map((line) => paper.paint("dim", line))
}

function findings(report: Report, paper: Paper): string[] {
  if (report.findings.length === 0) return []
  const rest = report.findings.length - rowsMax
  return [
    paper.paint("bold", "FINDINGS"),
    ...report.findings
      .slice(0, rowsMax)
      .flatMap((each) => [
        `  ${paper.paint(each.severity === "low" ? "yellow" : "red", each.severity.padEnd(9))}${elided(each.finding, paper.columns - 12)}`,
        ...wrapped(elided(each.summary, 400), paper.columns - 11, "           "),
      ]),
    ...(rest > 0 ? [`  … and ${counted(rest, "more finding")}`] : []),
  ]
}

function allowed(report: Report, paper: Paper): string[] {
  const reached = report.allowed.filter(({ connections, requests }) => connections + requests > 0)
  if (reached.length === 0) return []
  const wide = paper.columns >= 72
  const asked = paper.columns >= 84 && reached.some(({ requests }) => requests > 0)
  const columns = (wide ? 36 : 22) + (asked ? 11 : 0)
  const room = Math.min(
    paper.columns - 2 - columns,
    Math.max(4, ...reached.slice(0, rowsMax).map(({ host }) => host.length)),
  )
  const row = (host: string, cells: readonly [string, string, string, string]): string => {
    const [connections, requests, received, sent] = cells
    const shown = wide
      ? [
          connections.padStart(13),
          asked ? requests.padStart(11) : "",
          received.padStart(12),
          sent.padStart(11),
        ]
      : [received.padStart(11), sent.padStart(11)]
    return `  ${host.padEnd(room)}${shown.join("")}`
  }
  const rest = reached.length - rowsMax
  return [
    paper.paint("bold", "REACHED"),
    paper.paint("dim", row("host", ["connections", "requests", "received", "sent"])),
    ...reached
      .slice(0, rowsMax)
      .map((each) =>
        row(elided(each.host, room), [
          each.connections.toLocaleString("en-US"),
          each.requests.toLocaleString("en-US"),
          bytes(each.bytesReceived),
          bytes(each.bytesSent),
        ]),
      ),
    ...(rest > 0 ? [`  … and ${counted(rest + report.allowedBeyond, "more host")}`] : []),
  ]
}

/** What a host rule does not close on a network that many share, and what does. */
function fronts({ fronts: all }: Report, paper: Paper): string[] {
  if (all.length === 0) return []
  const what =
    "These hosts lie on networks that serve many customers from the same addresses. Their connections were not opened: inside one, a program could have asked for another customer's host. A request rule closes that, in place of the rule for the whole host; `intercept: always` does so for all hosts."
  const more = all.length - rowsMax
  return [
    paper.paint("bold", "SHARED NETWORKS"),
    ...wrapped(what, paper.columns - 2, "  "),
    ...all.slice(0, rowsMax).flatMap(({ host, operator, alias, suggestion }) => {
      const by = alias === host ? operator : `${operator}, as ${alias}`
      return [
        `    ${elided(host, paper.columns - 4)}`,
        `      ${elided(`by ${by}`, paper.columns - 6)}`,
        `      to close it:  ${paper.paint("green", asListItem(suggestion))}`,
      ]
    }),
    ...(more > 0 ? [`  … and ${counted(more, "more host")}`] : []),
  ]
}

function notes(report: Report, paper: Paper): string[] {
  const unfinished = report.runs.filter(({ status }) => status === null).length
  const all = [
    report.lost > 0
      ? `${counted(report.lost, "event")} could not be recorded while the run went on (a full disk?).`
      : null,
    report.missing > 0
      ? `${counted(report.missing, "recorded event")} ${report.missing === 1 ? "is" : "are"} missing: a part of the log was removed or damaged.`
      : null,
    report.broken > 0 ? `${counted(report.broken, "line")} of the log could not be read.` : null,
    unfinished > 0
      ? `${counted(unfinished, "run")} ${unfinished === 1 ? "has" : "have"} no end: still going on, or killed.`
      : null,
  ].filter((note) => note !== null)
  if (all.length === 0) return []
  const lines = all.flatMap((note) => wrapped(note, paper.columns - 2, "  "))
  return [paper.paint("bold", "NOT COMPLETE"), ...lines.map((line) => paper.paint("yellow", line))]
}

/** The text broken at spaces into lines of at most `columns`, each led by `indent`; a longer word is cut. */
function wrapped(text: string, columns: number, indent: string): string[] {
  const lines: string[] = []
  let line = ""
  for (const word of text.split(" ")) {
    let rest = word
    if (line !== "" && seen(line) + 1 + seen(rest) > columns) {
      lines.push(line)
      line = ""
    }
    while (seen(rest) > columns && !rest.includes("\u001b")) {
      lines.push(rest.slice(0, columns))
      rest = rest.slice(columns)
    }
    line = line === "" ? rest : `${line} ${rest}`
  }
  return [...lines, line].map((each) => indent + each)
}

/** Columns of a text, colours left out. */
function seen(text: string): number {
  // oxlint-disable-next-line no-control-regex -- Why: our own colours begin with ESC.
  return text.replace(/\u001b\[\d+m/g, "").length
}
