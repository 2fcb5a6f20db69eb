/**
 * May this name be asked for? Decided on the canonical name, before anything goes upstream. Pure but
 * for the budget, which a wildcard's names spend.
 *
 * The answer is one of three: a *reply* that is made here, a question to *forward*, or a *refusal*.
 */
import { parseAddress } from "../net/address.ts"
import type { Address } from "../net/address.ts"
import type { Hostname } from "../net/hostname.ts"
import type { Reason } from "../flows/reason.ts"
import type { NameVerdict } from "../policies/decide-name.ts"
import type { Mode, Rule } from "../policies/policy.ts"
import { classIn, rcodes, typeName, types } from "./code.ts"
import { rootName } from "./wire-name.ts"
import type { Query } from "./message.ts"

/** The verdict on a question, as its event will say it. */
export interface Judged {
  readonly verdict: "allow" | "deny"
  /** false: denied, and let through because the mode is audit. */
  readonly enforced: boolean
  readonly reason: Reason
  readonly rule: Rule | null
}

export type Answer =
  | {
      readonly kind: "reply"
      readonly judged: Judged
      readonly rcode: number
      readonly addresses: readonly Address[]
    }
  | { readonly kind: "forward"; readonly judged: Judged; readonly name: Hostname }
  | { readonly kind: "refuse"; readonly judged: Judged; readonly rcode: number }

/** What the decision asks of its surroundings. */
export interface NamePolicy {
  readonly mode: Mode
  /** @param type `A`, `AAAA`, `TXT`, `TYPE65280`… */
  readonly nameVerdict: (name: Hostname, type: string) => NameVerdict
  /** See Budget.spend. */
  readonly spend: (name: Hostname, rule: Rule | null) => boolean
  /** Whether an address is anything but public. */
  readonly isSpecial: (address: Address) => boolean
  /** Names that were given for an address, and still hold. */
  readonly namesOf: (address: Address) => readonly Hostname[]
  /** Names answered here and nowhere else, such as the machine's own. */
  readonly locals: ReadonlyMap<Hostname, readonly Address[]>
}

const loopback = ["127.0.0.1", "::1"].flatMap((text) => parseAddress(text) ?? [])

/** What a build needs: addresses, and what finds services, mail and certificates. */
const servedTypes: ReadonlySet<number> = new Set([
  types.a,
  types.aaaa,
  types.srv,
  types.txt,
  types.mx,
  types.caa,
  types.ns,
  types.soa,
  types.ptr,
])

/** Not asked even in audit mode: parts of the protocol itself, and whole zones. */
const neverForwarded: ReadonlySet<number> = new Set([0, types.opt, 249, 250, 251, 252, 253, 254])

export function answer(policy: NamePolicy, query: Query): Answer {
  const { name, type } = query
  if (query.class !== classIn) return refusal("query-type-refused", null, rcodes.refused)
  if (name === null) {
    return query.wire === rootName
      ? refusal("name-not-allowed", null, rcodes.refused)
      : refusal("malformed", null, rcodes.nxDomain)
  }
  const local = localAddresses(policy, name)
  if (local !== null) return replyOf(infrastructure, rcodes.noError, ofFamily(local, type))
  const address = type === types.ptr ? reversed(name) : null
  if (address !== null) {
    for (const given of policy.namesOf(address)) {
      const verdict = policy.nameVerdict(given, typeName(type))
      if (verdict.decision === "allow") return { kind: "forward", judged: allowed(verdict), name }
    }
    // RFC 6303: reverse zones of private addresses are nobody's but the network's own.
    if (policy.isSpecial(address)) return replyOf(infrastructure, rcodes.nxDomain, [])
  }
  return judge(policy, query, name)
}

function judge(policy: NamePolicy, { type }: Query, name: Hostname): Answer {
  const verdict = policy.nameVerdict(name, typeName(type))
  if (verdict.decision === "deny") {
    return denial(policy, name, type, verdict.reason, verdict.rule, rcodes.nxDomain)
  }
  // Why: HTTPS and SVCB carry ECH keys, with which the server name of a flow could not be read.
  if (isService(type)) return replyOf(allowed(verdict), rcodes.noError, [])
  if (!servedTypes.has(type)) {
    // Why: "no such record" makes every client go on at once; an error would be tried again.
    return denial(policy, name, type, "query-type-refused", null, rcodes.noError)
  }
  if (!policy.spend(name, verdict.rule)) {
    return denial(policy, name, type, "name-budget-exceeded", verdict.rule, rcodes.nxDomain)
  }
  return { kind: "forward", judged: allowed(verdict), name }
}

/** In block mode a refusal; in audit mode what would be done without us, marked as not enforced. */
function denial(
  policy: NamePolicy,
  name: Hostname,
  type: number,
  reason: Reason,
  rule: Rule | null,
  rcode: number,
): Answer {
  if (policy.mode === "block" || neverForwarded.has(type)) return refusal(reason, rule, rcode)
  const judged: Judged = { verdict: "deny", enforced: false, reason, rule }
  return isService(type) ? replyOf(judged, rcodes.noError, []) : { kind: "forward", judged, name }
}

const infrastructure: Judged = {
  verdict: "allow",
  enforced: true,
  reason: "infrastructure",
  rule: null,
}

function allowed({ reason, rule }: NameVerdict): Judged {
  return { verdict: "allow", enforced: true, reason, rule }
}

function refusal(reason: Reason, rule: Rule | null, rcode: number): Answer {
  return { kind: "refuse", judged: { verdict: "deny", enforced: true, reason, rule }, rcode }
}

function replyOf(judged: Judged, rcode: number, addresses: readonly Address[]): Answer {
  return { kind: "reply", judged, rcode, addresses }
}

function isService(type: number): boolean {
  return type === types.https || type === types.svcb
}

/** RFC 6761 §6.3: `localhost` and all below it are this machine, and are never asked for. */
function localAddresses({ locals }: NamePolicy, name: Hostname): readonly Address[] | null {
  if (name === "localhost" || name.endsWith(".localhost")) return loopback
  return locals.get(name) ?? null
}

function ofFamily(addresses: readonly Address[], type: number): readonly Address[] {
  if (type !== types.a && type !== types.aaaa) return []
  return addresses.filter((address) => address.includes(":") === (type === types.aaaa))
}

/** The address whose name is asked for (RFC 1035 §3.5, RFC 3596 §2.5); null where it is no such question. */
export function reversed(name: Hostname): Address | null {
  if (name.endsWith(".in-addr.arpa")) {
    return parseAddress(name.slice(0, -".in-addr.arpa".length).split(".").reverse().join("."))
  }
  if (!name.endsWith(".ip6.arpa")) return null
  const nibbles = name.slice(0, -".ip6.arpa".length).split(".").reverse()
  if (nibbles.length !== 32 || nibbles.some((nibble) => !/^[0-9a-f]$/.test(nibble))) return null
  return parseAddress((nibbles.join("").match(/.{4}/g) ?? []).join(":"))
}
