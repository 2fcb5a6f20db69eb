/**
 * What can happen to a connection, what is to be done about it, and what is known of it in between:
 * the words of connection.ts. Pure.
 */
import type { Hostname } from "../net/hostname.ts"
import type { Flow, Process, Token } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import type { Permit, Rule } from "../policies/policy.ts"
import type { Classified, OpeningReader } from "./classify.ts"
import type { RequestHead } from "../http/request.ts"
import type { RequestJudge } from "./judge.ts"

/** What a connection needs to know of the world; the rest of the world is server.ts's. */
export interface Judge extends RequestJudge {
  readonly tokenOf: (head: RequestHead) => Token
  /** Whether the policy asks who: no verdict before the owner of the socket is known. */
  readonly needsProcess: boolean
  /** Whether TLS for this host is ended here, for some rule's sake: a refusal can be told inside. */
  readonly opens: (host: Hostname) => boolean
  /** Whether a client has refused our leaf for this host before; asked in audit mode. */
  readonly pinned: (host: Hostname) => boolean
}

export type Timer = "opening" | "silence" | "grace" | "greeting"

export type Input =
  | { readonly kind: "names"; readonly names: readonly Hostname[] }
  | { readonly kind: "owner"; readonly process: Process | null; readonly step: string | null }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  /** The client will send no more. */
  | { readonly kind: "ended" }
  /** The client is gone. */
  | { readonly kind: "closed" }
  | { readonly kind: "timer"; readonly timer: Timer }
  /** `despite`: what block mode would have refused it for. */
  | { readonly kind: "dialled"; readonly despite: Reason | null }
  | { readonly kind: "dial-failed"; readonly reason: Reason; readonly detail: string }
  /** The upstream said something before bytes were let through. */
  | { readonly kind: "spoken" }
  /** TLS with the upstream stands, and its certificate is good. */
  | { readonly kind: "secured" }
  | { readonly kind: "unsecured"; readonly reason: Reason; readonly detail: string }

export type Output =
  | { readonly do: "start-timer"; readonly timer: Timer; readonly afterMs: number }
  | { readonly do: "stop-timer"; readonly timer: Timer }
  | { readonly do: "dial"; readonly permit: Permit }
  /** Give up what was dialled, or is being dialled. */
  | { readonly do: "hang-up" }
  /** Tell when the upstream speaks; let nothing through yet. */
  | { readonly do: "listen" }
  /** Let the bytes flow, those of the opening first; `requests`: plain HTTP, each of them judged. */
  | { readonly do: "carry"; readonly requests: boolean }
  /** Begin TLS with what was dialled, and tell whether its certificate is good. */
  | { readonly do: "secure" }
  /** End the client's TLS here, and carry the requests inside, each of them judged. */
  | { readonly do: "open" }
  | { readonly do: "refuse"; readonly by: Refusal }
  /** Close without a word and without an event: nothing was said. */
  | { readonly do: "forget" }

/** How the client is told, by what it speaks; `inside`: by a page, in TLS that is ended here. */
export type Refusal = "alert" | "page" | "reset" | "inside"

/** A verdict that stands. */
export interface Final {
  readonly decision: "allow" | "deny"
  readonly reason: Reason
  readonly rule: Rule | null
  readonly permit: Permit | null
  /** One sentence for people, or null. */
  readonly detail: string | null
}

export type Phase =
  /** Names, and perhaps the owner, are not known yet. */
  | "asking"
  | "opening"
  /** Dialling for a silent client, in case the upstream speaks first. */
  | "trying"
  /** Dialled for a silent client. */
  | "listening"
  /** Denied; reading on for the event's sake. */
  | "grace"
  | "dialling"
  /** TLS with the upstream is being made. */
  | "securing"
  | "carrying"
  | "over"

export interface Connection {
  readonly phase: Phase
  readonly flow: Flow
  readonly namesKnown: boolean
  readonly ownerKnown: boolean
  /** The bytes so far, and what they say; its state is the only one that is changed in place. */
  readonly reader: OpeningReader
  readonly classified: Classified | null
  /** Whether the client has ended its side. */
  readonly ended: boolean
  /** For a silent client; not final. */
  readonly tried: Final | null
  readonly final: Final | null
  /** Allowed whatever it says: its bytes pass as they are, and are no request. */
  readonly raw: boolean
  /** Only its requests can tell: its TLS is ended here. */
  readonly opens: boolean
  /** A refusal can be told inside TLS. */
  readonly inside: boolean
}
