/**
 * May this leave? Allow, deny, or wait for the next fact. Pure, and the only place where a Permit
 * is made.
 *
 * A flow is judged in three stages, each knowing more: by its target, by its opening, by its
 * request. A stage is asked only when all before it said wait, so a decided verdict is final.
 */
import { embedded, isSpecial } from "../net/special.ts"
import type { Hostname } from "../net/hostname.ts"
import type { Flow, Opening, Request } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import { blocksFind } from "./block-index.ts"
import { hasDoor } from "./door-index.ts"
import { actorMiss, fitsTcp, freest, holds, nearest, requestMiss, tcpPorts } from "./fit.ts"
import { namesFind } from "./name-index.ts"
import { rulesFor } from "./rule-group.ts"
import type { RuleGroup } from "./rule-group.ts"
import type { Compiled } from "./compile.ts"
import type { Permit, Rule, Verdict } from "./policy.ts"

/** A stage's answer; null: wait for the next fact, `look`: inside TLS, dialled for this host. */
type Judged =
  | { readonly look: Hostname | null; readonly for: Rule }
  | { readonly allow: Rule; readonly host: Hostname | null }
  | { readonly deny: Reason; readonly rule: Rule | null }
  | null

/** Allowed by an address rule, and dialled as it stands. */
type Granted = { readonly allow: Rule; readonly host: null } | null

/** What the address rules say, which no opening changes. */
interface Ground {
  /** An address rule denies the target. */
  readonly denied: Rule | null
  /** An address rule allows the target, whatever bytes follow. */
  readonly granted: Rule | null
}

const https = 443
const http = 80

/** The verdict on a flow as far as it is known. */
export function decide(policy: Compiled, flow: Flow): Verdict {
  const judged = flow.transport === "udp" ? byDatagram(policy, flow) : judge(policy, flow)
  const denied = judged === null || "deny" in judged
  let permit: Permit | null = null
  if (!denied || (judged !== null && policy.mode === "audit")) {
    const host = denied ? null : "look" in judged ? judged.look : judged.host
    permit = { flow: flow.id, host, target: flow.target } as Permit
  }
  if (judged === null || "look" in judged) {
    return { decision: "wait", reason: "not-allowed", permit, rule: judged?.for ?? null }
  }
  return "allow" in judged
    ? { decision: "allow", reason: "allowed-by-rule", rule: judged.allow, permit }
    : { decision: "deny", reason: judged.deny, rule: judged.rule, permit }
}

function judge(policy: Compiled, flow: Flow): Judged {
  const ground = survey(policy, flow)
  const { opening, request } = flow
  const first = byTarget(policy, flow, ground)
  if (first !== null) return first
  // Why: a request without an opening is no connection; it never waits, and nothing allows it.
  if (opening === null) return request === null ? null : deny("malformed")
  const second = byOpening(policy, flow, ground, opening)
  const waits = second === null || "look" in second
  if (!waits || request === null) return second
  return byRequest(policy, flow, ground, opening, request)
}

/**
 * Whether TLS for this host is ended by us for some rule's sake, whoever asks: then a client that is
 * refused can be told so inside.
 */
export function opens(policy: Compiled, host: Hostname): boolean {
  if (policy.intercept === "never" || namesFind(policy.opaque, host).length > 0) return false
  if (policy.intercept === "always") return true
  return namesFind(policy.names, host).some(({ rule }) => asksRequest(rule, "https"))
}

function deny(reason: Reason, rule: Rule | null = null): Judged {
  return { deny: reason, rule }
}

function deniedBy(rule: Rule): Judged {
  return { deny: "denied-by-rule", rule }
}

/** Groups of rules over a name that fit the flow's port and asker. */
function groupsFor(policy: Compiled, flow: Flow, name: Hostname): RuleGroup[] {
  const { port } = flow.target
  return namesFind(policy.names, name).filter(({ rule }) => fitsTcp(rule, port, flow))
}

/** One rule of each group: enough where neither path nor method is asked for. */
function fitting(policy: Compiled, flow: Flow, name: Hostname): Rule[] {
  return groupsFor(policy, flow, name).map(({ rule }) => rule)
}

function survey(policy: Compiled, flow: Flow): Ground {
  const { address, port } = flow.target
  let denied: Rule | null = null
  const grants: Rule[] = []
  for (const rule of blocksFind(policy.blocks, address)) {
    if (!fitsTcp(rule, port, flow)) continue
    if (rule.effect === "deny") denied ??= rule
    else grants.push(rule)
  }
  let granted = freest(grants)
  // Why: a translator on the way would take the flow to the IPv4 address inside.
  for (const inner of embedded(address)) {
    for (const rule of blocksFind(policy.blocks, inner)) {
      if (rule.effect === "deny" && fitsTcp(rule, port, flow)) denied ??= rule
    }
  }
  if (granted !== null && deniedName(policy, flow) !== null) granted = null
  return { denied, granted }
}

/** A rule that denies a host by a name that our resolver gave for the target. */
function deniedName(policy: Compiled, flow: Flow): Rule | null {
  for (const name of flow.names) {
    const rule = fitting(policy, flow, name).find(deniesHost)
    if (rule !== undefined) return rule
  }
  return null
}

/**
 * Whether some request is denied to a host by a name that our resolver gave for the target: then an
 * address rule does not cover TLS that does not say it is for that host, or for which other one.
 */
function watchedByName(policy: Compiled, flow: Flow): boolean {
  return flow.names.some((name) =>
    fitting(policy, flow, name).some(
      (rule) => rule.effect === "deny" && asksRequest(rule, "https"),
    ),
  )
}

function deniesHost({ effect, target }: Rule): boolean {
  return effect === "deny" && target.kind === "host"
}

/** Whether the whole host is allowed, without looking inside. */
function allowsHost({ effect, target, token }: Rule): boolean {
  return effect === "allow" && target.kind === "host" && token === null
}

/** Whether only a request of this scheme can tell if the rule fits. */
function asksRequest({ target, token }: Rule, scheme: "http" | "https"): boolean {
  return target.kind === "request" ? target.scheme === scheme : token !== null
}

/** Denied where no opening could change it, allowed where none need be awaited. */
function byTarget(policy: Compiled, flow: Flow, ground: Ground): Judged {
  const { port, address } = flow.target
  if (ground.denied !== null) return deniedBy(ground.denied)
  if (ground.granted !== null) {
    const watched = policy.intercept === "always" || hasDoor(policy.denyDoors, port, flow)
    return watched ? null : { allow: ground.granted, host: null }
  }
  const nameless = !hasDoor(policy.allowDoors, port, flow)
  const closed =
    nameless ||
    (isSpecial(address, policy.special) &&
      !flow.names.some((name) => fitting(policy, flow, name).some(isAllow)))
  return closed ? missedTarget(policy, flow) : null
}

function isAllow({ effect }: Rule): boolean {
  return effect === "allow"
}

/** Why nothing allows a target, whatever would be said to it. */
function missedTarget(policy: Compiled, flow: Flow): Judged {
  const rule = deniedName(policy, flow)
  if (rule !== null) return deniedBy(rule)
  const { address, port } = flow.target
  const near = [
    ...blocksFind(policy.blocks, address),
    ...flow.names.flatMap((name) => namesFind(policy.names, name).map(({ rule }) => rule)),
  ]
  const unknown = flow.names.length === 0 ? "address-not-allowed" : "name-not-allowed"
  const otherwise = isSpecial(address, policy.special) ? "private-address" : unknown
  return deny(nearest(missesOf(near, flow, port), otherwise))
}

/** What kept each allow rule, which covers the name or address, from fitting port and asker. */
function missesOf(rules: readonly Rule[], flow: Flow, port: number): (Reason | null)[] {
  return rules.filter(isAllow).map((rule) => {
    if (rule.target.kind === "icmp") return null
    const ports = tcpPorts(rule.target)
    return ports === null || !holds(ports, port) ? "port-not-allowed" : actorMiss(rule, flow)
  })
}

function missedName(policy: Compiled, flow: Flow, name: Hostname): Judged {
  const rules = namesFind(policy.names, name).map(({ rule }) => rule)
  return deny(nearest(missesOf(rules, flow, flow.target.port), "name-not-allowed"))
}

function byOpening(policy: Compiled, flow: Flow, ground: Ground, opening: Opening): Judged {
  const granted: Granted = ground.granted === null ? null : { allow: ground.granted, host: null }
  if (opening.kind === "broken") return granted ?? deny(opening.reason)
  if (opening.kind === "http") return byHead(policy, flow, granted, opening)
  if (opening.kind !== "tls") return granted ?? byNames(policy, flow)
  if (opening.serverName === null) {
    return granted !== null && !watchedByName(policy, flow) ? granted : deny("missing-server-name")
  }
  return byServerName(policy, flow, granted, opening.serverName)
}

function byServerName(policy: Compiled, flow: Flow, granted: Granted, name: Hostname): Judged {
  const rules = fitting(policy, flow, name)
  const denied = rules.find(deniesHost)
  if (denied !== undefined) return deniedBy(denied)
  const opaque = namesFind(policy.opaque, name).length > 0
  const blind = opaque || policy.intercept === "never"
  const watched = rules.some((rule) => rule.effect === "deny" && asksRequest(rule, "https"))
  const whole = freest(rules.filter(allowsHost))
  const allowed = granted ?? (whole === null ? null : { allow: whole, host: name })
  if (granted !== null && !watched && !flow.names.includes(name) && watchedByName(policy, flow)) {
    return deny("host-mismatch")
  }
  if (allowed !== null) {
    if (!watched && (policy.intercept !== "always" || opaque)) return allowed
    return blind ? deny("unsupported-protocol") : { look: allowed.host, for: allowed.allow }
  }
  const asking = rules.find((rule) => isAllow(rule) && asksRequest(rule, "https"))
  if (asking !== undefined) {
    return blind ? deny("unsupported-protocol") : { look: name, for: asking }
  }
  return rules.some(isAllow) ? deny("unsupported-protocol") : missedName(policy, flow, name)
}

function byHead(
  policy: Compiled,
  flow: Flow,
  granted: Granted,
  { host, port }: Extract<Opening, { kind: "http" }>,
): Judged {
  if (host === null) return granted ?? deny("malformed")
  const rules = fitting(policy, flow, host)
  const denied = rules.find(deniesHost)
  if (denied !== undefined) return deniedBy(denied)
  const watched = rules.some((rule) => rule.effect === "deny" && asksRequest(rule, "http"))
  if (granted !== null) return watched ? null : granted
  if (port !== null && port !== flow.target.port) return deny("host-mismatch")
  const whole = freest(rules.filter(allowsHost))
  if (whole !== null) {
    // Why: a host rule on the port of TLS means TLS, or its bytes would pass in the clear.
    if (flow.target.port === https) return deny("not-tls")
    return watched ? null : { allow: whole, host }
  }
  if (rules.some((rule) => isAllow(rule) && asksRequest(rule, "http"))) return null
  return rules.some(isAllow) ? deny("not-tls") : missedName(policy, flow, host)
}

/** Bytes that name no host: the names that our resolver gave for the address stand for it. */
function byNames(policy: Compiled, flow: Flow): Judged {
  const denied = deniedName(policy, flow)
  if (denied !== null) return deniedBy(denied)
  const { port } = flow.target
  let miss: Reason | null = null
  for (const name of flow.names) {
    const rules = fitting(policy, flow, name)
    const whole = freest(rules.filter(allowsHost))
    if (whole !== null && port !== https && port !== http) return { allow: whole, host: name }
    if (!rules.some(isAllow)) continue
    const plain = port === http || !rules.some((rule) => asksRequest(rule, "https"))
    miss ??= port !== https && plain ? "unsupported-protocol" : "not-tls"
  }
  return miss === null ? missedTarget(policy, flow) : deny(miss)
}

function byRequest(
  policy: Compiled,
  flow: Flow,
  ground: Ground,
  opening: Opening,
  request: Request,
): Judged {
  const named =
    opening.kind === "tls" ? opening.serverName : opening.kind === "http" ? opening.host : null
  const scheme = opening.kind === "tls" ? "https" : "http"
  if (request.host !== named || request.port !== flow.target.port || request.scheme !== scheme) {
    return deny("host-mismatch")
  }
  const groups = groupsFor(policy, flow, request.host)
  const near = groups.flatMap((group) => rulesFor(group, request.path))
  const misses = near.map((rule) => ({ rule, miss: requestMiss(rule, request) }))
  const denied = misses.find(({ rule, miss }) => miss === null && !isAllow(rule))
  if (denied !== undefined) return deniedBy(denied.rule)
  if (ground.granted !== null) return { allow: ground.granted, host: null }
  const fits = misses.filter(({ rule, miss }) => miss === null && isAllow(rule))
  const allowed = freest(fits.map(({ rule }) => rule))
  if (allowed !== null) return { allow: allowed, host: request.host }
  const others = misses.filter(({ rule }) => isAllow(rule)).map(({ miss }) => miss)
  // Why: a rule that is not even near by its path is the farthest that one may be.
  const far = groups.some(({ rule }) => isAllow(rule) && rule.target.kind === "request")
  return deny(nearest(far ? [...others, "path-not-allowed"] : others, "not-allowed"))
}

/** A datagram is judged by address and by the names for it; the kernel does the same with its sets. */
function byDatagram(policy: Compiled, flow: Flow): Judged {
  const { address, port } = flow.target
  const rules = [
    ...blocksFind(policy.blocks, address).map((rule) => ({ rule, host: null })),
    ...flow.names.flatMap((host) =>
      namesFind(policy.names, host).map(({ rule }) => ({ rule, host })),
    ),
  ]
  const misses: (Reason | null)[] = []
  let allowed: Judged = null
  for (const { rule, host } of rules) {
    const { target } = rule
    const udp = (target.kind === "host" || target.kind === "address") && target.transport === "udp"
    const miss = udp && holds(target.ports, port) ? actorMiss(rule, flow) : "port-not-allowed"
    if (miss === null && rule.effect === "deny") return deniedBy(rule)
    if (miss === null) allowed ??= { allow: rule, host }
    else if (isAllow(rule) && target.kind !== "icmp") misses.push(miss)
  }
  if (allowed !== null) return allowed
  const unknown = flow.names.length === 0 ? "address-not-allowed" : "name-not-allowed"
  return deny(nearest(misses, isSpecial(address, policy.special) ? "private-address" : unknown))
}
