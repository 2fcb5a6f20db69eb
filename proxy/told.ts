/**
 * What a refusal says to people: one line that names the target, the reason, and the line that
 * would allow it. Pure; every part is canonical text or our own.
 */
import { printEndpoint } from "../net/endpoint.ts"
import { suggest } from "../events/suggest.ts"
import type { Flow, Opening } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import type { RequestHead } from "../http/request.ts"
import type { Rule } from "../policies/policy.ts"
import { alerts } from "./refuse.ts"
import type { Words } from "./refuse.ts"

/** Longest path shown. */
const pathShownMax = 200

/** What is refused, and why. */
export interface Refusable {
  readonly flow: Flow
  /** null: it was not read. */
  readonly opening: Opening | null
  /** null: the connection itself is refused. */
  readonly head: RequestHead | null
  readonly reason: Reason
  readonly rule: Rule | null
  /** One sentence more, or null. */
  readonly detail: string | null
}

/** The words for something that is refused. */
export function wordsFor(refused: Refusable): Words {
  const { head, reason, rule, detail } = refused
  const status = statusFor(reason)
  const parts = [`sluice: ${status === 502 ? "failed" : "denied"} ${targetOf(refused)}: ${reason}`]
  if (detail !== null) parts.push(` (${detail})`)
  if (reason === "denied-by-rule" && rule !== null) {
    parts.push(`; the rule is "${rule.origin.text}" in ${rule.origin.source}:${rule.origin.line}`)
  }
  const line = lineToAdd(refused)
  if (line !== null) parts.push(`; to allow it, add to the policy: ${line}`)
  return {
    status,
    alert: alertFor(reason),
    text: parts.join(""),
    bodyless: head?.method === "HEAD",
  }
}

/** RFC 9110 §15 where it has a word for it, else 403. */
function statusFor(reason: Reason): number {
  switch (reason) {
    case "malformed":
    case "missing-server-name":
      return 400
    case "host-mismatch":
      return 421
    case "limit-exceeded":
      return 431
    case "certificate-invalid":
    case "upstream-failed":
    case "infrastructure":
      return 502
    default:
      return 403
  }
}

function alertFor(reason: Reason): number {
  switch (reason) {
    case "malformed":
      return alerts.decodeError
    case "missing-server-name":
    case "bad-server-name":
      return alerts.unrecognizedName
    case "upstream-failed":
    case "infrastructure":
      return alerts.internalError
    default:
      return alerts.accessDenied
  }
}

/** The name that a flow goes by, or null: the one it was opened for, else one it was resolved from. */
export function nameOf({ flow, opening, head }: Refusable): string | null {
  if (opening?.kind === "tls" && opening.serverName !== null) return opening.serverName
  if (head?.host != null) return head.host
  if (opening?.kind === "http" && opening.host !== null) return opening.host
  return flow.names[0] ?? null
}

function schemeOf({ opening }: Refusable): "http" | "https" {
  return opening?.kind === "tls" ? "https" : "http"
}

function targetOf(refused: Refusable): string {
  const { flow, head } = refused
  const { port } = flow.target
  const name = nameOf(refused)
  if (name === null) return printEndpoint(flow.target)
  if (head === null) return `${name}:${port}`
  const path = head.target.split("?", 1)[0] ?? ""
  const scheme = schemeOf(refused)
  const place = port === (scheme === "http" ? 80 : 443) ? name : `${name}:${port}`
  return `${head.method} ${scheme}://${place}${path.slice(0, pathShownMax)}`
}

function lineToAdd(refused: Refusable): string | null {
  const { flow, head, reason } = refused
  const { address, port } = flow.target
  const host = nameOf(refused)
  const scheme = schemeOf(refused)
  const whole = head?.path != null && head.path.length <= pathShownMax
  const request = whole ? { scheme, method: methodOf(head), path: head.path ?? "/" } : null
  // Why: inside TLS that was opened, the host as a whole is never the least line that would do.
  const asked = reason === "method-not-allowed" || reason === "path-not-allowed"
  if (!asked && (head === null || scheme === "http")) {
    return suggest({ reason, host, address, port, transport: flow.transport, request: null })
  }
  if (request === null) return null
  return suggest({ reason, host, address, port, transport: flow.transport, request })
}

function methodOf({ method, webSocket }: RequestHead): string {
  return webSocket ? "WEBSOCKET" : method
}
