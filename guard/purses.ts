/**
 * A worker's share of the budgets: one purse for each rule with `up`, filled by leases of the guard.
 *
 * Closed: while the guard has not answered nothing goes out, and when it does not lend, nothing more.
 */
import type { Rule } from "../policies/policy.ts"
import type { Purse } from "../proxy/relay.ts"

/** The guard's end of it. */
export interface Lender {
  /** At least so many bytes, or 0. Rejects where the guard is gone. */
  readonly lease: (rule: number, bytes: number) => Promise<number>
  readonly giveBack: (rule: number, bytes: number) => void
}

/** A lease that nobody spends from is given back after so long: another worker may need it. */
export const idleMs = 500
/** Once refused, the guard is asked again after this: others have given back by then. */
export const retryMs = 1_200

/** Who waits for the purse to be filled. */
interface Waiting {
  readonly bytes: number
  readonly tell: (taken: boolean) => void
}

class LeasedPurse implements Purse {
  readonly #rule: number
  readonly #lender: Lender
  #held = 0
  /** First come, first served. */
  readonly #waiting: Waiting[] = []
  /** The guard is being asked, or will be. */
  #asking = false
  /** The guard had nothing when it was last asked, not even the second time. */
  #refused = false
  #timer: NodeJS.Timeout | null = null
  /** Something was taken since the timer was set. */
  #used = false

  constructor(rule: number, lender: Lender) {
    this.#rule = rule
    this.#lender = lender
  }

  take(bytes: number): boolean {
    // Why not past those who wait: small ones would keep a large one from ever being served.
    if (bytes > this.#held || this.#waiting.length > 0) return false
    this.#held -= bytes
    this.#used = true
    return true
  }

  fill(bytes: number, then: (taken: boolean) => void): void {
    this.#waiting.push({ bytes, tell: then })
    if (!this.#asking) this.#ask()
  }

  #ask(): void {
    const [first] = this.#waiting
    if (first === undefined) return
    this.#asking = true
    // Why at least one: what is held may be enough by now, and the answer must still come later.
    const wanted = Math.max(1, first.bytes - this.#held)
    this.#lender.lease(this.#rule, wanted).then(
      (granted) => this.#got(granted),
      () => this.#got(0),
    )
  }

  #got(granted: number): void {
    this.#held += granted
    this.#rest()
    const [first] = this.#waiting
    const enough = first !== undefined && first.bytes <= this.#held
    if (!enough && granted === 0 && !this.#refused) {
      this.#refused = true
      setTimeout(() => this.#ask(), retryMs)
      return
    }
    this.#asking = false
    if (granted > 0) this.#refused = false
    this.#serve(!enough && granted === 0)
    if (this.#waiting.length > 0 && !this.#asking) this.#ask()
  }

  /** Serves those for whom there is enough; `none`: the first one is told that there is not. */
  #serve(none: boolean): void {
    const served: (readonly [Waiting, boolean])[] = []
    let first = this.#waiting[0]
    if (none && first !== undefined) {
      served.push([first, false])
      this.#waiting.shift()
      first = this.#waiting[0]
    }
    while (first !== undefined && first.bytes <= this.#held) {
      this.#held -= first.bytes
      this.#used = true
      served.push([first, true])
      this.#waiting.shift()
      first = this.#waiting[0]
    }
    for (const [{ tell }, taken] of served) tell(taken)
  }

  /** Gives back what nobody has spent from for a while. */
  #rest(): void {
    if (this.#timer !== null || this.#held === 0) return
    this.#used = false
    this.#timer = setTimeout(() => {
      this.#timer = null
      if (this.#used || this.#waiting.length > 0) return this.#rest()
      this.#lender.giveBack(this.#rule, this.#held)
      this.#held = 0
    }, idleMs)
    this.#timer.unref()
  }
}

/** The purse of a rule; null for one without a budget. */
export function purses(
  rules: readonly Rule[],
  lender: Lender,
): (rule: Rule | null) => Purse | null {
  const known = new Map<Rule, Purse>(
    rules.flatMap((rule, index) =>
      rule.up === null ? [] : [[rule, new LeasedPurse(index, lender)] as const],
    ),
  )
  return (rule) => (rule === null || rule.up === null ? null : (known.get(rule) ?? emptyPurse))
}

/** Why: a rule with a budget that nobody knows must not be one without. */
const emptyPurse: Purse = {
  take: () => false,
  fill: (_bytes, then) => setImmediate(then, false),
}
