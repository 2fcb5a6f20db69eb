/**
 * Bytes of any length that everybody can compute: what the far end sends for `/bytes/N`, and what a
 * client sends up. Each block differs from each other block, so that a digest notices bytes that
 * came twice, not at all or in another order. Pure.
 */
import { createHash } from "node:crypto"

const blockBytes = 65_536

/** Bytes without a pattern (a linear congruential generator, Numerical Recipes). */
const pattern = Buffer.alloc(blockBytes)
let state = 1
for (let at = 0; at < blockBytes; at++) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
  pattern[at] = state >>> 24
}

/** The content of that many bytes, block by block. Nothing of a block changes after it was given. */
export function* content(bytes: number): Generator<Buffer, void> {
  for (let from = 0; from < bytes; from += blockBytes) {
    const block = Buffer.from(pattern.subarray(0, Math.min(blockBytes, bytes - from)))
    if (block.length >= 4) block.writeUInt32BE(from / blockBytes)
    yield block
  }
}

/** SHA-256 of the content of that many bytes, in hexadecimal. */
export function contentDigest(bytes: number): string {
  const hash = createHash("sha256")
  for (const block of content(bytes)) hash.update(block)
  return hash.digest("hex")
}
