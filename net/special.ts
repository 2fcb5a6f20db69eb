/**
 * What kind of address one is. The ranges are data: labs and unusual networks replace them
 * (`$SLUICE_SPECIAL_RANGES`, read by the guard).
 */
import { addressBytes, addressFromBytes, parsePrefix, sharesBits } from "./address.ts"
import type { Address } from "./address.ts"

export const addressClasses = [
  "public",
  "private",
  "loopback",
  "link-local",
  "metadata",
  "shared",
  "multicast",
  "broadcast",
  "unspecified",
  "reserved",
] as const

export type AddressClass = (typeof addressClasses)[number]

/** One row; plain data. */
export interface SpecialRange {
  /** 4 or 16 bytes, network order. */
  readonly bytes: readonly number[]
  /** In bits. */
  readonly length: number
  readonly class: AddressClass
}

/** Rows by falling length, so that the first that fits is the narrowest. Plain data. */
export type SpecialRanges = readonly SpecialRange[]

/**
 * The table that holds unless it is replaced, and the format of one that replaces it: a line is
 * `PREFIX class`, `#` begins a comment, and the longest prefix wins.
 *
 * Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890); the metadata services
 * as their clouds document them (AWS, Azure, Google, Alibaba, Oracle, Scaleway). Documentation
 * ranges are left public on purpose: nobody owns them, and labs live in them.
 */
export const specialRangesText = `
0.0.0.0/0 public
0.0.0.0/8 unspecified
10.0.0.0/8 private
100.64.0.0/10 shared            # RFC 6598, carrier-grade NAT
100.100.100.200 metadata        # Alibaba Cloud
127.0.0.0/8 loopback
168.63.129.16 metadata          # Azure, wire server
169.254.0.0/16 link-local
169.254.169.254 metadata        # AWS, Azure, Google and most others
169.254.170.2 metadata          # AWS, credentials of ECS tasks
169.254.170.23 metadata         # AWS, credentials of EKS pods
172.16.0.0/12 private
192.0.0.0/24 reserved
192.0.0.192 metadata            # Oracle Cloud, classic
192.88.99.0/24 reserved         # RFC 7526, relays of 6to4
192.168.0.0/16 private
198.18.0.0/15 reserved          # RFC 2544, benchmarks
224.0.0.0/4 multicast
240.0.0.0/4 reserved
255.255.255.255 broadcast
::/0 reserved                   # what IANA has not given out
::/128 unspecified
::1/128 loopback
64:ff9b::/96 public             # RFC 6052; what it carries is looked at too
64:ff9b:1::/48 public           # RFC 8215; as above
2000::/3 public
2001::/23 reserved              # RFC 2928, protocol assignments
2001::/32 public                # RFC 4380, Teredo; as above
fc00::/7 private
fd00:42::42 metadata            # Scaleway
fd00:ec2::23 metadata           # AWS, credentials of EKS pods
fd00:ec2::254 metadata          # AWS
fd20:ce::254 metadata           # Google
fe80::/10 link-local
fec0::/10 private               # RFC 3879, site-local
ff00::/8 multicast
`

/** Enough for any network's own table; the file is read by root before anything else. */
const rangesMax = 10_000

/**
 * The table that a text spells, or what is wrong with it: its first bad line (from 1) in words.
 * An address that no row covers is `reserved`: closed.
 */
export function parseSpecialRanges(text: string): SpecialRanges | { problem: string } {
  const ranges: SpecialRange[] = []
  for (const [index, line] of text.split("\n").entries()) {
    const [words = ""] = line.split("#")
    const [spelled, name, ...more] = words.trim().split(/\s+/)
    if (spelled === undefined || spelled === "") continue
    const prefix = parsePrefix(spelled)
    const found = addressClasses.find((known) => known === name)
    if (prefix === null || found === undefined || more.length > 0 || ranges.length >= rangesMax) {
      return {
        problem: `Cannot read special range "${line.trim().slice(0, 80)}": line ${index + 1} must be \`PREFIX CLASS\`, CLASS one of ${addressClasses.join(", ")}, ${rangesMax} lines at most`,
      }
    }
    const bytes = [...addressBytes(prefix.address)]
    ranges.push({ bytes, length: prefix.length, class: found })
  }
  return ranges.sort((one, other) => other.length - one.length)
}

/** The table that holds unless it is replaced. */
export const specialRanges: SpecialRanges = builtIn()

function builtIn(): SpecialRanges {
  const ranges = parseSpecialRanges(specialRangesText)
  return "problem" in ranges ? [] : ranges
}

/**
 * What kind of address one is.
 *
 * An IPv6 address that carries an IPv4 address (mapped, translated, 6to4, Teredo, compatible) is of
 * the kind of what it carries, where that is not public: a translator on the way would take it there.
 */
export function classify(address: Address, table: SpecialRanges = specialRanges): AddressClass {
  const bytes = addressBytes(address)
  if (bytes.length === 4) return rowOf(bytes, table)
  let carries = false
  for (const carried of carriedBy(bytes)) {
    const found = rowOf(carried, table)
    if (found !== "public") return found
    carries = true
  }
  // Why: a mapped address is an IPv4 address in another spelling, whatever the table says of IPv6.
  return carries && isMapped(bytes) ? "public" : rowOf(bytes, table)
}

/** Whether an address is anything but public. */
export function isSpecial(address: Address, table: SpecialRanges = specialRanges): boolean {
  return classify(address, table) !== "public"
}

/** IPv4 addresses that an IPv6 address may stand for; none for an ordinary one. */
export function embedded(address: Address): readonly Address[] {
  const bytes = addressBytes(address)
  if (bytes.length === 4) return []
  return carriedBy(bytes).flatMap((carried) => addressFromBytes(carried) ?? [])
}

function rowOf(bytes: Uint8Array, table: SpecialRanges): AddressClass {
  for (const row of table) {
    if (row.bytes.length === bytes.length && fits(row, bytes)) return row.class
  }
  return "reserved"
}

function fits(row: SpecialRange, bytes: Uint8Array): boolean {
  const whole = row.length >>> 3
  for (let index = 0; index < whole; index++) if (row.bytes[index] !== bytes[index]) return false
  const left = row.length & 7
  return left === 0 || ((row.bytes[whole] ?? 0) ^ (bytes[whole] ?? 0)) >>> (8 - left) === 0
}

const zeros = new Uint8Array(16)
const translated = Uint8Array.of(0x00, 0x64, 0xff, 0x9b)

function isMapped(bytes: Uint8Array): boolean {
  return sharesBits(bytes, zeros, 80) && bytes[10] === 0xff && bytes[11] === 0xff
}

function carriedBy(bytes: Uint8Array): Uint8Array[] {
  const last = bytes.subarray(12)
  if (bytes[0] === 0x20 && bytes[1] === 0x02) return [bytes.subarray(2, 6)] // RFC 3056, 6to4
  if (bytes[0] === 0x20 && bytes[1] === 0x01 && bytes[2] === 0 && bytes[3] === 0) {
    // RFC 4380 §4: the server, and the client with its bits turned.
    return [bytes.subarray(4, 8), last.map((byte) => byte ^ 0xff)]
  }
  if (isMapped(bytes)) return [last]
  if (sharesBits(bytes, zeros, 96)) {
    // RFC 4291 §2.5.5.1, compatible; `::` and `::1` have rows of their own.
    return last[0] === 0 ? [] : [last]
  }
  if (!sharesBits(bytes, translated, 32)) return []
  if (sharesBits(bytes.subarray(4), zeros, 64)) return [last] // RFC 6052 §2.1
  if (bytes[4] === 0 && bytes[5] === 1) {
    // RFC 8215: whose translator it is, and so where in the block the address stands, is unknown.
    const early = Uint8Array.of(bytes[6] ?? 0, bytes[7] ?? 0, bytes[9] ?? 0, bytes[10] ?? 0)
    return [early, last].filter((carried) => carried.some((byte) => byte !== 0))
  }
  return []
}
