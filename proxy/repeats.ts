/**
 * One line of the log for each request; what one flow asks again and again within a second is one
 * line with a count. Pure: memory is bounded, and no request goes uncounted.
 */
import type { RequestEvent, RuleShown } from "../events/event.ts"

/** Requests of one kind that have lines of their own within one window. */
export const ownLinesMax = 16
/** Over which requests of one kind are counted, in milliseconds. */
export const windowMs = 1_000
/** Kinds that are kept of one flow; the oldest makes room. Few, because each push looks through them. */
const kindsMax = 16
/** Kinds that are kept of all flows together, about 4 MiB: beyond them nothing is counted. */
const allKindsMax = 4_096
/** A request with a longer path, in characters, is never counted under another. */
const pathCharactersMax = 1_024

/** Requests of one flow that differ in nothing but their bytes. */
interface Kind {
  readonly first: RequestEvent
  /** End of its window, milliseconds. */
  readonly untilMs: number
  /** Requests with lines of their own. */
  own: number
  /** Requests beyond them. */
  repeated: number
  bytesSent: number
  bytesReceived: number
}

/** Lines to write now. */
type Written = readonly RequestEvent[]

const none: Written = []

/** The requests of all flows of a worker. */
export class Repeats {
  /** Flow → its kinds, the oldest first. */
  readonly #flows = new Map<string, Kind[]>()
  #all = 0

  /**
   * Takes a request that is over.
   *
   * @returns the lines to write now; [] where it is only counted
   */
  push(event: RequestEvent, nowMs: number): Written {
    const kinds = this.#flows.get(event.flow)
    const kind = kinds?.findLast(({ first }) => alike(first, event))
    if (kind === undefined) return this.#begin(event, nowMs)
    if (isOver(kind, nowMs)) {
      this.#drop(kind)
      return [...counted(kind), ...this.#begin(event, nowMs)]
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
  due(nowMs: number): Written {
    const lines: RequestEvent[] = []
    for (const kinds of this.#flows.values()) {
      for (const kind of kinds.filter((each) => isOver(each, nowMs))) {
        this.#drop(kind)
        lines.push(...counted(kind))
      }
    }
    return lines
  }

  /** Lines of what was counted for a flow that is over; they belong in front of its own. */
  end(flow: string): Written {
    const kinds = this.#flows.get(flow)
    if (kinds === undefined) return none
    this.#flows.delete(flow)
    this.#all -= kinds.length
    return kinds.flatMap(counted)
  }

  #begin(event: RequestEvent, nowMs: number): Written {
    if (event.path.length > pathCharactersMax) return [event]
    let kinds = this.#flows.get(event.flow)
    const oldest = kinds?.length === kindsMax ? kinds.shift() : undefined
    if (oldest !== undefined) this.#all--
    const before = oldest === undefined ? none : counted(oldest)
    if (this.#all < allKindsMax) {
      if (kinds === undefined) this.#flows.set(event.flow, (kinds = []))
      const nothing = { repeated: 0, bytesSent: 0, bytesReceived: 0 }
      kinds.push({ first: event, untilMs: nowMs + windowMs, own: 1, ...nothing })
      this.#all++
    }
    return before.length === 0 ? [event] : [...before, event]
  }

  #drop(kind: Kind): void {
    const { flow } = kind.first
    const kinds = this.#flows.get(flow)
    if (kinds === undefined) return
    kinds.splice(kinds.indexOf(kind), 1)
    this.#all--
    if (kinds.length === 0) this.#flows.delete(flow)
  }
}

/** Why also before its window: a clock that was set back must not keep what is counted for hours. */
function isOver({ untilMs }: Kind, nowMs: number): boolean {
  return untilMs <= nowMs || nowMs < untilMs - windowMs
}

/** The line of what was counted; [] where nothing was. */
function counted({ first, repeated, bytesSent, bytesReceived }: Kind): Written {
  if (repeated === 0) return none
  const sum = { ...first, bytesSent, bytesReceived }
  return [repeated === 1 ? sum : { ...sum, repeated }]
}

/** The path first: that is where requests of one flow differ. */
function alike(one: RequestEvent, other: RequestEvent): boolean {
  return (
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
    one.detail === other.detail &&
    sameRule(one.rule, other.rule)
  )
}

function sameRule(one: RuleShown | null, other: RuleShown | null): boolean {
  if (one === other) return true
  if (one === null || other === null) return false
  return one.line === other.line && one.text === other.text && one.source === other.source
}
