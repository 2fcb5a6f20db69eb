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
  pathOf,
  sameAuthority,
  targetPattern,
} from "./authority.ts"
import { fieldBytesMax, writeField } from "./hpack-writer.ts"
import type { RequestHead } from "./request.ts"
import { marks } from "./header-field.ts"
import type { HeaderField } from "./header-field.ts"
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

/** Fields that no trailer may hold, because they say what the request is (RFC 9110 §6.5.1). */
const headOnly: ReadonlySet<string> = new Set([
  "trailer",
  "content-encoding",
  "content-type",
  "content-range",
  "range",
])
const lengthPattern = /^(?:0|[1-9]\d{0,14})$/

interface Pseudo {
  method: string | null
  scheme: string | null
  authority: string | null
  path: string | null
}

/** Takes a pseudo-header field (RFC 9113 §8.3.1); gives what is wrong with it, or null. */
function takePseudo(pseudo: Pseudo, name: string, value: string): string | null {
  let before: string | null
  switch (name) {
    case ":method":
      before = pseudo.method
      pseudo.method = value
      break
    case ":scheme":
      before = pseudo.scheme
      pseudo.scheme = value
      break
    case ":authority":
      before = pseudo.authority
      pseudo.authority = value
      break
    case ":path":
      before = pseudo.path
      pseudo.path = value
      break
    case ":protocol":
      return "extended CONNECT"
    default:
      return "a pseudo-header field that requests have not"
  }
  return before === null ? null : `${name} twice`
}

/** What the regular fields say beside themselves. */
interface Sayings {
  host: string | null
  bodyBytes: number | null
  expect: string | null
  overridden: boolean
  te: boolean
}

/** What is wrong with a field of the client's, or null. */
function flawOf({ name, marks: found }: HeaderField): string | null {
  if ((found & marks.badName) !== 0) return "a field's name is no lower-case token"
  if ((found & marks.hop) !== 0) return `the field "${name}"`
  if ((found & marks.badValue) === 0) return null
  return "a field's value has control characters or outer white space"
}

/** Takes a decisive field; gives what is wrong with it, or null. */
function takeDecisive(said: Sayings, name: string, value: string): string | null {
  switch (name) {
    case "te":
      if (value !== "trailers" || said.te) return "te other than trailers"
      said.te = true
      return null
    case "content-length":
      if (said.bodyBytes !== null) return "content-length twice"
      // Why: fifteen digits stay exact in a number.
      if (!lengthPattern.test(value)) return "content-length is no number"
      said.bodyBytes = Number(value)
      return null
    case "host":
      if (said.host !== null) return "host twice"
      said.host = value
      return null
    case "expect":
      if (said.expect !== null) return "expect twice"
      said.expect = value
      return null
    default:
      said.overridden = true
      return null
  }
}

/** @param fields As decoded. */
export function requestOf(fields: readonly HeaderField[]): RequestRead {
  const pseudo: Pseudo = { method: null, scheme: null, authority: null, path: null }
  const said: Sayings = { host: null, bodyBytes: null, expect: null, overridden: false, te: false }
  const regular: HeaderField[] = []
  for (const field of fields) {
    if (field.marks === 0) {
      regular.push(field)
      continue
    }
    const wrong = flawOf(field) ?? takeMarked(pseudo, said, field, regular)
    if (wrong !== null) return malformed(wrong)
  }
  return understood(pseudo, said, regular)
}

/** Takes a field that is more than a field; gives what is wrong with it, or null. */
function takeMarked(
  pseudo: Pseudo,
  said: Sayings,
  field: HeaderField,
  regular: HeaderField[],
): string | null {
  const { name, value, marks: found } = field
  if ((found & marks.pseudo) !== 0) {
    return regular.length > 0 || said.host !== null ? lateField : takePseudo(pseudo, name, value)
  }
  // Why: what Host says, `:authority` says.
  if (name !== "host") regular.push(field)
  return (found & marks.decisive) === 0 ? null : takeDecisive(said, name, value)
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
  for (const field of fields) {
    const { name, marks: found } = field
    if ((found & marks.pseudo) !== 0) return "a pseudo-header field in trailers"
    const wrong = flawOf(field)
    if (wrong !== null) return wrong
    if ((found & marks.decisive) !== 0 || headOnly.has(name)) return `the trailer "${name}"`
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
  let all = 0
  for (let index = trailers ? 0 : 1; index < fields.length; index++) {
    all |= fields[index]?.marks ?? 0
  }
  if ((all & (marks.badName | marks.pseudo)) !== 0) return "a field's name is no lower-case token"
  if ((all & marks.brokenValue) !== 0) return "a field's value has line ends"
  if ((all & marks.hop) !== 0) return "a field of a connection"
  return { status, cuts: (all & marks.otherWays) !== 0 }
}

/**
 * What of a reply goes on: all but the news of other ways to the same host, which would lead past
 * whoever reads this connection (RFC 7838).
 */
export function isKept(field: HeaderField): boolean {
  return (field.marks & marks.otherWays) === 0
}
