/** A connection that is over, and its requests, as events. Pure. */
import type { FlowEvent, RequestEvent, RuleShown } from "../events/event.ts"
import { redactPath } from "../events/redact.ts"
import type { Endpoint } from "../net/endpoint.ts"
import type { Flow, Opening, Token } from "../flows/flow.ts"
import type { RequestHead } from "../http/request.ts"
import type { Rule } from "../policies/policy.ts"
import type { Answer, Exchange } from "./relay.ts"
import type { Connection } from "./turn.ts"

/** What became of the bytes. */
export interface Carried {
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly durationMs: number
  /** null: nothing was dialled, or nothing came of it. */
  readonly dialled: Endpoint | null
  /** What went wrong on the way, or null. */
  readonly detail: string | null
  /** The verdict of the requests, where they were judged one by one. */
  readonly answer: Answer | null
  /** More was to be sent than its rule's budget had; null: no. */
  readonly exhausted: { readonly enforced: boolean } | null
  /** The client did not accept our leaf. */
  readonly leafRefused: boolean
}

interface Verdict {
  readonly verdict: "allow" | "deny"
  readonly enforced: boolean
  readonly reason: FlowEvent["reason"]
  readonly rule: RuleShown | null
}

/** The flow's event. A connection without a verdict is one that we could not judge. */
export function flowEvent(connection: Connection, carried: Carried): FlowEvent {
  const { flow, final, classified } = connection
  const through = carried.dialled !== null
  const detail = final?.detail ?? carried.detail
  return {
    kind: "flow",
    flow: flow.id,
    transport: flow.transport,
    source: flow.source,
    target: flow.target,
    names: flow.names,
    opening: classified === null ? null : shownOpening(classified.opening),
    action: through ? actionOf(connection) : "refuse",
    ...verdictOf(connection, carried),
    bytesSent: carried.bytesSent,
    bytesReceived: carried.bytesReceived,
    durationMs: carried.durationMs,
    process: flow.process,
    step: flow.step,
    ...(carried.dialled === null ? {} : { dialled: carried.dialled }),
    ...(detail === null ? {} : { detail }),
    ...(carried.leafRefused ? { certificateRefused: true as const } : {}),
  }
}

function actionOf({ opens, raw, classified }: Connection): FlowEvent["action"] {
  if (opens) return "intercept"
  return classified?.head != null && !raw ? "forward" : "splice"
}

/** The verdict as it was at the end: what is allowed may still have sent more than it may. */
function verdictOf({ final }: Connection, carried: Carried): Verdict {
  const { answer, exhausted, leafRefused } = carried
  if (leafRefused) {
    return { verdict: "deny", enforced: true, reason: "certificate-invalid", rule: null }
  }
  // Why: what was found in dialling holds for all that was asked after it (audit mode).
  const despite = final?.reason === "name-address-mismatch" || final?.reason === "private-address"
  if (answer !== null && !(despite && answer.decision === "allow")) return answered(answer)
  if (exhausted !== null && final?.decision === "allow") {
    const rule = shownRule(final.rule)
    return { verdict: "deny", ...exhausted, reason: "upload-budget-exceeded", rule }
  }
  return {
    verdict: final?.decision ?? "deny",
    // Why: what is denied and has a permit all the same is let through: audit mode.
    enforced: final === null || final.decision === "allow" || final.permit === null,
    reason: final?.reason ?? "infrastructure",
    rule: shownRule(final?.rule ?? null),
  }
}

function answered({ decision, go, reason, rule }: Answer): Verdict {
  return { verdict: decision, enforced: decision === "allow" || !go, reason, rule: shownRule(rule) }
}

/** The event of one request. Written out, since there are many. */
export function requestEvent(flow: Flow, exchange: Exchange): RequestEvent {
  const { head, answer, protocol, status, bytesSent, bytesReceived, detail } = exchange
  const event: RequestEvent = {
    kind: "request",
    flow: flow.id,
    protocol,
    scheme: flow.opening?.kind === "tls" ? "https" : "http",
    method: head?.method ?? "",
    host: head?.host ?? head?.address ?? "",
    path: head === null ? "" : redactPath(head.target),
    status,
    verdict: answer.decision,
    enforced: answer.decision === "allow" || !answer.go,
    reason: answer.reason,
    rule: shownRule(answer.rule),
    token: answer.token,
    bytesSent,
    bytesReceived,
  }
  return detail === null ? event : { ...event, detail }
}

/**
 * The event of a request over plain HTTP that was refused before anything was dialled; null where
 * there was none, or it is told of as one of several.
 *
 * @param status of the page; null: none was sent
 */
export function refusedRequest(
  connection: Connection,
  carried: Carried,
  tokenOf: (head: RequestHead) => Token,
  status: number | null,
): RequestEvent | null {
  const { flow, classified, raw } = connection
  const head = classified?.head ?? null
  if (head === null || raw || carried.dialled !== null) return null
  return {
    kind: "request",
    flow: flow.id,
    protocol: "http/1.1",
    scheme: "http",
    method: head.method,
    host: head.host ?? head.address ?? "",
    path: redactPath(head.target),
    status,
    ...verdictOf(connection, carried),
    token: tokenOf(head),
    bytesSent: 0,
    bytesReceived: 0,
  }
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
