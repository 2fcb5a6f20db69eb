/**
 * Whom a request is for, and which path it asks for: one meaning, or none. Pure, and the same for
 * each version of HTTP.
 */
import { parseAddress } from "../net/address.ts"
import type { Address } from "../net/address.ts"
import { parseHostname } from "../net/hostname.ts"
import type { Hostname } from "../net/hostname.ts"
import { canonicalPath } from "../policies/path.ts"

export interface Authority {
  /** null: an address was named. */
  readonly host: Hostname | null
  /** The address in place of a host name; null where there is none. */
  readonly address: Address | null
  /** null: the default port of the scheme is meant. */
  readonly port: number | null
}

/** `host[:port]`, nothing else: no userinfo, no list. null where it is none. */
export function authorityOf(text: string): Authority | null {
  const parts = /^(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z._-]{1,254})(?::([1-9]\d{0,4}))?$/.exec(text)
  if (parts === null) return null
  const [, name = "", digits] = parts
  const port = digits === undefined ? null : Number(digits)
  if (port !== null && port > 65_535) return null
  const address = parseAddress(name.startsWith("[") ? name.slice(1, -1) : name)
  if (name.startsWith("[") && (address === null || !address.includes(":"))) return null
  if (address !== null) return { host: null, address, port }
  const host = parseHostname(name)
  return host === null ? null : { host, address: null, port }
}

/** @param defaultPort The one of the scheme. */
export function sameAuthority(one: Authority, other: Authority, defaultPort: number): boolean {
  if (one.host !== other.host || one.address !== other.address) return false
  return (one.port ?? defaultPort) === (other.port ?? defaultPort)
}

/** As it goes on: canonical. */
export function authorityText({ host, address, port }: Authority): string {
  const name = host ?? (address?.includes(":") === true ? `[${address}]` : (address ?? ""))
  return port === null ? name : `${name}:${port}`
}

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

/**
 * The canonical path of a target in origin-form, without the query. null: it has no one meaning.
 * That is so for `%252e` too, which is a dot to a server that decodes twice.
 */
export function pathOf(target: string): string | null {
  const query = target.indexOf("?")
  const path = query === -1 ? target : target.slice(0, query)
  return /%25[0-9a-f]{2}/i.test(path) ? null : canonicalPath(path)
}
