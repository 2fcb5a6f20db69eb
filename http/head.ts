/**
 * The head of an HTTP/1 request: read strictly, so that it has one meaning only.
 *
 * What two servers could read differently is refused, never mended: bare line ends, folded fields,
 * two ways of framing, two hosts. What is taken is written anew from what was understood, so the
 * upstream cannot read anything else (RFC 9110, RFC 9112 §11). No I/O.
 */
import { parseAddress } from "../net/address.ts"
import type { Address } from "../net/address.ts"
import { parseHostname } from "../net/hostname.ts"
import type { Hostname } from "../net/hostname.ts"
import type { Reason } from "../flows/reason.ts"
import type { Token } from "../flows/flow.ts"
import { canonicalPath } from "../policies/path.ts"
import { tokenOf } from "./token.ts"

/** Longest head taken, in bytes. HAProxy and nginx end at 16 and 32 KiB, Node at 16 KiB. */
export const headBytesMax = 65_536
/** Most fields of a head. Apache takes 100 (LimitRequestFields), HAProxy 101. */
export const headFieldsMax = 200

/** How the body's end is known. */
export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" }

export interface Field {
  /** As the client spelled it: field names have no case. */
  readonly name: string
  readonly value: string
}

export interface Head {
  readonly method: string
  readonly version: "1.0" | "1.1"
  /** null: none was named (HTTP/1.0), or an address was. */
  readonly host: Hostname | null
  /** The address in place of a host name; null where there is none. */
  readonly address: Address | null
  /** null: the default port of the scheme was meant. */
  readonly port: number | null
  /** In origin-form, query included, as it goes on; `*` for OPTIONS. */
  readonly target: string
  /** Canonical, without the query; null: it has no one meaning, so that no path rule can be asked. */
  readonly path: string | null
  readonly framing: Framing
  readonly token: Token
  readonly fields: readonly Field[]
  /** The head's length in bytes, the empty line included. */
  readonly length: number
}

export type HeadRead = Head | { readonly broken: Reason }

/** Reads one head over any segmentation. Keeps positions, not bytes. */
export class HeadReader {
  /** Index of the next byte to look at. */
  #position = 0
  #lineStart = 0
  #lines = 0

  /**
   * The head, what is wrong with it, or null where more bytes are needed.
   *
   * @param bytes All bytes of the connection so far, the same ones as before and more.
   */
  read(bytes: Buffer): HeadRead | null {
    const end = Math.min(bytes.length, headBytesMax)
    while (this.#position < end) {
      const code = bytes[this.#position] ?? 0
      if (code === 10) {
        const length = this.#position - this.#lineStart
        if (length === 0 || bytes[this.#position - 1] !== 13) return { broken: "malformed" }
        this.#position++
        if (length === 1) {
          return this.#lines === 0 ? { broken: "malformed" } : headOf(bytes, this.#position)
        }
        this.#lineStart = this.#position
        if (++this.#lines > headFieldsMax + 1) return { broken: "limit-exceeded" }
        continue
      }
      if (isRefused(code, this.#position === this.#lineStart)) return { broken: "malformed" }
      // Why: a CR that no LF follows ends a line for some servers.
      if (this.#position > this.#lineStart && bytes[this.#position - 1] === 13) {
        return { broken: "malformed" }
      }
      this.#position++
    }
    return end === headBytesMax ? { broken: "limit-exceeded" } : null
  }
}

/** Control characters anywhere (CR is judged with what follows); white space at a line's start. */
function isRefused(code: number, first: boolean): boolean {
  if (first && (code === 32 || code === 9)) return true
  return (code < 32 && code !== 9 && code !== 13) || code === 127
}

/** RFC 9110 §5.6.2. */
const tokenPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** Methods have case (RFC 9110 §9.1), and some servers forget it: only upper case is taken. */
const methodPattern = /^[A-Z][A-Z-]{0,31}$/

function headOf(bytes: Buffer, length: number): HeadRead {
  // Why: latin1 keeps each byte as one character, so that the text can be written back unchanged.
  const lines = bytes.toString("latin1", 0, length - 4).split("\r\n")
  const [method = "", target = "", version = "", ...more] = (lines[0] ?? "").split(" ")
  if (method === "PRI") return { broken: "unsupported-protocol" }
  if (more.length > 0 || !methodPattern.test(method)) return { broken: "malformed" }
  if (version !== "HTTP/1.1" && version !== "HTTP/1.0") return { broken: "malformed" }
  const fields: Field[] = []
  for (let index = 1; index < lines.length; index++) {
    const field = fieldOf(lines[index] ?? "")
    if (field === null) return { broken: "malformed" }
    fields.push(field)
  }
  // Why: TRACE shows a client its own credentials, CONNECT makes a tunnel that nobody looks into.
  if (method === "CONNECT" || method === "TRACE") return { broken: "method-not-allowed" }
  return understood(method, target, version === "HTTP/1.1" ? "1.1" : "1.0", fields, length)
}

/** null: no field (RFC 9112 §5). White space before the colon makes the name no token. */
function fieldOf(line: string): Field | null {
  const colon = line.indexOf(":")
  if (colon < 1) return null
  const name = line.slice(0, colon)
  if (!tokenPattern.test(name)) return null
  // Why: some servers take `_` for `-`, and so a second Content-Length that no reader here saw.
  if (name.includes("_") && decisive.has(name.toLowerCase().replaceAll("_", "-"))) return null
  return { name, value: trimmed(line.slice(colon + 1)) }
}

/** Without spaces and tabs at both ends (OWS, RFC 9110 §5.6.3). */
function trimmed(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && (text[from] === " " || text[from] === "\t")) from++
  while (to > from && (text[to - 1] === " " || text[to - 1] === "\t")) to--
  return text.slice(from, to)
}

/** Fields that say where a request goes and where it ends. */
const decisive = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "upgrade",
  "te",
  "trailer",
  "expect",
])

/** What makes a server take the request for one with another method or path. */
const overriding = new Set([
  "x-http-method-override",
  "x-http-method",
  "x-method-override",
  "x-original-url",
  "x-rewrite-url",
])

function understood(
  method: string,
  target: string,
  version: Head["version"],
  fields: readonly Field[],
  length: number,
): HeadRead {
  const decisiveFields = new Map<string, string>()
  let overridden = false
  for (const { name, value } of fields) {
    const key = name.toLowerCase()
    if (overriding.has(key)) overridden = true
    if (!decisive.has(key)) continue
    const before = decisiveFields.get(key)
    // Why: lists of tokens may stand in several lines (RFC 9110 §5.3); the others have one value.
    if (before !== undefined && !listed.has(key)) return { broken: "malformed" }
    decisiveFields.set(key, before === undefined ? value : `${before},${value}`)
  }
  const framing = framingOf(decisiveFields, version)
  const authority = authorityOf(decisiveFields.get("host"))
  const origin = originOf(target, method)
  if (framing === null || authority === null || origin === null) return { broken: "malformed" }
  if (version === "1.1" && authority.text === null) return { broken: "malformed" }
  if (origin.authority !== null && !sameAuthority(origin.authority, authority)) {
    return { broken: "host-mismatch" }
  }
  const refused = hopsRefused(decisiveFields)
  if (refused !== null) return { broken: refused }
  return {
    method,
    version,
    host: authority.host,
    address: authority.address,
    port: authority.port,
    target: origin.target,
    path: overridden ? null : pathOf(origin.target),
    framing,
    token: tokenOf(fields, origin.target),
    fields,
    length,
  }
}

const listed = new Set(["connection", "te", "trailer"])

/** RFC 9112 §6.3, without its lenient ways; null where the end of the body could be disputed. */
function framingOf(fields: ReadonlyMap<string, string>, version: string): Framing | null {
  const coding = fields.get("transfer-encoding")
  const length = fields.get("content-length")
  if (coding !== undefined) {
    const plain = coding.toLowerCase() === "chunked" && version === "1.1" && length === undefined
    return plain ? { kind: "chunked" } : null
  }
  if (length === undefined) return { kind: "none" }
  // Why: fifteen digits stay exact in a number.
  if (!/^(?:0|[1-9]\d{0,14})$/.test(length)) return null
  return length === "0" ? { kind: "none" } : { kind: "length", bytes: Number(length) }
}

interface Authority {
  /** null: no Host field. */
  readonly text: string | null
  readonly host: Hostname | null
  readonly address: Address | null
  readonly port: number | null
}

/** `host[:port]`, nothing else: no userinfo, no list. null where it is none. */
function authorityOf(text: string | undefined): Authority | null {
  if (text === undefined) return { text: null, host: null, address: null, port: null }
  const parts = /^(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z._-]{1,254})(?::([1-9]\d{0,4}))?$/.exec(text)
  if (parts === null) return null
  const [, name = "", digits] = parts
  const port = digits === undefined ? null : Number(digits)
  if (port !== null && port > 65_535) return null
  const address = parseAddress(name.startsWith("[") ? name.slice(1, -1) : name)
  if (name.startsWith("[") && (address === null || !address.includes(":"))) return null
  if (address !== null) return { text, host: null, address, port }
  const host = parseHostname(name)
  return host === null ? null : { text, host, address: null, port }
}

function sameAuthority(one: Authority, other: Authority): boolean {
  if (one.host !== other.host || one.address !== other.address) return false
  return (one.port ?? httpPort) === (other.port ?? httpPort)
}

const httpPort = 80

interface Origin {
  /** Origin-form, or `*`. */
  readonly target: string
  /** Of the absolute form; null where it was not used. */
  readonly authority: Authority | null
}

/** RFC 9112 §3.2: origin-form, absolute-form of http, or `*` of OPTIONS; null for anything else. */
function originOf(target: string, method: string): Origin | null {
  // Why: `#` never goes on the wire, and beyond ASCII a URI has no characters.
  if (!/^[!"$-~]+$/.test(target)) return null
  if (target.startsWith("/")) return { target, authority: null }
  if (target === "*") return method === "OPTIONS" ? { target, authority: null } : null
  const parts = /^http:\/\/([^/?]*)(.*)$/i.exec(target)
  if (parts === null) return null
  const [, name = "", rest = ""] = parts
  const authority = authorityOf(name)
  if (authority === null) return null
  return { target: rest.startsWith("/") ? rest : `/${rest}`, authority }
}

/** Without the query; null also for `%252e`, which is a dot to a server that decodes twice. */
function pathOf(target: string): string | null {
  const path = target.split("?", 1)[0] ?? ""
  return /%25[0-9a-f]{2}/i.test(path) ? null : canonicalPath(path)
}

/** Hop-by-hop fields that would change what the connection is (RFC 9110 §7.6.1, §7.8). */
function hopsRefused(fields: ReadonlyMap<string, string>): Reason | null {
  const upgrade = fields.get("upgrade")
  // Why: h2c may be left out, which clients that offer it on every request (Java) rely on; a
  // WebSocket may not, its client would wait for an answer that never comes.
  if (upgrade !== undefined && upgrade.toLowerCase() !== "h2c") return "unsupported-protocol"
  const expect = fields.get("expect")
  if (expect !== undefined && expect.toLowerCase() !== "100-continue") return "malformed"
  for (const name of namesIn(fields.get("connection"))) {
    // Why: who has the Host or the framing taken out makes two requests of one.
    if (name === "" || !tokenPattern.test(name)) return "malformed"
    if (decisive.has(name) && !hopByHop.has(name)) return "malformed"
  }
  return null
}

function namesIn(value: string | undefined): readonly string[] {
  if (value === undefined || value === "") return []
  return value.split(",").map((name) => trimmed(name).toLowerCase())
}

const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "upgrade",
  "http2-settings",
])

/** The head as it goes to the upstream: written anew, for this one request. Latin-1 bytes. */
export function forwardedHead(head: Head): Buffer {
  const dropped = new Set(hopByHop)
  for (const { name, value } of head.fields) {
    if (name.toLowerCase() === "connection") for (const hop of namesIn(value)) dropped.add(hop)
  }
  let text = `${head.method} ${head.target} HTTP/${head.version}\r\n`
  for (const { name, value } of head.fields) {
    const key = name.toLowerCase()
    if (dropped.has(key)) continue
    text += key === "host" ? `Host: ${hostField(head)}\r\n` : `${name}: ${value}\r\n`
  }
  return Buffer.from(`${text}Connection: close\r\n\r\n`, "latin1")
}

function hostField({ host, address, port }: Head): string {
  const name = host ?? (address?.includes(":") === true ? `[${address}]` : (address ?? ""))
  return port === null ? name : `${name}:${port}`
}
