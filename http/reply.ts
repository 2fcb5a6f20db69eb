/**
 * The head of an HTTP/1 reply. Read with the tolerance that servers need (RFC 9112 §2.2, §5.1, §5.2),
 * and written anew from what was understood: the client sees one reading of it. Pure.
 *
 * `Alt-Svc` is left out: it would lead clients to a protocol that is not let through.
 */
import { fieldLine, hopByHop, keyOf, namesIn, trimmed } from "./field.ts"
import { headBytesMax, headFieldsMax, staysOpen } from "./head.ts"
import type { Framing } from "./head.ts"
import { Lines } from "./lines.ts"

/** How the end of a reply's body is known; `close`: the connection ends with it. */
export type ReplyFraming = Framing | { readonly kind: "close" }

export interface Reply {
  readonly version: "1.0" | "1.1"
  /** 100 to 999. */
  readonly status: number
  readonly phrase: string
  /** Of a reply that has a body; not every status and method has (see hasBody). */
  readonly framing: ReplyFraming
  /** Whether the upstream takes another request, where the reply's end is not the connection's. */
  readonly persistent: boolean
  /** What its `Keep-Alive` says, where that can be understood. */
  readonly keepAlive: string | null
  /** Agrees to become a WebSocket, where its status says so. */
  readonly webSocket: boolean
  /** The fields as they go on, with their line ends: without what is for this hop only. */
  readonly lines: string
  /** Of the head in bytes, the empty line included. */
  readonly length: number
}

/** "broken": it cannot be read as a reply. */
export type ReplyRead = Reply | "broken"

/** Reads one head after another over any segmentation. Keeps positions, not bytes. */
export class ReplyReader {
  #position = 0
  #lineStart = 0
  #lines = 0
  /** Whether a line ends by LF alone, or continues the one before. */
  #odd = false

  /**
   * The head, or null where more bytes are needed. After a head the next one is read; after
   * something broken, nothing is.
   *
   * @param bytes All bytes of the head so far, the same ones as before and more.
   */
  read(bytes: Buffer): ReplyRead | null {
    const end = Math.min(bytes.length, headBytesMax)
    for (let at = this.#position; at < end; at++) {
      if (bytes[at] !== lf) continue
      const from = this.#lineStart
      const returns = at > from && bytes[at - 1] === cr
      if (at - from === (returns ? 1 : 0)) return this.#whole(bytes, from, at + 1)
      const first = bytes[from] ?? 0
      if (!returns || first === space || first === tab) this.#odd = true
      this.#lineStart = at + 1
      if (++this.#lines > headFieldsMax + 1) return "broken"
    }
    this.#position = end
    return end === headBytesMax ? "broken" : null
  }

  #whole(bytes: Buffer, end: number, length: number): ReplyRead {
    if (this.#lines === 0) return "broken"
    const text = bytes.toString("latin1", 0, end)
    const odd = this.#odd
    this.#position = 0
    this.#lineStart = 0
    this.#lines = 0
    this.#odd = false
    return replyOf(odd ? evened(text) : text, length)
  }
}

const tab = 9
const lf = 10
const cr = 13
const space = 32

/**
 * With CRLF for every line end (RFC 9112 §2.2 lets a recipient take LF), and a space in place of those
 * that fold a field (§5.2).
 */
function evened(text: string): string {
  return text.replaceAll(/(?<!\r)\n/g, "\r\n").replaceAll(/\r\n[\t ]+/g, " ")
}

/** RFC 9112 §4; servers leave out the phrase, and the space before it. */
const statusLine = /^HTTP\/1\.([01]) ([1-9]\d{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/

const none: readonly string[] = []
const framingNames = ["content-length", "transfer-encoding"]

function replyOf(text: string, length: number): ReplyRead {
  const firstEnd = text.indexOf("\r")
  const parts = statusLine.exec(text.slice(0, firstEnd))
  if (parts === null || text.charCodeAt(firstEnd + 1) !== lf) return "broken"
  const [, minor, digits = "", phrase = ""] = parts
  const seen = read(text, firstEnd + 2, none)
  if (seen === null) return "broken"
  const coding = seen.coding?.toLowerCase() === "identity" ? null : seen.coding
  const framing = framingOf(coding, seen.length)
  if (framing === null) return "broken"
  const options = optionsOf(seen.connection)
  const both = coding !== null && seen.length !== null
  const version = minor === "1" ? "1.1" : "1.0"
  const status = Number(digits)
  const dropped = droppedOf(status, options, both, coding !== seen.coding)
  const again = dropped.length === 0 ? seen : read(text, firstEnd + 2, dropped)
  return {
    version,
    status,
    phrase,
    framing,
    // Why: what has two framings may be an attempt to split it; it is the connection's last (§6.1).
    persistent: !both && staysOpen(version, options),
    keepAlive: seen.keepAlive,
    webSocket: options.includes("upgrade") && seen.upgrade?.toLowerCase() === "websocket",
    lines: (again ?? seen).lines.text(),
    length,
  }
}

const keepAlive: readonly string[] = ["keep-alive"]
const close: readonly string[] = ["close"]

function optionsOf(connection: string | null): readonly string[] {
  if (connection === null) return none
  if (connection === "keep-alive") return keepAlive
  return connection === "close" ? close : namesIn(connection)
}

/** Names that do not go on, besides those that never do. */
function droppedOf(
  status: number,
  options: readonly string[],
  both: boolean,
  identity: boolean,
): readonly string[] {
  // RFC 9110 §8.6, RFC 9112 §6.1: replies with these statuses must not have them.
  if (status < 200 || status === 204) return [...options, ...framingNames]
  // Why: whoever names the framing in `Connection` must not have it taken out.
  const named = options.filter((name) => !unnamed.has(name) && !hopByHop.has(name))
  return [...named, ...(both ? ["content-length"] : []), ...(identity ? ["transfer-encoding"] : [])]
}

/** Options that are no fields, and fields that may not be options. */
const unnamed = new Set(["close", "keep-alive", "upgrade", ...framingNames])

function read(text: string, start: number, dropped: readonly string[]): Seen | null {
  const seen = new Seen(text, dropped)
  for (let from = start; from < text.length;) {
    const to = text.indexOf("\r", from)
    // Why: a CR that no LF follows could end a line for the client (RFC 9112 §2.2).
    if (to === -1 || text.charCodeAt(to + 1) !== lf || !seen.take(from, to)) return null
    from = to + 2
  }
  return seen
}

/** Fields that are left out of a reply, besides those for the hop. */
const leftOut = new Set(["alt-svc"])

/** The fields of one head, and those among them that decide something. */
class Seen {
  readonly #text: string
  readonly #dropped: readonly string[]
  readonly lines: Lines
  length: string | null = null
  coding: string | null = null
  connection: string | null = null
  keepAlive: string | null = null
  upgrade: string | null = null

  constructor(text: string, dropped: readonly string[]) {
    this.#text = text
    this.#dropped = dropped
    this.lines = new Lines(text)
  }

  /** Takes the line between two places; false: it cannot be understood safely. */
  take(from: number, to: number): boolean {
    const text = this.#text
    const colon = text.indexOf(":", from)
    // RFC 9112 §5.1: white space before the colon is removed from a reply.
    const name = colon === -1 || colon >= to ? "" : trimmed(text, from, colon)
    const key = keyOf(name)
    // Why: what is no field says nothing to a client, or not the same to each.
    if (key === null) return true
    const value = trimmed(text, colon + 1, to)
    if (value.includes("\0")) return false
    const goesOn = this.#note(key, value)
    if (goesOn === null) return false
    if (!goesOn || (this.#dropped.length > 0 && this.#dropped.includes(key))) return true
    const asItCame =
      colon - from === name.length &&
      to - colon - 2 === value.length &&
      text.charCodeAt(colon + 1) === 32
    if (asItCame) this.lines.keep(from, to + 2)
    else this.lines.write(fieldLine({ name, value }))
    return true
  }

  /** Whether the field goes on; null: it makes the reply unreadable. */
  #note(key: string, value: string): boolean | null {
    switch (key) {
      case "content-length": {
        // RFC 9112 §6.3: the same length twice may be taken for one.
        const { length } = this
        this.length = value
        return length === null ? true : length === value ? false : null
      }
      case "transfer-encoding":
        this.coding = this.coding === null ? value : `${this.coding},${value}`
        return true
      case "connection":
        this.connection = this.connection === null ? value : `${this.connection},${value}`
        return false
      case "keep-alive":
        this.keepAlive = keepAlivePattern.test(value) ? value : null
        return false
      case "upgrade":
        this.upgrade = value
        return false
      default:
        return !hopByHop.has(key) && !leftOut.has(key)
    }
  }
}

const keepAlivePattern = /^timeout=\d{1,6}(?:, ?max=\d{1,6})?$/

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

/**
 * The head as it goes to the client, in our version of HTTP; each character is a byte (Latin-1).
 *
 * @param then what becomes of the connection; `told`: it stays open, and the client must be told so
 */
export function forwardedReply(reply: Reply, then: "close" | "open" | "told" | "upgrade"): string {
  const { status, phrase, lines } = reply
  return `HTTP/1.1 ${status} ${phrase}\r\n${lines}${hopLines(reply, then)}\r\n`
}

function hopLines(reply: Reply, then: "close" | "open" | "told" | "upgrade"): string {
  switch (then) {
    case "close":
      return "Connection: close\r\n"
    case "upgrade":
      return "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    case "open":
    case "told": {
      const { keepAlive, status } = reply
      // Why: one connection of the client has one to the upstream, so the upstream's patience is ours.
      const patience = keepAlive !== null && status >= 200 ? `Keep-Alive: ${keepAlive}\r\n` : ""
      return then === "told" || patience !== "" ? `Connection: keep-alive\r\n${patience}` : ""
    }
  }
}
