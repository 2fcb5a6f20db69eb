/** The verdict for a target that a person asks about, and why. */
import { parseAddress, prefixOf, printPrefix } from "../net/address.ts"
import { isSpecial } from "../net/special.ts"
import { parseHostname } from "../net/hostname.ts"
import type { Address, Prefix } from "../net/address.ts"
import type { Hostname } from "../net/hostname.ts"
import type { Flow, Opening, Process, Request, Token } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import { printAmount } from "./amount.ts"
import { blocksFind } from "./block-index.ts"
import { compile } from "./compile.ts"
import type { Compiled } from "./compile.ts"
import { decide } from "./decide.ts"
import { decideName } from "./decide-name.ts"
import { hasDoor } from "./door-index.ts"
import { actorMiss, fitsTcp, freest, webSocketMethod } from "./fit.ts"
import { namesFind } from "./name-index.ts"
import type { Rule, Target, Verdict } from "./policy.ts"
import { hostOf, parseTarget, printTarget } from "./target.ts"
import type { Fault } from "./target.ts"

/**
 * Where the verdict falls: `name` when the name is asked for or named in a hello, `connection` when
 * a port is, `request` inside, `address` by an address alone, `kernel` for UDP and ICMP.
 */
export type Layer = "name" | "connection" | "request" | "address" | "kernel"

export interface Explanation {
  /** The target as it was understood, in the short form. */
  readonly target: string
  readonly verdict: "allow" | "deny"
  readonly reason: Reason
  /** The rule that decided; null where none did. */
  readonly rule: Rule | null
  readonly layer: Layer
  /** What else a person should know. */
  readonly notes: readonly string[]
  /** The line that would allow it; null where it is allowed, or where none can. */
  readonly wanted: string | null
}

/** Who would ask; null is nobody in particular, so that no `by` or `step` fits. */
export interface Asker {
  readonly by: string | null
  readonly step: string | null
  readonly token: Token
}

export const anyone: Asker = { by: null, step: null, token: "none" }

/** The verdict on one target, or what is wrong with the question. */
export function explain(
  policy: Compiled,
  text: string,
  asker: Asker = anyone,
): Explanation | Fault {
  const target = parseQuestion(text)
  if ("fault" in target) return target
  const one = oneOf(target)
  if (one !== null) return { fault: one }
  if (target.kind === "icmp") return explainIcmp(policy, target)
  if (target.kind === "address") return explainAddress(policy, target, asker)
  if (target.kind === "request") return explainRequest(policy, target, asker)
  if (target.transport === "udp") return explainUdp(policy, target)
  return explainHost(policy, target, asker)
}

/**
 * Any form of a target; besides, `udp://`, `tcp://` and `ssh://`, `wss://` and `ws://`, and a URL
 * without a path.
 */
function parseQuestion(written: string): Target | Fault {
  const text = written.replace(/^\s*ws(s?):\/\//i, `${webSocketMethod} http$1://`)
  const match = /^(udp|tcp|ssh):\/\/([^/]*)\/?$/i.exec(text.trim())
  if (match !== null) {
    const [, scheme = "", place = ""] = match
    const kind = scheme.toLowerCase()
    const ported = kind === "ssh" && !/:\d+$/.test(place) ? `${place}:22` : place
    return parseTarget(kind === "udp" ? `${ported}/udp` : ported)
  }
  const url = /^((?:\S+\s+)?https?:\/\/[^/?#\s]*)([^?#\s]*)\S*$/i.exec(text.trim())
  return parseTarget(url === null ? text : `${url[1] ?? ""}${url[2] === "" ? "/" : (url[2] ?? "")}`)
}

/** Why a target is more than one place; null where it is one. */
function oneOf(target: Target): string | null {
  const host = hostOf(target)
  if (host?.pattern.includes("*") === true) return "has a wildcard, must be one name"
  const prefix = target.kind === "address" ? target.prefix : null
  if (prefix !== null && printPrefix(prefix).includes("/")) return "is a block, must be one address"
  if (target.kind === "request" && target.path.includes("*"))
    return "has a wildcard, must be one path"
  if (target.kind === "icmp" || target.ports.first === target.ports.last) return null
  return "has several ports, must be one"
}

function flowOf(address: Address, port: number, names: readonly Hostname[], asker: Asker): Flow {
  const process: Process | null =
    asker.by === null ? null : { pid: 0, executable: asker.by, arguments: [], ancestors: [] }
  return {
    id: "explain",
    openedAtMs: 0,
    transport: "tcp",
    source: { address: "0.0.0.0" as Address, port: 0 },
    target: { address, port },
    names,
    process,
    step: asker.step,
    opening: null,
    request: null,
  }
}

/** Stands for whatever public address a name has. */
function anyAddress(policy: Compiled): Address {
  const candidates = ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "8.8.8.8"]
  const free = candidates
    .map((text) => text as Address)
    .find((address) => {
      return !isSpecial(address, policy.special) && blocksFind(policy.blocks, address).length === 0
    })
  return free ?? ("192.0.2.1" as Address)
}

function rulesOver(policy: Compiled, name: Hostname): Rule[] {
  return namesFind(policy.names, name).flatMap(({ rules }) => rules)
}

/** A policy's rules over names alone: what an address rule says depends on where a name leads. */
function namesOnly(policy: Compiled): Compiled {
  const rules = policy.policy.rules.filter(({ target }) => target.kind !== "address")
  return compile({ ...policy.policy, rules }, policy.special)
}

function answer(
  target: Target,
  layer: Layer,
  { decision, reason, rule }: { decision: "allow" | "deny"; reason: Reason; rule: Rule | null },
  notes: readonly string[] = [],
): Explanation {
  const shown = printTarget(target)
  const wanted = decision === "allow" || reason === "denied-by-rule" ? null : shown
  const all = decision === "allow" && rule !== null ? [...notes, ...conditions(rule)] : notes
  return { target: shown, verdict: decision, reason, rule, layer, notes: all, wanted }
}

/** What an allow rule holds of what only shows as the bytes flow. */
function conditions({ token, up }: Rule): string[] {
  const credentials = "It allows requests without credentials, or with the job's own token alone."
  const budget = `It lets out ${printAmount(up ?? 0)} in a run at most, over all connections.`
  return [...(token === null ? [] : [credentials]), ...(up === null ? [] : [budget])]
}

function nameOf(target: Extract<Target, { kind: "host" | "request" }>): Hostname {
  return parseHostname(target.host.pattern) ?? (target.host.pattern as Hostname)
}

/** Denied already when the name is asked for; null where it would be resolved. */
function atName(
  policy: Compiled,
  target: Target,
  name: Hostname,
  asker: Asker,
): Explanation | null {
  const flow = flowOf("0.0.0.0" as Address, 0, [], asker)
  const verdict = decideName(policy, { name, type: "A", process: flow.process, step: flow.step })
  if (verdict.decision === "allow") return null
  const note = "The name is not resolved: no query for it leaves the machine."
  return answer(target, "name", verdict, [note])
}

/** What a client would say first on a port. */
function openingFor(port: number, name: Hostname): Opening {
  if (port === 80) return { kind: "http", host: name, port: null }
  if (port === 22) return { kind: "ssh" }
  return { kind: "tls", serverName: name, protocols: [], encryptedHello: false }
}

function explainHost(
  whole: Compiled,
  target: Extract<Target, { kind: "host" }>,
  asker: Asker,
): Explanation {
  const policy = namesOnly(whole)
  const name = nameOf(target)
  const early = atName(policy, target, name, asker)
  if (early !== null) return early
  const { first: port } = target.ports
  const base = flowOf(anyAddress(policy), port, [name], asker)
  const opening = openingFor(port, name)
  const verdict = decide(policy, { ...base, opening })
  if (verdict.decision !== "wait") {
    return atConnection(target, verdict, blindness(policy, name, verdict))
  }
  const rules = rulesOver(policy, name).filter((rule) => fitsTcp(rule, port, base))
  const open = freest(
    rules.filter((rule) => {
      return rule.effect === "allow" && rule.target.kind === "host" && rule.token === null
    }),
  )
  if (open === null) {
    const reason = rules.some(({ token, target }) => token !== null && target.kind === "host")
      ? "token-not-allowed"
      : "path-not-allowed"
    const some = rules.filter(({ effect }) => effect === "allow").map(shownRule)
    const notes = [`Some requests to it are allowed: ${some.join("; ")}. Ask about a URL.`]
    return answer(target, "request", { decision: "deny", reason, rule: null }, notes)
  }
  const except = rules.filter(({ effect }) => effect === "deny").map(shownRule)
  const notes =
    except.length === 0
      ? ["Its connections are opened and looked into (`intercept: always`)."]
      : [`Its connections are opened, to deny some requests: ${except.join("; ")}.`]
  return answer(
    target,
    "request",
    { decision: "allow", reason: "allowed-by-rule", rule: open },
    notes,
  )
}

function atConnection(
  target: Target,
  verdict: Exclude<Verdict, { decision: "wait" }>,
  notes: readonly string[],
): Explanation {
  const { reason } = verdict
  const refused = ["port-not-allowed", "not-tls", "unsupported-protocol"].includes(reason)
  return answer(target, refused ? "connection" : "name", verdict, notes)
}

/** Why a connection is refused that would have to be looked into; [] where it is not for that. */
function blindness(policy: Compiled, name: Hostname, { reason }: { reason: Reason }): string[] {
  if (reason !== "unsupported-protocol") return []
  const opaque = namesFind(policy.opaque, name).length > 0
  const why = opaque ? "the host is opaque" : "`intercept: never` forbids it"
  return [`Only its requests could tell, and Sluice does not look inside TLS there: ${why}.`]
}

const opened = "Sluice opens its connections (TLS) and judges each request."
const unopened = "The whole host is allowed: Sluice does not look at its requests."
const ways =
  "Rules speak of a WebSocket by the method WEBSOCKET: GET does not allow it, and a deny of any method of its path denies it."

function shownRule({ origin }: Rule): string {
  return `${origin.text} (${origin.source}:${origin.line})`
}

function explainRequest(
  whole: Compiled,
  target: Extract<Target, { kind: "request" }>,
  asker: Asker,
): Explanation {
  const policy = namesOnly(whole)
  const name = nameOf(target)
  const early = atName(policy, target, name, asker)
  if (early !== null) return early
  const { scheme, path } = target
  const { first: port } = target.ports
  const opening: Opening =
    scheme === "https"
      ? { kind: "tls", serverName: name, protocols: [], encryptedHello: false }
      : { kind: "http", host: name, port: null }
  const flow = { ...flowOf(anyAddress(policy), port, [name], asker), opening }
  const before = decide(policy, flow)
  if (before.decision !== "wait") {
    const whole = before.decision === "allow" ? [unopened] : blindness(policy, name, before)
    return atConnection(target, before, whole)
  }
  let last: Explanation | null = null
  for (const method of target.methods ?? ["GET"]) {
    const request: Request = { scheme, method, host: name, port, path, token: asker.token }
    const verdict = decide(policy, { ...flow, request })
    if (verdict.decision === "wait") continue
    const socket = method === webSocketMethod && verdict.decision === "deny"
    const notes = [...(scheme === "https" ? [opened] : []), ...(socket ? [ways] : [])]
    last = answer(target, "request", verdict, notes)
    if (last.verdict === "deny") break
  }
  return last ?? answer(target, "request", { decision: "deny", reason: "not-allowed", rule: null })
}

function explainAddress(
  policy: Compiled,
  target: Extract<Target, { kind: "address" }>,
  asker: Asker,
): Explanation {
  const { address } = target.prefix
  const { first: port } = target.ports
  const base = flowOf(address, port, [], asker)
  if (target.transport === "udp") {
    const verdict = decide(policy, { ...base, transport: "udp" })
    return answer(target, "kernel", verdict.decision === "wait" ? unknown : verdict)
  }
  const opening: Opening = { kind: "opaque", serverFirst: false }
  const verdict = decide(policy, { ...base, opening })
  const names = hasDoor(policy.allowDoors, port, base)
  const notes =
    verdict.decision === "deny" && names && !isSpecial(address, policy.special)
      ? ["A connection there that names an allowed host is carried to an address of that host."]
      : []
  return answer(target, "address", verdict.decision === "wait" ? unknown : verdict, notes)
}

const unknown = { decision: "deny", reason: "not-allowed", rule: null } as const

function explainUdp(policy: Compiled, target: Extract<Target, { kind: "host" }>): Explanation {
  const name = nameOf(target)
  const rules = namesOnly(policy)
  const early = atName(rules, target, name, anyone)
  if (early !== null) return early
  const flow = flowOf(anyAddress(policy), target.ports.first, [name], anyone)
  const verdict = decide(rules, { ...flow, transport: "udp" })
  return answer(target, "kernel", verdict.decision === "wait" ? unknown : verdict)
}

function explainIcmp(policy: Compiled, target: Extract<Target, { kind: "icmp" }>): Explanation {
  const { to } = target
  const name = "pattern" in to ? parseHostname(to.pattern) : null
  if (name !== null) {
    const early = atName(policy, target, name, anyone)
    if (early !== null) return early
  }
  const found =
    "address" in to ? addressRules(policy, to) : name === null ? [] : rulesOver(policy, name)
  const rules = found.filter((rule) => {
    return rule.target.kind === "icmp" && actorMiss(rule, { process: null, step: null }) === null
  })
  const rule = rules.find(({ effect }) => effect === "deny") ?? rules[0] ?? null
  if (rule?.effect === "deny") {
    return answer(target, "kernel", { decision: "deny", reason: "denied-by-rule", rule })
  }
  if (rule !== null) {
    return answer(target, "kernel", { decision: "allow", reason: "allowed-by-rule", rule })
  }
  const reason = found.some(({ effect }) => effect === "allow")
    ? "not-allowed"
    : "address" in to
      ? "address-not-allowed"
      : "name-not-allowed"
  return answer(target, "kernel", { decision: "deny", reason, rule: null })
}

function addressRules(policy: Compiled, prefix: Prefix): Rule[] {
  const address = parseAddress(prefixOf(prefix.address, prefix.length).address)
  return address === null ? [] : blocksFind(policy.blocks, address)
}
