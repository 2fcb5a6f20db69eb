/**
 * Events → what a person needs to know: what was denied and by whom, and what was not. Pure.
 *
 * A report is a fold: events go in one by one, from one run or many, and nothing of them is kept but
 * sums. Their number is bounded, so that a job that tries a million names makes no large report.
 */
import type { Event, RuleShown, RunStarted } from "../events/event.ts"
import type { Other } from "../events/parse.ts"
import type { Program } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import type { Mode } from "../policies/policy.ts"
import { collapsed } from "./collapse.ts"
import { attemptOf, hostOf, isNoise, type Attempt } from "./attempt.ts"
import { Fronts, type FrontReport } from "./fronts.ts"
import { HeldRequests, type Told } from "./held.ts"
import { counted, noCounts } from "../events/count.ts"
import type { Counts } from "../events/event.ts"
import { suggest } from "../events/suggest.ts"

/** One run, as its log tells it. */
export interface RunReport {
  readonly run: string
  readonly mode: Mode | null
  readonly scope: RunStarted["scope"] | null
  readonly policy: RunStarted["policy"] | null
  readonly version: string | null
  readonly context: Readonly<Record<string, string>>
  readonly startedAt: string
  /** From the first event to the last one. */
  readonly durationMs: number
  /** null: the log has no end. The run is still going on, or was killed, or the disk was full. */
  readonly status: number | null
  /** Events that could not be recorded, as the run itself counted them. */
  readonly lost: number
  /** Events that were recorded and are not in the log. */
  readonly missing: number
}

/** Everything that was denied for one reason to one target by one program. */
export interface DeniedReport {
  /** `evil.test`, `evil.test:8443`, `203.0.113.9:53/udp`, `POST https://a.test/x`; and of many: `**.evil.test`, `203.0.113.9:*`, `*:22`. */
  readonly target: string
  readonly reason: Reason
  /** The deny rule that decided; null where none did. */
  readonly rule: RuleShown | null
  /** The one that asked, and who started it, nearest first; [] where unknown. */
  readonly programs: readonly Program[]
  readonly user: string | null
  readonly step: string | null
  readonly connections: number
  readonly lookups: number
  readonly requests: number
  readonly packets: number
  /** How many targets `target` stands for; 1 except for a tunnel or a scan. */
  readonly targets: number
  /** One of them, where there are many. */
  readonly example: string | null
  /** Where the connections went to, a few of them. */
  readonly addresses: readonly string[]
  readonly enforced: boolean
  readonly firstAt: string
  /** After the beginning of its run. */
  readonly firstAfterMs: number
  readonly detail: string | null
  /** The client did not accept Sluice's certificate. */
  readonly certificateRefused: boolean
  /** The rule that would allow it; null: no single line is right. */
  readonly suggestion: string | null
  /** Packets that every machine sends to its neighbours, and that mean nothing. */
  readonly noise: boolean
}

/** One host that was reached. */
export interface AllowedReport {
  readonly host: string
  readonly connections: number
  readonly lookups: number
  readonly requests: number
  readonly bytesSent: number
  readonly bytesReceived: number
  /** The rules that allowed it, a few of them. */
  readonly rules: readonly string[]
}

export interface FindingReport {
  readonly finding: string
  readonly severity: "low" | "medium" | "high" | "critical"
  readonly summary: string
  readonly at: string
}

export interface Report {
  readonly v: 1
  readonly runs: readonly RunReport[]
  /** Of all runs; in health what their `run-ended` lines say. */
  readonly counts: Counts
  /** Whether everything that is in `denied` was kept from leaving. */
  readonly enforced: boolean
  /** Policy first, then noise; the most frequent first. */
  readonly denied: readonly DeniedReport[]
  /** Attempts that found no room in `denied`. */
  readonly deniedBeyond: number
  /** By bytes, most first. */
  readonly allowed: readonly AllowedReport[]
  readonly allowedBeyond: number
  /** Hosts on shared networks that were reached without a look inside. */
  readonly fronts: readonly FrontReport[]
  readonly findings: readonly FindingReport[]
  readonly lost: number
  readonly missing: number
  /** Lines of the logs that are no events. */
  readonly broken: number
}

/** Most groups of denied attempts and of hosts that are kept apart. */
export const groupsMax = 20_000
const runsMax = 10_000
const findingsMax = 1000
const addressesMax = 5

type Growing<Type> = { -readonly [Key in keyof Type]: Type[Key] }

interface Run {
  readonly shown: Growing<RunReport>
  readonly startedMs: number
  /** The last one that was read. */
  seq: number
}

export interface Group {
  readonly shown: Growing<DeniedReport>
  readonly attempt: Attempt
  readonly key: string
}

/** Takes events and, at any time, gives the report on them. */
export class Reporter {
  readonly #runs = new Map<string, Run>()
  readonly #groups = new Map<string, Group>()
  readonly #allowed = new Map<string, Growing<AllowedReport>>()
  readonly #findings: FindingReport[] = []
  readonly #held = new HeldRequests()
  readonly #fronts = new Fronts()
  #counts: Counts = noCounts
  #deniedBeyond = 0
  #allowedBeyond = 0
  #broken = 0

  /** Lines that could not be read. */
  addBroken(lines: number): void {
    this.#broken += lines
  }

  /** Adds an event. One that was added already (the same `run` and `seq`) changes nothing. */
  add(event: Event | Other): void {
    const run = this.#runOf(event)
    if (run === null || !isNew(run, event.seq)) return
    const atMs = Date.parse(event.time)
    run.shown.durationMs = Math.max(run.shown.durationMs, atMs - run.startedMs)
    if (event.kind === "other") return
    this.#counts = counted(this.#counts, event)
    switch (event.kind) {
      case "run-started":
        begin(run.shown, event)
        break
      case "run-ended":
        run.shown.status = event.status
        run.shown.lost = event.lost
        break
      case "finding":
        if (this.#findings.length < findingsMax) {
          const { finding, severity, summary, time } = event
          this.#findings.push({ finding, severity, summary, at: time })
        }
        break
      case "drop":
        this.#deny(event, attemptOf(event), run)
        break
      case "request":
        if (event.verdict === "allow") this.#allow(event)
        else if (!this.#held.keep(event)) this.#deny(event, attemptOf(event), run)
        break
      case "name":
        if (event.verdict === "deny") this.#deny(event, attemptOf(event), run)
        else this.#allow(event)
        this.#fronts.addName(event)
        break
      case "flow":
        this.#addFlow(event, run)
        this.#fronts.addFlow(event)
        break
    }
  }

  report(): Report {
    this.#tell(this.#held.rest())
    const denied = collapsed([...this.#groups.values()]).map(({ shown, attempt }) => {
      const one = shown.targets === 1 && !shown.noise
      return { ...shown, suggestion: one ? suggest(attempt) : null }
    })
    onceEach(denied.sort(byWeight))
    const runs = [...this.#runs.values()].map(({ shown }) => shown)
    return {
      v: 1,
      runs,
      counts: this.#counts,
      enforced: denied.every(({ enforced }) => enforced),
      denied,
      deniedBeyond: this.#deniedBeyond,
      allowed: [...this.#allowed.values()].sort(byBytes),
      allowedBeyond: this.#allowedBeyond,
      fronts: this.#fronts.report(),
      findings: this.#findings,
      lost: sum(runs.map(({ lost }) => lost)),
      missing: sum(runs.map(({ missing }) => missing)),
      broken: this.#broken,
    }
  }

  #runOf(event: Event | Other): Run | null {
    const known = this.#runs.get(event.run)
    if (known !== undefined) return known
    if (this.#runs.size >= runsMax) return null
    const shown: RunReport = {
      run: event.run,
      mode: null,
      scope: null,
      policy: null,
      version: null,
      context: {},
      startedAt: event.time,
      durationMs: 0,
      status: null,
      lost: 0,
      missing: 0,
    }
    const run: Run = { shown, startedMs: Date.parse(event.time), seq: 0 }
    this.#runs.set(event.run, run)
    return run
  }

  /** A flow and what was denied for the same reason within it are one attempt. */
  #addFlow(event: Extract<Event, { kind: "flow" }>, run: Run): void {
    const told = this.#held.of(event, event.run)
    this.#tell(told)
    if (event.verdict === "allow") this.#allow(event)
    else if (!told.some(({ request }) => request.reason === event.reason)) {
      this.#deny(event, attemptOf(event), run)
    }
  }

  #tell(told: readonly Told[]): void {
    for (const { request, attempt } of told) {
      const run = this.#runs.get(request.run)
      if (run !== undefined) this.#deny(request, attempt, run)
    }
  }

  #deny(event: Denying, attempt: Attempt, run: Run): void {
    const key = JSON.stringify([
      attempt.target,
      attempt.reason,
      attempt.programs.map(nameOf),
      attempt.step,
      attempt.certificateRefused === true,
    ])
    let group = this.#groups.get(key)
    if (group === undefined) {
      if (this.#groups.size >= groupsMax) {
        this.#deniedBeyond += attempt.times
        return
      }
      group = { shown: shownOf(event, attempt, run), attempt, key }
      this.#groups.set(key, group)
    }
    const { shown } = group
    shown[attempt.unit] += attempt.times
    shown.enforced &&= event.kind === "drop" || event.enforced
    const { address } = attempt
    if (
      address !== null &&
      shown.addresses.length < addressesMax &&
      !shown.addresses.includes(address)
    ) {
      shown.addresses = [...shown.addresses, address]
    }
  }

  #allow(event: Extract<Event, { kind: "name" | "flow" | "request" }>): void {
    const host = hostOf(event)
    let shown = this.#allowed.get(host)
    if (shown === undefined) {
      if (this.#allowed.size >= groupsMax) {
        this.#allowedBeyond++
        return
      }
      const nothing = { connections: 0, lookups: 0, requests: 0, bytesSent: 0, bytesReceived: 0 }
      shown = { host, ...nothing, rules: [] }
      this.#allowed.set(host, shown)
    }
    if (event.kind === "name") shown.lookups += event.repeated ?? 1
    if (event.kind === "request") shown.requests += event.repeated ?? 1
    if (event.kind === "flow") {
      shown.connections++
      shown.bytesSent += event.bytesSent
      shown.bytesReceived += event.bytesReceived
    }
    const rule = event.rule?.text
    if (rule !== undefined && shown.rules.length < addressesMax && !shown.rules.includes(rule)) {
      shown.rules = [...shown.rules, rule]
    }
  }
}

type Denying = Extract<Event, { kind: "name" | "flow" | "request" | "drop" }>

/** Whether the event is the next one of its run, or a later one; what lies between is missing. */
function isNew(run: Run, seq: number): boolean {
  // Lost events have no number, and count all the same.
  if (seq === 0) return true
  if (seq <= run.seq) return false
  run.shown.missing += seq - run.seq - 1
  run.seq = seq
  return true
}

function begin(run: Growing<RunReport>, event: RunStarted): void {
  run.mode = event.mode
  run.scope = event.scope
  run.policy = event.policy
  run.version = event.version
  run.context = event.context
}

function shownOf(event: Denying & Event, attempt: Attempt, run: Run): Growing<DeniedReport> {
  return {
    target: attempt.target,
    reason: attempt.reason,
    rule: "rule" in event ? event.rule : null,
    programs: attempt.programs,
    user: event.kind === "drop" ? event.user : null,
    step: attempt.step,
    connections: 0,
    lookups: 0,
    requests: 0,
    packets: 0,
    targets: 1,
    example: null,
    addresses: [],
    enforced: true,
    firstAt: event.time,
    firstAfterMs: Math.max(0, Date.parse(event.time) - run.startedMs),
    detail: event.kind === "flow" ? (event.detail ?? null) : null,
    certificateRefused: attempt.certificateRefused === true,
    suggestion: null,
    noise: isNoise(attempt),
  }
}

/** A host is left alone once, whichever programs did not accept our certificate for it. */
function onceEach(denied: readonly Growing<DeniedReport>[]): void {
  const told = new Set<string>()
  for (const each of denied) {
    if (!each.certificateRefused || each.suggestion === null) continue
    if (told.has(each.suggestion)) each.suggestion = null
    else told.add(each.suggestion)
  }
}

function nameOf(program: Program): string {
  return program.executable
}

/** How often it was tried. */
export function attempts(denied: DeniedReport): number {
  return denied.connections + denied.lookups + denied.requests + denied.packets
}

function byWeight(one: DeniedReport, other: DeniedReport): number {
  return Number(one.noise) - Number(other.noise) || attempts(other) - attempts(one)
}

function byBytes(one: AllowedReport, other: AllowedReport): number {
  const total = ({ bytesSent, bytesReceived }: AllowedReport): number => bytesSent + bytesReceived
  return total(other) - total(one) || other.connections - one.connections
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}
