/** A connection that is over, as events. Pure. */
import type { FlowEvent, RequestEvent, RuleShown } from "../events/event.ts"
import { redactPath } from "../events/redact.ts"
import type { Endpoint } from "../net/endpoint.ts"
import type { Opening } from "../flows/flow.ts"
import type { Rule } from "../policies/policy.ts"
import type { Connection } from "./turn.ts"

/** What became of the bytes. */
export interface Carried {
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly durationMs: number
  /** null: nothing was dialled. */
  readonly dialled: Endpoint | null
  /** What went wrong on the way, or null. */
  readonly detail: string | null
  /** Status of the reply; null: none came, or it was no request. */
  readonly status: number | null
}

/** The flow's event. A connection without a verdict is one that we could not judge. */
export function flowEvent(connection: Connection, carried: Carried): FlowEvent {
  const { flow, final, classified } = connection
  const through = carried.dialled !== null
  const verdict = final?.decision ?? "deny"
  const detail = final?.detail ?? carried.detail
  return {
    kind: "flow",
    flow: flow.id,
    transport: flow.transport,
    source: flow.source,
    target: flow.target,
    names: flow.names,
    opening: classified === null ? null : shownOpening(classified.opening),
    action: !through ? "refuse" : isRequest(connection) ? "forward" : "splice",
    verdict,
    enforced: isEnforced(connection),
    reason: final?.reason ?? "infrastructure",
    rule: shownRule(final?.rule ?? null),
    bytesSent: carried.bytesSent,
    bytesReceived: carried.bytesReceived,
    durationMs: carried.durationMs,
    process: flow.process,
    step: flow.step,
    ...(carried.dialled === null ? {} : { dialled: carried.dialled }),
    ...(detail === null ? {} : { detail }),
  }
}

/** The event of the one request of a plain-HTTP connection; null where there was none. */
export function requestEvent(connection: Connection, carried: Carried): RequestEvent | null {
  const { flow, final, classified } = connection
  const head = classified?.head ?? null
  if (head === null || connection.raw) return null
  const verdict = final?.decision ?? "deny"
  return {
    kind: "request",
    flow: flow.id,
    protocol: "http/1.1",
    scheme: "http",
    method: head.method,
    host: head.host ?? head.address ?? "",
    path: redactPath(head.target),
    status: carried.status,
    verdict,
    enforced: isEnforced(connection),
    reason: final?.reason ?? "infrastructure",
    rule: shownRule(final?.rule ?? null),
    token: head.token,
    bytesSent: carried.bytesSent,
    bytesReceived: carried.bytesReceived,
  }
}

/** What is denied and has a permit all the same is let through: audit mode. */
function isEnforced({ final }: Connection): boolean {
  return final === null || final.decision === "allow" || final.permit === null
}

function isRequest({ classified, raw }: Connection): boolean {
  return classified?.head != null && !raw
}

function shownOpening(opening: Opening): FlowEvent["opening"] {
  switch (opening.kind) {
    case "tls":
      return { kind: "tls", serverName: opening.serverName }
    case "http":
      return { kind: "http", serverName: opening.host }
    case "broken":
      return { kind: opening.of, serverName: null }
    case "ssh":
    case "opaque":
      return { kind: opening.kind, serverName: null }
  }
}

function shownRule(rule: Rule | null): RuleShown | null {
  return rule === null
    ? null
    : { source: rule.origin.source, line: rule.origin.line, text: rule.origin.text }
}
