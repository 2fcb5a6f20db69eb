/** Which version of HTTP is spoken inside TLS, by ALPN (RFC 7301). Pure. */

export type Protocol = "h2" | "http/1.1"

/** In the order in which we like them. */
const spoken: readonly Protocol[] = ["h2", "http/1.1"]

/**
 * What of a client's offer can be read here; empty where it offered nothing, and HTTP/1.1 is meant.
 * null: it offers protocols, and none that can be read.
 */
export function offer(protocols: readonly string[]): readonly Protocol[] | null {
  const known = spoken.filter((protocol) => protocols.includes(protocol))
  return known.length === 0 && protocols.length > 0 ? null : known
}
