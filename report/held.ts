/**
 * Denied requests that wait for their flow's event, which comes when the flow ends and knows the
 * program. Bounded: what finds no room is told without its program.
 */
import type { Event, FlowEvent } from "../events/event.ts"
import { attemptOf, attemptWithin, type Attempt } from "./attempt.ts"

export type Request = Extract<Event, { kind: "request" }>

/** Kinds of denied requests that wait at once. */
const heldMax = 10_000

/** A denied request and its like within one flow. */
interface Held {
  readonly request: Request
  times: number
}

/** What to tell of a request: how often it was tried, and as what. */
export interface Told {
  readonly request: Request
  readonly attempt: Attempt
}

export class HeldRequests {
  /** By flow; within it, by what would be told. */
  readonly #flows = new Map<string, Map<string, Held>>()
  #count = 0

  /** Keeps a denied request; false: there is no room. */
  keep(request: Request): boolean {
    const key = flowKey(request.run, request.flow)
    const { target, reason } = attemptOf(request)
    const what = `${reason} ${request.enforced} ${target}`
    const held = this.#flows.get(key) ?? new Map<string, Held>()
    const known = held.get(what)
    if (known !== undefined) {
      known.times += request.repeated ?? 1
      return true
    }
    if (this.#count >= heldMax) return false
    held.set(what, { request, times: request.repeated ?? 1 })
    this.#flows.set(key, held)
    this.#count++
    return true
  }

  /**
   * What was denied within a flow that is over. A request that was denied for what its whole flow
   * was denied for is told as that flow, once.
   */
  of(flow: FlowEvent, run: string): readonly Told[] {
    const key = flowKey(run, flow.flow)
    const held = this.#flows.get(key)
    if (held === undefined) return []
    this.#flows.delete(key)
    this.#count -= held.size
    let told = false
    return [...held.values()].flatMap(({ request, times }) => {
      const attempt = attemptWithin(request, flow)
      if (attempt.unit === "requests") return [{ request, attempt: { ...attempt, times } }]
      if (told) return []
      told = true
      return [{ request, attempt }]
    })
  }

  /** All that still wait: their flows have not ended yet. */
  rest(): readonly Told[] {
    const all = [...this.#flows.values()].flatMap((held) => [...held.values()])
    this.#flows.clear()
    this.#count = 0
    return all.map(({ request, times }) => ({ request, attempt: { ...attemptOf(request), times } }))
  }
}

function flowKey(run: string, flow: string): string {
  return `${run} ${flow}`
}
