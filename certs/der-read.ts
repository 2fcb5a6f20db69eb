/**
 * Reads ASN.1 values in their distinguished encoding (X.690): as far as trust stores need it.
 *
 * Files of trust stores are the machine's or the user's, and may still be broken: what is no DER, or
 * lies deeper or longer than it may, gives null and never throws.
 */

export interface Value {
  /** One octet; the class and "constructed" stand in it (X.690 §8.1.2). */
  readonly tag: number
  readonly content: Buffer
  /** Tag, length and content. */
  readonly whole: Buffer
}

/** The first value of some bytes, whatever follows it; null: there is none. */
export function firstValue(bytes: Buffer): Value | null {
  const [tag, short] = bytes
  if (tag === undefined || short === undefined || (tag & 0x1f) === 0x1f) return null
  let start = 2
  let length = short
  if (short >= 0x80) {
    const octets = short & 0x7f
    // Why 1 to 4: 0 is the indefinite length of BER; no store has 4 GiB.
    if (octets < 1 || octets > 4 || bytes.length < 2 + octets) return null
    length = bytes.readUIntBE(2, octets)
    start = 2 + octets
  }
  if (bytes.length < start + length) return null
  return {
    tag,
    content: bytes.subarray(start, start + length),
    whole: bytes.subarray(0, start + length),
  }
}

/** Values that one constructed value may hold; a store of a machine has some hundreds. */
const valuesMax = 10_000

/** All values that stand one after another; null: they do not fill the bytes. */
export function valuesIn(bytes: Buffer): Value[] | null {
  const found: Value[] = []
  let rest = bytes
  while (rest.length > 0) {
    const value = firstValue(rest)
    if (value === null || found.length === valuesMax) return null
    found.push(value)
    rest = rest.subarray(value.whole.length)
  }
  return found
}

/**
 * The value at a path of positions inside a constructed one: `inside(v, 0, 2)` is the third value of
 * the first.
 */
export function inside(value: Value | null | undefined, ...path: readonly number[]): Value | null {
  let at = value ?? null
  for (const index of path) at = at === null ? null : (valuesIn(at.content)?.[index] ?? null)
  return at
}
