/** Answers that are made here: of local names, of nothing, and why something is refused. */
import { addressBytes } from "../net/address.ts"
import type { Address } from "../net/address.ts"
import type { Reason } from "../flows/reason.ts"
import { classIn, extendedErrors, rcodes, types } from "./code.ts"
import { noRecords, section, shortSoa } from "./section.ts"
import { rootName } from "./wire-name.ts"
import type { Found } from "./found.ts"
import type { Reply } from "./message.ts"

/** For how long others may keep a refusal: a policy that was mended holds soon. In seconds. */
const refusalTtl = 10
/** In seconds; these do not change. */
const localTtl = 3_600

/** The same bytes for every name: the record's owner points to the question. */
const refused = section(rootName, [], [shortSoa(rootName, refusalTtl)])

/** Nothing, with the code; what may be kept, is kept for a short time. */
export function nothing(rcode: number, nowMs: number): Found {
  const kept = rcode === rcodes.noError || rcode === rcodes.nxDomain
  const records = kept ? refused : noRecords
  const empty = { addresses: [], aliases: [] }
  return { rcode, section: records, ...empty, bornAtMs: nowMs, ttlMs: 0, failure: null }
}

/** Addresses of a local name; all of one family. */
export function localAnswer(wire: string, addresses: readonly Address[], nowMs: number): Found {
  const records = addresses.map((address) => ({
    owner: wire,
    type: address.includes(":") ? types.aaaa : types.a,
    class: classIn,
    ttl: localTtl,
    data: Buffer.from(addressBytes(address)),
  }))
  return {
    rcode: rcodes.noError,
    section: section(wire, records, []),
    addresses,
    aliases: [],
    bornAtMs: nowMs,
    ttlMs: 0,
    failure: null,
  }
}

/** What a client is told of a refusal or failure, beside the code (RFC 8914). */
export function errorOf(denied: boolean, reason: Reason): Reply["error"] {
  if (reason === "upstream-failed") {
    return { code: extendedErrors.noReachableAuthority, text: "Sluice: upstream-failed" }
  }
  return denied ? { code: extendedErrors.blocked, text: `Blocked by Sluice: ${reason}` } : null
}
