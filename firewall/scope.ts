/**
 * Where the firewall of one run stands: interfaces, addresses, ports. Pure.
 *
 * Three network namespaces: the machine's, the gate's and the job's. The job is joined to the gate by
 * one link, and the gate to the machine by a second one only where packets other than TCP may leave.
 */
import { addressFromBytes, contains, parsePrefix, prefixOf } from "../net/address.ts"
import type { Address, Prefix } from "../net/address.ts"

/** Both ends of one veth pair. */
export interface Link {
  readonly inner: { readonly name: string; readonly four: Address; readonly six: Address }
  readonly outer: { readonly name: string; readonly four: Address; readonly six: Address }
  readonly lengthFour: 30
  readonly lengthSix: 64
}

export interface RunScope {
  /** inner: in the job's namespace; outer: in the gate's. */
  readonly job: Link
  /** inner: in the gate's namespace; outer: in the machine's. null: nothing but TCP leaves. */
  readonly uplink: Link | null
  /** Port of the gate's transparent listeners. */
  readonly gatePort: number
  /** Port of the resolver, on the job's own loopback. */
  readonly resolverPort: number
}

/** How the machine's ends of all uplinks begin; a run's own name follows. */
export const uplinkPrefix = "slu"

/** The mark that sends a connection to the gate's listeners; it never leaves the gate's namespace. */
export const gateMark = 0x51
/** The routing table behind the mark. */
export const gateTable = 100

/**
 * A link whose addresses collide with nothing in `taken`.
 *
 * IPv4 from 198.18.0.0/15, which RFC 2544 keeps off the Internet and hardly anybody uses inside;
 * IPv6 a random prefix of RFC 4193.
 *
 * @param random 8 random bytes: the first try; further ones are derived
 */
export function link(
  names: readonly [inner: string, outer: string],
  random: Uint8Array,
  taken: readonly Prefix[],
): Link {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = random
  const overlaps = (address: Address, length: number): boolean =>
    taken.some(
      (prefix) => contains(prefix, address) || contains(prefixOf(address, length), prefix.address),
    )
  const start = ((a << 8) | b) & 0x7fff
  for (let step = 0; step < 0x8000; step++) {
    const block = (start + step * 7919) & 0x7fff // 32,768 blocks of four addresses in a /15
    const base = [198, 18 + (block >> 14), (block >> 6) & 0xff, (block & 0x3f) << 2] as const
    const four = (host: number): Address => made([base[0], base[1], base[2], base[3] + host])
    if (overlaps(four(0), 30)) continue
    const site = [0xfd, c ^ (step & 0xff), d, e, f, g, h, step >> 8, 0, 0, 0, 0, 0, 0, 0]
    const six = (host: number): Address => made([...site, host])
    if (overlaps(six(0), 64)) continue
    return {
      inner: { name: names[0], four: four(2), six: six(2) },
      outer: { name: names[1], four: four(1), six: six(1) },
      lengthFour: 30,
      lengthSix: 64,
    }
  }
  throw new Error("Cannot find addresses for the job's link: 198.18.0.0/15 is wholly in use here")
}

/** What link() chooses from. */
const pools = ["198.18.0.0/15", "fd00::/8"].flatMap((text) => parsePrefix(text) ?? [])

/**
 * Whether a prefix covers all that link() could choose: no link can keep clear of it, and none need.
 * The link's own route is narrower, and nobody gets through to our ends.
 */
export function coversPool(prefix: Prefix): boolean {
  return pools.some((pool) => prefix.length <= pool.length && contains(prefix, pool.address))
}

function made(bytes: readonly number[]): Address {
  const address = addressFromBytes(Uint8Array.from(bytes))
  if (address === null) throw new Error("Cannot make an address: must be 4 or 16 bytes")
  return address
}
