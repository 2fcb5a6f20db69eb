/**
 * One field of a header list of HTTP/2, and what is remarkable about it (RFC 9113 §8.2). Pure.
 *
 * Remarks are made once for each field, when it is decoded: most fields have none.
 */
import { overriding } from "./authority.ts"
import type { Field } from "./request.ts"

export interface HeaderField extends Field {
  /** Never to be put in a table, by whoever passes it on (RFC 7541 §7.1.3). */
  readonly sensitive: boolean
  /** A sum of `marks`. */
  readonly marks: number
}

export const marks = {
  /** A pseudo-header field (RFC 9113 §8.3). */
  pseudo: 1,
  /** The name is no token in lower case, or could be taken for another. */
  badName: 2,
  /** The value has control characters, or white space at either end. */
  badValue: 4,
  /** The value has what ends a field in HTTP/1.1: NUL, CR, LF. */
  brokenValue: 8,
  /** Of a connection, which HTTP/2 does not know (RFC 9113 §8.2.2). */
  hop: 16,
  /** Says what the request is: see `decisive`. */
  decisive: 32,
  /** Tells of other ways to the same host (RFC 7838). */
  otherWays: 64,
} as const

/** Names in lower case (RFC 9113 §8.2; RFC 9110 §5.6.2). */
const namePattern = /^[!#$%&'*+.^_`|~0-9a-z-]+$/
/** RFC 9113 §8.2.1; RFC 9110 §5.5. */
const badValue = /[^\t -~\x80-\xff]|^[\t ]|[\t ]$/
const brokenValue = /[\0\r\n]/

const hops: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
])

/** Fields that say whom a request is for, where it ends, or that it is another one. */
export const decisive: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "te",
  "expect",
  ...overriding,
])

/** What is remarkable about a field; 0: nothing. */
export function marksOf(name: string, value: string): number {
  let found = 0
  if (name.startsWith(":")) found |= marks.pseudo
  else if (!namePattern.test(name)) found |= marks.badName
  else if (hops.has(name)) found |= marks.hop
  else if (decisive.has(name)) found |= marks.decisive
  else if (name === "alt-svc") found |= marks.otherWays
  else if (name.includes("_")) {
    // Why: some servers take `_` for `-`, and so a second Content-Length that no reader here saw.
    const plain = name.replaceAll("_", "-")
    if (hops.has(plain) || decisive.has(plain)) found |= marks.badName
  }
  if (badValue.test(value)) found |= marks.badValue
  if (brokenValue.test(value)) found |= marks.brokenValue
  return found
}
