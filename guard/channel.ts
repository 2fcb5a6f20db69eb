/**
 * What the guard and a gate process say to each other, and how the guard reads it without trust.
 *
 * The gate has met hostile bytes; the guard is root. So the guard takes from the gate only these
 * messages, each field checked, and acts on nothing else.
 */
import { addressOfSocket } from "../net/address.ts"
import type { Address } from "../net/address.ts"
import type { Endpoint } from "../net/endpoint.ts"
import { parseHostname } from "../net/hostname.ts"
import type { Hostname } from "../net/hostname.ts"
import type { TimedBody } from "../events/line.ts"
import { parseBody } from "../events/parse.ts"
import type { Process, Transport } from "../flows/flow.ts"
import type { Policy } from "../policies/policy.ts"
import type { JobTokens } from "./job-tokens.ts"
import type { Message } from "./lines.ts"

/** The first message to a gate process: all it needs to know. */
export interface Order {
  readonly t: "order"
  readonly role: "worker" | "resolver"
  readonly policy: Policy
  /** Text of the table of special ranges; null: the built-in one. */
  readonly specialRanges: string | null
  /** The user id to become before the first hostile byte. */
  readonly uid: number
  /** The key of all leaves, PKCS #8 in PEM: a worker's own, not the authority's; null: no TLS is opened. */
  readonly leafKey: string | null
  /** PEM of the authorities by which upstreams are verified. */
  readonly upstreamRoots: string
  /** Where the resolver listens for the workers. */
  readonly resolverPath: string
  readonly upstreams: readonly Endpoint[]
  /** Addresses that are the firewall's own: never dialled. */
  readonly ours: readonly Address[]
  /** The job's own addresses, and the name it has for itself. */
  readonly job: { readonly addresses: readonly Address[]; readonly hostname: string }
  /** The job's own tokens, as hashes. */
  readonly jobTokens: JobTokens
  /** Inherited descriptors. */
  readonly listeners: readonly number[]
  readonly datagrams: readonly number[]
}

export interface Owner {
  readonly process: Process | null
  readonly step: string | null
}

export type FromGuard =
  | Order
  | ({ readonly t: "owner"; readonly id: number } & Owner)
  | { readonly t: "leaf"; readonly id: number; readonly pem: string }
  | { readonly t: "done"; readonly id: number }
  /** Of a rule's budget; 0: less is left than was asked for. */
  | { readonly t: "lease"; readonly id: number; readonly bytes: number }
  /** The guard could not do it; what hangs on it must not go on. */
  | { readonly t: "failed"; readonly id: number }
  | { readonly t: "stop" }

export type FromGate =
  | { readonly t: "ready" }
  /** A flow was opened: who did is to be found now, and told with the flow's event. No answer. */
  | {
      readonly t: "opened"
      readonly flow: string
      readonly source: Endpoint
      readonly target: Endpoint
    }
  /** A flow is over and will have no event. No answer. */
  | { readonly t: "forgotten"; readonly flow: string }
  | {
      readonly t: "owner"
      readonly id: number
      /** null: a question of no flow. */
      readonly flow: string | null
      readonly transport: Transport
      readonly source: Endpoint
      readonly target: Endpoint | null
    }
  | {
      readonly t: "admit"
      readonly id: number
      /** Names of kernel sets: see firewall/packets.ts. */
      readonly doors: readonly string[]
      readonly addresses: readonly Address[]
      readonly ttlMs: number
    }
  /** A certificate for this name, and the leaf key. */
  | { readonly t: "leaf"; readonly id: number; readonly host: Hostname }
  | { readonly t: "events"; readonly id: number; readonly batch: readonly TimedBody[] }
  /** `rule`: its place in the policy; see ledger.ts. */
  | { readonly t: "lease"; readonly id: number; readonly rule: number; readonly bytes: number }
  | { readonly t: "return"; readonly rule: number; readonly bytes: number }

/** Events in one message. */
export const batchMax = 512
/** Addresses of one answer. */
const addressesMax = 256
/** Kernel sets of one name; each allow rule of a name has one or a few. */
const doorsMax = 1_024
/** A flow's id: see worker.ts. */
const flowCharactersMax = 64
/** Longer than any cache keeps a record (RFC 8767 §4: a week at most). */
const ttlMsMax = 7 * 24 * 3_600_000

/** A message of the gate's, checked; null: it is none. */
export function fromGate(message: Message): FromGate | null {
  const { t, id } = message
  if (t === "ready") return { t }
  if (t === "return") return budgeted(message, (rule, bytes) => ({ t, rule, bytes }))
  if (t === "opened" || t === "forgotten") return unanswered(t, message)
  if (!isCount(id)) return null
  switch (t) {
    case "owner": {
      const { transport } = message
      const source = endpoint(message["source"])
      const target = message["target"] === null ? null : endpoint(message["target"])
      if (source === null || (transport !== "tcp" && transport !== "udp")) return null
      if (target === null && message["target"] !== null) return null
      const flow = message["flow"] ?? null
      if (flow !== null && !isFlow(flow)) return null
      return { t, id, flow, transport, source, target }
    }
    case "admit": {
      const { doors, addresses, ttlMs } = message
      if (!isCount(ttlMs) || !Array.isArray(addresses) || !Array.isArray(doors)) return null
      if (doors.length > doorsMax || !doors.every((door) => typeof door === "string")) return null
      if (addresses.length > addressesMax) return null
      const parsed = addresses.map((each) =>
        typeof each === "string" ? addressOfSocket(each) : null,
      )
      if (parsed.includes(null)) return null
      const kept = Math.min(ttlMs, ttlMsMax)
      return { t, id, doors: [...new Set(doors)], addresses: parsed as Address[], ttlMs: kept }
    }
    case "leaf": {
      const host = typeof message["host"] === "string" ? parseHostname(message["host"]) : null
      return host === null || host !== message["host"] ? null : { t, id, host }
    }
    case "events": {
      const { batch } = message
      if (!Array.isArray(batch) || batch.length > batchMax) return null
      const bodies = batch.map(timedBody)
      return bodies.includes(null) ? null : { t, id, batch: bodies as TimedBody[] }
    }
    case "lease":
      return budgeted(message, (rule, bytes) => ({ t, id, rule, bytes }))
    default:
      return null
  }
}

function budgeted<Told>(
  { rule, bytes }: Message,
  tell: (rule: number, bytes: number) => Told,
): Told | null {
  return isCount(rule) && isCount(bytes) && bytes > 0 ? tell(rule, bytes) : null
}

function unanswered(t: "opened" | "forgotten", message: Message): FromGate | null {
  const { flow } = message
  if (!isFlow(flow)) return null
  if (t === "forgotten") return { t, flow }
  const source = endpoint(message["source"])
  const target = endpoint(message["target"])
  return source === null || target === null ? null : { t, flow, source, target }
}

function isFlow(value: unknown): value is string {
  return typeof value === "string" && value.length <= flowCharactersMax
}

/** `drop`: questions that the resolver had to leave unread, counted. */
const gateKinds = new Set(["name", "flow", "request", "finding", "drop"])

function timedBody(value: unknown): TimedBody | null {
  if (typeof value !== "object" || value === null) return null
  const { atMs, body } = value as Partial<Record<"atMs" | "body", unknown>>
  const known = isCount(atMs) ? parseBody(body) : null
  return known !== null && isCount(atMs) && gateKinds.has(known.kind) ? { atMs, body: known } : null
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0
}

function endpoint(value: unknown): Endpoint | null {
  if (typeof value !== "object" || value === null) return null
  const { address, port } = value as Partial<Record<"address" | "port", unknown>>
  const parsed = typeof address === "string" ? addressOfSocket(address) : null
  return parsed !== null && isCount(port) && port <= 65_535 ? { address: parsed, port } : null
}
