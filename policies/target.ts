/** The short form of a rule: text → target, or what is wrong with it and what would be right. */
import { parseAddress, parsePrefix, prefixOf, printPrefix } from "../net/address.ts"
import { parsePort } from "../net/endpoint.ts"
import { parsePattern } from "../net/hostname.ts"
import type { Prefix } from "../net/address.ts"
import type { Pattern } from "../net/hostname.ts"
import type { Transport } from "../flows/flow.ts"
import { canonicalPath, scopedPath } from "./path.ts"
import type { Ports, Target } from "./policy.ts"

/** `<state now>, must be <state wanted>`. */
export interface Fault {
  readonly fault: string
}

export const anyPort: Ports = { first: 1, last: 65_535 }

/** Longer than any host and path that a rule could want, in characters. */
const ruleLengthMax = 4096

const forms =
  "HOST[:PORT][/tcp|/udp], ADDRESS[/PREFIX][:PORT][/tcp|/udp], [METHODS ]https://HOST[:PORT]/PATH or icmp://HOST"

/** What a rule is about. */
export function parseTarget(written: string): Target | Fault {
  const text = written.trim()
  if (text === "") return { fault: `is empty, must be ${forms}` }
  if (text.length > ruleLengthMax) {
    return { fault: `is ${text.length} characters, must be ${ruleLengthMax} at most` }
  }
  if (/[\p{Cc}\p{Cf}]/u.test(text)) {
    return { fault: "has an invisible character in it, must be without" }
  }
  const match = /^(?:(\S+(?:\s*,\s*\S+)*)\s+)?([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(text)
  if (match !== null) {
    const [, methods = null, scheme = "", rest = ""] = match
    return parseUrl(methods, scheme.toLowerCase(), rest)
  }
  if (/\s/.test(text)) return { fault: `has a space in it, must be ${forms}` }
  return parsePlain(text)
}

function parseUrl(methods: string | null, scheme: string, rest: string): Target | Fault {
  if (scheme === "icmp") {
    if (methods !== null) return { fault: "has methods before icmp://, must be icmp://HOST" }
    return parseIcmp(rest)
  }
  if (scheme !== "https" && scheme !== "http") {
    if (scheme === "wss" || scheme === "ws") {
      const url = `http${scheme.slice(2)}://${rest.includes("/") ? rest : `${rest}/**`}`
      return { fault: `begins with ${scheme}://, must be \`WEBSOCKET ${url}\`` }
    }
    const [place = ""] = rest.split("/")
    const udp = scheme === "udp" ? "/udp" : ""
    return { fault: `begins with ${scheme}://, must be \`${place}${udp}\` (HOST:PORT[/tcp|/udp])` }
  }
  const list = methods === null ? null : parseMethods(methods)
  if (list !== null && "fault" in list) return list
  const slash = rest.indexOf("/")
  if (slash === -1) {
    const whole = scheme === "http" && !rest.includes(":") ? `${rest}:80` : rest
    const wanted = `\`${scheme}://${rest}/**\` (every request) or \`${whole}\` (the whole host)`
    return { fault: `has no path, must be ${wanted}` }
  }
  const path = parsePath(rest.slice(slash))
  if (typeof path !== "string") return path
  const place = splitPort(rest.slice(0, slash), scheme === "https" ? 443 : 80)
  if ("fault" in place) return place
  const host = place.bracketed ? null : parsePattern(place.host)
  if (host === null) return hostFault(place.host)
  return { kind: "request", scheme, methods: list, host, ports: place.ports, path }
}

function parseMethods(text: string): string[] | Fault {
  const methods = text.split(",").map((method) => method.trim())
  const odd = methods.find((method) => !/^[A-Z][A-Z_-]{0,31}$/.test(method))
  if (odd === undefined) return [...new Set(methods)]
  if (odd === "*")
    return { fault: "has * for methods, must be without methods (that is any method)" }
  return {
    fault: `has "${odd}" for a method, must be METHODS in upper case, separated by commas: \`GET,HEAD https://…\``,
  }
}

function parsePath(text: string): string | Fault {
  const end = text.search(/[?#]/)
  if (end !== -1) {
    return { fault: `has a query or fragment, must be a path alone: \`${text.slice(0, end)}\`` }
  }
  const path = canonicalPath(scopedPath(text))
  if (path === null) {
    return {
      fault: `has the path "${text}", must be a canonical path: no dot segments, no encoded dots or slashes, no spaces, valid percent-encoding`,
    }
  }
  const odd = path.split("/").find((segment) => segment !== "**" && segment.includes("**"))
  if (odd === undefined) return path
  return { fault: `has ** inside the segment "${odd}", must be a segment of its own, or *` }
}

function parseIcmp(rest: string): Target | Fault {
  const text = rest.startsWith("[") && rest.endsWith("]") ? rest.slice(1, -1) : rest
  const prefix = parsePrefix(text)
  if (prefix !== null) return { kind: "icmp", to: prefix }
  if (rest.includes(":")) {
    return { fault: "has a port, must be icmp://HOST (ICMP has no ports)" }
  }
  const host = parsePattern(rest)
  return host === null ? hostFault(rest) : { kind: "icmp", to: host }
}

/** `HOST…` and `ADDRESS…`. */
function parsePlain(text: string): Target | Fault {
  const match = /^(.*?)(?:\/(tcp|udp))?$/i.exec(text)
  const transport = (match?.[2]?.toLowerCase() ?? "tcp") as Transport
  const body = match?.[1] ?? ""
  const whole = parsePrefix(body)
  if (whole !== null) {
    return { kind: "address", prefix: whole, ports: { first: 443, last: 443 }, transport }
  }
  const place = splitPort(body, 443)
  if ("fault" in place) return place
  const prefix = parsePrefix(place.host)
  if (prefix !== null && place.bracketed === prefix.address.includes(":")) {
    return { kind: "address", prefix, ports: place.ports, transport }
  }
  const host = place.bracketed ? null : parsePattern(place.host)
  if (host === null) return hostFault(place.host)
  return { kind: "host", host, ports: place.ports, transport }
}

interface Place {
  readonly host: string
  /** Whether it stood in brackets. */
  readonly bracketed: boolean
  readonly ports: Ports
}

function splitPort(text: string, defaultPort: number): Place | Fault {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(text)
  if (match === null) {
    return text.includes(":") && /^[0-9a-f:.*[\]/]+$/i.test(text)
      ? { fault: "has an IPv6 address, must be in brackets before a port: `[2001:db8::/32]:443`" }
      : { fault: `has more than one colon, must be ${forms}` }
  }
  const [, inner, plain, tail] = match
  const ports = tail === undefined ? { first: defaultPort, last: defaultPort } : parsePorts(tail)
  if ("fault" in ports) return ports
  return { host: inner ?? plain ?? "", bracketed: inner !== undefined, ports }
}

/** `443`, `8000-8999`, `*`. */
export function parsePorts(text: string): Ports | Fault {
  if (text === "*") return anyPort
  const [first = "", last = first, ...more] = text.split("-")
  const ports = { first: parsePort(first) ?? 0, last: parsePort(last) ?? 0 }
  if (more.length > 0 || ports.first === 0 || ports.last === 0) {
    return { fault: `has "${text}" for a port, must be 1 to 65535, FIRST-LAST, or *` }
  }
  if (ports.first > ports.last) {
    return { fault: `has the ports ${text}, must be ${last}-${first} (smaller first)` }
  }
  return ports
}

function hostFault(text: string): Fault {
  const [head = "", tail = ""] = text.split("/")
  const address = parseAddress(head)
  if (address !== null && /^\d{1,3}$/.test(tail)) {
    const width = address.includes(":") ? 128 : 32
    if (Number(tail) > width) {
      return { fault: `has a prefix of /${tail}, must be /0 to /${width}` }
    }
    const meant = printPrefix(prefixOf(address, Number(tail)))
    return { fault: `has address bits after its prefix, must be ${meant} (or ${address} alone)` }
  }
  if (address !== null) return { fault: "is an address in a place for a host, must be a host name" }
  if (text.includes("@")) return { fault: "has a user name in it, must be a host alone" }
  if (text.endsWith("/") && !head.includes("/") && tail === "") {
    return { fault: `ends with a slash, must be \`${head}\` or \`https://${head}/**\`` }
  }
  if (text.includes("/") && parsePattern(head) !== null) {
    return { fault: `has a path, must be a request rule: \`https://${text}\` (or \`…/**\`)` }
  }
  if (/^[0-9a-fx.]*$/i.test(text) && /(?:^|\.)(?:\d+|0x[0-9a-f]*)\.?$/i.test(text)) {
    return { fault: "is an odd spelling of an address, must be four decimal numbers: `192.0.2.1`" }
  }
  if (text.includes("*")) {
    return {
      fault: `has the pattern "${text}", must have * as a whole label or inside the first, ** only as the first label`,
    }
  }
  return {
    fault: `has the host "${text}", must be labels of letters, digits, hyphen and underscore (63 each, 253 in all), a pattern over them, or an address`,
  }
}

/** The short form of a target; parseTarget of it gives the same target. */
export function printTarget(target: Target): string {
  if (target.kind === "icmp") {
    return `icmp://${"pattern" in target.to ? target.to.pattern : printPrefix(target.to)}`
  }
  if (target.kind === "request") {
    const methods = target.methods === null ? "" : `${target.methods.join(",")} `
    const ports = printPorts(target.ports, target.scheme === "https" ? 443 : 80)
    return `${methods}${target.scheme}://${target.host.pattern}${ports}${target.path}`
  }
  const tail = target.transport === "udp" ? "/udp" : ""
  const ports = printPorts(target.ports, 443)
  if (target.kind === "host") return `${target.host.pattern}${ports}${tail}`
  return `${printPlace(target.prefix, ports)}${ports}${tail}`
}

function printPlace(prefix: Prefix, ports: string): string {
  const text = printPrefix(prefix)
  return ports !== "" && text.includes(":") ? `[${text}]` : text
}

function printPorts({ first, last }: Ports, defaultPort: number): string {
  if (first === anyPort.first && last === anyPort.last) return ":*"
  if (first !== last) return `:${first}-${last}`
  return first === defaultPort ? "" : `:${first}`
}

/** The hosts that a target is about; null where it is about addresses. */
export function hostOf(target: Target): Pattern | null {
  if (target.kind === "address") return null
  if (target.kind === "icmp") return "pattern" in target.to ? target.to : null
  return target.host
}
