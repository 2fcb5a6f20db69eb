/**
 * DNS messages: bytes of RFC 1035 (and RFC 6891) ↔ what the resolver needs of them.
 *
 * Strict and bounded: every length is checked against the message, nothing is guessed, and a message
 * that says more than one thing is refused. Nothing here throws, whatever the bytes. What a question
 * carries beside name, type and class (options, flags, case) is not kept: nothing of the job's can
 * travel on with it.
 */
import type { Hostname } from "../net/hostname.ts"
import { classIn, rcodes, types } from "./code.ts"
import { headerBytes, hostnameOf, lowered, readName, shownName } from "./wire-name.ts"

/** RFC 1035 §4.2.2: the length of a message over TCP is a number of two bytes. */
export const messageBytesMax = 65_535
/** RFC 1035 §4.2.1: what a client takes over UDP when it says nothing. */
export const plainUdpBytes = 512
/** What fits any path without fragments (dnsflagday.net/2020, the default of Unbound and Knot). */
export const udpBytesMax = 1232

const flagResponse = 0x8000
const flagAuthoritative = 0x0400
const flagTruncated = 0x0200
const flagRecursionDesired = 0x0100
const flagRecursionAvailable = 0x0080
const flagCheckingDisabled = 0x0010
const maskOpcode = 0x7800
const maskRcode = 0x000f

/** Bit of the flags in an OPT record (RFC 3225). */
const flagDnssecOk = 0x8000

/** What a client says of itself in an OPT record. */
export interface Edns {
  /** What it takes over UDP, in bytes; never below 512. */
  readonly udpBytes: number
  readonly dnssecOk: boolean
}

export interface Query {
  readonly id: number
  /** The second word of the header, as it came. */
  readonly flags: number
  /** The question as it came, case and all: what an answer must repeat. */
  readonly question: Buffer
  /** Wire form, lower case; see wire-name.ts. */
  readonly wire: string
  /** null: no host name has such labels (a dot, a space, a NUL inside one), or it is the root. */
  readonly name: Hostname | null
  /** For people, also where `name` is null. */
  readonly shown: string
  readonly type: number
  readonly class: number
  /** null: the client does not speak EDNS, and must not be answered with it. */
  readonly edns: Edns | null
}

/** Bytes that are no question to be answered. */
export interface Fault {
  /** What to answer; null: nothing at all (an answer, or less than a header). */
  readonly rcode: number | null
  readonly id: number
  readonly flags: number
  /** The first question, where there is one that can be read: for the log. */
  readonly shown: string | null
  readonly type: number
}

/** A question, or what is wrong with it. `message` is not kept beyond the question's few bytes. */
export function readQuery(message: Buffer): Query | Fault {
  if (message.length < headerBytes) return fault(message, null)
  const flags = message.readUInt16BE(2)
  // Why: an answer that leaves the job is never a question of ours, and answering answers makes loops.
  if ((flags & flagResponse) !== 0) return fault(message, null)
  if ((flags & maskOpcode) !== 0) return fault(message, rcodes.notImp)
  const more = message.readUInt16BE(10)
  if (message.readUInt16BE(4) !== 1 || message.readUInt32BE(6) !== 0 || more > 1) {
    return fault(message, rcodes.formErr)
  }
  // Why: nothing stands before the question that it could point to: a pointer is refused there.
  const read = readName(message, headerBytes)
  if (read === null || read.end + 4 > message.length) return fault(message, rcodes.formErr)
  const end = read.end + 4
  const edns = more === 0 ? null : readEdns(message, end)
  if (edns === null ? more !== 0 || end !== message.length : edns.rcode !== rcodes.noError) {
    return fault(message, edns?.rcode ?? rcodes.formErr)
  }
  const wire = lowered(read.exact)
  const name = hostnameOf(wire)
  return {
    id: message.readUInt16BE(0),
    flags,
    question: Buffer.from(message.subarray(headerBytes, end)),
    wire,
    name,
    shown: name ?? shownName(wire),
    type: message.readUInt16BE(read.end),
    class: message.readUInt16BE(read.end + 2),
    edns: edns === null ? null : { udpBytes: edns.udpBytes, dnssecOk: edns.dnssecOk },
  }
}

function fault(message: Buffer, rcode: number | null): Fault {
  const whole = message.length >= headerBytes
  const first =
    rcode !== null && message.readUInt16BE(4) > 0 ? readName(message, headerBytes) : null
  const readable = first !== null && first.end + 4 <= message.length
  return {
    rcode,
    id: whole ? message.readUInt16BE(0) : 0,
    flags: whole ? message.readUInt16BE(2) : 0,
    shown: readable ? shownName(lowered(first.exact)) : null,
    type: readable ? message.readUInt16BE(first.end) : 0,
  }
}

/** The OPT record that ends a question (RFC 6891 §6.1.2); null where the bytes are none. */
function readEdns(message: Buffer, at: number): (Edns & { readonly rcode: number }) | null {
  const fixed = 11
  if (at + fixed > message.length || message[at] !== 0) return null
  if (message.readUInt16BE(at + 1) !== types.opt) return null
  const end = at + fixed + message.readUInt16BE(at + 9)
  if (end !== message.length) return null
  for (let option = at + fixed; option < end;) {
    if (option + 4 > end) return null
    option += 4 + message.readUInt16BE(option + 2)
    if (option > end) return null
  }
  return {
    udpBytes: Math.max(plainUdpBytes, message.readUInt16BE(at + 3)),
    dnssecOk: (message.readUInt16BE(at + 7) & flagDnssecOk) !== 0,
    rcode: message[at + 6] === 0 ? rcodes.noError : rcodes.badVers,
  }
}

/** What an answer says beside the question. */
export interface Reply {
  readonly rcode: number
  /** Records, ready to stand behind the question; see section.ts. */
  readonly section: Buffer
  /** How many of the records are answers; the others are authority. */
  readonly answers: number
  readonly authority: number
  /** Extended DNS Error (RFC 8914), given only to a client that speaks EDNS. */
  readonly error: { readonly code: number; readonly text: string } | null
}

/**
 * The bytes of an answer: at most `bytesMax`; where the records do not fit, none of them and the bit
 * that sends the client to TCP (RFC 2181 §9).
 */
export function writeReply(query: Query, reply: Reply, bytesMax: number): Buffer {
  const { question, edns } = query
  const option = edns === null ? null : ednsOf(edns, reply)
  const fixed = headerBytes + question.length + (option?.length ?? 0)
  const fits = fixed + reply.section.length <= bytesMax
  const section = fits ? reply.section.length : 0
  const bytes = Buffer.allocUnsafe(fixed + section)
  const truncated = fits ? 0 : flagTruncated
  bytes.writeUInt16BE(query.id, 0)
  bytes.writeUInt16BE(replyFlags(query.flags) | truncated | (reply.rcode & maskRcode), 2)
  bytes.writeUInt16BE(1, 4)
  bytes.writeUInt16BE(fits ? reply.answers : 0, 6)
  bytes.writeUInt16BE(fits ? reply.authority : 0, 8)
  bytes.writeUInt16BE(option === null ? 0 : 1, 10)
  bytes.set(question, headerBytes)
  const records = headerBytes + question.length
  if (fits) bytes.set(reply.section, records)
  if (option !== null) bytes.set(option, records + section)
  return bytes
}

/** Whether records were left out of an answer of ours. */
export function isTruncated(reply: Buffer): boolean {
  return (reply.readUInt16BE(2) & flagTruncated) !== 0
}

/** The answer to bytes that are no question: a header, and for an EDNS version the OPT record. */
export function writeFault({ id, flags, rcode }: Fault): Buffer {
  const option =
    rcode === rcodes.badVers
      ? Buffer.from([0, 0, types.opt, udpBytesMax >>> 8, udpBytesMax & 255, 1, 0, 0, 0, 0, 0])
      : Buffer.alloc(0)
  const bytes = Buffer.alloc(headerBytes + option.length)
  bytes.writeUInt16BE(id, 0)
  bytes.writeUInt16BE(replyFlags(flags) | (flags & maskOpcode) | ((rcode ?? 0) & maskRcode), 2)
  bytes.writeUInt16BE(option.length === 0 ? 0 : 1, 10)
  bytes.set(option, headerBytes)
  return bytes
}

function replyFlags(flags: number): number {
  return (
    flagResponse | flagRecursionAvailable | (flags & (flagRecursionDesired | flagCheckingDisabled))
  )
}

function ednsOf({ dnssecOk }: Edns, { error, rcode }: Reply): Buffer {
  const text = error === null ? "" : error.text
  const data = error === null ? 0 : 6 + text.length
  const bytes = Buffer.alloc(11 + data)
  bytes.writeUInt16BE(types.opt, 1)
  bytes.writeUInt16BE(udpBytesMax, 3)
  bytes[5] = rcode >>> 4
  bytes.writeUInt16BE(dnssecOk ? flagDnssecOk : 0, 7)
  bytes.writeUInt16BE(data, 9)
  if (error !== null) {
    // RFC 8914 §2: OPTION-CODE 15.
    bytes.writeUInt16BE(15, 11)
    bytes.writeUInt16BE(2 + text.length, 13)
    bytes.writeUInt16BE(error.code, 15)
    bytes.write(text, 17, "latin1")
  }
  return bytes
}

/**
 * A question of our own: no bit, option or spelling of the job's is in it.
 *
 * @param exact wire name, in the case to be asked with (see mixedCase in upstream.ts)
 * @param edns false for an upstream that answers FORMERR to EDNS (RFC 6891 §7)
 */
export function writeQuery(id: number, exact: string, type: number, edns: boolean): Buffer {
  const end = headerBytes + exact.length + 4
  const bytes = Buffer.alloc(end + (edns ? 11 : 0))
  bytes.writeUInt16BE(id, 0)
  bytes.writeUInt16BE(flagRecursionDesired, 2)
  bytes.writeUInt16BE(1, 4)
  bytes.write(exact, headerBytes, "latin1")
  bytes.writeUInt16BE(type, end - 4)
  bytes.writeUInt16BE(classIn, end - 2)
  if (edns) {
    bytes.writeUInt16BE(1, 10)
    bytes.writeUInt16BE(types.opt, end + 1)
    bytes.writeUInt16BE(udpBytesMax, end + 3)
  }
  return bytes
}

/** One resource record, its data without compression. */
export interface ResourceRecord {
  /** Wire form, lower case. */
  readonly owner: string
  readonly type: number
  readonly class: number
  /** In seconds, 0 to 2³¹ - 1. */
  readonly ttl: number
  readonly data: Buffer
}

/** What an upstream says. */
export interface Response {
  readonly id: number
  readonly rcode: number
  readonly truncated: boolean
  readonly authoritative: boolean
  /** Wire form, case as it came. */
  readonly exact: string
  readonly type: number
  readonly class: number
  readonly answers: readonly ResourceRecord[]
  readonly authority: readonly ResourceRecord[]
}

/** More than any honest answer holds; 65,535 bytes could hold 5,957. */
const recordsMax = 2_000

/**
 * An answer of an upstream; null where the bytes are none. Of a truncated one only the question is
 * read: what was cut is not worth a guess. The additional section is not read at all.
 */
export function readResponse(message: Buffer): Response | null {
  if (message.length < headerBytes) return null
  const flags = message.readUInt16BE(2)
  if ((flags & flagResponse) === 0 || (flags & maskOpcode) !== 0) return null
  if (message.readUInt16BE(4) !== 1) return null
  const read = readName(message, headerBytes)
  if (read === null || read.end + 4 > message.length) return null
  const truncated = (flags & flagTruncated) !== 0
  const counts = [message.readUInt16BE(6), message.readUInt16BE(8)] as const
  if (counts[0] + counts[1] > recordsMax) return null
  let at: number | null = read.end + 4
  const answers: ResourceRecord[] = []
  const authority: ResourceRecord[] = []
  if (!truncated) {
    at = readRecords(message, at, counts[0], answers)
    if (at !== null) at = readRecords(message, at, counts[1], authority)
    if (at === null) return null
  }
  return {
    id: message.readUInt16BE(0),
    rcode: flags & maskRcode,
    truncated,
    authoritative: (flags & flagAuthoritative) !== 0,
    exact: read.exact,
    type: message.readUInt16BE(read.end),
    class: message.readUInt16BE(read.end + 2),
    answers,
    authority,
  }
}

/** Where the records end; null where one of them is cut. */
function readRecords(
  message: Buffer,
  at: number,
  count: number,
  into: ResourceRecord[],
): number | null {
  let position = at
  for (let index = 0; index < count; index++) {
    const owner = readName(message, position)
    if (owner === null || owner.end + 10 > message.length) return null
    const type = message.readUInt16BE(owner.end)
    const start = owner.end + 10
    const end = start + message.readUInt16BE(owner.end + 8)
    if (end > message.length) return null
    const data = readData(message, type, start, end)
    if (data === null) return null
    const ttl = message.readUInt32BE(owner.end + 4)
    into.push({
      owner: lowered(owner.exact),
      type,
      class: message.readUInt16BE(owner.end + 2),
      // RFC 2181 §8: with the highest bit set it counts as zero.
      ttl: ttl > 0x7fff_ffff ? 0 : ttl,
      data,
    })
    position = end
  }
  return position
}

/** Bytes before the names in the data of a type, and how many names; others hold no compressed name. */
const namesIn = new Map<number, { readonly before: number; readonly names: number }>([
  [types.ns, { before: 0, names: 1 }],
  [types.cname, { before: 0, names: 1 }],
  [types.ptr, { before: 0, names: 1 }],
  [types.mx, { before: 2, names: 1 }],
  [types.srv, { before: 6, names: 1 }],
  [types.soa, { before: 0, names: 2 }],
])

const addressBytesOf = new Map<number, number>([
  [types.a, 4],
  [types.aaaa, 16],
])

/** The five numbers at the end of an SOA record (RFC 1035 §3.3.13). */
export const soaNumberBytes = 20

/** The data of a record with its names written out; null where its length or a name is wrong. */
function readData(message: Buffer, type: number, start: number, end: number): Buffer | null {
  const exactly = addressBytesOf.get(type)
  if (exactly !== undefined && end - start !== exactly) return null
  const shape = namesIn.get(type)
  if (shape === undefined) return Buffer.from(message.subarray(start, end))
  let position = start + shape.before
  if (position > end) return null
  let text = message.toString("latin1", start, position)
  for (let index = 0; index < shape.names; index++) {
    const name = readName(message, position)
    if (name === null || name.end > end) return null
    text += name.exact
    position = name.end
  }
  if (end - position !== (type === types.soa ? soaNumberBytes : 0)) return null
  return Buffer.from(text + message.toString("latin1", position, end), "latin1")
}
