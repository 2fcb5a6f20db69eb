/**
 * The smallest line of policy that would allow what was denied. Pure.
 *
 * Nothing is suggested where no line is right: where a deny rule decided, where the parts of a
 * connection contradict each other, where a limit was met, and where the name is no real one any
 * more because a token was cut out of it.
 *
 * A request is named with method and path; a request for a WebSocket has the method `WEBSOCKET`.
 */
import { parseAddress } from "../net/address.ts"
import { parseHostname } from "../net/hostname.ts"
import type { Reason } from "../flows/reason.ts"
import { canonicalPath, scopedPath } from "../policies/path.ts"

/** What was denied, as far as a rule can name it. */
export interface Denied {
  readonly reason: Reason
  /** null: known by its address alone. */
  readonly host: string | null
  readonly address: string | null
  /** null: a name that was only looked up, or a protocol without ports. */
  readonly port: number | null
  /** `tcp`, `udp`, `icmp`, `icmpv6`, or the number of a protocol. */
  readonly transport: string
  /** The client did not accept Sluice's certificate: it has to be left alone, or given up. */
  readonly certificateRefused?: boolean
  /** Of a request inside the connection; null: the connection itself was denied. */
  readonly request: {
    readonly scheme: string
    readonly method: string
    readonly path: string
  } | null
}

const byName: readonly Reason[] = [
  "not-allowed",
  "name-not-allowed",
  "port-not-allowed",
  "address-not-allowed",
]
const byAddress: readonly Reason[] = [...byName, "missing-server-name", "private-address"]
const byRequest: readonly Reason[] = ["not-allowed", "method-not-allowed", "path-not-allowed"]

/**
 * A rule in its short form, as it stands after `--allow` or in a list of `allow:`; or a whole line of
 * policy, `resolve-private: [HOST]` or `opaque: [HOST]`; null: none is right.
 */
export function suggest(denied: Denied): string | null {
  if (denied.certificateRefused === true) {
    const { host } = denied
    return host !== null && parseHostname(host) === host ? `opaque: [${host}]` : null
  }
  if (denied.request !== null && denied.host !== null) return requestLine(denied)
  const { host, reason, transport } = denied
  if (host !== null && reason === "private-address") {
    return parseHostname(host) === host ? `resolve-private: [${host}]` : null
  }
  if (host !== null && byName.includes(reason)) {
    if (parseHostname(host) !== host) return null
    return transport.startsWith("icmp")
      ? `icmp://${host}`
      : `${host}${ending(denied.port, transport)}`
  }
  return byAddress.includes(reason) ? addressLine(denied) : null
}

function addressLine({ address, port, transport }: Denied): string | null {
  if (address === null || parseAddress(address) === null) return null
  if (transport.startsWith("icmp")) return `icmp://${address}`
  if (transport !== "tcp" && transport !== "udp") return null
  const end = ending(port, transport)
  return end.startsWith(":") && address.includes(":") ? `[${address}]${end}` : `${address}${end}`
}

function requestLine({ host, port, reason, request }: Denied): string | null {
  if (request === null || host === null || !byRequest.includes(reason)) return null
  // Why canonical: what has no one meaning, or was cut, would be an error in a policy.
  const path = canonicalPath(scopedPath(pathOf(request.path)))
  if (parseHostname(host) !== host || path === null || path.includes("*")) return null
  const usual = request.scheme === "http" ? 80 : 443
  const where = port === null || port === usual ? host : `${host}:${port}`
  return `${request.method} ${request.scheme}://${where}${path}`
}

/** A rule names no query. */
function pathOf(path: string): string {
  return path.split("?")[0] ?? path
}

function ending(port: number | null, transport: string): string {
  if (transport === "udp") return `:${port ?? "*"}/udp`
  return port === null || port === 443 ? "" : `:${port}`
}
