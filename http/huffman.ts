/**
 * The Huffman code of HPACK, read (RFC 7541 §5.2, Appendix B). Pure. What we write is never coded:
 * it costs time, and the bytes are few.
 */

/**
 * Bits of each symbol's code, 0 to 255 and then EOS. The codes themselves follow: they are given out
 * in the order of length, then of symbol.
 */
export const codeLengths: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
  28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5,
  6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6,
  7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23,
  23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22,
  22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22,
  23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27,
  27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25,
  24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
]

const endOfString = 256

/** Each symbol's code, as many bits as codeLengths says. */
export const codes: readonly number[] = codesOf()

function codesOf(): number[] {
  const given = Array.from({ length: codeLengths.length }, () => 0)
  const order = codeLengths
    .map((length, symbol) => ({ length, symbol }))
    .sort((a, b) => a.length - b.length || a.symbol - b.symbol)
  let code = 0
  let before = 0
  for (const { length, symbol } of order) {
    code = code * 2 ** (length - before)
    given[symbol] = code++
    before = length
  }
  return given
}

/** An entry: the next state in the low 9 bits, then what the four bits completed. */
const emits = 1 << 9
const symbolShift = 10
/** The state may be the last one: less than a byte, of ones only (RFC 7541 §5.2). */
const ends = 1 << 18
const fails = 1 << 19

/** What four more bits do in each state; a state is an inner node of the code's tree. */
const steps = stepsOf()

function stepsOf(): Int32Array {
  // Two children a node; a leaf is -1 - symbol, 0 is not there yet.
  const tree: [number, number][] = [[0, 0]]
  for (const [symbol, length] of codeLengths.entries()) {
    let node = 0
    for (let bit = length - 1; bit >= 0; bit--) {
      const side = Math.floor((codes[symbol] ?? 0) / 2 ** bit) % 2 === 0 ? 0 : 1
      const children = tree[node] ?? [0, 0]
      if (bit === 0) children[side] = -1 - symbol
      else if (children[side] === 0) children[side] = tree.push([0, 0]) - 1
      node = children[side]
    }
  }
  const padding = new Set([0])
  for (let node = 0, depth = 0; depth < 7; depth++) {
    node = tree[node]?.[1] ?? 0
    padding.add(node)
  }
  const table = new Int32Array(tree.length * 16)
  for (let state = 0; state < tree.length; state++) {
    for (let bits = 0; bits < 16; bits++) {
      let node = state
      let entry = 0
      for (let bit = 3; bit >= 0; bit--) {
        const child = tree[node]?.[(bits >> bit) & 1] ?? 0
        if (child >= 0) node = child
        else {
          const symbol = -1 - child
          entry = symbol === endOfString ? fails : entry | emits | (symbol << symbolShift)
          node = 0
        }
        if (entry === fails) break
      }
      table[state * 16 + bits] = entry | node | (padding.has(node) ? ends : 0)
    }
  }
  return table
}

/** A code has five bits at least, so a string is at most 8/5 of its code. */
let landing = Buffer.allocUnsafeSlow(4096)

/**
 * The string, one character for each byte (Latin-1). null: EOS is in it, or its padding is not
 * less than eight bits, all of them one.
 */
export function huffmanText(bytes: Uint8Array, from: number, to: number): string | null {
  const most = Math.ceil(((to - from) * 8) / 5)
  if (most > landing.length) landing = Buffer.allocUnsafeSlow(most * 2)
  let at = 0
  let state = 0
  let last = ends
  for (let position = from; position < to; position++) {
    const byte = bytes[position] ?? 0
    const high = steps[(state << 4) | (byte >> 4)] ?? fails
    if ((high & emits) !== 0) landing[at++] = (high >> symbolShift) & 255
    last = steps[((high & 511) << 4) | (byte & 15)] ?? fails
    if ((last & emits) !== 0) landing[at++] = (last >> symbolShift) & 255
    if (((high | last) & fails) !== 0) return null
    state = last & 511
  }
  return (last & ends) === 0 ? null : landing.toString("latin1", 0, at)
}
