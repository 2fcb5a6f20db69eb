/**
 * Header blocks of HTTP/2, read (RFC 7541): bytes to a list of fields, with the dynamic table that
 * the peer's encoder may still use. Bounded in bytes, fields and memory. Pure.
 *
 * What is written is in hpack-writer.ts, and needs no table.
 */
import { huffmanText } from "./huffman.ts"
import { marksOf } from "./header-field.ts"
import type { HeaderField } from "./header-field.ts"
import { KnownFields } from "./known-fields.ts"
import { staticTable } from "./static-table.ts"

/** SETTINGS_HEADER_TABLE_SIZE until it is said otherwise (RFC 9113 §6.5.2), in bytes. */
export const tableBytesDefault = 4_096
/** What each field counts beside its name and value (RFC 7541 §4.1; RFC 9113 §6.5.2). */
export const fieldOverheadBytes = 32
/** Longest header list, counted so. HTTP/1.1 heads end at the same: see head.ts. */
export const listBytesMax = 65_536
/** Most fields of a list: the 200 of head.ts, and the pseudo-header fields. */
export const listFieldsMax = 204

export interface HeaderBlock {
  /** Cut off where `over`. */
  readonly fields: readonly HeaderField[]
  /** Where the first field begins: after the table's changes of size. */
  readonly start: number
  /** Something was taken from the dynamic table: the block means nothing without it. */
  readonly dynamic: boolean
  /** Longer than listBytesMax, or more fields than listFieldsMax. The table was kept up all the same. */
  readonly over: boolean
}

/** Most bytes of an integer after its first: exact, and far beyond what a limit here allows. */
const integerBytesMax = 4
/** Most fields that a table of the default size can hold. */
const tableFieldsMax = tableBytesDefault / fieldOverheadBytes
/** For all connections: what bytes mean without a table, they mean everywhere. */
const knownFields = new KnownFields()
const nothing: Buffer = Buffer.alloc(0)

/** One direction of one connection. */
export class HpackDecoder {
  /**
   * Largest table that the encoder may ask for, in bytes. It may be lowered at any time: an encoder
   * that then goes on with its larger one, without a word, is still understood (Go before 1.20).
   */
  tableBytesMax = tableBytesDefault
  #capacity = tableBytesDefault
  /** The newest stands last. */
  #table: HeaderField[] = []
  /** So many at the start of #table are evicted. */
  #evicted = 0
  #tableBytes = 0
  #source = nothing
  #at = 0
  #end = 0
  #dynamic = false
  #broken = false

  /**
   * One whole block: `from` is its first byte, `to` the one after its last. null: it cannot be
   * decoded, and so nothing after it can be (RFC 7541 §3.1, RFC 9113 §4.3).
   */
  decode(source: Buffer, from: number, to: number): HeaderBlock | null {
    this.#source = source
    this.#at = from
    this.#end = to
    this.#dynamic = false
    this.#broken = false
    this.#resize()
    const start = this.#at
    const fields: HeaderField[] = []
    let bytes = 0
    while (this.#at < to && !this.#broken) {
      const field = this.#field()
      if (field === null) break
      bytes += field.name.length + field.value.length + fieldOverheadBytes
      if (bytes > listBytesMax || fields.length === listFieldsMax) bytes = Infinity
      else fields.push(field)
    }
    this.#source = nothing
    if (this.#broken) return null
    return { fields, start, dynamic: this.#dynamic, over: bytes === Infinity }
  }

  /** Changes of the table's size stand at a block's start only (RFC 7541 §4.2, §6.3). */
  #resize(): void {
    while (this.#at < this.#end && ((this.#source[this.#at] ?? 0) & 0xe0) === 0x20) {
      const capacity = this.#integer(31)
      if (this.#broken || capacity > this.tableBytesMax) {
        this.#broken = true
        return
      }
      this.#capacity = capacity
      this.#evict(0)
    }
  }

  /** RFC 7541 §6.1, §6.2. null: broken. */
  #field(): HeaderField | null {
    const from = this.#at
    const first = this.#source[from] ?? 0
    if ((first & 0x80) !== 0) return this.#found(this.#integer(127))
    const kept = (first & 0x40) !== 0
    if (!kept && (first & 0x20) !== 0) return this.#fail()
    const index = this.#integer(kept ? 63 : 15)
    const nameFrom = this.#at
    if (index === 0) this.#skip()
    const valueFrom = this.#at
    this.#skip()
    if (this.#broken) return null
    // Why: what stands in the dynamic table means something for this connection alone.
    const alone = index <= staticTable.length
    const known = alone ? knownFields.find(this.#source, from, this.#at) : null
    const field = known ?? this.#literal(first, index, nameFrom, valueFrom)
    if (field === null) return null
    if (alone && known === null && !field.sensitive) {
      knownFields.add(this.#source, from, this.#at, field)
    }
    if (kept) this.#keep(field)
    return field
  }

  #literal(first: number, index: number, nameFrom: number, valueFrom: number): HeaderField | null {
    const name = index === 0 ? this.#text(nameFrom) : (this.#found(index)?.name ?? null)
    const value = this.#text(valueFrom)
    if (name === null || value === null) return this.#fail()
    return { name, value, sensitive: (first & 0x50) === 0x10, marks: marksOf(name, value) }
  }

  #found(index: number): HeaderField | null {
    if (index > staticTable.length) {
      this.#dynamic = true
      const at = this.#table.length - (index - staticTable.length)
      return at < this.#evicted ? this.#fail() : (this.#table[at] ?? this.#fail())
    }
    return staticTable[index - 1] ?? this.#fail()
  }

  /** RFC 7541 §4.4: what is larger than the table empties it. */
  #keep(field: HeaderField): void {
    const bytes = field.name.length + field.value.length + fieldOverheadBytes
    this.#evict(bytes)
    if (bytes > this.#capacity) return
    this.#table.push(field)
    this.#tableBytes += bytes
  }

  /** Makes room for so many bytes. */
  #evict(bytes: number): void {
    while (this.#tableBytes + bytes > this.#capacity && this.#evicted < this.#table.length) {
      const oldest = this.#table[this.#evicted++]
      if (oldest === undefined) break
      this.#tableBytes -= oldest.name.length + oldest.value.length + fieldOverheadBytes
    }
    if (this.#evicted > tableFieldsMax || this.#evicted === this.#table.length) {
      this.#table = this.#table.slice(this.#evicted)
      this.#evicted = 0
    }
  }

  /** RFC 7541 §5.1. `most`: what the first byte can hold, less one than a power of two. */
  #integer(most: number): number {
    let value = (this.#source[this.#at++] ?? 0) & most
    if (value < most) return value
    for (let count = 0; count < integerBytesMax && this.#at < this.#end; count++) {
      const byte = this.#source[this.#at++] ?? 0
      value += (byte & 127) * 2 ** (7 * count)
      if (byte < 128) return value
    }
    this.#broken = true
    return 0
  }

  /** Goes past a string. */
  #skip(): void {
    if (this.#at >= this.#end) this.#broken = true
    const length = this.#integer(127)
    this.#at += length
    if (this.#at > this.#end) this.#broken = true
  }

  /** The string that begins at `from`, which was gone past. null: broken (RFC 7541 §5.2). */
  #text(from: number): string | null {
    const after = this.#at
    this.#at = from
    const coded = ((this.#source[from] ?? 0) & 0x80) !== 0
    const length = this.#integer(127)
    const start = this.#at
    this.#at = after
    return coded
      ? huffmanText(this.#source, start, start + length)
      : this.#source.toString("latin1", start, start + length)
  }

  #fail(): null {
    this.#broken = true
    return null
  }
}
