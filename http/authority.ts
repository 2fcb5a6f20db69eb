/**
 * Where a request goes: its target, and the host that it names. Each has one reading, or is refused.
 * Pure.
 */
import { parseAddress } from "../net/address.ts"
import type { Address } from "../net/address.ts"
import { parseHostname } from "../net/hostname.ts"
import type { Hostname } from "../net/hostname.ts"
import { canonicalPath, scopedPath } from "../policies/path.ts"

export type Scheme = "http" | "https"

/** RFC 9110 §4.2.1, §4.2.2. */
export const defaultPorts: Readonly<Record<Scheme, number>> = { http: 80, https: 443 }

export interface Authority {
  /** null: none was named, or an address was. */
  readonly host: Hostname | null
  readonly address: Address | null
  /** null: the default port of the scheme was meant. */
  readonly port: number | null
}

const authorityPattern = /^(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z._-]{1,254})(?::([1-9]\d{0,4}))?$/
/** Nothing that could be an address, or a number that some take for one. */
const plainHost = /^(?:[0-9a-z][0-9a-z-]{0,62}\.){1,4}[a-z]{2,12}$/

/** `host[:port]`, nothing else: no userinfo, no list. null where it is none. */
export function authorityOf(text: string): Authority | null {
  // Why: one connection's requests are nearly all for one authority.
  if (text !== lastText) {
    lastAuthority = parsedAuthority(text)
    lastText = text
  }
  return lastAuthority
}

let lastText = ""
let lastAuthority: Authority | null = null

function parsedAuthority(text: string): Authority | null {
  const parts = authorityPattern.exec(text)
  if (parts === null) return null
  const [, name = "", digits] = parts
  const port = digits === undefined ? null : Number(digits)
  if (port !== null && port > 65_535) return null
  if (!plainHost.test(name)) {
    const address = parseAddress(name.startsWith("[") ? name.slice(1, -1) : name)
    if (name.startsWith("[") && (address === null || !address.includes(":"))) return null
    if (address !== null) return { host: null, address, port }
  }
  const host = parseHostname(name)
  return host === null ? null : { host, address: null, port }
}

/** Whether two name the same host and port. */
export function sameAuthority(one: Authority, other: Authority | null, scheme: Scheme): boolean {
  if (other === null || one.host !== other.host || one.address !== other.address) return false
  const port = defaultPorts[scheme]
  return (one.port ?? port) === (other.port ?? port)
}

/** As it stands in a Host field; "" for none. */
export function printAuthority({ host, address, port }: Authority): string {
  const name = host ?? (address?.includes(":") === true ? `[${address}]` : (address ?? ""))
  return port === null ? name : `${name}:${port}`
}

export interface Origin {
  /** Origin-form, or `*`. */
  readonly target: string
  /** Of the absolute form; null where it was not used. */
  readonly authority: Authority | null
}

/**
 * RFC 9112 §3.2: origin-form, absolute-form of the connection's own scheme, or `*` of OPTIONS; null
 * for anything else.
 */
export function originOf(target: string, method: string, scheme: Scheme): Origin | null {
  if (!targetPattern.test(target)) return null
  if (target.startsWith("/")) return { target, authority: null }
  if (target === "*") return method === "OPTIONS" ? { target, authority: null } : null
  const parts = /^(https?):\/\/([^/?]*)(.*)$/i.exec(target)
  if (parts === null) return null
  const [, named = "", name = "", rest = ""] = parts
  if (named.toLowerCase() !== scheme) return null
  const authority = authorityOf(name)
  if (authority === null) return null
  return { target: rest.startsWith("/") ? rest : `/${rest}`, authority }
}

/** Segments without anything that could be read in two ways: most paths are of such. */
const plainPath = /^(?:\/[0-9A-Za-z_~@-][0-9A-Za-z._~@-]*)+\/?$/

/** Without the query; null also for `%252e`, which is a dot to a server that decodes twice. */
export function pathOf(target: string): string | null {
  const query = target.indexOf("?")
  const path = query === -1 ? target : target.slice(0, query)
  if (path === "/") return path
  if (path.length < plainPathMax && plainPath.test(path)) return path
  if (/%25[0-9a-f]{2}/i.test(path)) return null
  return canonicalPath(scopedPath(path))
}

/** Longest path that is taken without a closer look, in characters. */
const plainPathMax = 1024

/** Methods have case (RFC 9110 §9.1), and some servers forget it: only upper case is taken. */
export const methodPattern = /^[A-Z][A-Z-]{0,31}$/

/** What a request target is made of. `#` never goes on the wire, and beyond ASCII a URI has nothing. */
export const targetPattern = /^[!"$-~]+$/

/** What makes a server take the request for one with another method or path. */
export const overriding: ReadonlySet<string> = new Set([
  "x-http-method-override",
  "x-http-method",
  "x-method-override",
  "x-original-url",
  "x-rewrite-url",
])
