/**
 * Whether one rule fits what is known, part by part: port, program, step, request.
 *
 * What is unknown never fits an allow rule, and always fits a deny rule: closed.
 */
import type { Process, Request } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import { fitsPath } from "./path.ts"
import type { Ports, Rule, Target } from "./policy.ts"

/** Who asks. */
export interface Actor {
  /** null: nobody claimed the socket. */
  readonly process: Process | null
  /** null: unknown. */
  readonly step: string | null
}

export function holds({ first, last }: Ports, port: number): boolean {
  return first <= port && port <= last
}

/** The TCP ports of a rule; null where it is not about TCP. */
export function tcpPorts(target: Target): Ports | null {
  if (target.kind === "request") return target.ports
  return target.kind !== "icmp" && target.transport === "tcp" ? target.ports : null
}

/** Which of a rule's conditions on the asker fails; null: none. */
export function actorMiss(rule: Rule, actor: Actor): Reason | null {
  const closed = rule.effect === "deny"
  if (rule.by !== null) {
    const runs = actor.process === null ? closed : isProgram(rule.by, actor.process.executable)
    if (!runs) return "process-not-allowed"
  }
  if (rule.step !== null) {
    if (actor.step === null ? !closed : rule.step !== actor.step) return "step-not-allowed"
  }
  return null
}

/** Whether a rule fits the port and the asker, over TCP. */
export function fitsTcp(rule: Rule, port: number, actor: Actor): boolean {
  const ports = tcpPorts(rule.target)
  return ports !== null && holds(ports, port) && actorMiss(rule, actor) === null
}

/** `by` is an absolute path, or the base name of one. */
function isProgram(by: string, executable: string): boolean {
  if (by.startsWith("/")) return executable === by
  return executable !== "" && executable.slice(executable.lastIndexOf("/") + 1) === by
}

/**
 * The method by which rules speak of a request to become a WebSocket (RFC 6455 §4.1, RFC 8441 §4),
 * whatever its own method is: what it opens is a way in both directions, and no GET.
 */
export const webSocketMethod = "WEBSOCKET"

/**
 * Whether a rule's methods fit a request's. A WebSocket is allowed where it is named, or where no
 * method is; any rule that denies some method of a path denies it too: it can carry all of them.
 */
function fitsMethod(methods: readonly string[] | null, method: string, rule: Rule): boolean {
  if (methods === null || methods.includes(method)) return true
  return method === webSocketMethod && rule.effect === "deny"
}

/**
 * What keeps a request rule (its host and port already fit) from fitting a request; null: nothing.
 * A deny rule's `token` is no reason to let something pass.
 */
export function requestMiss(rule: Rule, request: Request): Reason | null {
  const { target } = rule
  if (target.kind === "request") {
    if (target.scheme !== request.scheme) return "unsupported-protocol"
    if (!fitsPath(target.path, request.path, rule.effect)) return "path-not-allowed"
    if (!fitsMethod(target.methods, request.method, rule)) return "method-not-allowed"
  }
  const foreign = rule.effect === "allow" && rule.token === "job" && request.token === "other"
  return foreign ? "token-not-allowed" : null
}

/**
 * The rule that bounds least what may be sent, of several that allow the same; null: there is none.
 * Why: each of them allows it for itself, so a bound on one must not take from another.
 */
export function freest(rules: Iterable<Rule>): Rule | null {
  let best: Rule | null = null
  for (const rule of rules) {
    if (rule.up === null) return rule
    if (best === null || rule.up > (best.up ?? 0)) best = rule
  }
  return best
}

/** From the nearest miss to the farthest: what a report best says of a denied thing. */
const nearness: readonly Reason[] = [
  "denied-by-rule",
  "token-not-allowed",
  "process-not-allowed",
  "step-not-allowed",
  "method-not-allowed",
  "path-not-allowed",
  "not-tls",
  "unsupported-protocol",
  "port-not-allowed",
]

/** The nearest of several misses, or `otherwise` where there is none. */
export function nearest(misses: Iterable<Reason | null>, otherwise: Reason): Reason {
  let best = nearness.length
  for (const miss of misses) {
    const rank = miss === null ? -1 : nearness.indexOf(miss)
    if (rank !== -1 && rank < best) best = rank
  }
  return nearness[best] ?? otherwise
}
