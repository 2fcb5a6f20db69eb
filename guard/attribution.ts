/**
 * Who opened each flow: found when it is opened, and told when its event is recorded.
 *
 * So a flow costs one message that nobody waits for, and what a process is called crosses no channel.
 * It is also the truth of the guard's own, whatever the gate may say.
 */
import type { TimedBody } from "../events/line.ts"
import type { Process } from "../flows/flow.ts"
import type { Found } from "../processes/owner.ts"
import type { Owner } from "./channel.ts"

/** Flows that are known at a time: 32 workers with as many as they carry. The oldest makes room. */
const flowsMax = 262_144

/** Gives again, later, what was not known yet. */
export type Again = (find: () => Found) => Promise<Process | null>

export class Attribution {
  readonly #again: Again
  readonly #step: string | null
  readonly #flows = new Map<string, Owner | Promise<Owner>>()

  /** @param step the step of all processes; null: unknown */
  constructor(again: Again, step: string | null) {
    this.#again = again
    this.#step = step
  }

  /** Who it is that `find` finds; not remembered. */
  now(find: () => Found): Owner | Promise<Owner> {
    const found = find()
    return found === "later"
      ? this.#again(find).then((process) => this.#owner(process))
      : this.#owner(found)
  }

  /** Who opened a flow: as remembered, or else as `find` finds now. */
  of(flow: string, find: () => Found): Owner | Promise<Owner> {
    const known = this.#flows.get(flow)
    if (known !== undefined) return known
    const owner = this.now(find)
    if (this.#flows.size >= flowsMax) {
      for (const oldest of this.#flows.keys()) {
        this.#flows.delete(oldest)
        break
      }
    }
    this.#flows.set(flow, owner)
    if (owner instanceof Promise) {
      void owner.then((settled) => {
        if (this.#flows.get(flow) === owner) this.#flows.set(flow, settled)
      })
    }
    return owner
  }

  forget(flow: string): void {
    this.#flows.delete(flow)
  }

  /** What must be awaited before `signed` knows all of these; null: nothing. */
  pending(events: readonly TimedBody[]): Promise<unknown> | null {
    const waits: Promise<Owner>[] = []
    for (const { body } of events) {
      if (body.kind !== "flow") continue
      const owner = this.#flows.get(body.flow)
      if (owner instanceof Promise) waits.push(owner)
    }
    return waits.length === 0 ? null : Promise.all(waits)
  }

  /** The events, those of flows with who opened them. A flow has one event, and is forgotten with it. */
  signed(events: readonly TimedBody[]): readonly TimedBody[] {
    return events.map((event) => {
      const { body, atMs } = event
      if (body.kind !== "flow") return event
      const owner = this.#flows.get(body.flow)
      if (owner === undefined || owner instanceof Promise) return event
      this.#flows.delete(body.flow)
      return { atMs, body: { ...body, process: owner.process, step: owner.step } }
    })
  }

  #owner(process: Process | null): Owner {
    return { process, step: process === null ? null : this.#step }
  }
}
