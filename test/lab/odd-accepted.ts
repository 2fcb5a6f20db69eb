/**
 * Requests in HTTP/1.1 that are odd and have one meaning all the same: each with what every server must
 * read of it. {h} is the host with its port, {s} the scheme, {x} a field that marks the request.
 */

/** One request as a server reads it. */
export interface Read {
  readonly method: string
  /** As it stood in the request line. */
  readonly target: string
  readonly body: string
}

export interface Accepted {
  readonly what: string
  readonly says: string
  readonly reads: readonly Read[]
  /** Servers that refuse it; what they do not read they cannot read otherwise. */
  readonly refusedBy?: readonly ("nginx" | "node" | "python")[]
}

const h = "Host: {h}\r\n{x}"
const one = (target: string, method = "GET", body = ""): Read[] => [{ method, target, body }]
const get = (path: string, fields = ""): string => `GET ${path} HTTP/1.1\r\n${h}${fields}\r\n`
const post = (fields: string, body: string, method = "POST"): string =>
  `${method} /p HTTP/1.1\r\n${h}${fields}\r\n${body}`
const chunked = "Transfer-Encoding: chunked\r\n"
const length = (body: string): string => `Content-Length: ${body.length}\r\n`

/** Targets that go on as they are. */
const targets = [
  ...["/", "/?", "/a?", "/a?b", "/a?b=c&d=e", "/a??b", "/a?/../b", "/a?%00", "/a?b?c/d", "/a?%zz"],
  ...[
    "//a",
    "//a//b/",
    "/a;b/c",
    "/a;x=y;z",
    "/;",
    "/a,b",
    "/a@b",
    "/a:b",
    "/a!$&'()*+",
    "/a=b",
    "/[a]",
  ],
  ...[
    "/%41",
    "/%c3%a9",
    "/%C3%A9",
    "/a%20b",
    "/a%0ab",
    "/a%3fb",
    "/a%23b",
    "/~a",
    "/%7ea",
    "/a.",
    "/a...",
  ],
  ...["/.a", "/..a", "/a/.b", "/a-._~b", `/${"a".repeat(3_000)}`, `/${"a/".repeat(900)}`, "/*"],
]

const smuggled = "GET /evil HTTP/1.1\r\nHost: evil.test\r\n\r\n"

export const accepted: readonly Accepted[] = [
  ...targets.map((target): Accepted => ({
    what: target.slice(0, 40),
    says: get(target),
    reads: one(target),
  })),
  { what: "an absolute target", says: get("{s}://{h}/a?b"), reads: one("/a?b") },
  {
    what: "an absolute target in upper case",
    says: get("{s}://{h}/A").replace("{s}", "{S}"),
    reads: one("/A"),
  },
  { what: "an absolute target without a path", says: get("{s}://{h}"), reads: one("/") },
  { what: "an absolute target with a query alone", says: get("{s}://{h}?b"), reads: one("/?b") },
  { what: "a Host in upper case", says: get("/a").replace("{h}", "{H}"), reads: one("/a") },
  { what: "a Host with a dot at its end", says: get("/a").replace("{h}", "{d}"), reads: one("/a") },
  {
    what: "a Host led by spaces and tabs",
    says: get("/a").replace(": {h}", ": \t {h} \t"),
    reads: one("/a"),
  },
  { what: "a Host without a space", says: get("/a").replace(": {h}", ":{h}"), reads: one("/a") },
  {
    what: "a host's field in other case",
    says: get("/a").replace("Host", "hOsT"),
    reads: one("/a"),
  },
  ...["HEAD", "OPTIONS", "DELETE", "PUT", "PATCH", "PROPFIND", "M-SEARCH", "SEARCH"].map(
    (method): Accepted => ({
      what: method,
      says: get("/m").replace("GET", method),
      reads: one("/m", method),
    }),
  ),
  {
    what: "a method of nobody's",
    says: get("/m").replace("GET", "EXFILTRATE"),
    reads: one("/m", "EXFILTRATE"),
    refusedBy: ["node"],
  },
  { what: "HTTP/1.0", says: get("/a").replace("/1.1", "/1.0"), reads: one("/a") },
  {
    what: "HTTP/1.0 that stays",
    says: get("/a", "Connection: keep-alive\r\n").replace("/1.1", "/1.0"),
    reads: one("/a"),
  },
  {
    what: "no body by its length",
    says: post("Content-Length: 0\r\n", ""),
    reads: one("/p", "POST"),
  },
  { what: "neither length nor chunks", says: post("", ""), reads: one("/p", "POST") },
  { what: "a body", says: post(length("abc"), "abc"), reads: one("/p", "POST", "abc") },
  {
    what: "a body that is a request",
    says: post(length(smuggled), smuggled),
    reads: one("/p", "POST", smuggled),
  },
  {
    what: "a body of GET",
    says: post(length(smuggled), smuggled, "GET"),
    reads: one("/p", "GET", smuggled),
  },
  {
    what: "a body of DELETE in chunks",
    says: post(chunked, `3\r\nabc\r\n0\r\n\r\n`, "DELETE"),
    reads: one("/p", "DELETE", "abc"),
  },
  {
    what: "chunks",
    says: post(chunked, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
    reads: one("/p", "POST", "abcde"),
  },
  {
    what: "a chunk that is a request",
    says: post(chunked, `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`),
    reads: one("/p", "POST", smuggled),
  },
  { what: "chunks that have none", says: post(chunked, "0\r\n\r\n"), reads: one("/p", "POST") },
  {
    what: "sizes with zeros and capitals",
    says: post(chunked, `00A\r\n0123456789\r\n000\r\n\r\n`),
    reads: one("/p", "POST", "0123456789"),
  },
  {
    what: "trailers",
    says: post(chunked, "1\r\na\r\n0\r\nX-Trailer: b\r\nHost: evil.test\r\n\r\n"),
    reads: one("/p", "POST", "a"),
  },
  {
    what: "trailers that say a length",
    says: post(
      `${chunked}Trailer: Content-Length\r\n`,
      "1\r\na\r\n0\r\nContent-Length: 50\r\n\r\n",
    ),
    reads: one("/p", "POST", "a"),
  },
  {
    what: "chunked in capitals",
    says: post("Transfer-Encoding: CHUNKED\r\n", "1\r\na\r\n0\r\n\r\n"),
    reads: one("/p", "POST", "a"),
  },
  {
    what: "an expectation of 100",
    says: post(`Expect: 100-continue\r\n${length("abc")}`, "abc"),
    reads: one("/p", "POST", "abc"),
  },
  { what: "an empty field", says: get("/a", "X-Empty:\r\n"), reads: one("/a") },
  { what: "a field with colons", says: get("/a", "X-Colons: a:b: c\r\n"), reads: one("/a") },
  {
    what: "a field with odd characters",
    says: get("/a", "x!#$%&'*+-.^_`|~1: y\r\n"),
    reads: one("/a"),
  },
  { what: "a field beyond ASCII", says: get("/a", "X-Beyond: \xe4\xff\r\n"), reads: one("/a") },
  {
    what: "a field that looks like a request",
    says: get("/a", "X: GET /evil HTTP/1.1\r\n"),
    reads: one("/a"),
  },
  { what: "eighty fields", says: get("/a", "X: y\r\n".repeat(80)), reads: one("/a") },
  { what: "a long field", says: get("/a", `X: ${"y".repeat(6_000)}\r\n`), reads: one("/a") },
  {
    what: "a field for this hop",
    says: get("/a", "Connection: x-hop\r\nX-Hop: y\r\n"),
    reads: one("/a"),
  },
  {
    what: "two lines of Connection",
    says: get("/a", "Connection: x\r\nConnection: close\r\n"),
    reads: one("/a"),
  },
  {
    what: "Keep-Alive",
    says: get("/a", "Keep-Alive: timeout=5\r\nConnection: keep-alive\r\n"),
    reads: one("/a"),
  },
  { what: "TE", says: get("/a", "TE: trailers\r\nConnection: TE\r\n"), reads: one("/a") },
  {
    what: "an upgrade to h2c",
    says: get(
      "/a",
      "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    ),
    reads: one("/a"),
  },
  {
    what: "an upgrade to nobody knows what",
    says: get("/a", "Connection: Upgrade\r\nUpgrade: tunnel\r\n"),
    reads: one("/a"),
  },
  {
    what: "two requests at once",
    says: `${get("/1")}${get("/2")}`,
    reads: [...one("/1"), ...one("/2")],
  },
  {
    what: "three with bodies at once",
    says: `${post(length("ab"), "ab")}${post(chunked, "1\r\nc\r\n0\r\nX: y\r\n\r\n")}${get("/3")}`,
    reads: [...one("/p", "POST", "ab"), ...one("/p", "POST", "c"), ...one("/3")],
  },
  {
    what: "one after it was to be the last",
    says: `${get("/1", "Connection: close\r\n")}${get("/2")}`,
    reads: one("/1"),
  },
]
