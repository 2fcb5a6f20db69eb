/**
 * What the readers of HTTP/1.1 and of HTTP/2 have in common: bytes of both sides in, bytes for both
 * sides out, a verdict asked for each request between them. Words only.
 *
 * A relay has no I/O, and keeps no bytes but those of what it is still reading. Whoever carries it
 * (carrier.ts) knows sockets, back-pressure and time.
 */
import type { Token } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import type { RequestHead } from "../http/request.ts"
import type { Rule } from "../policies/policy.ts"

/** One connection's reading. Bytes are valid during the call only: what is kept is copied. */
export interface Relay {
  readonly client: (bytes: Buffer) => void
  readonly upstream: (bytes: Buffer) => void
  /** The client will send no more. */
  readonly clientEnded: () => void
  readonly upstreamEnded: () => void
  /** The time that links.timer() was given is over. */
  readonly late: () => void
  /** Both sides are gone, or will be at once: records what is still open. Nothing is called after it. */
  readonly closed: (detail: string | null) => void
}

/** What a relay can do. All calls are synchronous, and none calls back into the relay. */
export interface Links {
  /** `owned`: the bytes stay as they are; else they are valid until the relay's call returns. */
  readonly toClient: (bytes: Buffer, owned: boolean) => void
  readonly toUpstream: (bytes: Buffer, owned: boolean) => void
  /** The verdict on a request; asked once for each, before any byte of it goes on. */
  readonly judge: (head: RequestHead) => Answer
  /**
   * The verdict on bytes of the client that are no request a strict reader takes. `go` then (in
   * audit mode, over HTTP/1.1 only) means: all further bytes pass unread, both ways.
   */
  readonly broken: (reason: Reason, detail: string) => Answer
  /**
   * The verdict on a request that was let through and cannot go on as it is: its rule lets no more
   * out (`upload-budget-exceeded`), its body breaks its framing (`malformed`), or its reply cannot be
   * read (`upstream-failed`). It takes the place of the first answer. `go` as in judge and broken:
   * in audit mode, and never for `upstream-failed`.
   */
  readonly stopped: (head: RequestHead, first: Answer, reason: Reason, detail: string) => Answer
  /** A request is over, one way or the other. Once for each, with the last answer given for it. */
  readonly record: (exchange: Exchange) => void
  /** No further bytes of the client, until resumeClient(). Those of the present call are the relay's. */
  readonly pauseClient: () => void
  readonly resumeClient: () => void
  /** Ends that side once all that was sent to it is written; it is then let go within some seconds. */
  readonly endClient: () => void
  readonly endUpstream: () => void
  /** Ends both sides at once, the hard way. */
  readonly reset: (detail: string) => void
  /** late() is called after so many milliseconds, unless called again; null: not at all. */
  readonly timer: (afterMs: number | null) => void
}

/** What is to be done with a request. */
export interface Answer {
  /** Whether it goes on to the upstream: allowed, or denied and let through (audit mode). */
  readonly go: boolean
  readonly decision: "allow" | "deny"
  readonly reason: Reason
  readonly rule: Rule | null
  /** Which credential the request carried. */
  readonly token: Token
  /** What the client is told where it does not go on. */
  readonly refusal: Refused
  /** Bounds what may be sent; null: nothing does. */
  readonly purse: Purse | null
}

export interface Refused {
  /** 403; 421, 400, 431, 408 where HTTP has its own word; 502 where the upstream is at fault. */
  readonly status: number
  /** One line of printable ASCII, without its end. */
  readonly text: string
}

/** A share of the bytes that a rule lets out in a run. */
export interface Purse {
  /** Takes so many out; false: not so many are at hand, and nothing was taken. */
  readonly take: (bytes: number) => boolean
  /** Asks for more. true: so many were taken. false: the rule has none left. Calls later, never at once. */
  readonly fill: (bytes: number, then: (taken: boolean) => void) => void
}

/** A request and what became of it. */
export interface Exchange {
  readonly protocol: "http/1.1" | "h2" | "websocket"
  /** null: it could not be read. */
  readonly head: RequestHead | null
  readonly answer: Answer
  /** Of the reply, ours included; null: none came. */
  readonly status: number | null
  /** Of head and body, as the upstream got them. */
  readonly bytesSent: number
  readonly bytesReceived: number
  /** What went wrong on the way, or null. */
  readonly detail: string | null
}
