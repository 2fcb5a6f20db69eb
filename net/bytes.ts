/**
 * A cursor over bytes that ends in `short`, never in a throw.
 *
 * Readers of hostile bytes read on as if all were there and ask `short` once, at the end of each
 * unit: after the first read past the end every further one gives 0 or nothing.
 */
export class Cursor {
  readonly bytes: Uint8Array
  /** Index of the next byte. */
  position: number
  /** Whether something was read that was not there. Stays true. */
  short: boolean
  /** Index after the last byte that may be read. */
  readonly end: number

  /** `end` beyond the bytes is cut to them. */
  constructor(bytes: Uint8Array, position = 0, end: number = bytes.length) {
    this.bytes = bytes
    this.end = Math.min(end, bytes.length)
    this.position = position
    this.short = position < 0 || position > this.end
  }

  /** How many bytes are left; 0 once short. */
  get left(): number {
    return this.short ? 0 : this.end - this.position
  }

  u8(): number {
    const at = this.#advance(1)
    return at === -1 ? 0 : (this.bytes[at] ?? 0)
  }

  /** Two bytes, big-endian. */
  u16(): number {
    const at = this.#advance(2)
    return at === -1 ? 0 : ((this.bytes[at] ?? 0) << 8) | (this.bytes[at + 1] ?? 0)
  }

  /** Three bytes, big-endian. */
  u24(): number {
    const at = this.#advance(3)
    if (at === -1) return 0
    return (
      ((this.bytes[at] ?? 0) << 16) | ((this.bytes[at + 1] ?? 0) << 8) | (this.bytes[at + 2] ?? 0)
    )
  }

  /** Four bytes, big-endian, unsigned. */
  u32(): number {
    const high = this.u16()
    return high * 0x1_0000 + this.u16()
  }

  /** The next `count` bytes, shared with the source; empty when short. */
  take(count: number): Uint8Array {
    const at = this.#advance(count)
    return at === -1 ? this.bytes.subarray(0, 0) : this.bytes.subarray(at, at + count)
  }

  skip(count: number): void {
    this.#advance(count)
  }

  /** A cursor over the next `count` bytes, past which this one then stands; short where this is. */
  within(count: number): Cursor {
    const at = this.#advance(count)
    const inner = new Cursor(this.bytes, at === -1 ? 0 : at, at === -1 ? 0 : at + count)
    if (at === -1) inner.short = true
    return inner
  }

  /** All that is left, shared with the source. */
  rest(): Uint8Array {
    return this.take(this.left)
  }

  /** Where the bytes begin, or -1 where there are not so many. */
  #advance(count: number): number {
    // Why: written so that NaN is short as well.
    if (this.short || !(count >= 0 && count <= this.end - this.position)) {
      this.short = true
      return -1
    }
    const at = this.position
    this.position += count
    return at
  }
}
