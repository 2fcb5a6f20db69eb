/**
 * Fields of heads: their lines, their names, and which of them are for one hop only. Pure.
 */
import type { Field } from "./request.ts"

/** RFC 9110 §5.6.2. */
const tokenPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** Whether a text is a token: a name of a field, or of a connection's option. */
export function isToken(text: string): boolean {
  return tokenPattern.test(text)
}

/** Fields that say where a message goes, where it ends, and what becomes of the connection. */
export const decisive: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "upgrade",
  "te",
  "trailer",
  "expect",
])

/** Fields for one hop, whether or not `Connection` names them (RFC 9110 §7.6.1). */
export const hopByHop: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authorization",
  "proxy-authenticate",
  "proxy-authentication-info",
  "te",
  "upgrade",
  "http2-settings",
])

/** Names that come often, in the two spellings in which they come: their lower case needs no work. */
const usualNames = new Map<string, string>(
  [
    ...decisive,
    ...hopByHop,
    ..."accept accept-charset accept-encoding accept-language accept-ranges age".split(" "),
    ..."authorization cache-control content-disposition content-encoding".split(" "),
    ..."content-security-policy content-type cookie date etag expires if-modified-since".split(" "),
    ..."if-none-match last-modified link location npm-command npm-session origin".split(" "),
    ..."pacote-integrity pacote-pkg-id pacote-req-type pacote-version pragma range".split(" "),
    ..."referer sec-fetch-dest sec-fetch-mode sec-fetch-site server set-cookie".split(" "),
    ..."strict-transport-security user-agent vary via x-cache x-content-type-options".split(" "),
  ].flatMap((name) => [
    [name, name],
    [titled(name), name],
  ]),
)

function titled(name: string): string {
  return name.replaceAll(/(?<![a-z])[a-z]/g, (letter) => letter.toUpperCase())
}

/** A field's name in lower case; null where it is no token. */
export function keyOf(name: string): string | null {
  return usualNames.get(name) ?? (tokenPattern.test(name) ? name.toLowerCase() : null)
}

/** Without spaces and tabs at both ends (OWS, RFC 9110 §5.6.3). */
export function trimmed(text: string, from = 0, to: number = text.length): string {
  let first = from
  let end = to
  while (first < end && isWhite(text.charCodeAt(first))) first++
  while (end > first && isWhite(text.charCodeAt(end - 1))) end--
  return text.slice(first, end)
}

function isWhite(code: number): boolean {
  return code === 32 || code === 9
}

/** The names in a list, in lower case (RFC 9110 §5.6.1); empty ones too. */
export function namesIn(list: string | null): readonly string[] {
  if (list === null || list === "") return []
  return list.split(",").map((name) => trimmed(name).toLowerCase())
}

/** A line of a head or of trailers, as it goes on. */
export function fieldLine({ name, value }: Field): string {
  return `${name}: ${value}\r\n`
}
