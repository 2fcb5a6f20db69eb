/**
 * The head of an HTTP/1 reply. Read with the tolerance that servers need (RFC 9112 §2.2, §5.1, §5.2),
 * and written anew from what was understood: the client sees one reading of it. Pure.
 *
 * `Alt-Svc` is left out: it would lead clients to a protocol that is not let through.
 */
import { fieldLine, hopByHop, keyOf, namesIn, trimmed } from "./field.ts"
import { headBytesMax, headFieldsMax } from "./head.ts"
import type { Framing } from "./head.ts"
import type { Field } from "./request.ts"

/** How the end of a reply's body is known; `close`: the connection ends with it. */
export type ReplyFraming = Framing | { readonly kind: "close" }

export interface Reply {
  readonly version: "1.0" | "1.1"
  /** 100 to 999. */
  readonly status: number
  readonly phrase: string
  readonly fields: readonly Field[]
  /** Of a reply that has a body; not every status and method has (see framed). */
  readonly framing: ReplyFraming
  /** Whether the upstream takes another request, where the reply's end is not the connection's. */
  readonly persistent: boolean
  /** What its `Keep-Alive` says, where that can be understood. */
  readonly keepAlive: string | null
  /** Agrees to become a WebSocket, where its status says so. */
  readonly webSocket: boolean
  /** What `Connection` names, in lower case. */
  readonly options: readonly string[]
  /** Of the head in bytes, the empty line included. */
  readonly length: number
}

/** null: it cannot be read as a reply. */
export type ReplyRead = Reply | "broken"

/** Reads one head over any segmentation. Keeps positions, not bytes. */
export class ReplyReader {
  #position = 0
  #lineStart = 0
  #lines = 0

  /**
   * The head, or null where more bytes are needed.
   *
   * @param bytes All bytes of the head so far, the same ones as before and more.
   */
  read(bytes: Buffer): ReplyRead | null {
    const end = Math.min(bytes.length, headBytesMax)
    for (;;) {
      const at = bytes.indexOf(10, this.#position)
      if (at === -1 || at >= end) break
      const from = this.#lineStart
      const empty = at === from || (at === from + 1 && bytes[from] === 13)
      if (empty) return this.#lines === 0 ? "broken" : replyOf(bytes.toString("latin1", 0, at + 1))
      this.#position = at + 1
      this.#lineStart = at + 1
      if (++this.#lines > headFieldsMax + 1) return "broken"
    }
    this.#position = Math.max(this.#position, end)
    return end === headBytesMax ? "broken" : null
  }
}

/** RFC 9112 §4; servers leave out the phrase, and the space before it. */
const statusLine = /^HTTP\/1\.([01]) ([1-9]\d{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/

function replyOf(text: string): ReplyRead {
  const firstEnd = text.indexOf("\n")
  const parts = statusLine.exec(lineOf(text, 0, firstEnd))
  if (parts === null) return "broken"
  const [, minor, status = "", phrase = ""] = parts
  const seen = new Seen()
  for (let from = firstEnd + 1; from < text.length;) {
    const to = text.indexOf("\n", from)
    if (!seen.take(text, from, to)) return "broken"
    from = to + 1
  }
  return understood(minor === "1" ? "1.1" : "1.0", Number(status), phrase, seen, text.length)
}

/** A line without its end. */
function lineOf(text: string, from: number, to: number): string {
  return text.slice(from, to > from && text.charCodeAt(to - 1) === 13 ? to - 1 : to)
}

/** Fields that are left out of a reply, besides those for the hop. */
const leftOut = new Set(["alt-svc"])

/** The fields of one head, and those among them that decide something. */
class Seen {
  readonly fields: Field[] = []
  length: string | null = null
  coding: string | null = null
  connection: string | null = null
  keepAlive: string | null = null
  upgrade: string | null = null
  #last: { name: string; value: string } | null = null

  /** Takes one line; false: it cannot be understood safely. */
  take(text: string, from: number, to: number): boolean {
    const end = to > from && text.charCodeAt(to - 1) === 13 ? to - 1 : to
    if (end === from) return true
    const code = text.charCodeAt(from)
    if (code === 32 || code === 9) return this.#fold(trimmed(text, from, end))
    const colon = text.indexOf(":", from)
    // RFC 9112 §5.1: white space before the colon is removed from a reply.
    const name = colon === -1 || colon > end ? "" : trimmed(text, from, colon)
    const key = keyOf(name)
    const value = trimmed(text, colon + 1, end)
    // Why: a line that is no field says nothing to a client either; what it may say differs.
    if (key === null) return true
    return isSafe(value) && this.#note(name, key, value)
  }

  /** A line that continues the one before (RFC 9112 §5.2: replaced by a space). */
  #fold(more: string): boolean {
    const last = this.#last
    if (last === null || !isSafe(more)) return false
    last.value = `${last.value} ${more}`
    return true
  }

  #note(name: string, key: string, value: string): boolean {
    this.#last = null
    switch (key) {
      case "content-length":
        // RFC 9112 §6.3: the same length twice may be taken for one.
        if (this.length !== null) return this.length === value
        this.length = value
        break
      case "transfer-encoding":
        this.coding = this.coding === null ? value : `${this.coding}, ${value}`
        return true
      case "connection":
        this.connection = this.connection === null ? value : `${this.connection},${value}`
        return true
      case "keep-alive":
        this.keepAlive = value
        return true
      case "upgrade":
        this.upgrade = value
        return true
      default:
        if (hopByHop.has(key) || leftOut.has(key)) return true
        this.#last = { name, value }
        this.fields.push(this.#last)
        return true
    }
    this.fields.push({ name, value })
    return true
  }
}

/** Neither NUL nor a bare CR, which a client could take for a line's end (RFC 9110 §5.5). */
function isSafe(value: string): boolean {
  return !value.includes("\r") && !value.includes("\0")
}

const keepAlivePattern = /^timeout=\d{1,6}(?:, ?max=\d{1,6})?$/

function understood(
  version: Reply["version"],
  status: number,
  phrase: string,
  seen: Seen,
  length: number,
): ReplyRead {
  const { connection, keepAlive, upgrade } = seen
  const coding = seen.coding?.toLowerCase() === "identity" ? null : seen.coding
  const framing = framingOf(coding, seen.length)
  if (framing === null) return "broken"
  const options = namesIn(connection)
  const both = coding !== null && seen.length !== null
  const fields = both ? seen.fields.filter(({ name }) => !isLength(name)) : seen.fields
  return {
    version,
    status,
    phrase,
    fields: coding === null ? fields : [...fields, { name: "Transfer-Encoding", value: coding }],
    framing,
    // Why: what has two framings may be an attempt to split it; it is the connection's last (§6.1).
    persistent: !both && staysOpen(version, options),
    keepAlive: keepAlive !== null && keepAlivePattern.test(keepAlive) ? keepAlive : null,
    webSocket:
      options.includes("upgrade") && upgrade !== null && upgrade.toLowerCase() === "websocket",
    options,
    length,
  }
}

/** RFC 9112 §9.3. */
function staysOpen(version: Reply["version"], options: readonly string[]): boolean {
  if (options.includes("close")) return false
  return version === "1.1" || options.includes("keep-alive")
}

function isLength(name: string): boolean {
  return keyOf(name) === "content-length"
}

/** RFC 9112 §6.3; null where the end of the body could be disputed. */
function framingOf(coding: string | null, length: string | null): ReplyFraming | null {
  if (coding !== null) {
    return namesIn(coding).at(-1) === "chunked" ? { kind: "chunked" } : { kind: "close" }
  }
  if (length === null) return { kind: "close" }
  if (!/^\d{1,15}$/.test(length)) return null
  return { kind: "length", bytes: Number(length) }
}

/** Whether a reply has a body, whatever its fields say (RFC 9112 §6.3). */
export function hasBody(method: string, status: number): boolean {
  return method !== "HEAD" && status >= 200 && status !== 204 && status !== 304
}

/** Fields of framing, which replies with these statuses must not have (RFC 9110 §8.6, RFC 9112 §6.1). */
function isUnframed(status: number): boolean {
  return status < 200 || status === 204
}

/**
 * The head as it goes to the client, in our version of HTTP. Latin-1 bytes.
 *
 * @param then what becomes of the connection; `told`: it stays open, and the client must be told so
 */
export function forwardedReply(reply: Reply, then: "close" | "open" | "told" | "upgrade"): Buffer {
  const { status, phrase, options, keepAlive } = reply
  let text = `HTTP/1.1 ${status} ${phrase}\r\n`
  for (const field of reply.fields) {
    const key = keyOf(field.name) ?? ""
    if (options.length > 0 && isOption(key, options)) continue
    if (isUnframed(status) && (key === "content-length" || key === "transfer-encoding")) continue
    text += fieldLine(field)
  }
  if (then === "close") text += "Connection: close\r\n"
  else if (then === "upgrade") text += "Connection: Upgrade\r\nUpgrade: websocket\r\n"
  else if (keepAlive !== null && status >= 200) {
    // Why: one connection of the client has one to the upstream, so the upstream's patience is ours.
    text += `Connection: keep-alive\r\nKeep-Alive: ${keepAlive}\r\n`
  } else if (then === "told") text += "Connection: keep-alive\r\n"
  return Buffer.from(`${text}\r\n`, "latin1")
}

/** Whether `Connection` names the field; the framing is needed to the end all the same. */
function isOption(key: string, options: readonly string[]): boolean {
  return options.includes(key) && key !== "content-length" && key !== "transfer-encoding"
}
