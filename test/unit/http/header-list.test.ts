import t from "tap"
import { marksOf } from "../../../http/header-field.ts"
import type { HeaderField } from "../../../http/header-field.ts"
import { isKept, replyOf, requestOf, trailersOf } from "../../../http/header-list.ts"
import type { Broken, H2Request } from "../../../http/header-list.ts"
import { get } from "../proxy/h2.ts"
import type { Fields } from "../proxy/h2.ts"

function listOf(fields: Fields): HeaderField[] {
  return fields.map(([name, value]) => ({
    name,
    value,
    sensitive: false,
    marks: marksOf(name, value),
  }))
}

function request(fields: Fields): H2Request {
  const read = requestOf(listOf(fields))
  if ("broken" in read) throw new Error(`broken: ${read.detail}`)
  return read
}

function broken(fields: Fields): Broken | null {
  const read = requestOf(listOf(fields))
  return "broken" in read ? read : null
}

/** The usual request, with other pseudo-header fields and with more fields. */
function but(changes: Readonly<Record<string, string | null>>, ...more: Fields): Fields {
  const pseudo = get
    .map(([name, value]) => [name, changes[name] === undefined ? value : changes[name]] as const)
    .filter((field): field is readonly [string, string] => field[1] !== null)
  return [...pseudo, ...more]
}

t.test("requestOf() reads a request", async (t) => {
  const read = request([
    [":method", "POST"],
    [":path", "/a/b?c=d"],
    [":scheme", "https"],
    [":authority", "Allowed.Test:8443"],
    ["content-length", "12"],
    ["te", "trailers"],
    ["cookie", "a=b"],
    ["cookie", "c=d"],
    ["x-odd", "caf\u00e9"],
  ])
  t.match(read.head, {
    method: "POST",
    webSocket: false,
    host: "allowed.test",
    address: null,
    port: 8443,
    target: "/a/b?c=d",
    path: "/a/b",
  })
  t.equal(read.authority, "allowed.test:8443")
  t.equal(read.bodyBytes, 12)
  t.same(
    read.fields.map(({ name }) => name),
    ["content-length", "te", "cookie", "cookie", "x-odd"],
  )
})

t.test("requestOf() takes other forms that have one meaning", async (t) => {
  t.match(request(but({ ":method": "OPTIONS", ":path": "*" })).head, { target: "*", path: null })
  t.match(request(but({ ":authority": "198.51.100.7" })).head, {
    host: null,
    address: "198.51.100.7",
  })
  t.match(request(but({ ":authority": "[2001:DB8::1]:444" })), {
    authority: "[2001:db8::1]:444",
    head: { address: "2001:db8::1", port: 444 },
  })
  t.match(request(but({}, ["expect", "100-continue"])).head, { method: "GET" })
})

t.test(
  "requestOf() takes Host for :authority, or beside the same one (RFC 9113 §8.3.1)",
  async (t) => {
    const alone = request(but({ ":authority": null }, ["host", "allowed.test"], ["a", "b"]))
    t.equal(alone.authority, "allowed.test")
    t.same(
      alone.fields.map(({ name }) => name),
      ["a"],
      "it is said once",
    )
    t.equal(request(but({}, ["host", "ALLOWED.test:443"])).authority, "allowed.test")
    t.match(broken(but({}, ["host", "evil.test"])), { broken: "host-mismatch", replies: false })
    t.match(broken(but({}, ["host", "allowed.test:444"])), { broken: "host-mismatch" })
    t.match(broken(but({}, ["host", "evil.test"], ["host", "allowed.test"])), {
      broken: "malformed",
    })
    t.match(broken(but({ ":authority": null })), { broken: "malformed" })
  },
)

t.test("requestOf() gives no path where there is no one meaning", async (t) => {
  for (const target of ["/a/../b", "/%2e%2e/", "/a%2fb", "/a%5cb", "/%252e/", "/a\\b", "/%zz"]) {
    t.equal(request(but({ ":path": target })).head.path, null, target)
  }
  for (const name of ["x-http-method-override", "x-method-override", "x-original-url"]) {
    t.equal(request(but({}, [name, "DELETE"])).head.path, null, name)
  }
  t.equal(request(but({ ":path": "/%41?%2e%2e" })).head.path, "/A")
})

t.test("requestOf() refuses what RFC 9113 §8 calls malformed", async (t) => {
  const table: readonly (readonly [string, Fields])[] = [
    ["no :method", but({ ":method": null })],
    ["no :scheme", but({ ":scheme": null })],
    ["no :path", but({ ":path": null })],
    ["an empty :path", but({ ":path": "" })],
    ["an empty :authority", but({ ":authority": "" })],
    ["nothing at all", []],
    [":method twice", but({}, [":method", "GET"])],
    [":path twice", but({}, [":path", "/b"])],
    [":authority twice", but({}, [":authority", "evil.test"])],
    ["a pseudo-header field of replies", but({}, [":status", "200"])],
    ["a pseudo-header field of nobody", but({}, [":foo", "x"])],
    ["a colon alone", but({}, [":", "x"])],
    ["extended CONNECT (RFC 8441)", but({}, [":protocol", "websocket"])],
    ["a pseudo-header field after others", [["a", "b"], ...get]],
    ["one after Host", [...but({ ":path": null }, ["host", "allowed.test"]), [":path", "/"]]],
    ["a name in upper case", but({}, ["X-A", "b"])],
    ["an empty name", but({}, ["", "b"])],
    ["a name with a space", but({}, ["a b", "c"])],
    ["a name with a colon", but({}, ["a:b", "c"])],
    ["a name with a line end", but({}, ["a\r\nb", "c"])],
    ["a name beyond ASCII", but({}, ["\u00e9", "c"])],
    ["CR LF in a value", but({}, ["a", "b\r\nhost: evil.test"])],
    ["a bare LF", but({}, ["a", "b\nc"])],
    ["a bare CR", but({}, ["a", "b\rc"])],
    ["NUL", but({}, ["a", "b\0c"])],
    ["another control character", but({}, ["a", "b\u001bc"])],
    ["DEL", but({}, ["a", "b\u007f"])],
    ["a space before a value", but({}, ["a", " b"])],
    ["a tab after a value", but({}, ["a", "b\t"])],
    ["a value of one space", but({}, ["a", " "])],
    ["connection", but({}, ["connection", "close"])],
    ["keep-alive", but({}, ["keep-alive", "1"])],
    ["proxy-connection", but({}, ["proxy-connection", "close"])],
    ["transfer-encoding", but({}, ["transfer-encoding", "chunked"])],
    ["transfer_encoding", but({}, ["transfer_encoding", "chunked"])],
    ["content_length", but({}, ["content_length", "5"])],
    ["upgrade", but({}, ["upgrade", "websocket"])],
    ["te of gzip", but({}, ["te", "gzip"])],
    ["te of more than trailers", but({}, ["te", "trailers, gzip"])],
    ["te twice", but({}, ["te", "trailers"], ["te", "trailers"])],
    ["http", but({ ":scheme": "http" })],
    ["HTTPS", but({ ":scheme": "HTTPS" })],
    ["a method in lower case", but({ ":method": "get" })],
    ["a method with a space", but({ ":method": "GET /evil HTTP/1.1" })],
    ["a path in absolute-form", but({ ":path": "https://evil.test/" })],
    ["a path without its slash", but({ ":path": "evil" })],
    ["* of another method", but({ ":path": "*" })],
    ["a path with a space", but({ ":path": "/a b" })],
    ["a path with a line end", but({ ":path": "/ HTTP/1.1\r\nhost: evil.test" })],
    ["a path with a fragment", but({ ":path": "/a#b" })],
    ["a path beyond ASCII", but({ ":path": "/\u00e9" })],
    ["user information", but({ ":authority": "allowed.test@evil.test" })],
    ["a list of hosts", but({ ":authority": "allowed.test,evil.test" })],
    ["a port that is none", but({ ":authority": "allowed.test:99999" })],
    ["a path in the authority", but({ ":authority": "allowed.test/a" })],
    ["content-length twice", but({}, ["content-length", "1"], ["content-length", "1"])],
    ["content-length with a sign", but({}, ["content-length", "+1"])],
    ["content-length as a list", but({}, ["content-length", "1,1"])],
    ["content-length that begins with 0", but({}, ["content-length", "01"])],
    ["expect twice", but({}, ["expect", "100-continue"], ["expect", "100-continue"])],
  ]
  for (const [what, fields] of table) {
    t.match(broken(fields), { broken: "malformed", replies: false }, what)
  }
})

t.test("requestOf() refuses what is well formed, and for nobody", async (t) => {
  t.match(broken(but({ ":method": "TRACE" })), { broken: "method-not-allowed", replies: true })
  t.match(broken(but({}, ["expect", "the-unexpected"])), { broken: "malformed", replies: true })
  const connect: Fields = [
    [":method", "CONNECT"],
    [":authority", "evil.test:443"],
  ]
  t.match(broken(connect), { broken: "method-not-allowed", replies: false })
})

t.test(
  "trailersOf() refuses what says what a request is, and leaves out credentials",
  async (t) => {
    t.same(
      listed(
        trailersOf(
          listOf([
            ["checksum", "abc"],
            ["authorization", "Bearer x"],
            ["grpc-status", "0"],
          ]),
        ),
      ),
      ["checksum", "grpc-status"],
    )
    const table: readonly (readonly [string, string])[] = [
      [":path", "/"],
      ["A", "b"],
      ["a", "b\r\nc"],
      ["host", "evil.test"],
      ["content-length", "1"],
      ["transfer-encoding", "chunked"],
      ["connection", "close"],
      ["te", "trailers"],
      ["content-type", "text/plain"],
      ["x-http-method-override", "PUT"],
    ]
    for (const field of table) t.type(trailersOf(listOf([field])), "string", field[0])
  },
)

function listed(fields: readonly HeaderField[] | string): string[] | string {
  return typeof fields === "string" ? fields : fields.map(({ name }) => name)
}

t.test("replyOf() reads replies and trailers", async (t) => {
  t.same(
    replyOf(
      listOf([
        [":status", "200"],
        ["a", "b"],
      ]),
      false,
    ),
    { status: 200, cuts: false },
  )
  t.match(
    replyOf(
      listOf([
        [":status", "103"],
        ["link", "</a>"],
      ]),
      false,
    ),
    { status: 103 },
  )
  t.match(
    replyOf(
      listOf([
        [":status", "200"],
        ["a", " b "],
      ]),
      false,
    ),
    { status: 200 },
  )
  t.same(replyOf(listOf([["grpc-status", "0"]]), true), { status: null, cuts: false })
  t.same(replyOf([], true), { status: null, cuts: false })
})

t.test("replyOf() tells of fields that lead elsewhere (RFC 7838)", async (t) => {
  const list = listOf([
    [":status", "200"],
    ["alt-svc", 'h3=":443"'],
    ["a", "b"],
  ])
  t.match(replyOf(list, false), { cuts: true })
  t.same(
    list.filter(isKept).map(({ name }) => name),
    [":status", "a"],
  )
})

t.test("replyOf() refuses what is malformed", async (t) => {
  const table: readonly (readonly [string, Fields, boolean])[] = [
    ["no :status", [["a", "b"]], false],
    ["nothing", [], false],
    [
      ":status late",
      [
        ["a", "b"],
        [":status", "200"],
      ],
      false,
    ],
    [
      ":status twice",
      [
        [":status", "200"],
        [":status", "200"],
      ],
      false,
    ],
    [":status of two digits", [[":status", "20"]], false],
    [":status that is none", [[":status", "abc"]], false],
    [":status of 101", [[":status", "101"]], false],
    [
      "a pseudo-header field of requests",
      [
        [":status", "200"],
        [":path", "/"],
      ],
      false,
    ],
    [
      "a line end",
      [
        [":status", "200"],
        ["a", "b\r\nc"],
      ],
      false,
    ],
    [
      "NUL",
      [
        [":status", "200"],
        ["a", "b\0c"],
      ],
      false,
    ],
    [
      "a name in upper case",
      [
        [":status", "200"],
        ["A", "b"],
      ],
      false,
    ],
    [
      "connection",
      [
        [":status", "200"],
        ["connection", "close"],
      ],
      false,
    ],
    [
      "transfer-encoding",
      [
        [":status", "200"],
        ["transfer-encoding", "chunked"],
      ],
      false,
    ],
    [":status in trailers", [[":status", "200"]], true],
  ]
  for (const [what, fields, trailers] of table) {
    t.type(replyOf(listOf(fields), trailers), "string", what)
  }
})
