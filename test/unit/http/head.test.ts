import t from "tap"
import { forwardedHead, HeadReader, headBytesMax, headFieldsMax } from "../../../http/head.ts"
import type { Head, HeadRead } from "../../../http/head.ts"

function read(text: string): HeadRead | null {
  const bytes = Buffer.from(text, "latin1")
  const whole = new HeadReader().read(bytes)
  const reader = new HeadReader()
  let bytewise: HeadRead | null = null
  for (let length = 1; length <= bytes.length && bytewise === null; length++) {
    bytewise = reader.read(bytes.subarray(0, length))
  }
  t.same(bytewise, whole, `byte by byte as whole: ${text.slice(0, 60)}`)
  return whole
}

function head(text: string): Head {
  const found = read(text)
  if (found === null || "broken" in found) throw new Error(`no head: ${JSON.stringify(found)}`)
  return found
}

/** A request with these lines after the request line. */
function get(...lines: string[]): string {
  return `GET / HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`
}

t.test("HeadReader reads a request", async (t) => {
  t.match(head("GET /a/b?c=d HTTP/1.1\r\nHost: Allowed.Test:8080\r\nAccept: */*\r\n\r\nrest"), {
    method: "GET",
    version: "1.1",
    host: "allowed.test",
    address: null,
    port: 8080,
    target: "/a/b?c=d",
    path: "/a/b",
    framing: { kind: "none" },
    length: 63,
  })
})

t.test("HeadReader waits for every prefix of a good head", async (t) => {
  const bytes = Buffer.from(get("Host: allowed.test", "Accept: a"))
  for (let length = 0; length < bytes.length; length++) {
    if (new HeadReader().read(bytes.subarray(0, length)) !== null) t.fail(`at ${length}`)
  }
})

t.test("HeadReader takes other forms of a request line", async (t) => {
  t.match(head("GET http://allowed.test/a?b HTTP/1.1\r\nHost: allowed.test\r\n\r\n"), {
    target: "/a?b",
    path: "/a",
  })
  t.match(head("GET HTTP://Allowed.test:80 HTTP/1.1\r\nHost: allowed.test\r\n\r\n"), {
    target: "/",
  })
  t.match(head("OPTIONS * HTTP/1.1\r\nHost: allowed.test\r\n\r\n"), { target: "*", path: null })
  t.match(head("GET / HTTP/1.0\r\n\r\n"), { version: "1.0", host: null, address: null })
  t.match(head(get("Host: 198.51.100.10")), { host: null, address: "198.51.100.10" })
  t.match(head(get("Host: [2001:DB8::1]:80")), { host: null, address: "2001:db8::1", port: 80 })
})

t.test("HeadReader knows where a body ends", async (t) => {
  t.match(head(get("Host: a.test", "Content-Length: 12")).framing, { kind: "length", bytes: 12 })
  t.match(head(get("Host: a.test", "Content-Length: 0")).framing, { kind: "none" })
  t.match(head(get("Host: a.test", "Transfer-Encoding: Chunked")).framing, { kind: "chunked" })
})

t.test("HeadReader refuses what two servers could read differently", async (t) => {
  const host = "Host: allowed.test"
  const table: readonly (readonly [string, string])[] = [
    ["a bare LF after the request line", `GET / HTTP/1.1\n${host}\r\n\r\n`],
    ["bare LFs only", `GET / HTTP/1.1\n${host}\n\n`],
    ["a bare LF at the end", `GET / HTTP/1.1\r\n${host}\r\n\n`],
    ["a bare CR in a value", get(host, "A: b\rc")],
    ["CR CR LF", `GET / HTTP/1.1\r\r\n${host}\r\n\r\n`],
    ["NUL in a value", get(host, "A: b\0c")],
    ["an escape in a value", get(host, "A: \u001b[0m")],
    ["DEL", get(host, "A: \u007f")],
    ["a folded field", get(host, "A: b", " c")],
    ["a field folded by a tab", get(host, "A: b", "\tc")],
    ["a folded first field", get(" Host: allowed.test")],
    ["white space before the colon", get("Host : allowed.test")],
    ["no colon", get(host, "abc")],
    ["no field name", get(host, ": abc")],
    ["a field name that is no token", get(host, "a(b): c")],
    ["an empty line first", `\r\nGET / HTTP/1.1\r\n${host}\r\n\r\n`],
    ["no Host", get("Accept: a")],
    ["an empty Host", get("Host:")],
    ["two Hosts", get(host, "Host: evil.test")],
    ["the same Host twice", get(host, host)],
    ["two hosts in one", get("Host: allowed.test, evil.test")],
    ["two hosts by a space", get("Host: allowed.test evil.test")],
    ["two hosts by a tab", get("Host: allowed.test\tevil.test")],
    ["userinfo in Host", get("Host: evil.test@allowed.test")],
    ["a path in Host", get("Host: allowed.test/evil")],
    ["port 0", get("Host: allowed.test:0")],
    ["a port beyond the last", get("Host: allowed.test:65536")],
    ["an empty port", get("Host: allowed.test:")],
    ["a spelled number as Host", get("Host: 0x7f.1")],
    ["a broken address as Host", get("Host: [::1")],
    ["an IPv4 address in brackets", get("Host: [127.0.0.1]")],
    ["a letter beyond ASCII in Host", get("Host: b\u00fccher.test")],
    [
      "Content-Length and Transfer-Encoding",
      get(host, "Content-Length: 3", "Transfer-Encoding: chunked"),
    ],
    ["two Content-Lengths", get(host, "Content-Length: 3", "Content-Length: 4")],
    ["the same Content-Length twice", get(host, "Content-Length: 3", "Content-Length: 3")],
    ["a list of Content-Lengths", get(host, "Content-Length: 3, 3")],
    ["a Content-Length with a sign", get(host, "Content-Length: +3")],
    ["a Content-Length with a zero in front", get(host, "Content-Length: 03")],
    ["a hexadecimal Content-Length", get(host, "Content-Length: 0x3")],
    ["an endless Content-Length", get(host, `Content-Length: ${"9".repeat(20)}`)],
    ["a coding that is nearly chunked", get(host, "Transfer-Encoding: xchunked")],
    ["two codings", get(host, "Transfer-Encoding: gzip, chunked")],
    ["chunked twice", get(host, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked")],
    ["a coding with a vertical tab", get(host, "Transfer-Encoding: \u000bchunked")],
    ["a coding in HTTP/1.0", `POST / HTTP/1.0\r\n${host}\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ["underscores for hyphens", get(host, "Content_Length: 3")],
    ["Transfer_Encoding", get(host, "Transfer_Encoding: chunked")],
    ["the Host as hop-by-hop", get(host, "Connection: close, Host")],
    ["the framing as hop-by-hop", get(host, "Content-Length: 1", "Connection: content-length")],
    ["another expectation", get(host, "Expect: 200-ok")],
    ["two expectations", get(host, "Expect: 100-continue", "Expect: 100-continue")],
    ["two Upgrades", get(host, "Upgrade: websocket", "Upgrade: h2c")],
    ["an option that is no token", get(host, "Connection: close, a b")],
    ["an option that is empty", get(host, "Connection: close,")],
    ["two spaces", `GET  / HTTP/1.1\r\n${host}\r\n\r\n`],
    ["a tab for a space", `GET\t/ HTTP/1.1\r\n${host}\r\n\r\n`],
    ["a space in the target", `GET /a b HTTP/1.1\r\n${host}\r\n\r\n`],
    ["no version", `GET /\r\n${host}\r\n\r\n`],
    ["another version", `GET / HTTP/1.2\r\n${host}\r\n\r\n`],
    ["HTTP/0.9", `GET / HTTP/0.9\r\n${host}\r\n\r\n`],
    ["a version in lower case", `GET / http/1.1\r\n${host}\r\n\r\n`],
    ["a method in lower case", `get / HTTP/1.1\r\n${host}\r\n\r\n`],
    ["no target", `GET  HTTP/1.1\r\n${host}\r\n\r\n`],
    ["a target without a slash", `GET a HTTP/1.1\r\n${host}\r\n\r\n`],
    ["a fragment", `GET /a#b HTTP/1.1\r\n${host}\r\n\r\n`],
    ["a target beyond ASCII", `GET /\u00fc HTTP/1.1\r\n${host}\r\n\r\n`],
    ["an asterisk for GET", `GET * HTTP/1.1\r\n${host}\r\n\r\n`],
    ["another scheme", `GET ftp://allowed.test/ HTTP/1.1\r\n${host}\r\n\r\n`],
    ["userinfo in the target", `GET http://a@allowed.test/ HTTP/1.1\r\n${host}\r\n\r\n`],
    ["no host in the target", `GET http:///a HTTP/1.1\r\n${host}\r\n\r\n`],
  ]
  for (const [what, text] of table) t.same(read(text), { broken: "malformed" }, what)
})

t.test("HeadReader refuses a target whose host is not the Host", async (t) => {
  for (const target of ["http://evil.test/", "http://allowed.test:81/", "http://127.0.0.1/"]) {
    t.same(read(`GET ${target} HTTP/1.1\r\nHost: allowed.test\r\n\r\n`), {
      broken: "host-mismatch",
    })
  }
})

t.test("HeadReader refuses tunnels and what it cannot look into", async (t) => {
  const host = "Host: allowed.test"
  for (const line of ["CONNECT evil.test:443", "CONNECT /", "TRACE /"]) {
    t.same(read(`${line} HTTP/1.1\r\n${host}\r\n\r\n`), { broken: "method-not-allowed" })
  }
  t.same(read("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), { broken: "unsupported-protocol" })
})

t.test("HeadReader is bounded in bytes and fields", async (t) => {
  const fields = (count: number): string =>
    get("Host: a.test", ...Array.from({ length: count - 1 }, (_, index) => `A${index}: b`))
  t.match(new HeadReader().read(Buffer.from(fields(headFieldsMax))), { method: "GET" })
  t.same(new HeadReader().read(Buffer.from(fields(headFieldsMax + 1))), {
    broken: "limit-exceeded",
  })
  const long = Buffer.from(get("Host: a.test", `A: ${"b".repeat(headBytesMax)}`))
  t.same(new HeadReader().read(long), { broken: "limit-exceeded" })
  t.equal(new HeadReader().read(long.subarray(0, headBytesMax - 1)), null)
})

t.test("HeadReader gives a path one meaning, or none", async (t) => {
  const table: readonly (readonly [string, string | null])[] = [
    ["/", "/"],
    ["/a//b;c=d?e=/../f", "/a//b;c=d"],
    ["/%41%7e%c3%a9", "/A~%C3%A9"],
    ["/...", "/..."],
    ["/.git", "/.git"],
    ["/a/../b", null],
    ["/a/./b", null],
    ["/a/..", null],
    ["/a/..;x/b", null],
    ["/%2e%2e/b", null],
    ["/%2E/b", null],
    ["/a%2fb", null],
    ["/a%5cb", null],
    ["/a\\b", null],
    ["/a%00b", null],
    ["/%252e%252e/b", null],
    ["/%", null],
    ["/%zz", null],
  ]
  for (const [target, path] of table) {
    const found = head(`GET ${target} HTTP/1.1\r\nHost: a.test\r\n\r\n`)
    t.equal(found.path, path, target)
    t.equal(found.target, target, `${target} goes on as it came`)
  }
  for (const field of [
    "X-HTTP-Method-Override: DELETE",
    "x_http_method_override: DELETE",
    "X-Original-URL: /b",
    "X-Rewrite_URL: /b",
  ]) {
    t.equal(head(get("Host: a.test", field)).path, null, field)
  }
})

t.test("forwardedHead() writes one request anew, without what was for this hop", async (t) => {
  const found = head(
    [
      "POST http://Allowed.test:8080/a?b=c HTTP/1.1",
      "HOST:   Allowed.Test:8080  ",
      "Connection: keep-alive, X-Hop, Upgrade, HTTP2-Settings",
      "Keep-Alive: timeout=5",
      "Proxy-Connection: keep-alive",
      "X-Hop: 1",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABkAAQAAP__",
      "TE: trailers",
      "Content-Length: 3",
      "X-Kept:  a b ",
      "",
      "abc",
    ].join("\r\n"),
  )
  t.equal(
    forwardedHead(found).toString("latin1"),
    [
      "POST /a?b=c HTTP/1.1",
      "Host: allowed.test:8080",
      "Content-Length: 3",
      "X-Kept: a b",
      "TE: trailers",
      "Connection: close, TE",
      "",
      "",
    ].join("\r\n"),
  )
})

t.test("forwardedHead() is read again as what it was", async (t) => {
  const first = head(get("Host: a.test", "Content-Length: 3", "Accept: \u00e9"))
  const again = head(forwardedHead(first, false).toString("latin1"))
  t.same({ ...again, length: 0, fields: [] }, { ...first, length: 0, fields: [] })
})

const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
const socket = ["Host: a.test", "Connection: keep-alive, Upgrade", "Upgrade: WebSocket"]

t.test("HeadReader knows who asks for a WebSocket, and forwards exactly that", async (t) => {
  const found = head(get(...socket, key, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: x"))
  t.equal(found.webSocket, true)
  t.equal(
    forwardedHead(found, false).toString("latin1"),
    get(
      "Host: a.test",
      key,
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Protocol: x",
      "Upgrade: websocket",
      "Connection: Upgrade",
    ),
  )
})

t.test("HeadReader leaves out every other upgrade", async (t) => {
  const version = "Sec-WebSocket-Version: 13"
  const [host = "", connection = "", upgrade = ""] = socket
  const table: readonly (readonly [string, string])[] = [
    ["h2c", get(host, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA")],
    ["TLS", get(host, connection, "Upgrade: TLS/1.0", key, version)],
    ["no key", get(...socket, version)],
    ["two keys", get(...socket, key, key, version)],
    ["a short key", get(...socket, "Sec-WebSocket-Key: AAAA", version)],
    ["no version", get(...socket, key)],
    ["another version", get(...socket, key, "Sec-WebSocket-Version: 8")],
    ["two versions", get(...socket, key, version, version)],
    ["no option", get(host, upgrade, key, version)],
    ["a body", get(...socket, key, version, "Content-Length: 1")],
    ["another method", get(...socket, key, version).replace("GET", "POST")],
    ["HTTP/1.0", get(...socket, key, version).replace("HTTP/1.1", "HTTP/1.0")],
  ]
  for (const [what, text] of table) {
    const found = head(text)
    t.equal(found.webSocket, false, what)
    t.notMatch(forwardedHead(found).toString("latin1"), /upgrade|settings/i, what)
  }
})

t.test("HeadReader knows whether another request may follow", async (t) => {
  const table: readonly (readonly [string, string, boolean])[] = [
    ["1.1", "Accept: a", true],
    ["1.1", "Connection: close", false],
    ["1.1", "Connection: keep-alive, CLOSE", false],
    ["1.0", "Accept: a", false],
    ["1.0", "Connection: Keep-Alive", true],
    ["1.0", "Connection: keep-alive, close", false],
  ]
  for (const [version, field, persistent] of table) {
    const text = `GET / HTTP/${version}\r\nHost: a.test\r\n${field}\r\n\r\n`
    t.equal(head(text).persistent, persistent, `${version} ${field}`)
  }
})

t.test("HeadReader compares the target with the Host by the connection's scheme", async (t) => {
  const whole = (target: string, host: string): Buffer =>
    Buffer.from(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  const table: readonly (readonly ["http" | "https", string, string, unknown])[] = [
    ["https", "https://a.test/x", "a.test", { target: "/x" }],
    ["https", "https://a.test:443/x", "a.test", { target: "/x" }],
    ["https", "https://a.test:80/x", "a.test", { broken: "host-mismatch" }],
    ["https", "http://a.test/x", "a.test", { broken: "malformed" }],
    ["http", "https://a.test/x", "a.test", { broken: "malformed" }],
    ["http", "http://a.test/x", "a.test:80", { target: "/x" }],
  ]
  for (const [scheme, target, host, expected] of table) {
    t.match(new HeadReader(scheme).read(whole(target, host)), expected, `${scheme} ${target}`)
  }
})
