/** What the guard answers to its gates: whose a socket is, addresses for the kernel, events taken. */
import type { Hostname } from "../net/hostname.ts"
import type { TimedBody } from "../events/line.ts"
import type { Log } from "../events/log.ts"
import { redactArguments } from "../events/redact.ts"
import type { Policy } from "../policies/policy.ts"
import type { Process } from "../flows/flow.ts"
import { listingFreshMs, members, type Members } from "../processes/members.ts"
import { ownerFinder, type Found } from "../processes/owner.ts"
import { Attribution } from "./attribution.ts"
import type { FromGuard, Owner } from "./channel.ts"
import { admitted } from "./admission.ts"
import type { Answer } from "./gates.ts"
import { Ledger } from "./ledger.ts"
import type { RunNetwork } from "./network.ts"

export interface Answers {
  readonly answer: Answer
  /** Tells which process is the job's first; before that no socket has an owner. */
  readonly know: (initPid: number) => void
}

/** Asks a second time, once the job's processes may be listed anew. */
async function again(find: () => Found): Promise<Process | null> {
  await new Promise((resolve) => setTimeout(resolve, listingFreshMs + 1))
  const found = find()
  return found === "later" ? null : found
}

/** Records batches in their order; one with a flow whose owner is not found yet holds up the others. */
function recorder(log: Log, attribution: Attribution) {
  let last: Promise<void> | null = null
  return (batch: readonly TimedBody[]): Promise<void> | null => {
    const pending = attribution.pending(batch)
    if (pending === null && last === null) {
      log.recordAll(attribution.signed(batch))
      return null
    }
    const recorded = Promise.all([last, pending]).then(() => {
      log.recordAll(attribution.signed(batch))
      if (last === recorded) last = null
    })
    last = recorded
    return recorded
  }
}

/**
 * @param step the step of all processes of this run; null: unknown
 * @param sign gives a leaf for a name, PEM
 */
export function answers(
  policy: Policy,
  step: string | null,
  network: RunNetwork,
  log: Log,
  sign: (host: Hostname) => string,
): Answers {
  const ledger = new Ledger(policy.rules)
  let find: ReturnType<typeof ownerFinder> | null = null
  const attribution = new Attribution(again, step)
  const record = recorder(log, attribution)
  const answer: Answer = (message) => {
    switch (message.t) {
      case "ready":
        return null
      case "opened": {
        const { flow, source, target } = message
        const owner = attribution.of(flow, () => find?.("tcp", source, target) ?? null)
        return owner instanceof Promise ? owner.then(() => null) : null
      }
      case "forgotten":
        attribution.forget(message.flow)
        return null
      case "owner": {
        const { id, flow, transport, source, target } = message
        const found = (): Found => find?.(transport, source, target) ?? null
        const owner = flow === null ? attribution.now(found) : attribution.of(flow, found)
        const answered = (known: Owner): FromGuard => ({ t: "owner", id, ...known })
        return owner instanceof Promise ? owner.then(answered) : answered(owner)
      }
      case "admit":
        return { t: admitted(network, message) ? "done" : "failed", id: message.id }
      case "leaf":
        return { t: "leaf", id: message.id, pem: sign(message.host) }
      case "lease": {
        const { id, rule, bytes } = message
        const granted = ledger.lease(rule, bytes)
        if (granted === null) throw new Error(`there is no budget ${rule}`)
        return { t: "lease", id, bytes: granted }
      }
      case "return": {
        const { rule, bytes } = message
        if (!ledger.giveBack(rule, bytes)) throw new Error(`so much of ${rule} was never lent`)
        return null
      }
      case "events": {
        const done = { t: "done", id: message.id } as const
        const recorded = record(message.batch)
        if (recorded === null && !log.full) return done
        return (recorded ?? Promise.resolve()).then(() => log.drained()).then(() => done)
      }
    }
  }
  const know = (initPid: number): void => {
    const job: Members = members(initPid)
    const exact = policy.rules.some(({ by }) => by !== null)
    find = ownerFinder({
      diag: network.diag,
      members: job,
      redact: redactArguments,
      now: Date.now,
      exact,
    })
  }
  return { answer, know }
}
