/**
 * The relay of HTTP/1.1: one request after another, each judged before any byte of it goes on, then
 * its reply. Pipelined requests wait for the one before. Does no I/O.
 *
 * The client's bytes are read as one head, one body, the next head. Whoever answers first ends the
 * connection if the other has not finished: no byte is ever taken for part of another message.
 */
import type { Reason } from "../flows/reason.ts"
import { defaultPorts } from "../http/authority.ts"
import type { Scheme } from "../http/authority.ts"
import { BodyReader, chunkedTail } from "../http/body.ts"
import { forwardedHead, HeadReader } from "../http/head.ts"
import type { Head } from "../http/head.ts"
import { Held } from "./held.ts"
import { Outlet } from "./outlet.ts"
import { page } from "./refuse.ts"
import type { Answer, Links, Relay } from "./relay.ts"
import { ReplyLane } from "./reply-lane.ts"

/** Time for a head once it has begun. nginx: client_header_timeout 60 s, HAProxy's examples 5 to 10 s. */
export const headTimeoutMs = 10_000

/** Most requests that are refused in one go: who pipelines more does not read the answers. */
export const refusalsMax = 16

const requestTimeout = 408

export interface Http1Options {
  /** Of the URIs that are asked for: https inside TLS. */
  readonly scheme: Scheme
  /** Of the connection, as the client opened it. */
  readonly port: number
}

/** A relay for one connection. */
export function http1(links: Links, options: Http1Options): Relay {
  return new Http1(links, options)
}

/** What the client's next bytes are. */
type Phase =
  | "head"
  | "body"
  /** Of a later request, which waits. */
  | "later"
  /** Read by nobody: a WebSocket, or in audit mode what cannot be read. */
  | "raw"
  | "over"

/** The request that is under way. */
interface Turn {
  /** null: it could not be read. */
  readonly head: Head | null
  answer: Answer
  readonly body: BodyReader | null
}

const tail = Buffer.from(chunkedTail, "latin1")

class Http1 implements Relay {
  readonly #links: Links
  readonly #options: Http1Options
  readonly #outlet: Outlet
  readonly #reply: ReplyLane
  /** What of a head, or of trailers, has come before the rest of it. */
  readonly #held = new Held()
  readonly #reader: HeadReader
  #phase: Phase = "head"
  #turn: Turn | null = null
  /** Bytes of the client that wait. */
  #rest: Buffer | null = null
  #paused = false
  #clientEnded = false
  /** Whether the upstream has answered a request. */
  #answered = false
  /** Pages sent since the client was last heard. */
  #refusals = 0

  constructor(links: Links, options: Http1Options) {
    this.#links = links
    this.#options = options
    this.#reader = new HeadReader(options.scheme)
    this.#reply = new ReplyLane(links.toClient)
    this.#outlet = new Outlet({
      toUpstream: links.toUpstream,
      went: () => this.#resume(),
      spent: () => this.#spent(),
    })
  }

  client(bytes: Buffer): void {
    this.#refusals = 0
    this.#take(bytes, false)
  }

  upstream(bytes: Buffer): void {
    if (this.#phase === "over") return
    if (this.#phase === "raw") return this.#reply.pass(bytes, false)
    const turn = this.#turn
    if (turn === null || this.#outlet.bytes === 0) {
      return this.#reset("The upstream spoke without being asked.")
    }
    const last = this.#unsent || (this.#clientEnded && this.#rest === null)
    const passed = this.#reply.read(bytes, last)
    if (passed === "more") return
    if (passed === "switched") this.#goRaw()
    else if (passed === "done") this.#replied()
    else this.#failed(turn, passed.broken)
  }

  clientEnded(): void {
    this.#clientEnded = true
    if (this.#rest === null && !this.#outlet.waits) this.#lastSaid()
  }

  upstreamEnded(): void {
    const turn = this.#turn
    if (this.#phase === "over") return
    if (this.#phase === "raw" || turn === null) return this.#end()
    const ended = this.#reply.ended()
    if (ended === "done") return this.#replied()
    // Why: servers close kept connections whenever they like, and clients then try again, which they
    // would not after a page.
    if (ended === "silent" && this.#answered) {
      this.#record(turn, null, "The upstream closed the kept connection.")
      return this.#end()
    }
    this.#failed(turn, ended === "silent" ? "It ended without one." : "It ended in the middle.")
  }

  late(): void {
    if (this.#phase !== "head" || this.#held.length === 0) return
    this.#broken("limit-exceeded", "The head was not whole in time.", null, requestTimeout)
  }

  closed(detail: string | null): void {
    const turn = this.#turn
    const raw = this.#phase === "raw"
    this.#phase = "over"
    if (turn === null) return
    this.#record(
      turn,
      this.#reply.status,
      detail ?? (raw ? null : "The connection ended before the reply."),
    )
  }

  /** Reads the client's bytes, as far as they may be read now. */
  #take(bytes: Buffer, owned: boolean): void {
    let rest: Buffer | null = bytes
    while (rest !== null && rest.length > 0) {
      if (this.#phase === "over") return
      if (this.#phase === "later" || this.#outlet.waits) return this.#wait(rest, owned)
      rest = this.#takePart(rest, owned)
    }
    if (this.#outlet.waits) this.#pause()
  }

  /** What follows the head, or the body; null: nothing does. */
  #takePart(bytes: Buffer, owned: boolean): Buffer | null {
    if (this.#phase === "head") return this.#takeHead(bytes)
    if (this.#phase === "body") return this.#takeBody(bytes, owned)
    this.#outlet.send(bytes, owned)
    return null
  }

  #wait(bytes: Buffer, owned: boolean): void {
    this.#rest = owned ? bytes : Buffer.from(bytes)
    this.#pause()
  }

  #pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#links.pauseClient()
  }

  /** Goes on with what waited, once nothing stands in its way. */
  #resume(): void {
    const rest = this.#rest
    if (rest !== null && this.#phase !== "later") {
      this.#rest = null
      this.#take(rest, true)
    }
    if (this.#rest !== null || this.#outlet.waits || this.#phase === "over") return
    if (this.#paused) {
      this.#paused = false
      this.#links.resumeClient()
    }
    if (this.#clientEnded) this.#lastSaid()
  }

  /** The client has said its last, and nothing of it waits. */
  #lastSaid(): void {
    switch (this.#phase) {
      case "head":
        if (this.#held.length === 0) return this.#end()
        return this.#broken("malformed", "The client ended in the middle of a head.", null, null)
      case "body":
        return this.#reset("The client ended in the middle of a request.")
      case "raw":
        // Why: in audit mode one who ends its side may still wait for the answer.
        if (this.#turn?.head?.webSocket === true) this.#end()
        return
      case "later":
      case "over":
        return
    }
  }

  /** Reads a head. What follows it; null: nothing does. */
  #takeHead(bytes: Buffer): Buffer | null {
    const held = this.#held
    const before = held.length
    const added = before === 0 ? 0 : held.add(bytes)
    const found = this.#reader.read(before === 0 ? bytes : held.bytes)
    if (found === null) {
      if (before > 0) return null
      held.add(bytes)
      this.#links.timer(headTimeoutMs)
      return null
    }
    if ("broken" in found) {
      this.#broken(found.broken, brokenDetails[found.broken] ?? "", bytes.subarray(added), null)
      return null
    }
    const { scheme, port } = this.#options
    const named = found.host !== null || found.address !== null
    if (named && (found.port ?? defaultPorts[scheme]) !== port) {
      this.#broken("host-mismatch", "Host names another port.", bytes.subarray(added), null)
      return null
    }
    this.#forgetHead()
    this.#judge(found)
    const used = found.length - before
    return used === bytes.length ? null : bytes.subarray(used)
  }

  /** Ready for the next head. */
  #forgetHead(): void {
    if (this.#held.length === 0) return
    this.#held.clear()
    this.#links.timer(null)
  }

  #judge(head: Head): void {
    const answer = this.#links.judge(head)
    if (!answer.go) return this.#deny(head, answer)
    const { framing, persistent } = head
    this.#phase = framing.kind === "none" ? "later" : "body"
    this.#begin({ head, answer, body: framing.kind === "none" ? null : new BodyReader(framing) })
    this.#outlet.send(forwardedHead(head, !persistent), true)
  }

  #begin(turn: Turn): void {
    this.#turn = turn
    this.#outlet.begin(turn.answer.purse)
    this.#reply.begin(turn.head)
  }

  #takeBody(bytes: Buffer, owned: boolean): Buffer | null {
    const turn = this.#turn
    const body = turn?.body ?? null
    if (turn === null || body === null) return null
    const { passed, length, done, broken } = body.read(bytes)
    this.#outlet.send(passed === bytes.length ? bytes : bytes.subarray(0, passed), owned)
    if (broken) {
      this.#torn(turn, bytes.subarray(passed))
      return null
    }
    // Why: trailers are kept to their end for the case that they turn out to be none.
    if (!done && passed < length) this.#held.add(bytes.subarray(passed))
    if (done) {
      this.#held.clear()
      if (turn.head?.framing.kind === "chunked") this.#outlet.send(tail, true)
      this.#phase = "later"
    }
    return length === bytes.length ? null : bytes.subarray(length)
  }

  /** Whether the request under way has not gone on as a whole. */
  get #unsent(): boolean {
    return this.#phase === "body" || this.#outlet.waits
  }

  /** The reply is over, and with it the request. */
  #replied(): void {
    const turn = this.#turn
    if (turn === null) return
    const { closes, rest, status } = this.#reply
    const early = this.#unsent
    this.#answered = true
    this.#record(turn, status, early ? "The upstream answered before the request was whole." : null)
    if (closes || early) return this.#end()
    this.#phase = "head"
    if (rest !== null) return this.#reset("The upstream said more than its reply.")
    this.#resume()
  }

  /** From here on bytes pass unread, both ways. */
  #goRaw(): void {
    this.#phase = "raw"
    const { rest } = this.#reply
    if (rest !== null) this.#reply.pass(rest, false)
    this.#resume()
  }

  /** A request that is denied: a page, and the next one, unless it has a body that nobody will read. */
  #deny(head: Head, answer: Answer): void {
    const { method, persistent, version, framing } = head
    const open = persistent && version === "1.1" && framing.kind === "none"
    const turn: Turn = { head, answer, body: null }
    this.#begin(turn)
    if (!open || ++this.#refusals >= refusalsMax) return this.#refuse(turn, null)
    const { status, text } = answer.refusal
    this.#links.toClient(page({ status, text, bodyless: method === "HEAD" }, false), true)
    this.#record(turn, status, null)
  }

  /** The last page of the connection. */
  #refuse(turn: Turn, detail: string | null, status = turn.answer.refusal.status): void {
    const { text } = turn.answer.refusal
    const bodyless = turn.head?.method === "HEAD"
    this.#links.toClient(page({ status, text, bodyless }), true)
    this.#record(turn, status, detail)
    this.#end()
  }

  /** @param unread what follows the bytes that are held */
  #broken(reason: Reason, detail: string, unread: Buffer | null, status: number | null): void {
    const answer = this.#links.broken(reason, detail)
    const turn: Turn = { head: null, answer, body: null }
    const begun = this.#held.bytes
    this.#forgetHead()
    this.#begin(turn)
    if (!answer.go) return this.#refuse(turn, detail, status ?? answer.refusal.status)
    this.#phase = "raw"
    this.#outlet.send(begun, true)
    if (unread !== null) this.#outlet.send(unread, false)
  }

  /** The body of a request that was let through breaks its own framing. */
  #torn(turn: Turn, unread: Buffer): void {
    const detail = "The request's body breaks its own framing."
    this.#stop(turn, "malformed", detail)
    if (!turn.answer.go) return this.#giveUp(turn, detail)
    this.#phase = "raw"
    this.#reply.release()
    this.#outlet.send(this.#held.bytes, true)
    this.#held.clear()
    this.#outlet.send(unread, false)
  }

  /** The rule of the request lets no more out. */
  #spent(): void {
    const turn = this.#turn
    if (turn === null) return
    const detail = "The rule's upload budget is spent."
    this.#stop(turn, "upload-budget-exceeded", detail)
    if (turn.answer.go) this.#outlet.free()
    else this.#giveUp(turn, detail)
  }

  /** The reply cannot be read. */
  #failed(turn: Turn, why: string): void {
    const detail = `The upstream's reply: ${why}`
    // Why: the verdict on what went on stays; that the reply was cut off is only told.
    if (this.#reply.begun) return this.#reset(detail)
    this.#stop(turn, "upstream-failed", detail)
    this.#giveUp(turn, detail)
  }

  #stop(turn: Turn, reason: Reason, detail: string): void {
    const { head, answer } = turn
    turn.answer =
      head === null
        ? this.#links.broken(reason, detail)
        : this.#links.stopped(head, answer, reason, detail)
  }

  /** A page, where the client has got nothing of a reply. */
  #giveUp(turn: Turn, detail: string): void {
    if (this.#phase === "raw" || this.#reply.begun) this.#reset(detail)
    else this.#refuse(turn, detail)
  }

  #reset(detail: string): void {
    const turn = this.#turn
    if (turn !== null) this.#record(turn, this.#reply.status, detail)
    this.#phase = "over"
    this.#links.reset(detail)
  }

  /** Ends both sides in good order. */
  #end(): void {
    const turn = this.#turn
    if (turn !== null) this.#record(turn, this.#reply.status, null)
    this.#phase = "over"
    this.#rest = null
    this.#forgetHead()
    this.#links.endClient()
    this.#links.endUpstream()
  }

  #record(turn: Turn, status: number | null, detail: string | null): void {
    const { head, answer } = turn
    this.#turn = null
    this.#links.record({
      protocol: head?.webSocket === true ? "websocket" : "http/1.1",
      head,
      answer,
      status,
      bytesSent: this.#outlet.bytes,
      bytesReceived: this.#reply.bytes,
      detail,
    })
    this.#outlet.begin(null)
  }
}

const brokenDetails: Readonly<Partial<Record<Reason, string>>> = {
  malformed: "The request has more than one reading.",
  "limit-exceeded": "The request's head is too large.",
  "host-mismatch": "The request names two hosts.",
  "method-not-allowed": "It asks for a tunnel, or for itself.",
  "unsupported-protocol": "HTTP/2 was not agreed on.",
}
