/** An address and a port: one end of a connection. */
import { parseAddress } from "./address.ts"
import type { Address } from "./address.ts"

export interface Endpoint {
  readonly address: Address
  /** 0 to 65535. */
  readonly port: number
}

/** `192.0.2.1:443`, `[2001:db8::1]:443`. */
export function printEndpoint({ address, port }: Endpoint): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
}

/** 0 to 65535 in decimal, without leading zeros; null for any other text. */
export function parsePort(text: string): number | null {
  if (!/^(?:0|[1-9]\d{0,4})$/.test(text)) return null
  const port = Number(text)
  return port <= 65_535 ? port : null
}

/**
 * `192.0.2.1:443` or `[2001:db8::1]:443`; with a default port also the address alone, IPv6 with or
 * without brackets. null where the text is none of these.
 */
export function parseEndpoint(text: string, defaultPort: number | null = null): Endpoint | null {
  const bare = parseAddress(text)
  if (bare !== null) return defaultPort === null ? null : { address: bare, port: defaultPort }
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d+))?$/.exec(text)
  if (match === null) return null
  const [, inner, plain, digits] = match
  const address = parseAddress(inner ?? plain ?? "")
  if (address === null || (inner !== undefined) !== address.includes(":")) return null
  const port = digits === undefined ? defaultPort : parsePort(digits)
  return port === null ? null : { address, port }
}
