/** One denied event → what was attempted, by whom, towards what. Pure. */
import { printEndpoint, type Endpoint } from "../net/endpoint.ts"
import { parseAddress } from "../net/address.ts"
import { classify } from "../net/special.ts"
import type { Drop, Event, FlowEvent, NameEvent, RequestEvent } from "../events/event.ts"
import type { Denied } from "../events/suggest.ts"
import type { Process, Program } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import { webSocketMethod } from "../policies/fit.ts"

export interface Attempt extends Denied {
  /** For people, and the same for the same thing. */
  readonly target: string
  /** What there is `times` of. */
  readonly unit: "connections" | "lookups" | "requests" | "packets"
  readonly times: number
  /** The one that asked, and who started it, nearest first; [] where unknown. */
  readonly programs: readonly Program[]
  readonly step: string | null
}

type Kind = "name" | "flow" | "request" | "drop"

export function attemptOf(event: Extract<Event, { kind: Kind }>): Attempt {
  switch (event.kind) {
    case "name":
      return ofName(event)
    case "flow":
      return ofFlow(event)
    case "request":
      return ofRequest(event)
    default:
      return ofDrop(event)
  }
}

function ofName(event: NameEvent): Attempt {
  return {
    target: event.name,
    reason: event.reason,
    host: event.name,
    address: null,
    port: null,
    transport: "tcp",
    request: null,
    unit: "lookups",
    times: event.repeated ?? 1,
    programs: programsOf(event.process),
    step: event.step,
  }
}

function ofFlow(event: FlowEvent): Attempt {
  const host = flowHost(event)
  const { address, port } = event.target
  const usual = port === 443 && event.transport === "tcp"
  const named = host === null ? printEndpoint(event.target) : usual ? host : `${host}:${port}`
  return {
    target: event.transport === "udp" ? `${named}/udp` : named,
    reason: event.reason,
    host,
    address,
    port,
    transport: event.transport,
    ...(event.certificateRefused === true ? { certificateRefused: true } : {}),
    request: null,
    unit: "connections",
    times: 1,
    programs: programsOf(event.process),
    step: event.step,
  }
}

/** @param port Of its connection; null: unknown, or the usual one. */
function ofRequest(event: RequestEvent, port: number | null = null): Attempt {
  const { scheme = "https", host, reason, protocol } = event
  const method = protocol === "websocket" ? webSocketMethod : event.method
  // Why without the query: its values are cut, and rules do not speak of it.
  const path = inert(event.path.split("?")[0] ?? event.path)
  const usual = port === null || port === (scheme === "http" ? 80 : 443)
  return {
    target: `${method} ${scheme}://${host}${usual ? "" : `:${port}`}${path}`,
    reason,
    host,
    address: null,
    port: usual ? null : port,
    transport: "tcp",
    request: { scheme, method, path },
    unit: "requests",
    times: event.repeated ?? 1,
    programs: [],
    step: null,
  }
}

/** Without what no URI holds (RFC 3986 §2) and markup is made of: percent-encoded, as it should have come. */
function inert(path: string): string {
  return path.replaceAll(
    /[ "<>\\^`{|}]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function ofDrop({ reason, transport, target, packets }: Drop): Attempt {
  return {
    target: dropTarget(transport, target.address, target.port),
    reason,
    host: null,
    address: target.address,
    port: target.port,
    transport,
    request: null,
    unit: "packets",
    times: packets,
    programs: [],
    step: null,
  }
}

function dropTarget(transport: string, address: string, port: number | null): string {
  const parsed = parseAddress(address)
  if (port !== null) {
    const where = parsed === null ? `${address}:${port}` : printEndpoint({ address: parsed, port })
    return transport === "tcp" ? where : `${where}/${transport}`
  }
  if (transport.startsWith("icmp")) return `icmp://${address}`
  return /^\d+$/.test(transport)
    ? `${address} (protocol ${transport})`
    : `${address} (${transport})`
}

/** The host of a flow: what the client itself named, else a name that the resolver gave. */
function flowHost(event: FlowEvent): string | null {
  return event.opening?.serverName ?? event.names[0] ?? null
}

/** Where an allowed event went to, for people. */
export function hostOf(event: Extract<Event, { kind: "name" | "flow" | "request" }>): string {
  if (event.kind === "name") return event.name
  if (event.kind === "request") return event.host
  const host = flowHost(event)
  const target: Endpoint = event.target
  if (host === null) return `${printEndpoint(target)}${event.transport === "udp" ? "/udp" : ""}`
  return host
}

/** Packets to neighbours: every Linux announces itself so, whatever the job does. */
export function isNoise({ address, host, transport }: Attempt): boolean {
  const parsed =
    address === null || host !== null || transport === "tcp" ? null : parseAddress(address)
  return parsed !== null && ["multicast", "broadcast", "link-local"].includes(classify(parsed))
}

/** Reasons that lie in the request itself; for others the flow says more of the target. */
const ofRequests = new Set<Reason>(["method-not-allowed", "path-not-allowed", "token-not-allowed"])

/**
 * What was denied inside a flow, with what is known of the flow's program. The flow itself is what
 * was attempted where it was denied as a whole, for what its only request said.
 */
export function attemptWithin(request: RequestEvent, flow: FlowEvent): Attempt {
  const opened = flow.verdict === "allow" || flow.action === "intercept"
  if (!opened && !ofRequests.has(request.reason)) return ofFlow(flow)
  const made = ofRequest(request, flow.target.port)
  return { ...made, programs: programsOf(flow.process), step: flow.step }
}

function programsOf(process: Process | null): readonly Program[] {
  if (process === null) return []
  const { ancestors, ...program } = process
  return [program, ...ancestors]
}
