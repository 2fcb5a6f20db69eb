/**
 * The records of an answer as the bytes that stand behind its question, encoded once for all who
 * ask, and their times to live, which are written anew each time.
 */
import { classIn, types } from "./code.ts"
import { headerBytes, lowered, rootName } from "./wire-name.ts"
import type { ResourceRecord } from "./message.ts"

export interface Section {
  readonly bytes: Buffer
  readonly answers: number
  readonly authority: number
  /** Offsets within `bytes` of the times to live. */
  readonly ttlsAt: readonly number[]
  /** In seconds, as they were when the records came; in the order of `ttlsAt`. */
  readonly ttls: readonly number[]
}

export const noRecords: Section = {
  bytes: Buffer.alloc(0),
  answers: 0,
  authority: 0,
  ttlsAt: [],
  ttls: [],
}

/** A pointer has 14 bits (RFC 1035 §4.1.4). */
const pointerMax = 0x3fff

/**
 * @param wire the name of the question, to which the first records point
 */
export function section(
  wire: string,
  answers: readonly ResourceRecord[],
  authority: readonly ResourceRecord[],
): Section {
  const start = headerBytes + wire.length + 4
  const known = new Map([[wire, headerBytes]])
  const chunks: Buffer[] = []
  const ttlsAt: number[] = []
  let length = 0
  for (const record of [...answers, ...authority]) {
    const owner = ownerBytes(known.get(record.owner), record.owner)
    if (!known.has(record.owner)) learn(known, record.owner, start + length)
    const fixed = Buffer.allocUnsafe(10)
    fixed.writeUInt16BE(record.type, 0)
    fixed.writeUInt16BE(classIn, 2)
    fixed.writeUInt32BE(record.ttl, 4)
    fixed.writeUInt16BE(record.data.length, 8)
    ttlsAt.push(length + owner.length + 4)
    length += owner.length + fixed.length
    if (record.type === types.cname) {
      learn(known, lowered(record.data.toString("latin1")), start + length)
    }
    length += record.data.length
    chunks.push(owner, fixed, record.data)
  }
  return {
    bytes: Buffer.concat(chunks, length),
    answers: answers.length,
    authority: authority.length,
    ttlsAt,
    ttls: [...answers, ...authority].map(({ ttl }) => ttl),
  }
}

function learn(known: Map<string, number>, name: string, at: number): void {
  if (at <= pointerMax && !known.has(name)) known.set(name, at)
}

function ownerBytes(at: number | undefined, owner: string): Buffer {
  return at === undefined
    ? Buffer.from(owner, "latin1")
    : Buffer.from([0xc0 | (at >>> 8), at & 255])
}

/**
 * Writes what is left of each time to live.
 *
 * @param at where the section begins in `message`
 * @param elapsed whole seconds since the records came
 */
export function writeTtls(message: Buffer, at: number, of: Section, elapsed: number): void {
  for (let index = 0; index < of.ttlsAt.length; index++) {
    const left = Math.max(0, (of.ttls[index] ?? 0) - elapsed)
    message.writeUInt32BE(left, at + (of.ttlsAt[index] ?? 0))
  }
}

/** An SOA record of nobody, so that whoever caches the answer does so for `ttl` seconds (RFC 2308 §5). */
export function shortSoa(wire: string, ttl: number): ResourceRecord {
  const numbers = Buffer.alloc(20)
  // serial, refresh, retry, expire, minimum
  for (const [index, value] of [1, ttl, ttl, ttl, ttl].entries()) {
    numbers.writeUInt32BE(value, index * 4)
  }
  const data = Buffer.concat([Buffer.from(rootName + rootName, "latin1"), numbers])
  return { owner: wire, type: types.soa, class: classIn, ttl, data }
}
