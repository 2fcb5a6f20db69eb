/**
 * Requests in HTTP/1.1 that somebody could read in two ways, or that are not what a rule allows: rows
 * 41 to 47, 51 and 53 as a table. The rules are those of oddRules(): GET and POST below /ok.
 *
 * In `says`: {w} is the canary, {h} the host with its port, {e} another, {s} the scheme.
 */
import type { Reason } from "../../flows/reason.ts"
import { inline, type Try } from "./requests.ts"

export interface OddRequest {
  readonly row: number
  readonly what: string
  readonly says: string
  readonly reason: Reason | readonly Reason[] | null
  /** Of the answer that the client gets; default: the one that belongs to the reason; null: any. */
  readonly status?: number | null
  readonly noAudit?: string
  readonly noWhole?: string
  /** Only where TLS is opened, or only without TLS. */
  readonly only?: "http" | "https"
}

const canaryLength = 22
const h = "Host: {h}\r\n"
/** A request to a path that is not allowed: what is to be smuggled. */
const hidden = `GET /evil/{w} HTTP/1.1\r\n${h}\r\n`

/** A request whose body is `body`, by the length that a reader of Content-Length sees. */
const post = (fields: string, body: string): string =>
  `POST /ok/x HTTP/1.1\r\n${h}${fields}\r\n${body}`
const get = (path: string, fields = h, method = "GET"): string =>
  `${method} ${path} HTTP/1.1\r\n${fields}\r\n`

type Row = readonly [what: string, says: string, reason?: Reason, more?: Partial<OddRequest>]

const rows = (row: number, reason: Reason, list: readonly Row[]): OddRequest[] =>
  list.map(([what, says, own, more]) => ({ row, what, says, reason: own ?? reason, ...more }))

const targets = rows(41, "malformed", [
  ["an absolute target of another host", get("{s}://evil.test/ok/{w}"), "host-mismatch"],
  [
    "an absolute target of the allowed host, and another Host",
    get("{s}://{h}/ok/{w}", "Host: evil.test\r\n"),
    "host-mismatch",
  ],
  ["an absolute target of another scheme", get("ftp://{h}/ok/{w}")],
  ["user information in an absolute target", get("{s}://evil.test@{h}/ok/{w}")],
  ["a target without a slash", get("ok/{w}")],
  ["a fragment in the target", get("/ok/x#{w}")],
  ["a space in the target", get("/ok/ {w}")],
])

const hosts = rows(42, "malformed", [
  ["another Host", get("/ok/{w}", "Host: evil.test\r\n"), "host-mismatch", { only: "https" }],
  // Why: without TLS it is the Host that says who is meant.
  ["another Host", get("/ok/{w}", "Host: {e}\r\n"), "name-not-allowed", { only: "http" }],
  ["the Host of another port", get("/ok/{w}", "Host: allowed.test:1\r\n"), "host-mismatch"],
  ["two Hosts", get("/ok/{w}", `${h}Host: evil.test\r\n`)],
  ["two Hosts, the other first", get("/ok/{w}", `Host: evil.test\r\n${h}`)],
  ["the same Host twice", get("/ok/{w}", `${h}${h}`)],
  ["user information in Host", get("/ok/{w}", "Host: evil.test@{h}\r\n")],
  ["an empty port", get("/ok/{w}", "Host: allowed.test:\r\n")],
  ["a port that is none", get("/ok/{w}", "Host: allowed.test:99999\r\n")],
  ["a list of Hosts", get("/ok/{w}", "Host: {h}, evil.test\r\n")],
  ["a tab within Host", get("/ok/{w}", "Host: {h}\tevil.test\r\n")],
  ["a path in Host", get("/ok/{w}", "Host: {h}/evil\r\n")],
  ["a folded Host", get("/ok/{w}", "Host: {h}\r\n evil.test\r\n")],
  ["a Host with a space before its colon", get("/ok/{w}", `Host : evil.test\r\n${h}`)],
  ["no Host", get("/ok/{w}", "Accept: */*\r\n")],
  ["an empty Host", get("/ok/{w}", "Host: \r\n")],
  ["a Host beyond ASCII", get("/ok/{w}", "Host: all\xf6wed.test\r\n")],
])

const chunked = "Transfer-Encoding: chunked\r\n"
const length = (bytes: number): string => `Content-Length: ${bytes}\r\n`

const framings = rows(43, "malformed", [
  ["a length and chunks", post(`${length(6)}${chunked}`, `0\r\n\r\nG${hidden}`)],
  ["chunks and a length", post(`${chunked}${length(4)}`, `5c\r\n${hidden}0\r\n\r\n`)],
  ["two lengths", post(`${length(0)}${length(60)}`, hidden)],
  ["the same length twice", post(`${length(1)}${length(1)}`, `x${hidden}`)],
  ["a list of lengths", post("Content-Length: 1, 1\r\n", `x${hidden}`)],
  ["a length with a sign", post("Content-Length: +1\r\n", `x${hidden}`)],
  ["a negative length", post("Content-Length: -1\r\n", hidden)],
  ["a length in hexadecimal digits", post("Content-Length: 0x1\r\n", `x${hidden}`)],
  ["a length with a space in it", post("Content-Length: 1 0\r\n", `x${hidden}`)],
  ["a length of too many digits", post(`Content-Length: ${"9".repeat(30)}\r\n`, hidden)],
  ["xchunked", post("Transfer-Encoding: xchunked\r\n", `0\r\n\r\n${hidden}`)],
  ["chunked, identity", post("Transfer-Encoding: chunked, identity\r\n", `0\r\n\r\n${hidden}`)],
  ["gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", `0\r\n\r\n${hidden}`)],
  ["chunked twice", post(`${chunked}${chunked}`, `0\r\n\r\n${hidden}`)],
  ["a quoted chunked", post('Transfer-Encoding: "chunked"\r\n', `0\r\n\r\n${hidden}`)],
  ["a vertical tab before chunked", post("Transfer-Encoding:\x0bchunked\r\n", hidden)],
  ["a space before a colon", post("Transfer-Encoding : chunked\r\n", `0\r\n\r\n${hidden}`)],
  ["a folded coding", post("Transfer-Encoding:\r\n chunked\r\n", `0\r\n\r\n${hidden}`)],
  ["an underscore for a hyphen", post(`Transfer_Encoding: chunked\r\n`, `0\r\n\r\n${hidden}`)],
  ["an underscored length", post(`${length(1)}Content_Length: 90\r\n`, `x${hidden}`)],
  ["chunks in HTTP/1.0", `POST /ok/x HTTP/1.0\r\n${h}${chunked}\r\n0\r\n\r\n${hidden}`],
  ["a bare LF after a field", `GET /ok/x HTTP/1.1\r\n${h}X: y\nX-Canary: {w}\r\n\r\n`],
  ["bare LFs only", `GET /ok/{w} HTTP/1.1\nHost: {h}\n\n`],
  ["a bare CR in a field", get("/ok/x", `${h}X: y\rX-Canary: {w}\r\n`)],
  ["a NUL in a field", get("/ok/x", `${h}X: y\0{w}\r\n`)],
  ["a fold in any field", get("/ok/x", `${h}X: y\r\n {w}\r\n`)],
  ["a space within a field's name", get("/ok/x", `${h}X y: {w}\r\n`)],
  ["a field without a colon", get("/ok/x", `${h}{w}\r\n`)],
  ["an empty line first", `\r\n${get("/ok/{w}")}`],
  ["a tab for a space", `GET\t/ok/{w}\tHTTP/1.1\r\n${h}\r\n`],
  ["two spaces", `GET  /ok/{w} HTTP/1.1\r\n${h}\r\n`],
  ["HTTP/0.9", "GET /ok/{w}\r\n\r\n"],
  ["HTTP/1.2", `GET /ok/{w} HTTP/1.2\r\n${h}\r\n`],
  ["HTTP/2.0 in a line of text", `GET /ok/{w} HTTP/2.0\r\n${h}\r\n`],
  ["http in lower case", `GET /ok/{w} http/1.1\r\n${h}\r\n`],
  ["a field of the connection that is Host", get("/ok/{w}", `${h}Connection: host\r\n`)],
  [
    "a field of the connection that is the length",
    post(`${length(canaryLength)}Connection: content-length\r\n`, "{w}"),
  ],
])

/** Whoever answers before the body has come may have done so already. */
const bodies = rows(43, "malformed", [
  ["a chunk extension", post(chunked, `16;x={w}\r\n{w}\r\n0\r\n\r\n`)],
  ["a chunk's size with a space", post(chunked, `16 \r\n{w}\r\n0\r\n\r\n`)],
  ["a chunk's size with 0x", post(chunked, `0x16\r\n{w}\r\n0\r\n\r\n`)],
  ["a chunk's size with a sign", post(chunked, `+16\r\n{w}\r\n0\r\n\r\n`)],
  ["a chunk's size of too many digits", post(chunked, `${"0".repeat(40)}16\r\n{w}\r\n0\r\n\r\n`)],
  ["a bare LF after a chunk's size", post(chunked, `16\n{w}\r\n0\r\n\r\n`)],
  ["no line end after a chunk", post(chunked, `1\r\nxx{w}0\r\n\r\n`)],
]).map((odd) => ({ ...odd, status: null }))

const methods = rows(45, "method-not-allowed", [
  ["DELETE", get("/ok/{w}", h, "DELETE")],
  ["PUT", get("/ok/{w}", h, "PUT")],
  ["a method of nobody's", get("/ok/{w}", h, "EXFILTRATE")],
  // Why: no rule over paths can speak of it.
  ["OPTIONS of everything", get("*", `${h}X: {w}\r\n`, "OPTIONS"), "malformed"],
  ["OPTIONS of a path", get("/ok/{w}", h, "OPTIONS")],
  ["TRACE", get("/ok/{w}", h, "TRACE")],
  ["CONNECT", `CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\nX: {w}\r\n\r\n`],
])

const overrides = rows(47, "malformed", [
  ["a method in lower case", get("/ok/{w}", h, "get")],
  [
    "a method with a control character",
    get("/ok/{w}", h, "G\x01ET"),
    "malformed",
    { only: "https" },
  ],
  ...[
    "X-HTTP-Method-Override: DELETE",
    "X-HTTP-Method: DELETE",
    "X-Method-Override: DELETE",
    "X-Original-URL: /evil",
    "X-Rewrite-URL: /evil",
  ].map((field): Row => [field, get("/ok/{w}", `${h}${field}\r\n`)]),
])

/** Paths that two servers could take for two: refused whatever the rules say (see policies/path.ts). */
const ambiguous = [
  ...["/ok/../evil/{w}", "/ok/./{w}", "/ok/%2e%2e/evil/{w}", "/ok/%2E%2e/evil/{w}"],
  ...["/ok/.%2e/evil/{w}", "/ok/..%2fevil/{w}", "/ok/..%5cevil/{w}", "/ok/..\\evil\\{w}"],
  ...["/ok/%252e%252e/evil/{w}", "/ok/%252fevil/{w}", "/ok/x%2f..%2f..%2fevil/{w}"],
  ...["/ok/..;/evil/{w}", "/ok/..;x=y/evil/{w}", "/ok/%00/{w}", "/ok/{w}%", "/ok/%zz{w}"],
  ...["/ok/x%5c{w}", "/ok/<{w}>", "/ok/{w}|x", "/ok/`{w}`", "/ok/\x7f{w}", "/ok/\xe4{w}"],
  ...["/ok/%2e/{w}", "/ok/%c0%ae%c0%ae%2fevil/{w}", "/ok/^{w}", '/ok/"{w}"', "/ok\\..\\evil/{w}"],
]
/** Paths with one meaning, which no rule fits. */
const elsewhere = [
  ...["/{w}", "/OK/{w}", "/okay/{w}", "/okx/{w}", "//evil/{w}", "/evil//ok/{w}"],
  ...["/ok;x/{w}", "/evil;/ok/{w}", "/%6f/{w}", "/evil?/ok/{w}"],
]
const paths = [
  ...rows(
    46,
    "malformed",
    ambiguous.map((path): Row => [path, get(path)]),
  ),
  ...rows(
    46,
    "path-not-allowed",
    elsewhere.map((path): Row => [path, get(path)]),
  ),
]

const streams = rows(44, "path-not-allowed", [
  ["a second request in the same segment", `${get("/ok/x")}${get("/evil/{w}")}`],
  ["a second request after a body", `${post(length(2), "xy")}${get("/evil/{w}")}`],
  ["a second request after chunks", `${post(chunked, "1\r\nx\r\n0\r\n\r\n")}${get("/evil/{w}")}`],
  ["a second request after HEAD's like", `${get("/ok/x")}${get("/ok/y")}${get("/evil/{w}")}`],
  [
    "a body that nobody awaits, which is a request",
    `${get("/ok/x", `${h}Content-Length: 0\r\n`)}${get("/evil/{w}")}`,
  ],
])

const upgrades: readonly OddRequest[] = [
  {
    row: 36,
    what: "HTTP/2 with prior knowledge",
    says: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0{w}",
    reason: ["unsupported-protocol", "malformed"],
  },
  {
    row: 42,
    what: "no Host, in HTTP/1.0",
    says: "GET /ok/{w} HTTP/1.0\r\n\r\n",
    reason: ["malformed", "host-mismatch"],
  },
]

const channels: readonly OddRequest[] = [
  {
    row: 53,
    what: "a trailer",
    says: post(chunked, "1\r\nx\r\n0\r\nX-Canary: {w}\r\n\r\n"),
    reason: null,
    noAudit: "trailers are left out in both modes",
  },
  {
    row: 53,
    what: "an expectation of nobody's",
    says: get("/ok/{w}", `${h}Expect: exfiltration\r\n`),
    reason: "malformed",
  },
  {
    row: 53,
    what: "a body that is sent without waiting, to a path that is denied",
    says: `POST /evil HTTP/1.1\r\n${h}Expect: 100-continue\r\nContent-Length: ${canaryLength}\r\n\r\n{w}`,
    reason: "path-not-allowed",
  },
]

export const oddRequests: readonly OddRequest[] = [
  ...targets,
  ...hosts,
  ...framings,
  ...bodies,
  ...streams,
  ...methods,
  ...paths,
  ...overrides,
  ...upgrades,
  ...channels,
]

/** The rules under which they are odd. */
export function oddRules(scheme: "http" | "https", port: number): string[] {
  return [`GET,POST ${scheme}://allowed.test:${port}/ok/**`]
}

/** A request as it is said: everything filled in but the canary. */
function said(odd: OddRequest, scheme: "http" | "https", port: number): string {
  return odd.says
    .replaceAll("{h}", `allowed.test:${port}`)
    .replaceAll("{s}", scheme)
    .replaceAll("{e}", `evil.test:${port}`)
}

const statuses: Partial<Record<Reason, number>> = { malformed: 400, "host-mismatch": 421 }

/** Each as a try, for a host whose requests are judged. */
export function oddTries(scheme: "http" | "https", port: number): Try[] {
  const spoken = oddRequests.filter(({ only = scheme }) => only === scheme)
  return spoken.map((odd): Try => {
    const bytes = inline(said(odd, scheme, port))
    const send = scheme === "http" ? "plain" : "secure"
    const first = typeof odd.reason === "string" ? odd.reason : null
    const usual = first === null ? null : (statuses[first] ?? 403)
    const status = odd.status === undefined ? usual : odd.status
    return {
      name: `row ${odd.row}: ${scheme}: ${odd.what.replaceAll(/[^\x20-\x7e]/g, "?")}`,
      lines: `reply = ${send}(${bytes}, ${port})`,
      reason: odd.reason,
      ...(status === null ? {} : { reply: new RegExp(`HTTP/1\\.1 ${status} `) }),
      ...(odd.noAudit === undefined ? {} : { noAudit: odd.noAudit }),
      ...(odd.noWhole === undefined ? {} : { noWhole: odd.noWhole }),
    }
  })
}
