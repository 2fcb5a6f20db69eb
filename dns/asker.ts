/**
 * One question from its bytes to those of its answer: decided on, answered from what is known or
 * asked upstream, remembered and recorded.
 */
import { addressOfSocket } from "../net/address.ts"
import type { Address } from "../net/address.ts"
import type { Endpoint } from "../net/endpoint.ts"
import type { Hostname } from "../net/hostname.ts"
import { isSpecial, specialRanges } from "../net/special.ts"
import type { SpecialRanges } from "../net/special.ts"
import type { Process } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import type { NameVerdict } from "../policies/decide-name.ts"
import type { Mode, Rule } from "../policies/policy.ts"
import { answer } from "./answer.ts"
import type { Answer, Judged } from "./answer.ts"
import { Budget, defaultLimits } from "./budget.ts"
import type { Limits } from "./budget.ts"
import { rcodeName, typeName, types } from "./code.ts"
import type { Found } from "./found.ts"
import { askedKey, lineKey, Lines, sameAnswer } from "./lines.ts"
import type { Line, NameLine, RecordName } from "./lines.ts"
import { errorOf, localAnswer, nothing } from "./local.ts"
import { Lookup } from "./lookup.ts"
import type { Admit, Changed } from "./lookup.ts"
import { messageBytesMax, plainUdpBytes, readQuery, udpBytesMax } from "./message.ts"
import { isTruncated, writeFault, writeReply } from "./message.ts"
import type { Fault, Query } from "./message.ts"
import { Names } from "./names.ts"
import { keptForVerdictsMs, keptMs, nobody, Owners, within } from "./owners.ts"
import type { Client, FindOwner, Owner } from "./owners.ts"
import { QuickAnswers, quickReply } from "./quick.ts"
import type { QuickAnswer } from "./quick.ts"
import { writeTtls } from "./section.ts"
import type { Answerer } from "./server.ts"
import { headerBytes } from "./wire-name.ts"
import { upstreams } from "./upstream.ts"

/** What the resolver is given. */
export interface AskerOptions {
  readonly mode: Mode
  /** Whom to ask, in this order; the next one when one fails. */
  readonly upstreams: readonly Endpoint[]
  /** @param type `A`, `AAAA`, `TXT`, `TYPE65280`… */
  readonly nameVerdict: (
    name: Hostname,
    type: string,
    process: Process | null,
    step: string | null,
  ) => NameVerdict
  /** true for every public address. */
  readonly mayResolveTo: (name: Hostname, address: Address) => boolean
  /** Whether verdicts depend on process or step: then none is given before the owner is known. */
  readonly needsProcess: boolean
  readonly owner: FindOwner
  readonly admit: Admit
  readonly changed?: Changed
  readonly record: RecordName
  readonly special?: SpecialRanges
  /** Names answered here and nowhere else, such as the machine's own. */
  readonly locals?: ReadonlyMap<Hostname, readonly Address[]>
  readonly limits?: Limits
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export interface Resolved {
  readonly addresses: readonly Address[]
  /** Why there are none. */
  readonly reason: Reason | null
}

/** A refusal may wait for its owner, so that the log can name who tried; an answer does not. */
const refusalWaitMs = 250
/** Refusals do not change while we live; the bound is only so that memory is given back. */
const refusalQuickMs = 60_000

/** A question on its way through. */
interface Asked {
  readonly message: Buffer
  readonly query: Query
  readonly client: Client
  readonly owner: Owner | Promise<Owner>
}

export class Asker implements Answerer {
  readonly #options: AskerOptions
  readonly #now: () => number
  readonly #names = new Names()
  readonly #budget: Budget
  readonly #lookup: Lookup
  readonly #lines: Lines
  readonly #owners: Owners
  readonly #quick = new QuickAnswers()
  readonly #special: SpecialRanges
  readonly #locals: ReadonlyMap<Hostname, readonly Address[]>
  /** The last address of a client, as its socket names it and as it is. */
  #lastSeen = { text: "", address: "" }

  constructor(options: AskerOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#budget = new Budget(options.limits ?? defaultLimits)
    this.#lines = new Lines(options.record, this.#now)
    this.#owners = new Owners(
      options.owner,
      this.#now,
      options.needsProcess ? keptForVerdictsMs : keptMs,
    )
    this.#special = options.special ?? specialRanges
    this.#locals = options.locals ?? new Map()
    this.#lookup = new Lookup({
      mode: options.mode,
      upstreams: upstreams(options.upstreams, this.#now),
      budget: this.#budget,
      names: this.#names,
      mayResolveTo: options.mayResolveTo,
      admit: options.admit,
      changed: options.changed ?? (() => null),
      now: this.#now,
    })
  }

  get saturated(): boolean {
    return this.#lines.saturated
  }

  ready(): Promise<void> {
    return this.#lines.ready()
  }

  overlooked(): void {
    this.#lines.overlooked()
  }

  untilOf(address: Address): number | null {
    return this.#names.untilOf(address, this.#now())
  }

  namesOf(address: Address): Hostname[] {
    return this.#names.namesOf(address, this.#now())
  }

  close(): void {
    this.#lookup.close()
    this.#lines.close()
  }

  async resolve(name: Hostname): Promise<Resolved> {
    const local = name === "localhost" || name.endsWith(".localhost") || this.#locals.has(name)
    // Why: what such a name is to the job, the gate does not reach, and must not.
    if (local) return { addresses: [], reason: "private-address" }
    const { rule } = this.#options.nameVerdict(name, "A", null, null)
    // Why: a server name in a ClientHello asks upstream as a question does, and pays like one.
    if (!this.#spend(name, rule) && this.#options.mode === "block") {
      return { addresses: [], reason: "name-budget-exceeded" }
    }
    return this.#lookup.both(name)
  }

  quick(message: Buffer, address: string, port: number, busy: boolean): Buffer | null {
    const nowMs = this.#now()
    const known = this.#quick.find(message, nowMs)
    if (known === null) return null
    if (known.port === port && known.address === address && known.line.open) {
      known.line.repeated++
      return quickReply(known, message, nowMs, busy)
    }
    const line = this.#quickLine(known, address, port)
    if (line === null) return null
    known.address = address
    known.port = port
    known.line = line
    return quickReply(known, message, nowMs, busy)
  }

  respond(message: Buffer, client: Client): Buffer | null | Promise<Buffer | null> {
    const query = readQuery(message)
    if ("rcode" in query) return this.#fault(query, client)
    const owner = this.#owners.of(client)
    const asked: Asked = { message, query, client, owner }
    return this.#options.needsProcess && owner instanceof Promise
      ? owner.then((known) => this.#decide({ ...asked, owner: known }))
      : this.#decide(asked)
  }

  /** A line for one more asker of what is known; null: that takes the longer way. */
  #quickLine({ asked, body }: QuickAnswer, text: string, port: number): Line | null {
    if (this.#lastSeen.text !== text) {
      this.#lastSeen = { text, address: addressOfSocket(text) ?? text }
    }
    const { address } = this.#lastSeen
    const key = lineKey("udp", address, port, asked)
    const line = this.#lines.find(key)
    if (line !== null && (line.body === body || sameAnswer(line.body, body))) {
      line.repeated++
      return line
    }
    if (this.saturated) return null
    const source = { address: address as Address, port }
    const owner = this.#owners.of({ transport: "udp", source, target: null })
    if (body.verdict === "deny" && owner instanceof Promise) return null
    return this.#lines.open(key, body, owner)
  }

  #decide(asked: Asked): Buffer | Promise<Buffer> {
    const { query, owner } = asked
    const { mode, nameVerdict } = this.#options
    const { process, step } = owner instanceof Promise ? nobody : owner
    const made = answer(
      {
        mode,
        nameVerdict: (name, type) => nameVerdict(name, type, process, step),
        spend: (name, rule) => this.#spend(name, rule),
        isSpecial: (address) => isSpecial(address, this.#special),
        namesOf: (address) => this.namesOf(address),
        locals: this.#locals,
      },
      query,
    )
    const found = this.#found(query, made)
    const finish = (known: Found) => this.#finish(asked, made.judged, known)
    if (made.judged.verdict === "deny" && owner instanceof Promise) {
      const late = within(refusalWaitMs, owner, nobody)
      return Promise.all([found, late]).then(([known]) => finish(known))
    }
    return found instanceof Promise ? found.then(finish) : finish(found)
  }

  #found(query: Query, made: Answer): Found | Promise<Found> {
    if (made.kind === "forward") {
      return this.#lookup.find(made.name, query.type, made.judged.verdict === "deny")
    }
    return made.kind === "reply" && made.addresses.length > 0
      ? localAnswer(query.wire, made.addresses, this.#now())
      : nothing(made.rcode, this.#now())
  }

  #spend(name: Hostname, rule: Rule | null): boolean {
    return this.#budget.spend(name, rule, this.#now())
  }

  /** The bytes of the answer; recorded, and kept for the next who asks. */
  #finish(asked: Asked, made: Judged, found: Found): Buffer {
    const { query, client, owner } = asked
    const judged = judgedWith(made, found, this.#options.mode)
    const { section } = found
    const parts = {
      rcode: found.rcode,
      section: section.bytes,
      answers: section.answers,
      authority: section.authority,
      error: errorOf(judged.verdict === "deny" && judged.enforced, judged.reason),
    }
    const udpBytes = Math.min(query.edns?.udpBytes ?? plainUdpBytes, udpBytesMax)
    const reply = writeReply(query, parts, client.transport === "tcp" ? messageBytesMax : udpBytes)
    const whole = !isTruncated(reply)
    const elapsed = secondsSince(found.bornAtMs, this.#now())
    if (whole && elapsed > 0) writeTtls(reply, recordsAt(query), section, elapsed)
    const line = this.#note(client, lineBody(query, client, judged, found), owner)
    if (whole && this.#isSteady(asked, judged)) this.#keep(asked, found, reply, elapsed, line)
    return reply
  }

  /** Whether the very same datagram would be answered so again, and is likely to come. */
  #isSteady({ message, query, client }: Asked, { reason }: Judged): boolean {
    return (
      client.transport === "udp" &&
      !this.#options.needsProcess &&
      reason !== "name-budget-exceeded" &&
      query.type !== types.ptr &&
      // Why: options and letter case of the job's own make every question another one.
      message.length === recordsAt(query) + (query.edns === null ? 0 : 11) &&
      query.question.toString("latin1", 0, query.wire.length) === query.wire
    )
  }

  #keep(
    { message, query, client }: Asked,
    found: Found,
    reply: Buffer,
    elapsed: number,
    line: Line,
  ): void {
    const { body } = line
    const nowMs = this.#now()
    const refused = found.ttlMs === 0 && found.failure === null && body.verdict === "deny"
    const untilMs = refused ? nowMs + refusalQuickMs : found.bornAtMs + found.ttlMs
    // Why: a flood of refused names is a flood of different ones; keeping each would cost the most.
    if (untilMs <= nowMs || (refused && line.repeated === 0)) return
    this.#quick.keep(message, {
      reply: Buffer.from(reply),
      recordsAt: recordsAt(query),
      // Why: what a refusal says about time does not run out.
      found: refused ? { ...found, section: { ...found.section, ttlsAt: [] } } : found,
      untilMs,
      elapsed,
      body,
      asked: askedKey(body),
      address: client.source.address,
      port: client.source.port,
      line,
    })
  }

  #note({ transport, source }: Client, body: NameLine, owner: Owner | Promise<Owner>): Line {
    const key = lineKey(transport, source.address, source.port, askedKey(body))
    const line = this.#lines.find(key)
    if (line === null || !sameAnswer(line.body, body)) return this.#lines.open(key, body, owner)
    line.repeated++
    return line
  }

  /** No question: answered with a code where one is due, recorded where a name can be read. */
  #fault(fault: Fault, client: Client): Buffer | null {
    if (fault.rcode === null) return null
    if (fault.shown !== null) {
      const body: NameLine = {
        kind: "name",
        name: fault.shown,
        type: typeName(fault.type),
        transport: client.transport,
        rcode: rcodeName(fault.rcode),
        addresses: [],
        verdict: "deny",
        enforced: true,
        reason: "malformed",
        rule: null,
      }
      this.#note(client, body, this.#owners.of(client))
    }
    return writeFault(fault)
  }
}

/** The verdict once it is known what there is to give. */
function judgedWith(asked: Judged, { failure }: Found, mode: Mode): Judged {
  if (failure === null || asked.verdict === "deny") return asked
  const { rule } = asked
  if (failure === "upstream-failed") return { ...asked, reason: failure }
  const enforced = failure !== "private-address" || mode === "block"
  return { verdict: "deny", enforced, reason: failure, rule }
}

/** Where the records of an answer begin. */
function recordsAt({ question }: Query): number {
  return headerBytes + question.length
}

function secondsSince(thenMs: number, nowMs: number): number {
  return Math.max(0, Math.floor((nowMs - thenMs) / 1000))
}

function lineBody(query: Query, { transport }: Client, judged: Judged, found: Found): NameLine {
  return {
    kind: "name",
    name: query.shown,
    type: typeName(query.type),
    transport,
    rcode: rcodeName(found.rcode),
    addresses: found.addresses,
    ...(found.aliases.length > 0 ? { aliases: found.aliases } : {}),
    ...shownJudged(judged),
  }
}

function shownJudged({
  verdict,
  enforced,
  reason,
  rule,
}: Judged): Pick<NameLine, "verdict" | "enforced" | "reason" | "rule"> {
  if (rule === null) return { verdict, enforced, reason, rule }
  const { source, line, text } = rule.origin
  return { verdict, enforced, reason, rule: { source, line, text } }
}
