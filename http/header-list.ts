/**
 * Header lists of HTTP/2 ↔ requests and replies, read strictly (RFC 9113 §8). Pure.
 *
 * What §8 calls malformed is refused, never mended: names in upper case, control characters, fields
 * of a connection, pseudo-header fields that are doubled, late, missing or unknown.
 */
import type { Reason } from "../flows/reason.ts"
import {
  authorityOf,
  printAuthority,
  methodPattern,
  overriding,
  pathOf,
  sameAuthority,
  targetPattern,
} from "./authority.ts"
import { fieldBytesMax, writeField } from "./hpack-writer.ts"
import type { RequestHead } from "./request.ts"
import type { HeaderField } from "./static-table.ts"
import { tokenOf } from "./token.ts"

/** A request that has one meaning. */
export interface H2Request {
  readonly head: RequestHead
  /** `:authority`, as it goes on. */
  readonly authority: string
  /** Of content-length; null: it was not said. */
  readonly bodyBytes: number | null
  readonly fields: readonly HeaderField[]
}

export type RequestRead = H2Request | Broken

export interface Broken {
  readonly broken: Reason
  readonly detail: string
  /** Well formed, so that a reply can say so; else an error of the stream (RFC 9113 §8.1.1). */
  readonly replies: boolean
}

function malformed(detail: string): Broken {
  return { broken: "malformed", detail, replies: false }
}

/** What a field is for, where it is more than a field. */
type Kind =
  | "hop" // of a connection, which HTTP/2 does not know (RFC 9113 §8.2.2)
  | "host"
  | "length"
  | "te"
  | "expect"
  | "overriding"

const kinds: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ["connection", "hop"],
  ["keep-alive", "hop"],
  ["proxy-connection", "hop"],
  ["transfer-encoding", "hop"],
  ["upgrade", "hop"],
  ["http2-settings", "hop"],
  ["host", "host"],
  ["content-length", "length"],
  ["te", "te"],
  ["expect", "expect"],
  ...[...overriding].map((name) => [name, "overriding"] as const),
])

/** Fields that no trailer may hold, because they say what the request is (RFC 9110 §6.5.1). */
const headOnly = new Set([...kinds.keys(), "trailer", "content-encoding", "content-type", "range"])

/** Names in lower case (RFC 9113 §8.2; RFC 9110 §5.6.2). */
const namePattern = /^[!#$%&'*+.^_`|~0-9a-z-]+$/
/** Control characters, and white space at either end (RFC 9113 §8.2.1; RFC 9110 §5.5). */
const badValue = /[^\t -~\x80-\xff]|^[\t ]|[\t ]$/
/** What no peer may send: it ends a field where HTTP/1.1 follows (RFC 9113 §8.2.1). */
const brokenValue = /[\0\r\n]/
const lengthPattern = /^(?:0|[1-9]\d{0,14})$/

/** What is wrong with a field's name, or null. */
function badName(name: string): string | null {
  if (!namePattern.test(name)) return "a field's name is no lower-case token"
  // Why: some servers take `_` for `-`, and so a second Content-Length that no reader here saw.
  if (name.includes("_") && kinds.has(name.replaceAll("_", "-"))) return `the field "${name}"`
  return null
}

interface Pseudo {
  method: string | null
  scheme: string | null
  authority: string | null
  path: string | null
}

/** Takes a pseudo-header field (RFC 9113 §8.3.1); gives what is wrong with it, or null. */
function takePseudo(pseudo: Pseudo, name: string, value: string): string | null {
  switch (name) {
    case ":method":
    case ":scheme":
    case ":authority":
    case ":path": {
      const key = name.slice(1) as keyof Pseudo
      if (pseudo[key] !== null) return `${name} twice`
      pseudo[key] = value
      return null
    }
    case ":protocol":
      return "extended CONNECT"
    default:
      return "a pseudo-header field that requests have not"
  }
}

/** What the regular fields say beside themselves. */
interface Sayings {
  host: string | null
  bodyBytes: number | null
  expect: string | null
  overridden: boolean
  te: boolean
}

/** Takes a regular field; gives what is wrong with it, or null. */
function takeField(sayings: Sayings, name: string, value: string): string | null {
  const kind = kinds.get(name)
  const wrong = kind === undefined ? badName(name) : null
  if (wrong !== null) return wrong
  if (badValue.test(value)) return "a field's value has control characters or outer white space"
  switch (kind) {
    case "hop":
      return `the field "${name}"`
    case "te":
      if (value !== "trailers" || sayings.te) return "te other than trailers"
      sayings.te = true
      return null
    case "length":
      if (sayings.bodyBytes !== null) return "content-length twice"
      // Why: fifteen digits stay exact in a number.
      if (!lengthPattern.test(value)) return "content-length is no number"
      sayings.bodyBytes = Number(value)
      return null
    case "host":
      if (sayings.host !== null) return "host twice"
      sayings.host = value
      return null
    case "expect":
      if (sayings.expect !== null) return "expect twice"
      sayings.expect = value
      return null
    case "overriding":
      sayings.overridden = true
      return null
    case undefined:
      return null
  }
}

/** @param fields As decoded. */
export function requestOf(fields: readonly HeaderField[]): RequestRead {
  const pseudo: Pseudo = { method: null, scheme: null, authority: null, path: null }
  const said: Sayings = { host: null, bodyBytes: null, expect: null, overridden: false, te: false }
  const regular: HeaderField[] = []
  for (const field of fields) {
    const { name, value } = field
    let wrong: string | null
    if (name.startsWith(":")) {
      wrong = regular.length > 0 || said.host !== null ? lateField : takePseudo(pseudo, name, value)
    } else {
      wrong = takeField(said, name, value)
      // Why: what Host says, `:authority` says.
      if (name !== "host") regular.push(field)
    }
    if (wrong !== null) return malformed(wrong)
  }
  return understood(pseudo, said, regular)
}

const lateField = "a pseudo-header field after others"

/** RFC 9113 §8.3.1, §8.5. */
function understood(
  { method, scheme, authority, path }: Pseudo,
  said: Sayings,
  fields: readonly HeaderField[],
): RequestRead {
  if (method === null) return malformed("no :method")
  // Why: it makes a tunnel that nobody looks into.
  if (method === "CONNECT") return { ...malformed("CONNECT"), broken: "method-not-allowed" }
  if (!methodPattern.test(method)) return malformed(":method is none")
  if (scheme !== "https") return malformed(":scheme is not https")
  if (path === null || !targetPattern.test(path)) return malformed(":path is none")
  if (!path.startsWith("/") && (path !== "*" || method !== "OPTIONS")) {
    return malformed(":path is not in origin-form")
  }
  const named = authority ?? said.host
  const whom = named === null ? null : authorityOf(named)
  if (whom === null) return malformed("no authority that has one meaning")
  if (authority !== null && said.host !== null) {
    const host = authorityOf(said.host)
    if (host === null || !sameAuthority(whom, host, "https")) {
      return { ...malformed("Host is not :authority"), broken: "host-mismatch" }
    }
  }
  // Why: TRACE shows a client its own credentials.
  if (method === "TRACE") return { broken: "method-not-allowed", detail: "TRACE", replies: true }
  if (said.expect !== null && said.expect.toLowerCase() !== "100-continue") {
    return { broken: "malformed", detail: "an expectation that is unknown", replies: true }
  }
  return {
    head: {
      method,
      webSocket: false,
      host: whom.host,
      address: whom.address,
      port: whom.port,
      target: path,
      path: said.overridden ? null : pathOf(path),
      fields,
    },
    authority: printAuthority(whom),
    bodyBytes: said.bodyBytes,
    fields,
  }
}

/** Most bytes that a request's header block takes. */
export function requestBytesMax({ head, authority, fields }: H2Request): number {
  let bytes = 1 + fieldBytesMax(":method", head.method) + fieldBytesMax(":scheme", "https")
  bytes += fieldBytesMax(":authority", authority) + fieldBytesMax(":path", head.target)
  return bytes + fieldsBytesMax(fields)
}

/** Writes a request's header block from what was understood, and gives the index after it. */
export function writeRequest(target: Buffer, at: number, request: H2Request): number {
  const { head, authority, fields } = request
  let next = writeField(target, at, ":method", head.method, false)
  next = writeField(target, next, ":scheme", "https", false)
  next = writeField(target, next, ":authority", authority, false)
  next = writeField(target, next, ":path", head.target, false)
  return writeFields(target, next, fields)
}

/** Most bytes that a block of these takes. */
export function fieldsBytesMax(fields: readonly HeaderField[]): number {
  let bytes = 0
  for (const { name, value } of fields) bytes += fieldBytesMax(name, value)
  return bytes
}

/** Writes fields as they are, and gives the index after them. */
export function writeFields(target: Buffer, at: number, fields: readonly HeaderField[]): number {
  let next = at
  for (const { name, value, sensitive } of fields) {
    next = writeField(target, next, name, value, sensitive)
  }
  return next
}

/**
 * The trailers of a request as they go on: without those that may hold a credential, on which
 * nobody was asked (RFC 9110 §6.5.1 lets them be left out). A text says what is malformed.
 */
export function trailersOf(fields: readonly HeaderField[]): readonly HeaderField[] | string {
  for (const { name, value } of fields) {
    if (name.startsWith(":")) return "a pseudo-header field in trailers"
    const wrong = badName(name)
    if (wrong !== null) return wrong
    if (headOnly.has(name)) return `the trailer "${name}"`
    if (badValue.test(value)) return "a trailer has control characters or outer white space"
  }
  return fields.filter((field) => tokenOf([field], "/") === "none")
}

/** The head or the trailers of a reply. */
export interface ReplyRead {
  /** 100 to 999; null for trailers. */
  readonly status: number | null
  /** One field at least must not reach the client: see isKept. */
  readonly cuts: boolean
}

/** RFC 9113 §8.3.2. A text says what is malformed. */
export function replyOf(fields: readonly HeaderField[], trailers: boolean): ReplyRead | string {
  const first = fields[0]
  let status: number | null = null
  if (!trailers) {
    if (first?.name !== ":status" || !/^[1-9]\d\d$/.test(first.value)) return "no :status"
    status = Number(first.value)
    // Why: it has no meaning in HTTP/2 (RFC 9113 §8.6).
    if (status === 101) return ":status is 101"
  }
  let cuts = false
  for (let index = trailers ? 0 : 1; index < fields.length; index++) {
    const { name, value } = fields[index] ?? { name: "", value: "" }
    if (!namePattern.test(name)) return "a field's name is no lower-case token"
    if (brokenValue.test(value)) return "a field's value has line ends"
    if (kinds.get(name) === "hop") return `the field "${name}"`
    if (name === "alt-svc") cuts = true
  }
  return { status, cuts }
}

/**
 * What of a reply goes on: all but the news of other ways to the same host, which would lead past
 * whoever reads this connection (RFC 7838).
 */
export function isKept({ name }: HeaderField): boolean {
  return name !== "alt-svc"
}
