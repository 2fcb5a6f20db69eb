/**
 * How a way past the firewall is shown to be closed. Each case runs three times in the lab:
 *
 * 1. without a firewall: the canary must arrive at the far end, else the case shows nothing;
 * 2. in block mode: it must not arrive, and an event must say so with the expected reason;
 * 3. in audit mode: it arrives, with the same reason and `enforced: false`.
 *
 * The oracle is the far end (lab.seen), never what the client printed. The tests run the compiled
 * program in dist/, as a user has it.
 */
import { randomBytes } from "node:crypto"
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Test } from "tap"
import { openLab, type Lab, type LabOptions, type RunResult } from "../../lab/internet.ts"
import type { Event } from "../../events/event.ts"
import type { Reason } from "../../flows/reason.ts"

/** A word that stands nowhere else; fits a DNS label. */
export function canary(): string {
  return `canary${randomBytes(8).toString("hex")}`
}

/** Why this machine cannot run the lab; null: it can. */
export function whyNoLab(): string | null {
  if (process.getuid?.() !== 0) return "needs root"
  for (const [program, argv] of [
    ["nft", ["--version"]],
    ["ip", ["-V"]],
  ] as const) {
    try {
      execFileSync(program, argv, { stdio: "ignore" })
    } catch {
      return `needs ${program}`
    }
  }
  return null
}

/** Opens a lab for a test file; it is closed when the file ends. */
export async function labFor(t: Test, options: LabOptions = { capture: true }): Promise<Lab> {
  const lab = await openLab(options)
  t.teardown(() => lab.close())
  return lab
}

/** How long what was sent may take to be written down at the far end of a busy machine. */
const arrivalMs = 4_000

/** Whether a canary has come to the far end, or comes soon. */
export async function arrives(lab: Lab, word: string): Promise<boolean> {
  const until = Date.now() + arrivalMs
  do {
    if ((await lab.seen(word)).length > 0) return true
  } while (Date.now() < until)
  return false
}

export interface Guarded extends RunResult {
  readonly events: readonly Event[]
}

export interface Policy {
  readonly mode: "audit" | "block"
  readonly allow?: readonly string[]
  readonly deny?: readonly string[]
  /** Further top-level lines of YAML. */
  readonly more?: string
  /** Further options of `sluice run`. */
  readonly options?: readonly string[]
  readonly timeoutMs?: number
  readonly environment?: Readonly<Record<string, string>>
  /** Nothing of the test's own environment but `environment`. */
  readonly bare?: boolean
}

/** Runs a command behind the firewall; gives what it printed and the events. */
export async function guarded(
  lab: Lab,
  policy: Policy,
  command: readonly string[],
): Promise<Guarded> {
  const directory = mkdtempSync(join(lab.directory, "run-"))
  const list = (key: string, lines: readonly string[] = []): string =>
    lines.length === 0
      ? ""
      : `${key}:\n${lines.map((line) => `  - ${JSON.stringify(line)}`).join("\n")}\n`
  const text = `mode: ${policy.mode}\n${list("allow", policy.allow)}${list("deny", policy.deny)}${policy.more ?? ""}`
  const file = join(directory, "policy.yml")
  writeFileSync(file, text)
  const log = join(directory, "events.jsonl")
  const options = ["--quiet", "--policy", file, "--events", log, ...(policy.options ?? [])]
  const result = await lab.run(lab.guarded(options, command), {
    timeoutMs: policy.timeoutMs ?? 30_000,
    ...(policy.environment === undefined ? {} : { environment: policy.environment }),
    ...(policy.bare === undefined ? {} : { bare: policy.bare }),
  })
  return { ...result, events: existsSync(log) ? readEvents(log) : [] }
}

/** Every line of a log; a line that is no event fails the test that reads it. */
export function readEvents(path: string): Event[] {
  const lines = readFileSync(path, "utf8").trimEnd().split("\n")
  return lines.map((line) => JSON.parse(line) as Event)
}

export interface Case extends Omit<Policy, "mode"> {
  /** Begins with the row of the list of known ways past, `row 5: another resolver over UDP`. */
  readonly name: string
  readonly command: (canary: string) => readonly string[]
  /** Any of these. */
  readonly reasons: readonly Reason[]
  /** `drop`: the kernel's count is the record. Default: name, flow or request events. */
  readonly record?: "drop"
  /** Default true; false where the case cannot work in audit mode either: then `why` says why. */
  readonly audit?: false
  /** What is not there even without a firewall: then only block is run, and `why` says why. */
  readonly vacuous?: string
}

type Denied = Extract<Event, { kind: "name" | "flow" | "request" }>

/** Events that tell of a denial for one of these reasons. */
export function denials(
  events: readonly Event[],
  reasons: readonly Reason[],
  record?: "drop",
): (Denied | Extract<Event, { kind: "drop" }>)[] {
  return events.filter((event): event is Denied => {
    if (record === "drop") return event.kind === "drop" && reasons.includes(event.reason)
    const told = event.kind === "name" || event.kind === "flow" || event.kind === "request"
    return told && event.verdict === "deny" && reasons.includes(event.reason)
  })
}

/** What an event log says, short enough for a failure's text. */
function shown(events: readonly Event[]): string {
  return events.map((event) => JSON.stringify(event).slice(0, 400)).join("\n")
}

/** Runs one case three times; see the head of this file. */
export function threeTimes(t: Test, lab: Lab, given: Case): Promise<unknown> {
  return t.test(given.name, async (t) => {
    const { allow, deny, more, options, timeoutMs, environment } = given
    const rules = Object.fromEntries(
      Object.entries({ allow, deny, more, options, timeoutMs, environment }).filter(
        ([, value]) => value !== undefined,
      ),
    ) as Omit<Policy, "mode">

    if (given.vacuous === undefined) {
      const free = canary()
      const result = await lab.run(given.command(free), { timeoutMs: timeoutMs ?? 30_000 })
      if (!t.ok(await arrives(lab, free), "arrives without a firewall")) t.comment(result.stderr)
    }

    const caught = canary()
    const block = await guarded(lab, { mode: "block", ...rules }, given.command(caught))
    t.strictSame(await lab.seen(caught), [], "does not arrive in block mode")
    const told = denials(block.events, given.reasons, given.record)
    const words = `is told as ${given.reasons.join(" or ")}`
    if (!t.ok(told.length > 0, words)) t.comment(shown(block.events))
    t.ok(
      told.every((event) => event.enforced !== false),
      "is told as enforced",
    )
    t.match(block.events.at(-1), { kind: "run-ended", lost: 0 }, "the log is whole")
    if (given.audit === false || given.vacuous !== undefined) return

    const watched = canary()
    const audit = await guarded(lab, { mode: "audit", ...rules }, given.command(watched))
    if (!t.ok(await arrives(lab, watched), "arrives in audit mode")) t.comment(audit.stderr)
    const rehearsed = denials(audit.events, given.reasons, given.record)
    if (!t.ok(rehearsed.length > 0, "audit says the same")) t.comment(shown(audit.events))
    t.ok(
      rehearsed.every((event) => event.enforced === false),
      "audit says that it was not enforced",
    )
  })
}
