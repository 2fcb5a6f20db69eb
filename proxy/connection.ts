/**
 * One connection, from the moment the job opened it until its bytes flow or it is refused: a state
 * machine without I/O. Everything that decides the order of things lives in this file.
 *
 * Inputs are what happened; outputs are what server.ts must do. Fed byte by byte it says what it
 * says fed whole, because the reader of the opening does, and because the question without an
 * opening is always asked before the one with it.
 */
import type { Flow, Opening } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import type { Permit } from "../policies/policy.ts"
import { OpeningReader } from "./classify.ts"
import type { Classified } from "./classify.ts"
import { judgeRequest, unread } from "./judge.ts"
import { offer } from "./protocol.ts"
import type { Connection, Final, Input, Judge, Output, Refusal, Timer } from "./turn.ts"

/** Time for a whole opening. nginx: client_header_timeout 60 s, HAProxy's examples 5 to 10 s. */
export const openingTimeoutMs = 10_000
/** How long a client may be silent before the upstream is asked whether it speaks first. */
export const silenceMs = 300
/** How long a client may still be silent where only its words could lead to something allowed. */
export const wordlessMs = 3_000
/** How long a flow that is denied already may still say who it meant. */
export const graceMs = 1_000
/** How long an upstream may keep a client waiting for its greeting (RFC 5321 §4.5.3.2.1). */
export const greetingTimeoutMs = 300_000

/** Ports whose protocols the client begins: silence on them is only silence. */
const clientFirstPorts = new Set([80, 443])

/** Something was dialled for a silent client. */
const waiting: ReadonlySet<Connection["phase"]> = new Set(["trying", "listening"])

type Stepped = readonly [Connection, readonly Output[]]

/** A connection that has just been accepted. */
export function opened(flow: Flow): Stepped {
  const connection: Connection = {
    phase: "asking",
    flow,
    namesKnown: false,
    ownerKnown: false,
    reader: new OpeningReader(),
    classified: null,
    ended: false,
    tried: null,
    final: null,
    raw: false,
    opens: false,
    inside: false,
  }
  return [connection, [{ do: "start-timer", timer: "opening", afterMs: openingTimeoutMs }]]
}

/** Whether further bytes of the client are of use now; else it is not read. */
export function wantsBytes({ phase, classified, ended }: Connection): boolean {
  if (classified !== null || ended) return false
  return phase === "asking" || phase === "opening" || phase === "grace" || waiting.has(phase)
}

/** What follows from an input. Inputs that come too late change nothing. */
export function step(judge: Judge, connection: Connection, input: Input): Stepped {
  if (connection.phase === "over" || connection.phase === "carrying") return [connection, []]
  switch (input.kind) {
    case "names": {
      const flow = { ...connection.flow, names: input.names }
      return asked(judge, { ...connection, flow, namesKnown: true })
    }
    case "owner": {
      const flow = { ...connection.flow, process: input.process, step: input.step }
      // Why: facts that come after the verdict are for the event only.
      return asked(judge, { ...connection, flow, ownerKnown: true })
    }
    case "bytes":
      return said(judge, connection, input.bytes)
    case "ended":
      return ended(judge, { ...connection, ended: true })
    case "closed":
      return closed(connection)
    case "timer":
      return timed(judge, connection, input.timer)
    case "dialled":
      return dialled(connection, input.despite)
    case "dial-failed":
      return dialFailed(connection, input.reason, input.detail)
    case "spoken":
      return spoken(connection)
    case "secured":
      if (connection.phase !== "securing") return [connection, []]
      return [{ ...connection, phase: "carrying" }, [{ do: "open" }]]
    case "unsecured":
      return unsecured(judge, connection, input.reason, input.detail)
  }
}

/** Once all that was asked is known: the question without an opening, which may be enough. */
function asked(judge: Judge, connection: Connection): Stepped {
  const ready = connection.namesKnown && (connection.ownerKnown || !judge.needsProcess)
  if (connection.phase !== "asking" || !ready) return [connection, []]
  const verdict = judge.decide(connection.flow)
  if (verdict.decision !== "wait") {
    const final: Final = { ...verdict, detail: null }
    if (verdict.decision === "allow") return decided({ ...connection, raw: true }, final)
    if (connection.classified !== null || connection.ended) return decided(connection, final)
    return [
      { ...connection, phase: "grace", final },
      [{ do: "start-timer", timer: "grace", afterMs: graceMs }],
    ]
  }
  const next: Connection = { ...connection, phase: "opening" }
  if (next.classified !== null) return judged(judge, next, next.classified)
  if (next.ended) return ended(judge, next)
  if (next.reader.bytes.length > 0 || clientFirstPorts.has(next.flow.target.port)) return [next, []]
  return [next, [{ do: "start-timer", timer: "silence", afterMs: silenceMs }]]
}

function said(judge: Judge, connection: Connection, bytes: Uint8Array): Stepped {
  if (!wantsBytes(connection) || bytes.length === 0) return [connection, []]
  const first = connection.reader.bytes.length === 0
  const classified = connection.reader.push(bytes)
  const next = { ...connection, classified }
  const outputs: Output[] = []
  if (first && (next.phase === "trying" || next.phase === "listening")) {
    // Why: the client did speak first; now its opening has its time.
    outputs.push({ do: "stop-timer", timer: "greeting" })
    outputs.push({ do: "start-timer", timer: "opening", afterMs: openingTimeoutMs })
  } else if (first && next.phase === "opening") {
    outputs.push({ do: "stop-timer", timer: "silence" })
    if (next.tried !== null) {
      outputs.push({ do: "start-timer", timer: "opening", afterMs: openingTimeoutMs })
    }
  }
  if (classified === null) return [next, outputs]
  const [last, more] = withOpening(judge, next, classified)
  return [last, [...outputs, ...more]]
}

function withOpening(judge: Judge, connection: Connection, classified: Classified): Stepped {
  switch (connection.phase) {
    case "grace":
      return connection.final === null ? [connection, []] : decided(connection, connection.final)
    case "opening":
    case "trying":
    case "listening":
      return judged(judge, connection, classified)
    default:
      return [connection, []]
  }
}

/** The question with an opening, and for plain HTTP the one with a request. */
function judged(judge: Judge, connection: Connection, { opening, head }: Classified): Stepped {
  const { flow } = connection
  if (head !== null) {
    return decided(connection, {
      ...judgeRequest(judge, flow, head, judge.tokenOf(head)),
      detail: null,
    })
  }
  const next: Connection = { ...connection, inside: isOpened(judge, opening) }
  const verdict = judge.decide({ ...flow, opening })
  if (verdict.decision !== "wait") return decided(next, { ...verdict, detail: null })
  if (verdict.permit === null) {
    return decided(next, { ...unread(judge, flow, opening, "infrastructure"), detail: null })
  }
  const { permit, rule } = verdict
  if (opening.kind === "tls" && offer(opening.protocols) === null) {
    const unspoken = unread(judge, flow, opening, "unsupported-protocol")
    return decided(next, {
      ...unspoken,
      rule,
      detail: "It offers no protocol whose requests can be read.",
    })
  }
  if (judge.audit && opening.kind === "tls" && opening.serverName !== null) {
    if (judge.pinned(opening.serverName)) return decided(next, { ...pinned, rule, permit })
  }
  const looking = {
    decision: "allow",
    reason: "allowed-by-rule",
    rule,
    permit,
    detail: null,
  } as const
  return decided({ ...next, opens: true }, looking)
}

/** In audit mode a host whose client refused our leaf is let through unopened the next time. */
const pinned: Omit<Final, "rule" | "permit"> = {
  decision: "deny",
  reason: "certificate-invalid",
  detail: "A client did not accept a certificate of Sluice's for this host, so it was not opened.",
}

/** Whether the client may be answered in HTTP: it offers a version of it that needs no upstream. */
function isOpened(judge: Judge, opening: Opening): boolean {
  if (opening.kind !== "tls" || opening.serverName === null) return false
  const { protocols, serverName } = opening
  return (protocols.length === 0 || protocols.includes("http/1.1")) && judge.opens(serverName)
}

const stopTimers: readonly Output[] = (["opening", "silence", "grace", "greeting"] as const).map(
  (timer) => ({ do: "stop-timer", timer }),
)

/** A verdict that stands: dial what it permits, or refuse. */
function decided(connection: Connection, final: Final): Stepped {
  const next: Connection = { ...connection, final, tried: null }
  const trying = connection.phase === "trying" || connection.phase === "listening"
  const { permit } = final
  if (permit === null) {
    const outputs: readonly Output[] = trying ? [...stopTimers, { do: "hang-up" }] : stopTimers
    return [{ ...next, phase: "over" }, [...outputs, { do: "refuse", by: refusal(connection) }]]
  }
  if (trying && sameWay(permit, connection.tried?.permit ?? null)) {
    if (connection.phase === "listening") return carried(next, stopTimers)
    return [{ ...next, phase: "dialling" }, stopTimers]
  }
  const outputs: readonly Output[] = trying ? [...stopTimers, { do: "hang-up" }] : stopTimers
  return [{ ...next, phase: "dialling" }, [...outputs, { do: "dial", permit }]]
}

function sameWay(one: Permit, other: Permit | null): boolean {
  return (
    other !== null &&
    one.host === other.host &&
    one.target.address === other.target.address &&
    one.target.port === other.target.port
  )
}

/** All is decided and dialled. */
function carried(connection: Connection, outputs: readonly Output[]): Stepped {
  if (connection.opens)
    return [{ ...connection, phase: "securing" }, [...outputs, { do: "secure" }]]
  const requests = !connection.raw && connection.classified?.head != null
  return [{ ...connection, phase: "carrying" }, [...outputs, { do: "carry", requests }]]
}

function dialled(connection: Connection, despite: Reason | null): Stepped {
  const { phase, final, tried } = connection
  if (phase === "dialling") return carried({ ...connection, final: overruled(final, despite) }, [])
  if (phase !== "trying") return [connection, []]
  const outputs: Output[] = [{ do: "listen" }]
  if (connection.reader.bytes.length === 0) {
    outputs.push({ do: "start-timer", timer: "greeting", afterMs: greetingTimeoutMs })
  }
  return [{ ...connection, phase: "listening", tried: overruled(tried, despite) }, outputs]
}

/** The verdict with what was found while dialling; a denied flow keeps its own reason. */
function overruled(final: Final | null, despite: Reason | null): Final | null {
  if (final === null || despite === null || final.decision === "deny") return final
  return { ...final, decision: "deny", reason: despite, rule: null }
}

function dialFailed(connection: Connection, reason: Reason, detail: string): Stepped {
  const { phase } = connection
  if (phase === "trying" && connection.reader.bytes.length > 0) {
    // Why: what was dialled for a silent client says nothing about where its opening leads.
    return [{ ...connection, phase: "opening", tried: null }, []]
  }
  const last = phase === "trying" ? connection.tried : connection.final
  if (last === null || (phase !== "trying" && phase !== "dialling")) return [connection, []]
  // Why: a denied flow of audit mode keeps its reason; that it got nowhere is only told.
  const decision = reason === "upstream-failed" ? last.decision : "deny"
  const kept = last.decision === "deny" ? last.reason : reason
  // Why: a permit that came to nothing is none, or the event would say that the flow passed.
  const permit = decision === last.decision ? last.permit : null
  const final: Final = { ...last, decision, reason: kept, permit, detail }
  return [
    { ...connection, phase: "over", final, tried: null },
    [...stopTimers, { do: "refuse", by: refusal(connection) }],
  ]
}

/**
 * No TLS with the upstream, or a bad certificate: no request goes out. In audit mode a bad certificate
 * is the client's to judge: the flow is dialled once more, and passes untouched.
 */
function unsecured(judge: Judge, connection: Connection, reason: Reason, detail: string): Stepped {
  const { phase, flow, classified, final } = connection
  if (phase !== "securing" || classified === null) return [connection, []]
  const rule = final?.rule ?? null
  const again = judge.audit && reason === "certificate-invalid"
  const verdict = again ? judge.decide({ ...flow, opening: classified.opening }) : null
  const permit = verdict?.permit ?? null
  return decided(
    { ...connection, opens: false },
    { decision: "deny", reason, rule, permit, detail },
  )
}

/** The upstream of a silent client spoke: its protocol is one that the server begins. */
function spoken(connection: Connection): Stepped {
  const { tried } = connection
  const silent = connection.reader.bytes.length === 0
  if (connection.phase !== "listening" || tried === null || !silent) return [connection, []]
  const classified: Classified = { opening: { kind: "opaque", serverFirst: true }, head: null }
  return carried({ ...connection, classified, final: tried, tried: null, raw: true }, stopTimers)
}

function ended(judge: Judge, connection: Connection): Stepped {
  const { phase, reader, classified, final } = connection
  if (phase === "asking" || phase === "dialling" || phase === "securing") return [connection, []]
  if (phase === "grace") return final === null ? [connection, []] : decided(connection, final)
  if (classified !== null) return [connection, []]
  if (reader.bytes.length > 0) {
    const whole = reader.ended()
    return withOpening(judge, { ...connection, classified: whole }, whole)
  }
  // Why: one who ends without a word may still listen to a server that speaks first.
  if (phase === "trying" || phase === "listening") return [connection, []]
  if (connection.tried !== null) return decided(connection, connection.tried)
  return [{ ...connection, phase: "over" }, [...stopTimers, { do: "forget" }]]
}

function closed(connection: Connection): Stepped {
  const { phase, final, reader } = connection
  const outputs: Output[] = [...stopTimers]
  if (waiting.has(phase) || phase === "dialling" || phase === "securing") {
    outputs.push({ do: "hang-up" })
  }
  const over: Connection = { ...connection, phase: "over" }
  if (final !== null) return [over, [...outputs, { do: "refuse", by: "reset" }]]
  // Why: a connection that was opened and closed without a byte (the slower one of two families)
  // said nothing and reached nobody; half an opening was meant for somebody.
  if (reader.bytes.length === 0) {
    const denied = phase === "opening" ? connection.tried : null
    if (denied === null) return [over, [...outputs, { do: "forget" }]]
    return [{ ...over, final: denied, tried: null }, [...outputs, { do: "refuse", by: "reset" }]]
  }
  const unsaid = connection.classified ?? reader.ended()
  return [
    { ...over, classified: unsaid, final: gaveUp },
    [...outputs, { do: "refuse", by: "reset" }],
  ]
}

const gaveUp: Final = {
  decision: "deny",
  reason: "malformed",
  rule: null,
  permit: null,
  detail: "The client closed the connection before its opening was whole.",
}

function timed(judge: Judge, connection: Connection, timer: Timer): Stepped {
  const { phase, reader, final } = connection
  switch (timer) {
    case "grace":
      return phase === "grace" && final !== null ? decided(connection, final) : [connection, []]
    case "silence":
      return phase === "opening" && reader.bytes.length === 0
        ? tried(judge, connection)
        : [connection, []]
    case "greeting":
      return late(connection)
    case "opening": {
      if (phase === "asking") return late(connection)
      if (phase !== "opening" && phase !== "trying" && phase !== "listening") {
        return [connection, []]
      }
      if (reader.bytes.length === 0) {
        if (phase !== "opening") return [connection, []]
        return connection.tried === null ? late(connection) : decided(connection, connection.tried)
      }
      const classified = reader.late()
      return judged(judge, { ...connection, classified }, classified)
    }
  }
}

/** Nobody spoke in time. */
function late(connection: Connection): Stepped {
  const detail = "Nothing was said in time."
  const final: Final = {
    decision: "deny",
    reason: "limit-exceeded",
    rule: null,
    permit: null,
    detail,
  }
  return decided(connection, final)
}

/** A silent client: where a server that speaks first would be allowed, see whether this one does. */
function tried(judge: Judge, connection: Connection): Stepped {
  const opening = { kind: "opaque", serverFirst: true } as const
  const verdict = judge.decide({ ...connection.flow, opening })
  if (verdict.decision === "wait") return [connection, []]
  const tried: Final = { ...verdict, detail: null }
  if (verdict.permit === null) {
    const wordless = { do: "start-timer", timer: "opening", afterMs: wordlessMs } as const
    return [{ ...connection, tried }, [wordless]]
  }
  return [
    { ...connection, phase: "trying", tried },
    [
      { do: "stop-timer", timer: "opening" },
      { do: "dial", permit: verdict.permit },
    ],
  ]
}

/** How a client is told, by what it speaks as far as it has spoken. */
function refusal({ classified, reader, inside }: Connection): Refusal {
  if (inside) return "inside"
  const protocol = classified?.opening.kind ?? reader.protocol
  if (classified?.opening.kind === "broken") {
    return classified.opening.of === "tls" ? "alert" : "page"
  }
  if (protocol === "tls") return "alert"
  return protocol === "http" ? "page" : "reset"
}
