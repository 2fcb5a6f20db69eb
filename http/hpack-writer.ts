/**
 * Fields to bytes of a header block, without a table: each block can be read alone (RFC 7541 §6.1,
 * §6.2.2, §6.2.3). Pure.
 */
import { staticNames, staticValues } from "./static-table.ts"

/** At the start of a block: the table has no room from now on (RFC 7541 §6.3). */
export const noTable = 0x20

/** Most bytes of an integer here: its first, and 28 bits more. */
const integerBytesMax = 5
/** Below it a loop is faster than a call into Node. */
const shortMax = 24

/** Most bytes that a field takes. */
export function fieldBytesMax(name: string, value: string): number {
  return name.length + value.length + 3 * integerBytesMax
}

/**
 * Writes a field and gives the index after it. The target must have room for fieldBytesMax().
 *
 * @param name Latin-1 characters, as the value's.
 * @param sensitive whether nobody on the way may keep it in a table
 */
export function writeField(
  target: Buffer,
  at: number,
  name: string,
  value: string,
  sensitive: boolean,
): number {
  const whole = sensitive ? undefined : staticValues.get(name)?.get(value)
  if (whole !== undefined) {
    target[at] = 0x80 | whole
    return at + 1
  }
  const kind = sensitive ? 0x10 : 0
  const index = staticNames.get(name)
  let next = at
  if (index === undefined) {
    target[next++] = kind
    next = writeText(target, next, name)
  } else next = writeInteger(target, next, kind, 15, index)
  return writeText(target, next, value)
}

/** RFC 7541 §5.1. `most`: what the first byte can hold, less one than a power of two. */
function writeInteger(
  target: Buffer,
  at: number,
  kind: number,
  most: number,
  value: number,
): number {
  if (value < most) {
    target[at] = kind | value
    return at + 1
  }
  target[at] = kind | most
  let next = at + 1
  let rest = value - most
  for (; rest > 127; rest >>>= 7) target[next++] = (rest & 127) | 128
  target[next++] = rest
  return next
}

/** RFC 7541 §5.2, as it is: never Huffman-coded. */
function writeText(target: Buffer, at: number, text: string): number {
  const { length } = text
  const next = writeInteger(target, at, 0, 127, length)
  if (length > shortMax) target.write(text, next, "latin1")
  else for (let index = 0; index < length; index++) target[next + index] = text.charCodeAt(index)
  return next + length
}
