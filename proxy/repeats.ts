/**
 * One line of the log for each request; what one flow asks again and again within a second is one
 * line with a count. Pure: memory is bounded, and no request goes uncounted.
 */
import type { RequestEvent, RuleShown } from "../events/event.ts"

/** Requests of one kind that have lines of their own within one window. */
export const ownLinesMax = 64
/** Over which requests of one kind are counted, in milliseconds. */
export const windowMs = 1_000
/** Kinds that are kept at a time, of all flows together: about 2 MiB. The oldest makes room. */
const kindsMax = 4_096
/** A request with a longer path, in characters, is never counted under another. */
const pathCharactersMax = 1_024

/** Requests of one flow that differ in nothing but their bytes. */
interface Kind {
  readonly first: RequestEvent
  readonly key: string
  /** End of its window, milliseconds. */
  readonly untilMs: number
  /** Requests with lines of their own. */
  own: number
  /** Requests beyond them. */
  repeated: number
  bytesSent: number
  bytesReceived: number
}

const none: readonly RequestEvent[] = []

/** The requests of all flows of a worker. */
export class Repeats {
  /** By flow and by what the requests say; in the order in which their windows end. */
  readonly #kinds = new Map<string, Kind>()
  /** Flow → its kinds, for its end. */
  readonly #flows = new Map<string, Set<Kind>>()
  /** A client that repeats itself mostly repeats its last request: no key need be made for it. */
  #last: Kind | null = null

  /**
   * Takes a request that is over.
   *
   * @returns the lines to write now; [] where it is only counted
   */
  push(event: RequestEvent, nowMs: number): readonly RequestEvent[] {
    if (event.path.length > pathCharactersMax) return [event]
    const kind = this.#find(event)
    if (kind === null || kind.untilMs <= nowMs || nowMs < kind.untilMs - windowMs) {
      return [...(kind === null ? none : this.#drop(kind)), ...this.#begin(event, nowMs)]
    }
    if (kind.own < ownLinesMax) {
      kind.own++
      return [event]
    }
    kind.repeated++
    kind.bytesSent += event.bytesSent
    kind.bytesReceived += event.bytesReceived
    return none
  }

  /** Lines of what was counted in windows that have ended. To be called about once a second. */
  due(nowMs: number): readonly RequestEvent[] {
    const lines: RequestEvent[] = []
    for (const kind of this.#kinds.values()) {
      // Why both: a clock that was set back must not keep what is counted for hours.
      if (kind.untilMs > nowMs && kind.untilMs - windowMs <= nowMs) break
      lines.push(...this.#drop(kind))
    }
    return lines
  }

  /** Lines of what was counted for a flow that is over; they belong in front of its own. */
  end(flow: string): readonly RequestEvent[] {
    const kinds = this.#flows.get(flow)
    return kinds === undefined ? none : [...kinds].flatMap((kind) => this.#drop(kind))
  }

  #find(event: RequestEvent): Kind | null {
    if (this.#last !== null && alike(this.#last.first, event)) return this.#last
    const kind = this.#kinds.get(keyOf(event)) ?? null
    if (kind !== null) this.#last = kind
    return kind
  }

  #begin(event: RequestEvent, nowMs: number): readonly RequestEvent[] {
    const oldest = this.#kinds.size < kindsMax ? undefined : this.#kinds.values().next().value
    const lines = oldest === undefined ? none : this.#drop(oldest)
    const kind: Kind = {
      first: event,
      key: keyOf(event),
      untilMs: nowMs + windowMs,
      own: 1,
      repeated: 0,
      bytesSent: 0,
      bytesReceived: 0,
    }
    this.#kinds.set(kind.key, kind)
    const ofFlow = this.#flows.get(event.flow)
    if (ofFlow === undefined) this.#flows.set(event.flow, new Set([kind]))
    else ofFlow.add(kind)
    this.#last = kind
    return [...lines, event]
  }

  /** Forgets a kind, and gives the line of what was counted. */
  #drop(kind: Kind): readonly RequestEvent[] {
    this.#kinds.delete(kind.key)
    const ofFlow = this.#flows.get(kind.first.flow)
    ofFlow?.delete(kind)
    if (ofFlow?.size === 0) this.#flows.delete(kind.first.flow)
    if (this.#last === kind) this.#last = null
    const { first, repeated, bytesSent, bytesReceived } = kind
    if (repeated === 0) return none
    const sum = { ...first, bytesSent, bytesReceived }
    return [repeated === 1 ? sum : { ...sum, repeated }]
  }
}

function alike(one: RequestEvent, other: RequestEvent): boolean {
  return (
    one.flow === other.flow &&
    one.path === other.path &&
    one.host === other.host &&
    one.method === other.method &&
    one.status === other.status &&
    one.verdict === other.verdict &&
    one.enforced === other.enforced &&
    one.reason === other.reason &&
    one.token === other.token &&
    one.protocol === other.protocol &&
    one.scheme === other.scheme &&
    sameRule(one.rule, other.rule)
  )
}

function sameRule(one: RuleShown | null, other: RuleShown | null): boolean {
  if (one === other) return true
  if (one === null || other === null) return false
  return one.line === other.line && one.text === other.text && one.source === other.source
}

/** One string for what alike() compares. Lengths in front, so that no part passes for two. */
function keyOf(event: RequestEvent): string {
  const { flow, method, host, path, status, verdict, enforced, reason, token, rule } = event
  const line = rule === null ? "" : `${rule.line} ${rule.source} ${rule.text}`
  const how = `${verdict} ${enforced} ${reason} ${token} ${event.protocol} ${event.scheme ?? ""}`
  const lengths = `${flow.length} ${method.length} ${host.length} ${path.length}`
  return `${lengths} ${flow}${method}${host}${path} ${status} ${how} ${line}`
}
