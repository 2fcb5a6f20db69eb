/** The gate's end of its channel to the guard: questions with answers, and events in batches. */
import type { Duplex } from "node:stream"
import type { Address } from "../net/address.ts"
import type { Endpoint } from "../net/endpoint.ts"
import type { Hostname } from "../net/hostname.ts"
import type { EventBody } from "../events/event.ts"
import type { Transport } from "../flows/flow.ts"
import type { TimedBody } from "../events/line.ts"
import { batchMax, type FromGuard, type Owner } from "./channel.ts"
import { lines } from "./lines.ts"

export interface GuardLine {
  readonly ready: () => void
  /** Has the guard find who opened a TCP flow and say so in the flow's event. */
  readonly opened: (flow: string, source: Endpoint, target: Endpoint) => void
  /** The flow will have no event. */
  readonly forgotten: (flow: string) => void
  /** @param flow the flow whose owner it is, of which the guard may know already; null: none */
  readonly owner: (
    transport: Transport,
    source: Endpoint,
    target: Endpoint | null,
    flow: string | null,
  ) => Promise<Owner>
  /** Rejects when the kernel does not take them: the job must not learn of them then. */
  readonly admit: (
    doors: readonly string[],
    addresses: readonly Address[],
    ttlMs: number,
  ) => Promise<void>
  /** A certificate for a name, PEM; rejects when the guard signs none. */
  readonly leaf: (host: Hostname) => Promise<string>
  /** At least so many bytes of the budget of a rule, or 0: less is left. */
  readonly lease: (rule: number, bytes: number) => Promise<number>
  readonly giveBack: (rule: number, bytes: number) => void
  /** undefined: taken. A promise: too much waits to be written; go on when it is kept. */
  readonly record: (body: EventBody) => Promise<void> | undefined
  /** Resolves when the guard has taken every event so far. */
  readonly flushed: () => Promise<void>
}

/** Events that may wait in a gate process before its flows are held; some MiB. */
const waitingMax = 4 * batchMax
/** Batches that the guard has not confirmed yet. */
const unconfirmedMax = 4
/** An owner that the guard has not named within this time is unknown: a job must not wait for ever. */
const ownerTimeoutMs = 2_000
/**
 * How long events are gathered, in milliseconds: each message wakes both processes. The log gathers for
 * longer before it writes.
 */
const gatherMs = 10

const nobody: Owner = { process: null, step: null }

type Ask = (message: object, then: (answer: FromGuard) => void) => number

/** Events on their way to the guard: in batches, a few of them unconfirmed, the rest waits. */
class Outbox {
  readonly #ask: Ask
  readonly #waiting: TimedBody[] = []
  #unconfirmed = 0
  #timer: NodeJS.Timeout | null = null
  #relieved: (() => void)[] = []
  #emptied: (() => void)[] = []

  constructor(ask: Ask) {
    this.#ask = ask
  }

  record(body: EventBody): Promise<void> | undefined {
    this.#waiting.push({ atMs: Date.now(), body })
    if (this.#waiting.length >= batchMax) this.#flush()
    else this.#timer ??= setTimeout(() => this.#flush(), gatherMs)
    if (this.#waiting.length < waitingMax) return undefined
    return new Promise((resolve) => this.#relieved.push(resolve))
  }

  flushed(): Promise<void> {
    this.#flush()
    if (this.#unconfirmed === 0) return Promise.resolve()
    return new Promise((resolve) => this.#emptied.push(resolve))
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    while (this.#waiting.length > 0 && this.#unconfirmed < unconfirmedMax) {
      const batch = this.#waiting.splice(0, batchMax)
      this.#unconfirmed++
      this.#ask({ t: "events", batch }, () => {
        this.#unconfirmed--
        this.#flush()
      })
    }
    if (this.#waiting.length < waitingMax) release(this.#relieved)
    if (this.#unconfirmed === 0) release(this.#emptied)
  }
}

function release(waiting: (() => void)[]): void {
  for (const each of waiting.splice(0)) each()
}

/**
 * @param receive messages that answer no question: the order, and `stop`
 * @param lost the guard is gone; without it nothing may pass
 */
export function guardLine(
  stream: Duplex,
  receive: (message: FromGuard) => void,
  lost: () => void,
): GuardLine {
  let lastId = 0
  const asked = new Map<number, (answer: FromGuard) => void>()
  const channel = lines(
    stream,
    (message) => {
      // Why unchecked: the guard is the one process that this one trusts.
      const answer = message as unknown as FromGuard
      if (!("id" in answer)) return receive(answer)
      asked.get(answer.id)?.(answer)
      asked.delete(answer.id)
    },
    lost,
  )
  const ask: Ask = (message, then) => {
    const id = ++lastId
    asked.set(id, then)
    channel.send({ ...message, id })
    return id
  }
  const outbox = new Outbox(ask)

  return {
    ready: () => channel.send({ t: "ready" }),
    opened: (flow, source, target) => channel.send({ t: "opened", flow, source, target }),
    forgotten: (flow) => channel.send({ t: "forgotten", flow }),
    owner: (transport, source, target, flow) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          asked.delete(id)
          resolve(nobody)
        }, ownerTimeoutMs)
        const id = ask({ t: "owner", flow, transport, source, target }, (answer) => {
          clearTimeout(timer)
          resolve(answer.t === "owner" ? { process: answer.process, step: answer.step } : nobody)
        })
      }),
    admit: (doors, addresses, ttlMs) =>
      new Promise((resolve, reject) => {
        ask({ t: "admit", doors, addresses, ttlMs }, ({ t }) => {
          if (t === "done") resolve()
          else
            reject(new Error("Cannot admit addresses: the kernel refused, no answer may be given"))
        })
      }),
    leaf: (host) =>
      new Promise((resolve, reject) => {
        ask({ t: "leaf", host }, (answer) => {
          if (answer.t === "leaf") resolve(answer.pem)
          else reject(new Error(`Cannot open TLS for "${host}": the guard signs no leaf for it`))
        })
      }),
    lease: (rule, bytes) =>
      new Promise((resolve) => {
        ask({ t: "lease", rule, bytes }, (answer) => {
          resolve(answer.t === "lease" ? answer.bytes : 0)
        })
      }),
    giveBack: (rule, bytes) => channel.send({ t: "return", rule, bytes }),
    record: (body) => outbox.record(body),
    flushed: () => outbox.flushed(),
  }
}
