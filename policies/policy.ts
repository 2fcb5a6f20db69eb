/**
 * The words of a policy: what parse.ts makes, print.ts writes, compile.ts indexes and decide.ts asks.
 *
 * A Policy is plain data: it survives JSON unchanged, which is how the guard hands it to the gate.
 */
import type { Prefix } from "../net/address.ts"
import type { Endpoint } from "../net/endpoint.ts"
import type { Hostname, Pattern } from "../net/hostname.ts"
import type { Reason } from "../flows/reason.ts"
import type { Transport } from "../flows/flow.ts"

export type Mode = "audit" | "block"
export type Intercept = "when-needed" | "always" | "never"

/** First and last port, both included, 1 to 65535; `*` is 1 to 65535. */
export interface Ports {
  readonly first: number
  readonly last: number
}

export type Target =
  | {
      readonly kind: "host"
      readonly host: Pattern
      readonly ports: Ports
      readonly transport: Transport
    }
  | {
      readonly kind: "address"
      readonly prefix: Prefix
      readonly ports: Ports
      readonly transport: Transport
    }
  | {
      readonly kind: "request"
      readonly scheme: "http" | "https"
      /** Upper case; null: any method. `WEBSOCKET` stands for a request to become one: see fit.ts. */
      readonly methods: readonly string[] | null
      readonly host: Pattern
      readonly ports: Ports
      /** Begins with "/"; `*` is within a segment, `**` any number of segments. */
      readonly path: string
    }
  | { readonly kind: "icmp"; readonly to: Pattern | Prefix }

/** Where a rule was written, for people: event field `rule`. */
export interface Origin {
  /** A file's path, `preset npm`, `--allow`, `harden-runner`… */
  readonly source: string
  /** From 1; 0 where there are no lines. */
  readonly line: number
  readonly column: number
  /** The rule in its short form. */
  readonly text: string
}

export interface Rule {
  readonly effect: "allow" | "deny"
  readonly target: Target
  /** Only this program: an absolute path, or a base name. null: any. */
  readonly by: string | null
  /** Only in this step. null: any. */
  readonly step: string | null
  /** "job": only without credentials, or with the job's own token. null: any. */
  readonly token: "job" | null
  /** Most bytes that may be sent under it in a run, over TCP; null: any number. */
  readonly up: number | null
  /** The author knows that the wildcard stands over names that anyone can register. */
  readonly wide: boolean
  readonly origin: Origin
}

export interface Policy {
  readonly mode: Mode
  readonly rules: readonly Rule[]
  readonly intercept: Intercept
  /** Hosts that are never opened. */
  readonly opaque: readonly Pattern[]
  /** Names that may resolve to private addresses. */
  readonly resolvePrivate: readonly Pattern[]
  /** What the policy was read from: a path, or "none". */
  readonly source: string
  /** Hex digest of the policy as it is enforced, presets and variables expanded. */
  readonly sha256: string
}

declare const permitted: unique symbol

/**
 * The right to open one connection. Made in one line of decide.ts, spent in proxy/dial.ts, so that
 * the absence of an error can never open a socket.
 */
export interface Permit {
  readonly [permitted]: true
  readonly flow: string
  /** Dial an address that the resolver gives for this host; null: dial `target` as it stands. */
  readonly host: Hostname | null
  readonly target: Endpoint
}

export type Verdict =
  | {
      readonly decision: "wait"
      readonly reason: Reason
      /**
       * null: the next fact comes from the client alone. Else only a request can tell, and the host
       * may be dialled to ask for its protocol and certificate: no byte of the job's goes there yet.
       */
      readonly permit: Permit | null
      /** The rule for whose sake it is looked inside; null where the next fact is awaited. */
      readonly rule: Rule | null
    }
  | {
      readonly decision: "allow" | "deny"
      readonly reason: Reason
      /** The rule that decided; null where none did. */
      readonly rule: Rule | null
      /** null: nothing may be opened. A denied flow has one in audit mode. */
      readonly permit: Permit | null
    }
