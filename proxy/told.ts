/**
 * What a refusal says to people: one line that names the target, the reason, and the line that
 * would allow it. Pure; every part is canonical text or our own.
 */
import { printEndpoint } from "../net/endpoint.ts"
import { suggest } from "../events/suggest.ts"
import type { Flow } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import type { Connection } from "./turn.ts"
import { alerts } from "./refuse.ts"
import type { Words } from "./refuse.ts"

/** Longest path shown. */
const pathShownMax = 200

const httpPort = 80

/** The words for a connection that is refused. */
export function wordsFor({ flow, classified, final }: Connection): Words {
  const reason = final?.reason ?? "infrastructure"
  const upstream = reason === "upstream-failed" || reason === "infrastructure"
  const rule = final?.rule ?? null
  const line = lineToAdd(flow, classified, reason)
  const parts = [
    `sluice: ${upstream ? "failed" : "denied"} ${targetOf(flow, classified)}: ${reason}`,
  ]
  if (final?.detail != null) parts.push(` (${final.detail})`)
  if (reason === "denied-by-rule" && rule !== null) {
    parts.push(`; the rule is "${rule.origin.text}" in ${rule.origin.source}:${rule.origin.line}`)
  }
  if (line !== null) parts.push(`; to allow it, add to the policy: ${line}`)
  return {
    status: upstream ? 502 : 403,
    alert: alertFor(reason),
    text: parts.join(""),
    bodyless: classified?.head?.method === "HEAD",
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
export function nameOf(flow: Flow, classified: Connection["classified"]): string | null {
  const opening = classified?.opening
  if (opening?.kind === "tls" && opening.serverName !== null) return opening.serverName
  if (opening?.kind === "http" && opening.host !== null) return opening.host
  return flow.names[0] ?? null
}

function targetOf(flow: Flow, classified: Connection["classified"]): string {
  const name = nameOf(flow, classified)
  const head = classified?.head ?? null
  if (name === null) return printEndpoint(flow.target)
  if (head === null) return `${name}:${flow.target.port}`
  const path = head.target.split("?", 1)[0] ?? ""
  return `${head.method} http://${withPort(name, flow.target.port)}${path.slice(0, pathShownMax)}`
}

function lineToAdd(
  flow: Flow,
  classified: Connection["classified"],
  reason: Reason,
): string | null {
  const { address, port } = flow.target
  const host = nameOf(flow, classified)
  const head = classified?.head ?? null
  const asked = reason === "method-not-allowed" || reason === "path-not-allowed"
  const request =
    asked && head?.path != null && head.path.length <= pathShownMax
      ? { scheme: "http", method: head.method, path: head.path }
      : null
  if (asked && request === null) return null
  return suggest({ reason, host, address, port, transport: flow.transport, request })
}

function withPort(name: string, port: number): string {
  return port === httpPort ? name : `${name}:${port}`
}
