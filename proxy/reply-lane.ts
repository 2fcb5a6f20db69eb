/**
 * The reply to one request over HTTP/1.1, on its way to the client: its heads are read and written
 * anew, its body passes as the bytes that came. Does no I/O of its own.
 */
import { BodyReader } from "../http/body.ts"
import type { Head } from "../http/head.ts"
import { forwardedReply, hasBody, ReplyReader } from "../http/reply.ts"
import type { Reply } from "../http/reply.ts"
import { Held } from "./held.ts"
import type { Links } from "./relay.ts"

/** Most interim replies (1xx) to one request. curl and Node take any number; 102 may come each second. */
export const interimRepliesMax = 1_000

/** Most bytes of a body that are copied to go in one piece with their head: a write costs more. */
const joinedBytesMax = 4_096

export type Passed =
  /** It goes on. */
  | "more"
  /** It is over. */
  | "done"
  /** It was 101: from here on both directions are no HTTP any more. */
  | "switched"
  /** It cannot be read. */
  | { readonly broken: string }

export class ReplyLane {
  readonly #toClient: Links["toClient"]
  readonly #held = new Held()
  #head: Head | null = null
  readonly #reader = new ReplyReader()
  /** null: its final head is not whole yet. */
  #body: BodyReader | null = null
  #interims = 0
  /** The final head, until what has come of its body goes with it. */
  #text = ""
  /** Of the final reply; null: not known yet. */
  status: number | null = null
  /** The client was told that the connection ends with this reply. */
  closes = false
  /** Sent to the client for this request. */
  bytes = 0
  /** What of the bytes read last is not of this reply; null: nothing. */
  rest: Buffer | null = null

  constructor(toClient: Links["toClient"]) {
    this.#toClient = toClient
  }

  /** A request has gone out. */
  begin(head: Head | null): void {
    this.#head = head
    this.#body = null
    this.#interims = 0
    this.status = null
    this.closes = false
    this.bytes = 0
    this.rest = null
  }

  /** Whether the client has got something of the final reply. */
  get begun(): boolean {
    return this.status !== null
  }

  /** @param last whether the connection is to end with this reply, as far as is known now */
  read(bytes: Buffer, last: boolean): Passed {
    let rest: Buffer | null = bytes
    while (rest !== null) {
      if (this.#body !== null) return this.#passBody(this.#body, rest)
      const passed = this.#readHead(rest, last)
      if (passed !== null) return passed
      rest = this.rest
    }
    return "more"
  }

  /** Passes bytes that nobody reads any more. */
  pass(bytes: Buffer, owned: boolean): void {
    if (bytes.length === 0) return
    this.bytes += bytes.length
    this.#toClient(bytes, owned)
  }

  /** Passes what was kept of a head that nobody reads any more. */
  release(): void {
    this.pass(this.#held.bytes, true)
    this.#held.clear()
  }

  /** What the end of the upstream makes of the reply. */
  ended(): "done" | "silent" | "torn" {
    if (this.#body === null) return this.#held.length === 0 ? "silent" : "torn"
    return this.#body.endsWithConnection ? "done" : "torn"
  }

  /** null: the head was interim, or more is needed; `rest` says which. */
  #readHead(bytes: Buffer, last: boolean): Passed | null {
    const held = this.#held
    const before = held.length
    if (before > 0) held.add(bytes)
    const found = this.#reader.read(before > 0 ? held.bytes : bytes)
    this.rest = null
    if (found === null) {
      if (before === 0) held.add(bytes)
      return null
    }
    if (found === "broken") return { broken: "Its head cannot be read." }
    if (before > 0) held.clear()
    const used = found.length - before
    if (used < bytes.length) this.rest = bytes.subarray(used)
    if (found.status === 101) return this.#switch(found)
    if (found.status < 200) return this.#passInterim(found)
    return this.#passHead(found, last)
  }

  #switch(reply: Reply): Passed {
    if (this.#head?.webSocket !== true || !reply.webSocket) {
      return { broken: "It changes to a protocol that nobody asked for." }
    }
    this.status = reply.status
    this.#write(forwardedReply(reply, "upgrade"))
    return "switched"
  }

  #passInterim(reply: Reply): Passed | null {
    if (++this.#interims > interimRepliesMax) return { broken: "It has too many interim replies." }
    // RFC 9110 §15.2: not to a client of HTTP/1.0.
    if (this.#head?.version === "1.1") this.#write(forwardedReply(reply, "open"))
    return null
  }

  #passHead(reply: Reply, last: boolean): Passed | null {
    const head = this.#head
    const method = head?.method ?? ""
    const { status, framing } = reply
    const body = new BodyReader(hasBody(method, status) ? framing : { kind: "none" }, "reply")
    this.#body = body
    this.status = status
    const open = !last && reply.persistent && !body.endsWithConnection
    this.closes = !open || head?.persistent !== true
    const told = head?.version === "1.0" ? "told" : "open"
    const text = forwardedReply(reply, this.closes ? "close" : told)
    if (this.rest === null || body.done) this.#write(text)
    else this.#text = text
    return body.done ? "done" : null
  }

  #write(text: string): void {
    this.pass(Buffer.from(text, "latin1"), true)
  }

  #passBody(body: BodyReader, bytes: Buffer): Passed {
    const { length, done, broken } = body.read(bytes)
    const text = this.#text
    this.#text = ""
    if (text !== "" && length <= joinedBytesMax) {
      const whole = Buffer.allocUnsafe(text.length + length)
      whole.write(text, "latin1")
      bytes.copy(whole, text.length, 0, length)
      this.pass(whole, true)
    } else {
      if (text !== "") this.#write(text)
      this.pass(length === bytes.length ? bytes : bytes.subarray(0, length), false)
    }
    this.rest = length === bytes.length ? null : bytes.subarray(length)
    if (broken) return { broken: "Its body breaks its own framing." }
    return done ? "done" : "more"
  }
}
