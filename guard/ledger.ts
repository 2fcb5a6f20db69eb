/**
 * What of each rule's budget (`up`) is left in this run. Pure: a worker takes leases, spends them as
 * bytes go out, and gives back what it did not use.
 *
 * A worker that dies keeps its lease: nobody knows how much of it went out. So the sum of what all
 * workers send under a rule is never more than its budget.
 */
import type { Rule } from "../policies/policy.ts"

/** What a worker gets beyond its need, so that it need not ask for each read (inlet.ts). In bytes. */
const leaseBytes = 1_048_576
/** Of what is left, the share that a worker gets beyond its need: near the end each gets little. */
const shareOfRest = 8

/** One budget. */
interface Account {
  /** Not leased to anybody. */
  left: number
  /** Leased and not given back: spent, lost with a worker, or still to be spent. */
  lent: number
}

export class Ledger {
  /** By the rule's place in the policy. */
  readonly #accounts: ReadonlyMap<number, Account>

  constructor(rules: readonly Pick<Rule, "up">[]) {
    this.#accounts = new Map(
      rules.flatMap(({ up }, index) => (up === null ? [] : [[index, { left: up, lent: 0 }]])),
    )
  }

  /**
   * Lends at least `bytes`, or nothing at all: 0 where less is left.
   *
   * @param rule the rule's place in the policy
   * @returns null where there is no such budget, or nothing was asked for
   */
  lease(rule: number, bytes: number): number | null {
    const account = this.#accounts.get(rule)
    if (account === undefined || bytes < 1) return null
    if (bytes > account.left) return 0
    const more = Math.min(leaseBytes, Math.floor((account.left - bytes) / shareOfRest))
    const granted = bytes + more
    account.left -= granted
    account.lent += granted
    return granted
  }

  /** Takes back what was not spent; false, and nothing changes, where so much was never lent. */
  giveBack(rule: number, bytes: number): boolean {
    const account = this.#accounts.get(rule)
    if (account === undefined || bytes > account.lent) return false
    account.left += bytes
    account.lent -= bytes
    return true
  }
}
