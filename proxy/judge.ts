/**
 * The verdict on one request of a connection that is opened, or of plain HTTP; and what a client is
 * told of it. Pure.
 */
import { unmap } from "../net/address.ts"
import type { Flow, Opening, Token } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import { defaultPorts } from "../http/authority.ts"
import type { RequestHead } from "../http/request.ts"
import type { Permit, Rule, Verdict } from "../policies/policy.ts"

/** What judging requests needs of the world. */
export interface RequestJudge {
  readonly decide: (flow: Flow) => Verdict
  /** Whether what is denied is let through and only told. */
  readonly audit: boolean
}

export interface Judged {
  readonly decision: "allow" | "deny"
  readonly reason: Reason
  readonly rule: Rule | null
  /** null: it does not go on. */
  readonly permit: Permit | null
}

/**
 * The verdict on a request.
 *
 * @param flow with its opening, where that is TLS; plain HTTP has the opening of each request's head
 */
export function judgeRequest(
  judge: RequestJudge,
  flow: Flow,
  head: RequestHead,
  token: Token,
): Judged {
  const secure = flow.opening?.kind === "tls"
  const opening = secure ? flow.opening : openingOf(flow, head)
  if (!secure) {
    const before = judge.decide({ ...flow, opening })
    if (before.decision !== "wait") return before
  }
  const { host, path } = head
  const port = head.port ?? defaultPorts[secure ? "https" : "http"]
  if (host === null)
    return unread(judge, flow, opening, secure ? "host-mismatch" : "missing-server-name")
  if (path === null) return unread(judge, flow, opening, "malformed")
  const verdict = judge.decide({
    ...flow,
    opening,
    request: {
      scheme: secure ? "https" : "http",
      method: head.webSocket ? webSocketMethod : head.method,
      host,
      port,
      path,
      token,
    },
  })
  return verdict.decision === "wait" ? unread(judge, flow, opening, "infrastructure") : verdict
}

/** The method that rules know the opening of a WebSocket by: it opens a way both ways. */
export const webSocketMethod = "WEBSOCKET"

/**
 * What an HTTP head comes to as the opening of its connection: a Host that names another port or
 * address is broken, and one that names the address itself leaves the matter to rules over addresses.
 */
export function openingOf(flow: Flow, head: RequestHead): Opening {
  const otherPort = (head.port ?? defaultPorts.http) !== flow.target.port && head.port !== null
  const otherAddress = head.address !== null && unmap(head.address) !== flow.target.address
  if (otherPort || otherAddress) return { kind: "broken", of: "http", reason: "host-mismatch" }
  return head.address === null
    ? { kind: "http", host: head.host, port: head.port }
    : { kind: "broken", of: "http", reason: "address-not-allowed" }
}

/** The verdict where no rule can be asked: so that audit mode has its permit for it. */
export function unread(
  judge: RequestJudge,
  flow: Flow,
  opening: Opening | null,
  reason: Reason,
): Judged {
  const of = opening?.kind === "tls" ? "tls" : "http"
  const verdict = judge.decide({ ...flow, opening: { kind: "broken", of, reason } })
  // Why: an address rule may allow even this, but the flow waits for what cannot be looked into.
  const permit = verdict.decision !== "wait" && judge.audit ? verdict.permit : null
  return { decision: "deny", reason, rule: null, permit }
}
