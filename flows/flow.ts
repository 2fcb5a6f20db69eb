/**
 * What is known of one connection so far.
 *
 * A flow is a value: facts are added by making a new one, never changed. This room holds words, no
 * behaviour that touches the world.
 */
import type { Endpoint } from "../net/endpoint.ts"
import type { Hostname } from "../net/hostname.ts"
import type { Reason } from "./reason.ts"

export type Transport = "tcp" | "udp"

/** One program, as the machine (not the job) numbers it. */
export interface Program {
  readonly pid: number
  /** Absolute path of the executable as the kernel names it; "" where it could not be read. */
  readonly executable: string
  /** Already redacted: see events/redact.ts. */
  readonly arguments: readonly string[]
}

/** The program at the job's end of a connection, and who started it: nearest parent first. */
export interface Process extends Program {
  readonly ancestors: readonly Program[]
}

/** What the first bytes of a connection said. */
export type Opening =
  | {
      readonly kind: "tls"
      /** null: the hello named none. */
      readonly serverName: Hostname | null
      /** ALPN, as offered. */
      readonly protocols: readonly string[]
      /** A hello whose real server name is hidden (encrypted_client_hello), or seems to be. */
      readonly encryptedHello: boolean
    }
  | { readonly kind: "http"; readonly host: Hostname | null; readonly port: number | null }
  | { readonly kind: "ssh" }
  /** Bytes of no known protocol, or (`serverFirst`) an upstream that spoke before the client. */
  | { readonly kind: "opaque"; readonly serverFirst: boolean }
  /** Bytes that a strict reader refuses. No rule can allow them. */
  | { readonly kind: "broken"; readonly of: "tls" | "http"; readonly reason: Reason }

/** Which credential a request carried: none, the job's own token, or any other. */
export type Token = "none" | "job" | "other"

/** One request. Host and path are canonical; the path has no query. */
export interface Request {
  readonly scheme: "http" | "https"
  /** `WEBSOCKET` for one that asks to become a WebSocket. */
  readonly method: string
  readonly host: Hostname
  readonly port: number
  readonly path: string
  readonly token: Token
}

export interface Flow {
  readonly id: string
  readonly openedAtMs: number
  readonly transport: Transport
  readonly source: Endpoint
  /** Where the job meant to go. */
  readonly target: Endpoint
  /** Names that our resolver gave for `target.address`, and that still hold. */
  readonly names: readonly Hostname[]
  /** null: nobody claimed the socket. */
  readonly process: Process | null
  /** The step of the job that the process belongs to; null where unknown. */
  readonly step: string | null
  /** null: not read yet. */
  readonly opening: Opening | null
  /** null: not read yet, or never to be read because the flow is not opened. */
  readonly request: Request | null
}
