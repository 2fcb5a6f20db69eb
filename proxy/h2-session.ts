/**
 * What the two directions of an HTTP/2 connection have in common: the open streams, what is said to
 * both sides beside what passes, and how it all ends. Pure.
 *
 * Windows and acknowledgements are kept by client and upstream between themselves. What is dropped
 * here or said by us is made good at once, so that both go on counting the same.
 */
import type { Reason } from "../flows/reason.ts"
import { errorCodes, frameTypes, headBytes } from "../http/frame.ts"
import type { ErrorCode } from "../http/frame.ts"
import { fieldBytesMax, noTable, writeField } from "../http/hpack-writer.ts"
import type { RequestHead } from "../http/request.ts"
import { flags, writeHead } from "../http/frame.ts"
import { Lingering } from "./h2-lingering.ts"
import { Outlet, page } from "./h2-outlet.ts"
import { printable } from "./refuse.ts"
import type { Answer, Exchange, Links } from "./relay.ts"

/** A request that went on, until both its sides have ended. */
export interface Stream {
  readonly id: number
  readonly head: RequestHead
  answer: Answer
  /** Whether that side may still send. */
  clientOpen: boolean
  upstreamOpen: boolean
  /** What the body must still have (content-length), or -1: it was not said. */
  bodyLeft: number
  /** Of the reply, interim ones too; null: none came. */
  status: number | null
  /** The head of the final reply came. */
  replied: boolean
  interims: number
  sent: number
  received: number
}

/**
 * Bytes of the client's window for a connection that the upstream does not hear of, so that there
 * is room for words of our own.
 */
const reserveBytesMax = 4_096
/** RFC 9113 §6.9.2. */
const windowDefault = 65_535
/** Longest text of a refusal, in characters. */
const textMax = 1_024

export class H2Session {
  readonly links: Links
  readonly toClient: Outlet
  readonly toUpstream: Outlet
  readonly streams = new Map<number, Stream>()
  readonly lingering: Lingering
  /** The highest stream that the client has used. */
  lastClient = 0
  /** The highest stream that the upstream has heard of. */
  lastUpstream = 0
  /** No stream above this one is served any more: the upstream is going away. */
  lastServed = Infinity
  /** Nothing is read any more. */
  over = false
  /** The smallest window for a stream that the client has ever named. */
  windowMin = windowDefault
  /** Bytes of DATA that were dropped in this call, to be credited to their sender. */
  lostOfClient = 0
  lostOfUpstream = 0
  #reserve = 0
  /** Something is done outside the carrier's calls. */
  #apart = false
  #detail: string | null = null

  constructor(links: Links) {
    this.links = links
    const overflow = (): void => this.abort("too much waits for the end of a frame")
    this.toClient = new Outlet((bytes) => this.#send(links.toClient, bytes), overflow)
    this.toUpstream = new Outlet((bytes) => this.#send(links.toUpstream, bytes), overflow)
    // Why: the reply is whole, and no more of the request is wanted (RFC 9113 §8.1).
    this.lingering = new Lingering((id) => this.toClient.reset(id, errorCodes.noError))
  }

  /** Sends what one call has gathered. */
  flush(): void {
    if (!this.over) {
      if (this.lostOfClient > 0)
        this.toClient.frame(frameTypes.windowUpdate, 0, 0, this.lostOfClient)
      if (this.lostOfUpstream > 0) {
        this.toUpstream.frame(frameTypes.windowUpdate, 0, 0, this.lostOfUpstream)
      }
    }
    this.lostOfClient = 0
    this.lostOfUpstream = 0
    this.toClient.flush()
    this.toUpstream.flush()
    page.free()
  }

  /** Does what no call of the carrier's asks for: what is sent then must not change afterwards. */
  apart(act: () => void): void {
    this.#apart = true
    act()
    this.flush()
    this.#apart = false
  }

  #send(send: Links["toClient"], bytes: Buffer): void {
    if (this.#apart) send(Buffer.from(bytes), true)
    else send(bytes, false)
  }

  /** What of an increment of the client's connection window the upstream is told of. */
  withhold(increment: number): number {
    const kept = Math.min(increment, reserveBytesMax - this.#reserve)
    this.#reserve += kept
    return increment - kept
  }

  /** A request does not go on. The client gets our own reply; the upstream hears nothing. */
  refuse(
    id: number,
    ended: boolean,
    head: RequestHead | null,
    answer: Answer,
    detail: string | null,
  ): void {
    this.reply(id, ended, head?.method ?? "", answer.refusal.status, answer.refusal.text)
    this.#record(head, answer, answer.refusal.status, 0, 0, detail)
  }

  /** A whole reply of our own, of one line. */
  reply(id: number, ended: boolean, method: string, status: number, line: string): void {
    const text = printable(line).slice(0, textMax)
    const bodyBytes = text.length + 1
    // Why: the upstream does not know that we use the client's window too.
    const fits = method !== "HEAD" && bodyBytes <= Math.min(this.#reserve, this.windowMin)
    const fields: [string, string][] = [
      [":status", String(status)],
      ["content-type", "text/plain; charset=utf-8"],
      fits ? ["content-length", String(bodyBytes)] : ["x-sluice", text],
      ["cache-control", "no-store"],
      ["x-content-type-options", "nosniff"],
    ]
    const bytes = fields.reduce(
      (sum, [name, value]) => sum + fieldBytesMax(name, value),
      headBytes + 1,
    )
    const at = page.room(bytes)
    let to = at + headBytes
    if (this.toClient.tellTable) page.bytes[to++] = noTable
    this.toClient.tellTable = false
    for (const [name, value] of fields) to = writeField(page.bytes, to, name, value, false)
    this.toClient.block(at, to, id, !fits)
    if (fits) {
      this.#reserve -= bodyBytes
      const from = page.room(headBytes + bodyBytes)
      const next = writeHead(page.bytes, from, bodyBytes, frameTypes.data, flags.endStream, id)
      page.bytes.write(`${text}\n`, next, "latin1")
      this.toClient.pass(page.bytes, from, next + bodyBytes)
    }
    if (!ended) this.lingering.add(id)
  }

  /** A stream's client breaks the rules: an error of the stream (RFC 9113 §5.4.2). */
  breakStream(stream: Stream, code: ErrorCode, detail: string): void {
    this.stop(stream, "malformed", detail)
    this.toClient.reset(stream.id, code)
    this.toUpstream.reset(stream.id, errorCodes.cancel)
    this.close(stream, detail)
  }

  /** A request cannot go on as it is: there is another answer for it. */
  stop(stream: Stream, reason: Reason, detail: string): Answer {
    stream.answer = this.links.stopped(stream.head, stream.answer, reason, detail)
    return stream.answer
  }

  /** A stream that was stopped ends: in a page where no reply has begun, else in a reset. */
  end(stream: Stream, code: ErrorCode, detail: string): void {
    const { id, head, answer, replied, clientOpen } = stream
    if (id <= this.lastUpstream) this.toUpstream.reset(id, code)
    if (!replied) {
      stream.status = answer.refusal.status
      this.reply(id, !clientOpen, head.method, answer.refusal.status, answer.refusal.text)
    } else this.toClient.reset(id, code)
    this.close(stream, detail)
  }

  /** A request that broke the rules before it went on. */
  breakRequest(id: number, code: ErrorCode, reason: Reason, detail: string): void {
    this.toClient.reset(id, code)
    this.#record(null, this.links.broken(reason, detail), null, 0, 0, detail)
  }

  /** A stream is over: its record is written. */
  close(stream: Stream, detail: string | null): void {
    this.streams.delete(stream.id)
    const { head, answer, status, sent, received } = stream
    this.#record(head, answer, status, sent, received, detail)
  }

  /** The client breaks the protocol: an error of the connection (RFC 9113 §5.4.1). */
  failClient(code: ErrorCode, detail: string, reason: Reason = "malformed"): void {
    if (this.over) return
    this.#record(null, this.links.broken(reason, detail), null, 0, 0, detail)
    this.#end(`client: ${detail}`, code, errorCodes.noError)
  }

  /** The upstream does. */
  failUpstream(code: ErrorCode, detail: string): void {
    if (!this.over) this.#end(`upstream: ${detail}`, errorCodes.internalError, code)
  }

  /** The upstream says no more: what it has not answered it never will. */
  upstreamEnded(): void {
    if (this.over) return
    // Why: what it never heard of may safely be asked again.
    this.lastServed = Math.min(this.lastServed, this.lastUpstream)
    this.#end("the upstream ended", errorCodes.noError, errorCodes.noError)
  }

  /** Both sides end at once. */
  abort(detail: string): void {
    if (this.over) return
    this.over = true
    this.#detail = detail
    this.links.reset(detail)
  }

  /** Records what is still open. */
  closed(detail: string | null): void {
    this.over = true
    for (const stream of this.streams.values()) this.close(stream, this.#detail ?? detail)
  }

  #end(detail: string, toClient: ErrorCode, toUpstream: ErrorCode): void {
    this.#detail = detail
    this.toClient.greetAlone()
    this.toClient.goAway(Math.min(this.lastClient, this.lastServed), toClient)
    this.toUpstream.goAway(0, toUpstream)
    this.over = true
    this.flush()
    this.links.endClient()
    this.links.endUpstream()
  }

  #record(
    head: RequestHead | null,
    answer: Answer,
    status: number | null,
    bytesSent: number,
    bytesReceived: number,
    detail: string | null,
  ): void {
    const exchange: Exchange = {
      protocol: "h2",
      head,
      answer,
      status,
      bytesSent,
      bytesReceived,
      detail,
    }
    this.links.record(exchange)
  }
}
