/**
 * ClientHello: the server name and the protocols that a TLS client asks for.
 *
 * Strict on purpose: what two servers could read differently is broken, and no rule can allow what
 * is broken. Reads only what a decision needs; it never ends TLS and never changes a byte.
 */
import { Cursor } from "../net/bytes.ts"
import { parseHostname } from "../net/hostname.ts"
import type { Hostname } from "../net/hostname.ts"
import type { Opening } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"

/**
 * Longest handshake message taken, in bytes. A hello with two post-quantum key shares and a ticket
 * is under 6 KiB; OpenSSL takes 128 KiB (SSL3_RT_MAX_PLAIN_LENGTH × 8), Go 64 KiB (maxHandshake).
 */
export const helloBytesMax = 65_536

/** RFC 8446 §5.1. */
const recordBytesMax = 16_384
const recordHeaderBytes = 5
const messageHeaderBytes = 4

const handshakeRecord = 22
const clientHello = 1

/** IANA TLS ExtensionType Values. */
const extension = {
  serverName: 0,
  protocols: 16,
  /** RFC 9849; 0xffce is what its first drafts used. */
  encryptedHello: 0xfe0d,
  encryptedServerName: 0xffce,
} as const

const hostNameType = 0

/**
 * Reads one ClientHello over any number of records and any segmentation. Keeps positions, not
 * bytes: what was read so far stays with the caller.
 */
export class HelloReader {
  /** Index after the last byte looked at. */
  #position = 0
  /** Bytes of the open record that are still to come. */
  #recordLeft = 0
  /** Bytes of the message seen, its header included. */
  #seen = 0
  /** The length that the message's header gives; meaningless before it is whole. */
  #length = 0

  /**
   * The opening, or null where more bytes are needed.
   *
   * @param bytes All bytes of the connection so far, the same ones as before and more.
   */
  read(bytes: Uint8Array): Opening | null {
    for (;;) {
      if (this.#recordLeft === 0) {
        if (bytes.length - this.#position < recordHeaderBytes) return this.#tooShort(bytes)
        const broken = this.#openRecord(bytes)
        if (broken !== null) return broken
      }
      const broken = this.#take(bytes)
      if (broken !== null) return broken
      if (this.#isWhole()) {
        // Why: RFC 8446 §5.1; nothing may follow a ClientHello before the server has answered.
        if (this.#recordLeft > 0) return brokenHello("malformed")
        return openingOf(this.#message(bytes))
      }
      if (this.#recordLeft > 0) return null
    }
  }

  #isWhole(): boolean {
    return this.#seen >= messageHeaderBytes && this.#seen === messageHeaderBytes + this.#length
  }

  /** A record header that is not whole: broken as soon as its first bytes are. */
  #tooShort(bytes: Uint8Array): Opening | null {
    const left = bytes.length - this.#position
    if (left > 0 && bytes[this.#position] !== handshakeRecord) return brokenHello("malformed")
    if (left > 1 && bytes[this.#position + 1] !== 3) return brokenHello("malformed")
    return null
  }

  #openRecord(bytes: Uint8Array): Opening | null {
    const header = new Cursor(bytes, this.#position)
    const type = header.u8()
    const major = header.u8()
    const minor = header.u8()
    const length = header.u16()
    if (type !== handshakeRecord || major !== 3 || minor > 4) return brokenHello("malformed")
    if (length === 0 || length > recordBytesMax) return brokenHello("malformed")
    this.#position += recordHeaderBytes
    this.#recordLeft = length
    return null
  }

  /** Walks over what is there of the record; reads the message's header on the way. */
  #take(bytes: Uint8Array): Opening | null {
    while (this.#seen < messageHeaderBytes && this.#recordLeft > 0) {
      const byte = bytes[this.#position]
      if (byte === undefined) return null
      if (this.#seen === 0 && byte !== clientHello) return brokenHello("malformed")
      if (this.#seen > 0) this.#length = this.#length * 256 + byte
      this.#step(1)
      if (this.#seen === messageHeaderBytes && this.#length + messageHeaderBytes > helloBytesMax) {
        return brokenHello("limit-exceeded")
      }
    }
    const wanted = messageHeaderBytes + this.#length - this.#seen
    if (this.#seen >= messageHeaderBytes) {
      this.#step(Math.min(this.#recordLeft, bytes.length - this.#position, wanted))
    }
    return null
  }

  #step(count: number): void {
    this.#position += count
    this.#recordLeft -= count
    this.#seen += count
  }

  /** The whole message without its header: in place where one record holds it. */
  #message(bytes: Uint8Array): Uint8Array {
    const only = recordHeaderBytes + messageHeaderBytes
    if (this.#position === only + this.#length) return bytes.subarray(only, this.#position)
    const message = new Uint8Array(messageHeaderBytes + this.#length)
    let filled = 0
    for (let at = 0; at < this.#position;) {
      const length = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0)
      const from = at + recordHeaderBytes
      at = Math.min(from + length, this.#position)
      message.set(bytes.subarray(from, at), filled)
      filled += at - from
    }
    return message.subarray(messageHeaderBytes)
  }
}

function brokenHello(reason: Reason): Opening {
  return { kind: "broken", of: "tls", reason }
}

/** RFC 8446 §4.1.2, the body of a whole ClientHello. */
function openingOf(message: Uint8Array): Opening {
  const hello = new Cursor(message)
  const major = hello.u8()
  hello.skip(1)
  hello.skip(32)
  const sessionLength = hello.u8()
  hello.skip(sessionLength)
  const suitesLength = hello.u16()
  hello.skip(suitesLength)
  const compressionLength = hello.u8()
  hello.skip(compressionLength)
  if (hello.short || major !== 3 || sessionLength > 32) return brokenHello("malformed")
  if (suitesLength < 2 || suitesLength % 2 !== 0) return brokenHello("malformed")
  if (compressionLength < 1) return brokenHello("malformed")
  if (hello.left === 0) {
    return { kind: "tls", serverName: null, protocols: [], encryptedHello: false }
  }
  const extensions = hello.within(hello.u16())
  if (hello.short || hello.left > 0) return brokenHello("malformed")
  return readExtensions(extensions)
}

function readExtensions(extensions: Cursor): Opening {
  const seen = new Set<number>()
  let serverName: Hostname | null = null
  let badName = false
  let protocols: readonly string[] = []
  let encryptedHello = false
  while (extensions.left > 0) {
    const type = extensions.u16()
    const body = extensions.within(extensions.u16())
    if (extensions.short) return brokenHello("malformed")
    if (type === extension.serverName) {
      const name = seen.has(type) ? null : readServerName(body)
      if (name === null) badName = true
      else serverName = name
    } else if (seen.has(type)) {
      // Why: RFC 8446 §4.2; servers differ in which of two they believe.
      return brokenHello("malformed")
    }
    seen.add(type)
    if (type === extension.protocols) {
      const offered = readProtocols(body)
      if (offered === null) return brokenHello("malformed")
      protocols = offered
    }
    if (type === extension.encryptedHello || type === extension.encryptedServerName) {
      encryptedHello = true
    }
  }
  if (badName) return brokenHello("bad-server-name")
  return { kind: "tls", serverName, protocols, encryptedHello }
}

/** RFC 6066 §3: a list of exactly one host_name, in ASCII; null for anything else. */
function readServerName(body: Cursor): Hostname | null {
  const list = body.within(body.u16())
  const type = list.u8()
  const name = list.take(list.u16())
  if (body.short || list.short || body.left > 0 || list.left > 0) return null
  if (type !== hostNameType || name.length === 0) return null
  let text = ""
  for (const byte of name) {
    // Why: beyond ASCII there is more than one way to make A-labels of it (RFC 6066: they are sent).
    if (byte > 127) return null
    text += String.fromCharCode(byte)
  }
  return parseHostname(text)
}

/** RFC 7301 §3.1; null where it is not a list of one or more names of one or more bytes. */
function readProtocols(body: Cursor): readonly string[] | null {
  const list = body.within(body.u16())
  if (body.short || body.left > 0 || list.left === 0) return null
  const protocols: string[] = []
  while (list.left > 0) {
    const name = list.take(list.u8())
    if (list.short || name.length === 0) return null
    protocols.push(String.fromCharCode(...name))
  }
  return protocols
}
