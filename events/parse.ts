/**
 * A line of an event log → an Event. Pure, and never throws: a log may come from anywhere.
 *
 * What a line leaves out is filled with the least that can be meant (null, [], 0), so that a log of
 * an older or a foreign writer is still readable; what has the wrong type makes the line broken.
 */
import type { Address } from "../net/address.ts"
import type { Endpoint } from "../net/endpoint.ts"
import type { Process, Program, Transport } from "../flows/flow.ts"
import { reasons, type Reason } from "../flows/reason.ts"
import type {
  Counts,
  Drop,
  Event,
  EventBody,
  Finding,
  FlowEvent,
  NameEvent,
  RequestEvent,
  RuleShown,
  RunEnded,
  RunStarted,
  Stamp,
} from "./event.ts"

/** Longest line that is read, in characters. The log writes at most 64 KiB; others get some room. */
export const lineCharactersMax = 256 * 1024

/** Most items that are read of one list: more than the log writes of any. */
const itemsMax = 4096

/** Most aliases that are read of one name: as many as the resolver follows. */
const aliasesMax = 16

/** Any JSON object. */
type Fields = Readonly<Record<string, unknown>>

/** Thrown inside this file only: the line is not what it should be. */
const broken = Symbol("broken")

/** A well-formed line of a kind that this version has no use for. */
export interface Other extends Stamp {
  readonly kind: "other"
}

/**
 * The event of a line, or `"broken"` for what is none, a line longer than `lineCharactersMax`
 * included.
 */
export function parseEvent(line: string): Event | Other | "broken" {
  if (line.length > lineCharactersMax) return "broken"
  try {
    const fields = object(JSON.parse(line))
    if (fields["v"] !== 1) return "broken"
    const body = bodyOf(fields)
    return { ...stampOf(fields), ...(body ?? { kind: "other" }) }
  } catch {
    return "broken"
  }
}

/**
 * The facts of an event, as a process that is not trusted tells them: known fields only, each of the
 * type it should have; null for what is none. So nothing of it can stand in place of a stamp.
 */
export function parseBody(value: unknown): EventBody | null {
  try {
    return bodyOf(object(value))
  } catch {
    return null
  }
}

function stampOf(fields: Fields): Stamp {
  const time = text(fields, "time")
  if (Number.isNaN(Date.parse(time))) throw broken
  return { v: 1, time, run: text(fields, "run"), seq: count(fields, "seq") }
}

function bodyOf(fields: Fields): EventBody | null {
  switch (text(fields, "kind")) {
    case "run-started":
      return runStarted(fields)
    case "name":
      return name(fields)
    case "flow":
      return flow(fields)
    case "request":
      return request(fields)
    case "finding":
      return finding(fields)
    case "drop":
      return drop(fields)
    case "run-ended":
      return runEnded(fields)
    default:
      return null
  }
}

function runStarted(fields: Fields): RunStarted {
  const policy = object(fields["policy"] ?? {})
  const context: Record<string, string> = {}
  for (const [key, value] of Object.entries(object(fields["context"] ?? {})).slice(0, 64)) {
    if (typeof value === "string") context[key] = value
  }
  return {
    kind: "run-started",
    mode: oneOf(fields, "mode", ["audit", "block"]),
    scope: oneOf(fields, "scope", ["run", "host", "pod"], "run"),
    policy: {
      source: text(policy, "source", ""),
      sha256: text(policy, "sha256", ""),
      rules: count(policy, "rules"),
    },
    version: text(fields, "version", ""),
    context,
  }
}

function name(fields: Fields): NameEvent {
  const repeated = count(fields, "repeated", 1)
  const aliases = texts(fields, "aliases").slice(0, aliasesMax)
  return {
    kind: "name",
    name: text(fields, "name"),
    type: text(fields, "type", "A"),
    transport: oneOf<Transport>(fields, "transport", ["udp", "tcp"], "udp"),
    rcode: text(fields, "rcode", ""),
    addresses: texts(fields, "addresses"),
    ...(aliases.length > 0 ? { aliases } : {}),
    ...judged(fields),
    ...whose(fields),
    ...(repeated > 1 ? { repeated } : {}),
  }
}

function flow(fields: Fields): FlowEvent {
  const opening = fields["opening"] ?? null
  const kinds = ["tls", "http", "ssh", "opaque"] as const
  const actions = ["splice", "intercept", "refuse", "forward", "drop"] as const
  return {
    kind: "flow",
    flow: text(fields, "flow", ""),
    transport: oneOf<Transport>(fields, "transport", ["tcp", "udp"], "tcp"),
    source: endpoint(fields["source"] ?? { address: "", port: 0 }),
    target: endpoint(fields["target"]),
    names: texts(fields, "names"),
    opening:
      opening === null
        ? null
        : {
            kind: oneOf(object(opening), "kind", kinds),
            serverName: textOrNull(object(opening), "serverName"),
          },
    action: oneOf(fields, "action", actions, "splice"),
    ...judged(fields),
    ...transferred(fields),
    durationMs: count(fields, "durationMs"),
    ...whose(fields),
    ...(fields["dialled"] === undefined || fields["dialled"] === null
      ? {}
      : { dialled: endpoint(fields["dialled"]) }),
    ...(fields["certificateRefused"] === true ? { certificateRefused: true as const } : {}),
    ...detailed(fields),
  }
}

function detailed(fields: Fields): { readonly detail?: string } {
  return typeof fields["detail"] === "string" ? { detail: fields["detail"] } : {}
}

function request(fields: Fields): RequestEvent {
  const repeated = count(fields, "repeated", 1)
  return {
    kind: "request",
    flow: text(fields, "flow", ""),
    protocol: oneOf(fields, "protocol", ["http/1.1", "h2", "websocket"], "http/1.1"),
    scheme: oneOf(fields, "scheme", ["https", "http"], "https"),
    method: text(fields, "method"),
    host: text(fields, "host"),
    path: text(fields, "path", "/"),
    status: typeof fields["status"] === "number" ? fields["status"] : null,
    ...judged(fields),
    token: oneOf(fields, "token", ["job", "other", "none"], "none"),
    ...transferred(fields),
    ...detailed(fields),
    ...(repeated > 1 ? { repeated } : {}),
  }
}

function finding(fields: Fields): Finding {
  return {
    kind: "finding",
    finding: text(fields, "finding"),
    severity: oneOf(fields, "severity", ["low", "medium", "high", "critical"]),
    summary: text(fields, "summary", ""),
    because: list(fields["because"] ?? []).filter((seq) => typeof seq === "number"),
    ...whose(fields),
  }
}

function drop(fields: Fields): Drop {
  const target = object(fields["target"])
  const port = target["port"] ?? null
  return {
    kind: "drop",
    transport: text(fields, "transport", ""),
    target: {
      address: text(target, "address"),
      port: port === null ? null : count(target, "port"),
    },
    packets: count(fields, "packets", 1),
    reason: reason(fields),
    user: textOrNull(fields, "user"),
    ...(typeof fields["enforced"] === "boolean" ? { enforced: fields["enforced"] } : {}),
  }
}

function runEnded(fields: Fields): RunEnded {
  const counts = object(fields["counts"] ?? {})
  const total = (key: keyof Counts): number => count(counts, key)
  return {
    kind: "run-ended",
    status: count(fields, "status"),
    counts: {
      allowed: total("allowed"),
      denied: total("denied"),
      names: total("names"),
      requests: total("requests"),
      findings: total("findings"),
    },
    lost: count(fields, "lost"),
  }
}

function judged(fields: Fields): Pick<FlowEvent, "verdict" | "enforced" | "reason" | "rule"> {
  const rule = fields["rule"] ?? null
  return {
    verdict: oneOf(fields, "verdict", ["allow", "deny"]),
    enforced: fields["enforced"] !== false,
    reason: reason(fields),
    rule: rule === null ? null : ruleShown(object(rule)),
  }
}

function ruleShown(fields: Fields): RuleShown {
  return {
    source: text(fields, "source", ""),
    line: count(fields, "line"),
    text: text(fields, "text", ""),
  }
}

function whose(fields: Fields): { process: Process | null; step: string | null } {
  const process = fields["process"] ?? null
  return {
    process:
      process === null
        ? null
        : {
            ...program(object(process)),
            ancestors: list(object(process)["ancestors"] ?? []).map((each) =>
              program(object(each)),
            ),
          },
    step: textOrNull(fields, "step"),
  }
}

function program(fields: Fields): Program {
  return {
    pid: count(fields, "pid"),
    executable: text(fields, "executable", ""),
    arguments: texts(fields, "arguments"),
  }
}

function transferred(fields: Fields): { bytesSent: number; bytesReceived: number } {
  return { bytesSent: count(fields, "bytesSent"), bytesReceived: count(fields, "bytesReceived") }
}

function endpoint(value: unknown): Endpoint {
  const fields = object(value)
  return { address: text(fields, "address") as Address, port: count(fields, "port") }
}

/** A reason of a newer version is kept as it stands, if it looks like one. */
function reason(fields: Fields): Reason {
  const word = text(fields, "reason")
  if (!(reasons as readonly string[]).includes(word) && !/^[a-z][a-z-]{0,63}$/.test(word))
    throw broken
  return word as Reason
}

function object(value: unknown): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw broken
  return value as Fields
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw broken
  return value.slice(0, itemsMax) as unknown[]
}

function text(fields: Fields, key: string, absent?: string): string {
  const value = fields[key] ?? absent
  if (typeof value !== "string") throw broken
  return value
}

function textOrNull(fields: Fields, key: string): string | null {
  const value = fields[key] ?? null
  if (value !== null && typeof value !== "string") throw broken
  return value
}

function texts(fields: Fields, key: string): readonly string[] {
  const items = list(fields[key] ?? [])
  if (!items.every((item) => typeof item === "string")) throw broken
  return items
}

/** A number that counts something: finite, not negative. */
function count(fields: Fields, key: string, absent = 0): number {
  const value = fields[key] ?? absent
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) throw broken
  return value
}

function oneOf<Word extends string>(
  fields: Fields,
  key: string,
  words: readonly Word[],
  absent?: Word,
): Word {
  const value = fields[key] ?? absent
  const word = words.find((each) => each === value)
  if (word === undefined) throw broken
  return word
}
