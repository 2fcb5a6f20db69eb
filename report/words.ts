/** Numbers, times, reasons and programs in words. Pure. */
import type { Program } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import { shown } from "./escape.ts"
import type { DeniedReport } from "./report.ts"

/** `1 connection`, `2,310 connections`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`
}

/** `0 B`, `512 B`, `48.1 kB`, `1.2 GB`: powers of 1000. */
export function bytes(count: number): string {
  let value = count
  let unit = 0
  const units = ["B", "kB", "MB", "GB", "TB", "PB"]
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit] ?? ""}`
}

/** `0.4 s`, `41 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

const reasonWords: Readonly<Record<Reason, string>> = {
  "allowed-by-rule": "a rule allows it",
  "denied-by-rule": "a deny rule names it",
  "not-allowed": "no rule allows it",
  "name-not-allowed": "no rule allows this name",
  "address-not-allowed": "no rule allows this address",
  "port-not-allowed": "the host is allowed, but not on this port",
  "method-not-allowed": "the host is allowed, but not this method",
  "path-not-allowed": "the host is allowed, but not this path",
  "process-not-allowed": "a rule allows it, but to another program",
  "step-not-allowed": "a rule allows it, but in another step",
  "token-not-allowed": "it carried a credential that is not the job's own",
  "missing-server-name": "the connection did not say which host it wants",
  "bad-server-name": "the connection named a host that is no valid name",
  "host-mismatch": "the request named another host than its connection",
  "name-address-mismatch": "the name does not belong to this address",
  "private-address": "it leads to a private or special address",
  "not-tls": "only TLS is allowed there, and it spoke something else",
  malformed: "the bytes break the rules of their protocol",
  "unsupported-protocol": "this protocol cannot be allowed",
  "certificate-invalid": "the server's certificate does not verify",
  "query-type-refused": "builds have no use for this type of DNS question",
  "name-budget-exceeded": "it looks like a tunnel: many or long names below one domain",
  "upload-budget-exceeded": "it sent more than it may",
  "limit-exceeded": "it met a limit of Sluice",
  loop: "it leads back to Sluice itself",
  "upstream-failed": "it was allowed, but the server could not be reached",
  infrastructure: "Sluice itself failed here",
}

/** A sentence for a reason; its own word where it is of a newer version. */
export function reasonText(reason: Reason): string {
  return Object.hasOwn(reasonWords, reason) ? reasonWords[reason] : shown(reason)
}

/** Why something was denied, in words. */
export function denialText({ reason, certificateRefused }: DeniedReport): string {
  return certificateRefused
    ? "the client did not accept Sluice's certificate: it pins one, or has trust of its own"
    : reasonText(reason)
}

/** `3 connections, 2 lookups`. */
export function attemptsText(denied: DeniedReport): string {
  const parts = [
    denied.connections > 0 ? counted(denied.connections, "connection") : null,
    denied.requests > 0 ? counted(denied.requests, "request") : null,
    denied.packets > 0 ? counted(denied.packets, "packet") : null,
    denied.lookups > 0 ? counted(denied.lookups, "lookup") : null,
  ]
  return parts.filter((part) => part !== null).join(", ")
}

/** Most programs of a chain that are shown; what is older is left out. */
const chainMax = 4

/** Who did it, the oldest first: `sh > npm > node`. Base names only. "" where unknown. */
export function chain(programs: readonly Program[]): string {
  const names = programs
    .slice(0, chainMax)
    .map(({ executable, pid }) => baseName(executable) || `pid ${pid}`)
  if (programs.length > chainMax) names.push("…")
  return names.reverse().join(" > ")
}

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1)
}

/**
 * A rule as it must stand in a YAML list: in quotes where YAML would read something else. A whole
 * line of policy stays as it is.
 */
export function asListItem(rule: string): string {
  if (/^(?:resolve-private|opaque): /.test(rule)) return rule
  return /^[\w./-][\w./:,-]*$/.test(rule) || /^[A-Z,]+ https?:\/\/[\w./:-]*$/.test(rule)
    ? `- ${rule}`
    : `- ${JSON.stringify(rule)}`
}
