/**
 * Requests in HTTP/2 that have two meanings, or that would have in HTTP/1.1: rows 34 and 35 as a table.
 * What RFC 9113 §8 calls malformed is refused in audit mode too: no upstream may be shown it.
 */
import type { Reason } from "../../flows/reason.ts"
import type { Try } from "./requests.ts"

const refusedAnyway = "nothing that is malformed in HTTP/2 goes on in any mode"
const malformed = "malformed"

type Row = readonly [
  row: number,
  what: string,
  /** Python: the frames after the client's preface. A is the authority, P a path with the canary. */
  frames: string,
  reason?: Reason,
  more?: Partial<Try>,
]

const head = (block: string, flags = 5, stream = 1): string =>
  `frame(1, ${flags}, ${stream}, ${block})`
const field = (name: string, value: string): string => head(`get(P, A, (${name}, ${value}))`)
const carried = (name: string): string => head(`get("/ok/x", A, (${name}, word))`)
const pseudo = (...fields: string[]): string => head(`block(${fields.join(", ")})`)
const [method, scheme, authority, path] = [
  `(":method", "GET")`,
  `(":scheme", "https")`,
  `(":authority", A)`,
  `(":path", P)`,
]

const rows: readonly Row[] = [
  [34, "a Host that is not :authority", field(`"host"`, `"evil.test"`), "host-mismatch"],
  [34, "another :authority", head(`get(P, "evil.test")`), "host-mismatch", { noAudit: "" }],
  [
    34,
    "the :authority of another port",
    head(`get(P, "allowed.test:1")`),
    "host-mismatch",
    { noAudit: "" },
  ],
  [
    34,
    "another path on the second stream",
    `${head(`get("/ok/x", A)`)}, ${head(`get("/evil/" + word.decode(), A)`, 5, 3)}`,
    "path-not-allowed",
    { noAudit: "" },
  ],
  [
    34,
    "another method on the second stream",
    `${head(`get("/ok/x", A)`)}, ${head(`get("/ok/" + word.decode(), A, method="DELETE")`, 5, 3)}`,
    "method-not-allowed",
    { noAudit: "" },
  ],
  [35, "two authorities", pseudo(method, scheme, authority, `(":authority", "evil.test")`, path)],
  [35, "user information in :authority", head(`get(P, "evil.test@" + A)`)],
  [35, "no authority", pseudo(method, scheme, path)],
  [35, "CR and LF in a value", field(`"x"`, `b"y\\r\\nHost: evil.test"`)],
  [35, "LF in a value", field(`"x"`, `b"y\\n" + word`)],
  [35, "CR in a value", field(`"x"`, `b"y\\r" + word`)],
  [35, "NUL in a value", field(`"x"`, `b"y\\0" + word`)],
  [35, "CR and LF in a name", carried(`"x: y\\r\\nz"`)],
  [35, "a colon in a name", carried(`"x:y"`)],
  [35, "a space in a name", carried(`"x y"`)],
  [35, "a name in upper case", carried(`"X-Upper"`)],
  [35, "an empty name", carried(`""`)],
  [35, "CR and LF in :path", head(`get(P + " HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n", A)`)],
  [35, "a space in :path", head(`get(P + " x", A)`)],
  [35, "a :path without a slash", head(`get(P[1:], A)`)],
  [35, "an absolute :path", head(`get("https://evil.test" + P, A)`)],
  [35, "an empty :path, the canary in a field", head(`get("", A, ("x", word))`)],
  [35, "CR and LF in :method", head(`get("/ok/x", A, method="GET " + P + " HTTP/1.1\\r\\n")`)],
  [35, "a :method in lower case", head(`get(P, A, method="get")`)],
  [35, "a :scheme with a host in it", head(`get(P, A, scheme="https://evil.test/x?")`)],
  [35, "http for a :scheme", head(`get(P, A, scheme="http")`)],
  [35, "transfer-encoding", field(`"transfer-encoding"`, `"chunked"`)],
  [35, "connection", field(`"connection"`, `"close"`)],
  [35, "keep-alive", field(`"keep-alive"`, `"1"`)],
  [35, "proxy-connection", field(`"proxy-connection"`, `"keep-alive"`)],
  [35, "upgrade", field(`"upgrade"`, `"h2c"`)],
  [35, "te other than trailers", field(`"te"`, `"gzip"`)],
  [35, "content-length twice", head(`get(P, A, ("content-length", "0"), ("content-length", "9"))`)],
  [35, "a content-length that is none", field(`"content-length"`, `"+0"`)],
  [35, "a content-length without a body", field(`"content-length"`, `"9"`)],
  [35, "host twice", head(`get(P, A, ("host", A), ("host", "evil.test"))`)],
  [35, "a pseudo-header field after others", pseudo(method, scheme, authority, `("x", "y")`, path)],
  [
    35,
    "a pseudo-header field twice",
    pseudo(method, scheme, authority, `(":path", "/ok/x")`, path),
  ],
  [35, "a pseudo-header field of nobody's", pseudo(method, scheme, authority, path, `(":x", "y")`)],
  [35, "a status in a request", pseudo(method, scheme, authority, path, `(":status", "200")`)],
  [35, "no :method", pseudo(scheme, authority, path)],
  [35, "no :scheme", pseudo(method, authority, path)],
  [
    35,
    "CONNECT",
    pseudo(`(":method", "CONNECT")`, `(":authority", "evil.test:443")`, `("x", word)`),
    "method-not-allowed",
  ],
  [
    35,
    "a WebSocket by an extended CONNECT",
    pseudo(`(":method", "CONNECT")`, `(":protocol", "websocket")`, scheme, authority, path),
  ],
  [35, "TRACE", head(`get(P, A, method="TRACE")`), "method-not-allowed"],
  ...["/ok/../evil/", "/ok/%2e%2e/evil/", "/ok/..%2fevil/", "/ok/%252e%252e/evil/"].map(
    (start): Row => [
      46,
      start,
      head(`get("${start}" + word.decode(), A)`),
      malformed,
      { noAudit: "" },
    ],
  ),
  [
    47,
    "a field that overrides the method",
    field(`"x-http-method-override"`, `"DELETE"`),
    malformed,
    { noAudit: "" },
  ],
  [
    35,
    "a body that is longer than it says",
    `${head(`get("/ok/x", A, ("content-length", "1"), method="POST")`, 4)}, frame(0, 1, 1, word)`,
  ],
  [
    35,
    "a pseudo-header field in trailers",
    `${head(`get("/ok/x", A, method="POST")`, 4)}, frame(0, 0, 1, b"x"), ${head(`block((":path", P))`)}`,
  ],
  [
    35,
    "text of HTTP/1.1 where HTTP/2 was agreed on",
    `b"GET " + P.encode() + b" HTTP/1.1\\r\\nHost: " + A.encode() + b"\\r\\n\\r\\n"`,
  ],
]

/** Each as a try against the recorder at this port, whose GET and POST below /ok are allowed. */
export function oddStreams(port: number): Try[] {
  return rows.map(([row, what, frames, reason = malformed, more = {}]): Try => {
    const { noAudit = refusedAnyway, ...others } = more
    return {
      name: `row ${row}: h2: ${what}`,
      lines: `A = "allowed.test:${port}"; P = "/ok/" + word.decode()\nreply = streams(${frames}, port=${port})`,
      reason,
      ...(noAudit === "" ? {} : { noAudit }),
      ...others,
    }
  })
}
