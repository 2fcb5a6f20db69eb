/** What one connection needs of the world: functions that guard/ hands in. Words only. */
import type { Endpoint } from "../net/endpoint.ts"
import type { Hostname } from "../net/hostname.ts"
import type { Flow, Process } from "../flows/flow.ts"
import type { Ways } from "./dial.ts"
import type { InsideWorld } from "./inside.ts"
import type { Judge } from "./turn.ts"

/** Who is at the job's end of a connection. */
export interface Owner {
  readonly process: Process | null
  readonly step: string | null
}

export interface World extends Judge, Ways, InsideWorld {
  /** Names that our resolver gave for an address, and that still hold. */
  readonly names: (address: Endpoint["address"]) => Promise<readonly Hostname[]>
  /** A flow has begun: whoever records its event finds out who opened it while that can be seen. */
  readonly opened: (flow: Flow) => void
  /** A flow is over without an event. */
  readonly forgotten: (flow: Flow) => void
  /** Asked where a verdict needs it, and before a refusal, after which it could not be seen any more. */
  readonly owner: (flow: Flow) => Promise<Owner>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}
