/**
 * What happened, one JSON object a line: the union of all events, and their shapes.
 *
 * An EventBody is what the rooms below make; the guard's log adds `v`, `run` and `seq` and nobody
 * else does, so that `seq` has no gap. The log redacts each body too (redact.ts).
 */
import type { Endpoint } from "../net/endpoint.ts"
import type { Process, Token, Transport } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import type { Mode } from "../policies/policy.ts"

/** The rule that decided, for people. */
export interface RuleShown {
  readonly source: string
  readonly line: number
  readonly text: string
}

interface Judged {
  readonly verdict: "allow" | "deny"
  /** false where audit mode let a denied thing through. */
  readonly enforced: boolean
  readonly reason: Reason
  readonly rule: RuleShown | null
}

interface Whose {
  readonly process: Process | null
  readonly step: string | null
}

export interface RunStarted {
  readonly kind: "run-started"
  readonly mode: Mode
  readonly scope: "run" | "host" | "pod"
  readonly policy: { readonly source: string; readonly sha256: string; readonly rules: number }
  readonly version: string
  readonly context: Readonly<Record<string, string>>
}

export interface NameEvent extends Judged, Whose {
  readonly kind: "name"
  readonly name: string
  /** `A`, `AAAA`, `TXT`, or `TYPE65` where the type has no name here. */
  readonly type: string
  readonly transport: Transport
  /** `NOERROR`, `NXDOMAIN`, `SERVFAIL`, `FORMERR`, `REFUSED`… as given to the job. */
  readonly rcode: string
  readonly addresses: readonly string[]
  /** The names that it is an alias for (CNAME), in their order, a few of them; absent: none. */
  readonly aliases?: readonly string[]
  /** How often the same socket asked the same thing within the time that one line covers; absent: once. */
  readonly repeated?: number
}

export interface FlowEvent extends Judged, Whose {
  readonly kind: "flow"
  readonly flow: string
  readonly transport: Transport | "icmp"
  readonly source: Endpoint
  readonly target: Endpoint
  readonly names: readonly string[]
  readonly opening: {
    readonly kind: "tls" | "http" | "ssh" | "opaque"
    readonly serverName: string | null
  } | null
  readonly action: "splice" | "intercept" | "refuse" | "forward" | "drop"
  /** From the job, in bytes. */
  readonly bytesSent: number
  /** To the job, in bytes. */
  readonly bytesReceived: number
  readonly durationMs: number
  /** Where the gate really dialled, when it did; not always `target`. */
  readonly dialled?: Endpoint
  /** The client did not accept the certificate by which Sluice looks inside; absent: it did, or saw none. */
  readonly certificateRefused?: true
  /** One sentence for people, where the reason alone does not say it. */
  readonly detail?: string
}

export interface RequestEvent extends Judged {
  readonly kind: "request"
  readonly flow: string
  readonly protocol: "http/1.1" | "h2" | "websocket"
  /** Absent: https. */
  readonly scheme?: "http" | "https"
  readonly method: string
  readonly host: string
  /** Query names kept, values replaced by `*`. */
  readonly path: string
  /** null: no reply came. */
  readonly status: number | null
  readonly token: Token
  /** Of all that the line stands for. */
  readonly bytesSent: number
  readonly bytesReceived: number
  /** One sentence for people, where the reason alone does not say it. */
  readonly detail?: string
  /** How often the same was asked within the flow and the second that one line covers; absent: once. */
  readonly repeated?: number
}

export interface Finding extends Whose {
  readonly kind: "finding"
  readonly finding: string
  readonly severity: "low" | "medium" | "high" | "critical"
  readonly summary: string
  /** The `seq` of the events that show it. */
  readonly because: readonly number[]
}

export interface Drop {
  readonly kind: "drop"
  /** `udp`, `icmp`, `icmpv6`, `tcp`, or the protocol's number as text. */
  readonly transport: string
  readonly target: { readonly address: string; readonly port: number | null }
  readonly packets: number
  readonly reason: Reason
  /** A name, or a number as text where it has none; null where the kernel could not tell. */
  readonly user: string | null
  /** false where audit mode let the packets through; absent: true. */
  readonly enforced?: boolean
}

export interface RunEnded {
  readonly kind: "run-ended"
  /** The exit status of `sluice run`. */
  readonly status: number
  readonly counts: Counts
  readonly lost: number
}

export interface Counts {
  readonly allowed: number
  readonly denied: number
  readonly names: number
  readonly requests: number
  readonly findings: number
}

export type EventBody =
  RunStarted | NameEvent | FlowEvent | RequestEvent | Finding | Drop | RunEnded

/** What the log adds to each body. */
export interface Stamp {
  readonly v: 1
  /** RFC 3339, milliseconds, UTC. */
  readonly time: string
  readonly run: string
  /** 1, 2, 3… without a gap. */
  readonly seq: number
}

export type Event = Stamp & EventBody
