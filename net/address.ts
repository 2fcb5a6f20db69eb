/**
 * IP addresses and prefixes: parse, print, contain. What kind of address one is, is for special.ts.
 *
 * An Address is its own canonical text, so that two are equal exactly when their strings are.
 */
declare const address: unique symbol

/** Canonical text (RFC 5952 for IPv6, no zone); made only by this file. */
export type Address = string & { readonly [address]: true }

/** A block of addresses; host bits of `address` are zero. */
export interface Prefix {
  readonly address: Address
  /** 0 to 32 for IPv4, 0 to 128 for IPv6. */
  readonly length: number
}

/** No spelling of an address is longer: eight groups, or six and a dotted quad. */
const addressTextMax = 45

export function isIPv6(address: Address): boolean {
  return address.includes(":")
}

/**
 * The address that a text spells; null where it spells none.
 *
 * IPv4 only as four decimal numbers without leading zeros (never `0x7f.1` or `127.1`, which
 * inet_aton would take); IPv6 in any spelling of RFC 4291 §2.2, without a zone.
 */
export function parseAddress(text: string): Address | null {
  if (text.length > addressTextMax) return null
  if (text.includes(":")) {
    const words = wordsOf(text)
    return words === null ? null : printWords(words)
  }
  // Why: the strict spelling of IPv4 is already canonical.
  return ipv4Number(text) === null ? null : (text as Address)
}

/** `::ffff:192.0.2.1` as the IPv4 address that it carries; any other address as it is. */
export function unmap(address: Address): Address {
  return address.startsWith("::ffff:") && address.includes(".")
    ? (address.slice("::ffff:".length) as Address)
    : address
}

/**
 * The address in what a socket says of itself (`::ffff:192.0.2.1`, `fe80::1%eth0`): without the
 * zone, and unmapped. null where there is none (a socket already closed).
 */
export function addressOfSocket(text: string | undefined): Address | null {
  if (text === undefined) return null
  const zone = text.indexOf("%")
  const address = parseAddress(zone === -1 ? text : text.slice(0, zone))
  return address === null ? null : unmap(address)
}

/** Network byte order: 4 bytes for IPv4, 16 for IPv6. */
export function addressBytes(address: Address): Uint8Array {
  const number = address.includes(":") ? null : ipv4Number(address)
  if (number !== null) {
    return Uint8Array.of(number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255)
  }
  const bytes = new Uint8Array(16)
  for (const [index, word] of (wordsOf(address) ?? []).entries()) {
    bytes[index * 2] = word >>> 8
    bytes[index * 2 + 1] = word & 255
  }
  return bytes
}

/** The address of 4 or 16 bytes in network order; null for any other number of bytes. */
export function addressFromBytes(bytes: Uint8Array): Address | null {
  if (bytes.length === 4) return bytes.join(".") as Address
  if (bytes.length !== 16) return null
  const words: number[] = []
  for (let index = 0; index < 16; index += 2) {
    words.push(((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0))
  }
  return printWords(words)
}

/**
 * A block (`10.0.0.0/8`), or an address as the block of it alone. null where the text is neither,
 * or where bits after the prefix are set (see prefixOf for the block that was meant).
 */
export function parsePrefix(text: string): Prefix | null {
  const [head = "", tail, ...more] = text.split("/")
  const address = parseAddress(head)
  if (address === null || more.length > 0) return null
  const width = isIPv6(address) ? 128 : 32
  if (tail === undefined) return prefixOf(unmap(address), isIPv6(unmap(address)) ? 128 : 32)
  if (!/^(?:0|[1-9]\d{0,2})$/.test(tail) || Number(tail) > width) return null
  const prefix = prefixOf(address, Number(tail))
  if (prefix.address !== address) return null
  const plain = unmap(address)
  // Why: a mapped block is a block of IPv4; sockets report the IPv4 address.
  return plain !== address && prefix.length >= 96
    ? { address: plain, length: prefix.length - 96 }
    : prefix
}

/** The block of that length around an address: host bits cleared. */
export function prefixOf(address: Address, length: number): Prefix {
  const bytes = addressBytes(address)
  for (let index = 0; index < bytes.length; index++) {
    const kept = Math.min(8, Math.max(0, length - index * 8))
    bytes[index] = (bytes[index] ?? 0) & (0xff00 >>> kept) & 0xff
  }
  return { address: addressFromBytes(bytes) ?? address, length }
}

/** `10.0.0.0/8`; a block of one address as the address alone. */
export function printPrefix({ address, length }: Prefix): string {
  return length === (isIPv6(address) ? 128 : 32) ? address : `${address}/${length}`
}

/** Whether a block holds an address. The families are apart: `::/0` holds no IPv4 address. */
export function contains(prefix: Prefix, address: Address): boolean {
  if (isIPv6(prefix.address) !== isIPv6(address)) return false
  return sharesBits(addressBytes(prefix.address), addressBytes(address), prefix.length)
}

/** Whether two addresses of one family have the same first bits. */
export function sharesBits(one: Uint8Array, other: Uint8Array, bits: number): boolean {
  const whole = bits >>> 3
  for (let index = 0; index < whole; index++) if (one[index] !== other[index]) return false
  const left = bits & 7
  return left === 0 || ((one[whole] ?? 0) ^ (other[whole] ?? 0)) >>> (8 - left) === 0
}

/** A strict dotted quad as an unsigned number; null for any other text. */
function ipv4Number(text: string): number | null {
  let number = 0
  let octet = -1
  let dots = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === 46) {
      if (octet === -1 || ++dots > 3) return null
      number = number * 256 + octet
      octet = -1
    } else if (code >= 48 && code <= 57) {
      if (octet === 0) return null
      octet = (octet === -1 ? 0 : octet * 10) + code - 48
      if (octet > 255) return null
    } else return null
  }
  return dots === 3 && octet !== -1 ? number * 256 + octet : null
}

/** The eight groups of an IPv6 address (RFC 4291 §2.2); null where the text is none. */
function wordsOf(text: string): number[] | null {
  const halves = text.split("::")
  if (halves.length > 2) return null
  const head = groupsOf(halves[0] ?? "", halves.length === 1)
  if (halves.length === 1) return head?.length === 8 ? head : null
  const tail = groupsOf(halves[1] ?? "", true)
  if (head === null || tail === null || head.length + tail.length > 7) return null
  return [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => 0), ...tail]
}

/** Groups between colons; a dotted quad may stand last where `quad`. */
function groupsOf(text: string, quad: boolean): number[] | null {
  if (text === "") return []
  const words: number[] = []
  const parts = text.split(":")
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) words.push(Number.parseInt(part, 16))
    else {
      const number = quad && index === parts.length - 1 ? ipv4Number(part) : null
      if (number === null) return null
      words.push(number >>> 16, number & 0xffff)
    }
  }
  return words
}

/** RFC 5952 §4: the longest run of two or more zero groups is shortened, the first of equals. */
function printWords(words: readonly number[]): Address {
  // Why: RFC 5952 §5, and what Node says of a socket that carries IPv4.
  if (words.slice(0, 5).every((word) => word === 0) && words[5] === 0xffff) {
    const [high = 0, low = 0] = words.slice(6)
    return `::ffff:${high >>> 8}.${high & 255}.${low >>> 8}.${low & 255}` as Address
  }
  let start = 0
  let length = 1
  for (let index = 0; index < 8; index++) {
    let end = index
    while (end < 8 && words[end] === 0) end++
    if (end - index > length) [start, length] = [index, end - index]
  }
  const hex = words.map((word) => word.toString(16))
  if (length < 2) return hex.join(":") as Address
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}` as Address
}
