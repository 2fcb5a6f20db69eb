/**
 * How much may be said in names: a wildcard lets the job choose labels, and whoever serves the zone
 * reads them. Distinct names under one registrable domain cost units, longer ones more; names that a
 * rule spells out cost nothing. Units come back slowly, so that a machine guarded for months is not
 * one day out of them.
 */
import { LRUCache } from "lru-cache"
import { getDomain } from "tldts"
import type { Hostname } from "../net/hostname.ts"
import type { Rule } from "../policies/policy.ts"

/** All that is limited, with defaults that no real build meets. */
export interface Limits {
  /** Units that one registrable domain has; a build rarely needs 20 names under one wildcard. */
  readonly unitsMax: number
  /** Until one unit comes back. */
  readonly unitMs: number
  /** Characters in the part that a wildcard leaves open which one unit pays for. */
  readonly charactersPerUnit: number
  /** Characters in that part above which a name is refused outright. */
  readonly charactersMax: number
  /** Questions to upstreams for one name that may come at once; a name with a TTL of 0 is asked often. */
  readonly questionsMax: number
  /** Until one more question may be asked. */
  readonly questionMs: number
  /**
   * The same for all names together that one registrable domain has under wildcards: even names that
   * were paid for say something by the order in which they are asked.
   */
  readonly domainQuestionsMax: number
  readonly domainQuestionMs: number
}

export const defaultLimits: Limits = {
  unitsMax: 128,
  unitMs: 30_000,
  charactersPerUnit: 16,
  charactersMax: 128,
  questionsMax: 1_000,
  questionMs: 20,
  domainQuestionsMax: 500,
  domainQuestionMs: 200,
}

const domainsMax = 10_000
const namesMax = 20_000

/** A bucket that fills by one in a fixed time. */
interface Bucket {
  left: number
  filledAtMs: number
}

export class Budget {
  readonly #limits: Limits
  readonly #domains = new LRUCache<string, Bucket>({ max: domainsMax })
  /** Names that were paid for, and the domains that paid. */
  readonly #paid = new LRUCache<Hostname, string>({ max: namesMax })
  readonly #domainQuestions = new LRUCache<string, Bucket>({ max: domainsMax })
  readonly #questions = new LRUCache<Hostname, Bucket>({ max: namesMax })

  constructor(limits: Limits = defaultLimits) {
    this.#limits = limits
  }

  /**
   * Whether a name may be used: always where a rule spells it out, or where it was paid for before;
   * else it is paid for now, where the units suffice.
   *
   * @param rule the rule that allows the name; null: not known, which counts as a wildcard
   */
  spend(name: Hostname, rule: Rule | null, nowMs: number): boolean {
    const pattern = rule === null ? null : patternOf(rule)
    if (pattern !== null && !pattern.includes("*")) return true
    if (this.#paid.has(name)) return true
    const domain = domainOf(name)
    const fixed = pattern === null ? domain : pattern.replaceAll("*", "")
    const open = Math.max(1, name.length - fixed.length)
    const { unitsMax, unitMs, charactersPerUnit, charactersMax } = this.#limits
    if (open > charactersMax) return false
    const cost = Math.ceil(open / charactersPerUnit)
    if (!take(this.#domains, domain, cost, unitsMax, unitMs, nowMs)) return false
    this.#paid.set(name, domain)
    return true
  }

  /** Whether one more question for this name may go to an upstream now. */
  mayAsk(name: Hostname, nowMs: number): boolean {
    const { questionsMax, questionMs, domainQuestionsMax, domainQuestionMs } = this.#limits
    const domain = this.#paid.get(name)
    return (
      take(this.#questions, name, 1, questionsMax, questionMs, nowMs) &&
      (domain === undefined ||
        take(this.#domainQuestions, domain, 1, domainQuestionsMax, domainQuestionMs, nowMs))
    )
  }
}

/**
 * Who serves a name, as far as that can be said. Names that no one could register (`a-.example`)
 * are asked for like all others, so they must not each have a budget of their own.
 */
function domainOf(name: Hostname): string {
  const options = { validateHostname: false, extractHostname: false, detectIp: false }
  return getDomain(name, options) ?? name.slice(name.lastIndexOf(".") + 1)
}

/** The host pattern of a rule; null where it names addresses. */
function patternOf({ target }: Rule): string | null {
  if (target.kind === "host" || target.kind === "request") return target.host.pattern
  return target.kind === "icmp" && "pattern" in target.to ? target.to.pattern : null
}

function take<K extends string>(
  buckets: LRUCache<K, Bucket>,
  key: K,
  cost: number,
  max: number,
  refillMs: number,
  nowMs: number,
): boolean {
  let bucket = buckets.get(key)
  if (bucket === undefined) buckets.set(key, (bucket = { left: max, filledAtMs: nowMs }))
  const filled = Math.max(0, Math.floor((nowMs - bucket.filledAtMs) / refillMs))
  bucket.left = Math.min(max, bucket.left + filled)
  bucket.filledAtMs += filled * refillMs
  if (bucket.left < cost) return false
  bucket.left -= cost
  return true
}
