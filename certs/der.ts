/**
 * ASN.1 values in their distinguished encoding, written by hand: the few that a certificate needs.
 *
 * Only writes; nothing here reads bytes of others. X.690 is the source of every shape.
 */

const constructed = 0x20
const contextClass = 0x80

/** Tag, length and content (X.690 §8.1). `tag` is one octet: no type we write needs more. */
function value(tag: number, content: Uint8Array): Buffer {
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content])
  if (length < 0x100) return Buffer.concat([Buffer.from([tag, 0x81, length]), content])
  return Buffer.concat([Buffer.from([tag, 0x82, length >> 8, length & 0xff]), content])
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return value(0x30, Buffer.concat(parts))
}

/** SET OF with one element, which needs no sorting. */
export function setOfOne(part: Uint8Array): Buffer {
  return value(0x31, part)
}

/** SET OF: its parts in the order of their bytes (X.690 §11.6). */
export function setOf(parts: readonly Buffer[]): Buffer {
  return value(0x31, Buffer.concat(parts.toSorted((a, b) => Buffer.compare(a, b))))
}

export function boolean(given: boolean): Buffer {
  return value(0x01, Buffer.from([given ? 0xff : 0]))
}

/** @param magnitude big-endian, unsigned; leading zeros are dropped, a sign octet is added */
export function integer(magnitude: Uint8Array): Buffer {
  let start = 0
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++
  const trimmed = magnitude.subarray(start)
  const needsSign = ((trimmed[0] ?? 0) & 0x80) !== 0
  return value(0x02, needsSign ? Buffer.concat([Buffer.from([0]), trimmed]) : trimmed)
}

/** @param unused bits left over at the end of the last octet, 0 to 7 */
export function bitString(bytes: Uint8Array, unused = 0): Buffer {
  return value(0x03, Buffer.concat([Buffer.from([unused]), bytes]))
}

export function octetString(bytes: Uint8Array): Buffer {
  return value(0x04, bytes)
}

export function utf8String(text: string): Buffer {
  return value(0x0c, Buffer.from(text, "utf8"))
}

/** @param dotted `1.2.840.10045.2.1`: two arcs at least, each below 2^31 */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number)
  return value(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(arc: number): number[] {
  const septets = [arc & 0x7f]
  for (let left = arc >>> 7; left > 0; left >>>= 7) septets.unshift((left & 0x7f) | 0x80)
  return septets
}

/**
 * UTCTime for 1950 to 2049, GeneralizedTime for later years (RFC 5280 §4.1.2.5); whole seconds.
 *
 * @param atMs milliseconds since 1970
 */
export function time(atMs: number): Buffer {
  const digits = new Date(atMs).toISOString().replace(/[-:T]|\..*$/g, "")
  const isUtcTime = Number(digits.slice(0, 4)) < 2050
  return isUtcTime
    ? value(0x17, Buffer.from(`${digits.slice(2)}Z`, "latin1"))
    : value(0x18, Buffer.from(`${digits}Z`, "latin1"))
}

/** [number] EXPLICIT. */
export function explicit(number: number, content: Uint8Array): Buffer {
  return value(contextClass | constructed | number, content)
}

/** [number] IMPLICIT over a primitive type. */
export function implicit(number: number, content: Uint8Array): Buffer {
  return value(contextClass | number, content)
}
