import t from "tap"
import type { Test } from "tap"
import { headTimeoutMs, http1, refusalsMax } from "../../../proxy/http1.ts"
import type { Links, Relay } from "../../../proxy/relay.ts"
import { interimRepliesMax } from "../../../proxy/reply-lane.ts"
import { cut, play, Stage } from "./relayed.ts"
import type { Played, Said, Wanted } from "./relayed.ts"

const inside = (links: Links): Relay => http1(links, { scheme: "https", port: 443 })

/** Played whole, and byte by byte: what goes on, and what is recorded, must be the same. */
function both(t: Test, said: readonly Said[], wanted: Wanted = {}): Played {
  const whole = play(inside, said, wanted)
  const pieces = play(inside, cut(said, 1), wanted)
  t.same(heard(pieces), heard(whole), "byte by byte as whole")
  return whole
}

function heard({ toClient, toUpstream, judged, exchanges, acts }: Played): unknown {
  return {
    toClient,
    toUpstream,
    judged,
    exchanges,
    ended: acts.filter((act) => /end|reset/.test(act)),
  }
}

function get(path: string, ...fields: string[]): string {
  return [`GET ${path} HTTP/1.1`, "Host: allowed.test", ...fields, "", ""].join("\r\n")
}

function post(path: string, body: string, ...fields: string[]): string {
  return `${get(path, ...fields).replace("GET", "POST")}${body}`
}

function reply(body: string, ...fields: string[]): string {
  return ["HTTP/1.1 200 OK", `Content-Length: ${body.length}`, ...fields, "", body].join("\r\n")
}

t.test("http1() passes one exchange after another", async (t) => {
  const one = reply("one")
  const { toClient, toUpstream, acts, exchanges } = both(t, [
    ["client", get("/a")],
    ["upstream", one],
    ["client", get("/b")],
    ["upstream", reply("two")],
    ["closed"],
  ])
  t.equal(toUpstream, get("/a") + get("/b"))
  t.equal(toClient, one + reply("two"))
  t.same(acts, [
    "judge GET /a",
    "record 200 allowed-by-rule",
    "judge GET /b",
    "record 200 allowed-by-rule",
  ])
  t.match(exchanges[0], {
    protocol: "http/1.1",
    bytesSent: get("/a").length,
    bytesReceived: one.length,
    detail: null,
  })
})

t.test("http1() lets pipelined requests wait for the reply before", async (t) => {
  const { toClient, toUpstream, acts } = play(
    inside,
    [
      ["client", get("/a") + get("/evil") + get("/b")],
      ["upstream", reply("one")],
      ["upstream", reply("two")],
    ],
    { denied: /evil/ },
  )
  t.equal(toUpstream, get("/a") + get("/b"))
  t.match(toClient, /one.*HTTP\/1.1 403 Forbidden.*two$/s)
  t.same(acts, [
    "judge GET /a",
    "pause",
    "record 200 allowed-by-rule",
    "judge GET /evil",
    "record 403 path-not-allowed",
    "judge GET /b",
    "resume",
    "record 200 allowed-by-rule",
  ])
})

t.test("http1() has a time for a head that has begun", async (t) => {
  const { toClient, toUpstream, acts } = play(inside, [["client", "GET /"], ["late"], ["closed"]])
  t.same(acts, [
    `timer ${headTimeoutMs}`,
    "no timer",
    "record 408 limit-exceeded",
    "end client",
    "end upstream",
  ])
  t.match(toClient, /^HTTP\/1.1 408 Request Timeout\r\n/)
  t.equal(toUpstream, "")
})

t.test("http1() passes bodies of both sides as they came", async (t) => {
  const body = "3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n"
  const sent = post("/up", `${body}\r\n`, "Transfer-Encoding: chunked")
  const answer = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a="b"\r\nhello\r\n0  \r\nX-Sum: 1\r\n\r\n`
  const { toClient, toUpstream, acts } = both(t, [
    ["client", sent],
    ["upstream", answer],
    ["client", post("/up", "abc", "Content-Length: 3")],
    ["upstream", "HTTP/1.1 204 No Content\r\n\r\n"],
  ])
  t.equal(toUpstream, sent + post("/up", "abc", "Content-Length: 3"))
  t.equal(toClient, `${answer}HTTP/1.1 204 No Content\r\n\r\n`)
  t.same(
    acts.filter((act) => !act.startsWith("judge")),
    ["record 200 allowed-by-rule", "record 204 allowed-by-rule"],
  )
})

t.test("http1() passes a body as it comes, and holds nothing", (t) => {
  const { acts, toUpstream } = play(inside, [
    ["client", post("/up", "ab", "Content-Length: 4")],
    ["client", "c"],
    ["client", "d"],
  ])
  t.equal(toUpstream, post("/up", "abcd", "Content-Length: 4"))
  t.same(acts, ["judge POST /up"])
  t.end()
})

t.test("http1() copies no body: it goes on where it landed", (t) => {
  const went: { readonly bytes: Buffer; readonly owned: boolean }[] = []
  const goOn = (bytes: Buffer, owned: boolean): void => {
    went.push({ bytes, owned })
  }
  const stage = new Stage((links) => inside({ ...links, toClient: goOn, toUpstream: goOn }))
  const body = "b".repeat(10_000)
  const relay = stage.relay
  const ask = Buffer.from(post("/up", body, `Content-Length: ${body.length}`))
  const answer = Buffer.from(reply(body))
  relay.client(ask)
  relay.upstream(answer)
  t.equal(went.length, 4, "each head, and each body")
  for (const [index, whole] of [
    [1, ask],
    [3, answer],
  ] as const) {
    const span = went[index]
    t.equal(span?.owned, false)
    t.equal(span?.bytes.buffer, whole.buffer)
    t.equal(span?.bytes.byteOffset, whole.byteOffset + whole.length - body.length)
    t.equal(span?.bytes.length, body.length)
  }
  t.end()
})

t.test("http1() passes events of a long reply one by one", (t) => {
  const said: Said[] = [
    ["client", get("/events")],
    ["upstream", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"],
  ]
  let before = play(inside, said).toClient
  for (const event of ["data: 1\n\n", "data: 2\n\n"]) {
    said.push(["upstream", event])
    const { toClient, acts } = play(inside, said)
    t.equal(toClient, before + event)
    t.same(acts, ["judge GET /events"])
    before = toClient
  }
  const { acts, exchanges } = play(inside, [...said, ["upstream ends"]])
  t.same(acts, ["judge GET /events", "record 200 allowed-by-rule", "end client", "end upstream"])
  t.match(exchanges[0], { status: 200, detail: null })
  t.end()
})

t.test("http1() leaves out the trailers of requests, and passes those of replies", (t) => {
  const body = "1\r\na\r\n0\r\n"
  const field = "Transfer-Encoding: chunked"
  const answer = `HTTP/1.1 200 OK\r\n${field}\r\n\r\n${body}X-Sum: 1\r\n\r\n`
  const { toClient, toUpstream } = both(t, [
    [
      "client",
      post("/up", `${body}X-Evil: 1\r\nHost: evil.test\r\n\r\n`, field, "Trailer: X-Evil"),
    ],
    ["upstream", answer],
    ["client", get("/b")],
  ])
  t.equal(toUpstream, post("/up", `${body}\r\n`, field) + get("/b"))
  t.equal(toClient, answer)
  t.end()
})

t.test("http1() asks for trailers where the client takes them", (t) => {
  const { toUpstream } = both(t, [["client", get("/", "TE: gzip, trailers", "Connection: TE")]])
  t.equal(toUpstream, get("/", "TE: trailers", "Connection: TE"))
  t.end()
})

t.test("http1() passes interim replies, as many as are reasonable", (t) => {
  const goOn = "HTTP/1.1 100 Continue\r\n\r\n"
  const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
  const fields = ["Content-Length: 3", "Expect: 100-continue"]
  const { toClient, toUpstream, exchanges } = both(t, [
    ["client", post("/up", "", ...fields)],
    ["upstream", goOn],
    ["client", "abc"],
    ["upstream", hints + reply("one")],
  ])
  t.equal(toUpstream, post("/up", "abc", ...fields))
  t.equal(toClient, goOn + hints + reply("one"))
  t.match(exchanges, [{ status: 200 }])
  const many = play(inside, [
    ["client", get("/")],
    ["upstream", goOn.repeat(interimRepliesMax)],
    ["upstream", goOn],
  ])
  t.match(many.toClient.slice(goOn.length * interimRepliesMax), /^HTTP\/1.1 502 /)
  t.end()
})

t.test("http1() sends no interim reply to a client of HTTP/1.0", (t) => {
  const ask = get("/").replace("1.1", "1.0")
  const { toClient } = both(t, [
    ["client", ask],
    ["upstream", `HTTP/1.1 100 Continue\r\n\r\n${reply("one")}`],
  ])
  t.equal(toClient, reply("one", "Connection: close"))
  t.end()
})

t.test("http1() knows which replies have no body", (t) => {
  const table: readonly (readonly [string, string])[] = [
    ["HEAD", reply("", "Accept: a").replace("Length: 0", "Length: 99")],
    ["HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["HEAD", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n"],
    ["GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"],
    ["GET", "HTTP/1.1 304 Not Modified\r\nETag: a\r\n\r\n"],
    ["GET", "HTTP/1.1 204 No Content\r\n\r\n"],
    ["GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
  ]
  for (const [method, answer] of table) {
    const { toClient, acts } = both(t, [
      ["client", get("/a").replace("GET", method)],
      ["upstream", answer],
      ["client", get("/b")],
      ["upstream", reply("two")],
    ])
    t.equal(toClient, answer + reply("two"), answer)
    t.notMatch(acts, ["end client"])
  }
  t.end()
})

t.test("http1() ends the connection when either side wants that", (t) => {
  const ended = ["record 200 allowed-by-rule", "end client", "end upstream"]
  const close = "Connection: close"
  const table: readonly (readonly [string, string, string, string])[] = [
    ["the client", get("/", close), reply("one"), reply("one", close)],
    ["the upstream", get("/"), reply("one", close), reply("one", close)],
    ["an old client", get("/").replace("1.1", "1.0"), reply("one"), reply("one", close)],
    ["an old upstream", get("/"), reply("one").replace("1.1", "1.0"), reply("one", close)],
    [
      "an upstream with two framings",
      get("/"),
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
    ],
  ]
  for (const [who, ask, answer, expected] of table) {
    const { toClient, toUpstream, acts } = both(t, [
      ["client", ask],
      ["upstream", answer],
      ["client", get("/later")],
      ["upstream", "more"],
    ])
    t.equal(toClient, expected, who)
    const last = who.endsWith("client")
    t.equal(
      toUpstream,
      last ? ask.replace(/(\r\nConnection.*)?\r\n\r\n/, `\r\n${close}\r\n\r\n`) : ask,
      who,
    )
    t.same(acts.slice(1), ended, who)
  }
  t.end()
})

t.test("http1() keeps a connection open for a client of HTTP/1.0 that asks for it", (t) => {
  const ask = get("/", "Connection: keep-alive").replace("1.1", "1.0")
  const { toClient, toUpstream, acts } = both(t, [
    ["client", ask],
    ["upstream", reply("one")],
    ["client", ask],
  ])
  t.equal(toUpstream, ask + ask)
  t.equal(toClient, reply("one", "Connection: keep-alive"))
  t.notMatch(acts, ["end client"])
  t.end()
})

t.test("http1() ends both sides when one ends between requests", (t) => {
  const said: readonly Said[] = [
    ["client", get("/")],
    ["upstream", reply("one")],
  ]
  for (const end of ["client ends", "upstream ends"] as const) {
    const { acts } = both(t, [...said, [end]])
    t.same(acts.slice(2), ["end client", "end upstream"], end)
  }
  t.same(play(inside, [["client ends"]]).acts, ["end client", "end upstream"])
  t.end()
})

t.test("http1() lets a client that has ended its side have its reply", (t) => {
  const { toClient, acts } = both(t, [
    ["client", get("/")],
    ["client ends"],
    ["upstream", reply("one")],
  ])
  t.equal(toClient, reply("one", "Connection: close"))
  t.same(acts.slice(1), ["record 200 allowed-by-rule", "end client", "end upstream"])
  const two = play(inside, [
    ["client", get("/a") + get("/b")],
    ["client ends"],
    ["upstream", reply("one")],
    ["upstream", reply("two")],
  ])
  t.equal(two.toClient, reply("one") + reply("two", "Connection: close"))
  t.same(two.acts.slice(-3), ["record 200 allowed-by-rule", "end client", "end upstream"])
  t.end()
})

t.test("http1() ends with a client that has ended once what it said before is read", (t) => {
  const table: readonly (readonly [string, string, string])[] = [
    ["half a head", "GET /b HTT", "record 400 malformed"],
    ["a denied request", get("/evil"), "record 403 path-not-allowed"],
    ["half a body", post("/b", "ab", "Content-Length: 3"), "record - allowed-by-rule"],
  ]
  for (const [what, second, recorded] of table) {
    const { acts } = play(
      inside,
      [["client", get("/a") + second], ["client ends"], ["upstream", reply("one")]],
      { denied: /evil/ },
    )
    t.ok(acts.includes(recorded), what)
    t.ok(acts.includes("end client") || acts.includes("reset"), what)
  }
  t.end()
})

t.test("http1() does nothing once it is over, and nothing late but a head", (t) => {
  const over: readonly Said[] = [
    ["client", get("/", "Connection: close")],
    ["upstream", reply("one")],
  ]
  const before = play(inside, over)
  const more = ["client", "upstream", "client ends", "upstream ends", "late", "closed"] as const
  for (const what of more) {
    const said: Said = what === "client" || what === "upstream" ? [what, "more"] : [what]
    t.same(play(inside, [...over, said]), before, what)
  }
  for (const said of [[], over.slice(0, 1), [["client", post("/", "", "Content-Length: 9")]]]) {
    const some = said as readonly Said[]
    t.same(play(inside, [...some, ["late"]]), play(inside, some))
  }
  t.end()
})

t.test("http1() resets where a side ends in the middle of its message", (t) => {
  const table: readonly (readonly [string, readonly Said[], number | null])[] = [
    ["a request", [["client", post("/", "ab", "Content-Length: 3")], ["client ends"]], null],
    [
      "a reply",
      [["client", get("/")], ["upstream", reply("one").slice(0, -1)], ["upstream ends"]],
      200,
    ],
  ]
  for (const [what, said, status] of table) {
    const { acts, exchanges } = both(t, said)
    t.same(acts.slice(1), [`record ${status ?? "-"} allowed-by-rule`, "reset"], what)
    t.match(exchanges, [{ status, detail: /./ }])
  }
  t.end()
})

t.test("http1() refuses a head that its client does not finish", (t) => {
  const { acts, toClient, toUpstream } = both(t, [["client", "GET / HTT"], ["client ends"]])
  t.match(toClient, /^HTTP\/1.1 400 Bad Request\r\n/)
  t.equal(toUpstream, "")
  t.same(acts.slice(-3), ["record 400 malformed", "end client", "end upstream"])
  t.end()
})

t.test("http1() resets an upstream that speaks without being asked", (t) => {
  const table: readonly (readonly Said[])[] = [
    [["upstream", reply("evil")]],
    [
      ["client", get("/")],
      ["upstream", `${reply("one")}${reply("evil")}`],
    ],
    [
      ["client", get("/a") + get("/b")],
      ["upstream", `${reply("one")}${reply("evil")}`],
    ],
  ]
  for (const said of table) {
    const { toClient, acts } = play(inside, said)
    t.notMatch(toClient, /evil/)
    t.equal(acts.at(-1), "reset")
  }
  t.end()
})

t.test("http1() answers for an upstream whose reply cannot be read", (t) => {
  const table: readonly (readonly [string, readonly Said[]])[] = [
    ["no HTTP", [["upstream", "SSH-2.0-x\r\n\r\n"]]],
    [
      "two lengths",
      [["upstream", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"]],
    ],
    [
      "another protocol",
      [["upstream", "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"]],
    ],
    ["no word", [["upstream ends"]]],
    ["half a head", [["upstream", "HTTP/1.1 200"], ["upstream ends"]]],
    ["an interim reply only", [["upstream", "HTTP/1.1 100 Continue\r\n\r\n"], ["upstream ends"]]],
  ]
  for (const [what, said] of table) {
    const { toClient, acts, exchanges } = both(t, [["client", get("/")], ...said])
    t.match(toClient, /HTTP\/1.1 502 Bad Gateway\r\n.*denied: upstream-failed\n$/s, what)
    t.same(acts.slice(1), ["record 502 upstream-failed", "end client", "end upstream"], what)
    t.match(exchanges, [{ status: 502, detail: /./, bytesSent: get("/").length }])
  }
  const head = both(t, [["client", get("/").replace("GET", "HEAD")], ["upstream ends"]])
  t.match(head.toClient, /\r\n\r\n$/, "no body after HEAD")
  t.end()
})

t.test("http1() resets where a reply breaks once it has begun", (t) => {
  const { toClient, acts } = both(t, [
    ["client", get("/")],
    ["upstream", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab"],
  ])
  t.match(toClient, /1\r\na$/)
  t.same(acts.slice(1), ["record 200 allowed-by-rule", "reset"])
  t.end()
})

t.test("http1() passes on that an upstream has let go of a kept connection", (t) => {
  const { toClient, acts, exchanges } = both(t, [
    ["client", get("/a")],
    ["upstream", reply("one")],
    ["client", get("/b")],
    ["upstream ends"],
  ])
  t.equal(toClient, reply("one"), "no page: the client may try again")
  t.same(acts.slice(-3), ["record - allowed-by-rule", "end client", "end upstream"])
  t.match(exchanges[1], { status: null, detail: /kept/ })
  t.end()
})

t.test("http1() passes a reply that comes before its request is whole, and ends", (t) => {
  const early: readonly Said[] = [
    ["client", post("/up", "ab", "Content-Length: 9")],
    ["upstream", reply("no")],
    ["client", "cd"],
  ]
  const { toClient, toUpstream, acts } = both(t, early)
  t.equal(toClient, reply("no", "Connection: close"))
  t.equal(toUpstream, post("/up", "ab", "Content-Length: 9"))
  t.same(acts.slice(1), ["record 200 allowed-by-rule", "end client", "end upstream"])
  const whole = both(t, [
    ["client", post("/up", "ab", "Content-Length: 4")],
    ["upstream", reply("yes").slice(0, -1)],
    ["client", "cd"],
    ["upstream", "s"],
  ])
  t.equal(whole.toUpstream, post("/up", "abcd", "Content-Length: 4"))
  t.equal(whole.toClient, reply("yes", "Connection: close"))
  t.end()
})

t.test("http1() records what dies midway, once", (t) => {
  const table: readonly (readonly [string, readonly Said[], unknown])[] = [
    ["nothing said", [], []],
    [
      "between requests",
      [
        ["client", get("/")],
        ["upstream", reply("one")],
      ],
      [{ detail: null }],
    ],
    ["half a head", [["client", "GET"]], []],
    ["no reply", [["client", get("/")]], [{ status: null, detail: /ended/ }]],
    [
      "half a reply",
      [
        ["client", get("/")],
        ["upstream", reply("one").slice(0, -1)],
      ],
      [{ status: 200, bytesReceived: reply("one").length - 1, detail: /ended/ }],
    ],
  ]
  for (const [what, said, expected] of table) {
    const { exchanges } = both(t, [...said, ["closed"]])
    t.match(exchanges, expected, what)
    t.equal(exchanges.length, Array.isArray(expected) ? expected.length : 0, what)
  }
  t.end()
})

t.test("http1() denies a request with a page, and goes on with the next", (t) => {
  const wanted: Wanted = { denied: /evil/ }
  const page = play(inside, [["client", get("/evil")]], wanted).toClient
  t.match(page, /^HTTP\/1.1 403 Forbidden\r\n.*\r\n\r\ndenied: path-not-allowed\n$/s)
  t.notMatch(page, /Connection/)
  const { toClient, toUpstream, exchanges } = both(
    t,
    [
      ["client", get("/a")],
      ["upstream", reply("one")],
      ["client", get("/evil")],
      ["client", get("/evil").replace("GET", "HEAD")],
      ["client", get("/b")],
    ],
    wanted,
  )
  t.equal(toClient, reply("one") + page + page.replace(/denied.*\n/, ""))
  t.equal(toUpstream, get("/a") + get("/b"))
  t.match(exchanges[1], { status: 403, bytesSent: 0, bytesReceived: 0 })
  t.end()
})

t.test("http1() ends after a denied request whose body nobody reads", (t) => {
  const table: readonly (readonly [string, string])[] = [
    ["a length", post("/evil", "abc", "Content-Length: 3")],
    ["chunks", post("/evil", "0\r\n\r\n", "Transfer-Encoding: chunked")],
    ["a body that waits", post("/evil", "", "Content-Length: 3", "Expect: 100-continue")],
    ["a last request", get("/evil", "Connection: close")],
    ["HTTP/1.0", get("/evil", "Connection: keep-alive").replace("1.1", "1.0")],
  ]
  for (const [what, text] of table) {
    const said: readonly Said[] = [["client", text + get("/b")]]
    const { toClient, toUpstream, acts } = both(t, said, { denied: /evil/ })
    t.match(toClient, /^HTTP\/1.1 403 Forbidden\r\n.*Connection: close\r\n\r\n.*\n$/s, what)
    t.equal(toUpstream, "", what)
    t.same(acts.slice(-3), ["record 403 path-not-allowed", "end client", "end upstream"], what)
  }
  t.end()
})

t.test("http1() ends with one who asks for denied things without reading the answers", (t) => {
  const { toClient, exchanges } = play(inside, [["client", get("/evil").repeat(100)]], {
    denied: /evil/,
  })
  t.equal(exchanges.length, refusalsMax)
  t.match(toClient, /Connection: close\r\n\r\n[^\n]*\n$/)
  const slowly = Array.from({ length: 100 }, (): Said => ["client", get("/evil")])
  const patient = play(inside, slowly, { denied: /evil/ })
  t.equal(patient.exchanges.length, 100)
  t.end()
})

const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
const upgrade = ["Connection: Upgrade", "Upgrade: websocket"]
const handshake = get("/ws", key, "Sec-WebSocket-Version: 13", ...upgrade.toReversed())
const accepted = [
  "HTTP/1.1 101 Switching Protocols",
  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
  ...upgrade,
  "",
  "",
].join("\r\n")

t.test("http1() opens a WebSocket, and counts what passes", (t) => {
  const { toClient, toUpstream, acts, judged, exchanges } = both(t, [
    ["client", handshake],
    ["upstream", `${accepted}hello`],
    ["client", "GET /not HTTP/1.1\n"],
    ["upstream", "\0\x01"],
    ["client ends"],
    ["closed"],
  ])
  t.equal(judged[0]?.webSocket, true)
  t.equal(toUpstream, `${handshake}GET /not HTTP/1.1\n`)
  t.equal(toClient, `${accepted}hello\0\x01`)
  t.same(acts, ["judge GET /ws", "record 101 allowed-by-rule", "end client", "end upstream"])
  t.match(exchanges, [
    {
      protocol: "websocket",
      status: 101,
      bytesSent: toUpstream.length,
      bytesReceived: toClient.length,
      detail: null,
    },
  ])
  const early = play(inside, [
    ["client", `${handshake}frame`],
    ["upstream", accepted],
    ["upstream ends"],
    ["closed"],
  ])
  t.equal(early.toUpstream, `${handshake}frame`)
  t.match(early.exchanges, [{ status: 101, bytesSent: early.toUpstream.length }])
  t.end()
})

t.test("http1() reads on where an upstream opens no WebSocket", (t) => {
  const { toClient, toUpstream, judged } = both(
    t,
    [
      ["client", handshake + get("/evil")],
      ["upstream", reply("no")],
    ],
    { denied: /evil/ },
  )
  t.equal(toUpstream, handshake)
  t.match(toClient, /^HTTP\/1.1 200 OK.*no.*403 Forbidden/s)
  t.equal(judged.length, 2)
  t.end()
})

t.test("http1() changes to no protocol that was not asked for", (t) => {
  const table: readonly (readonly [string, string, string])[] = [
    ["a plain request", get("/"), accepted],
    ["h2c", get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"), accepted],
    ["another than asked", handshake, accepted.replace("Upgrade: websocket", "Upgrade: h2c")],
    ["no option", handshake, accepted.replace("Connection: Upgrade\r\n", "")],
  ]
  for (const [what, ask, answer] of table) {
    const { toClient, toUpstream, acts } = both(t, [
      ["client", ask],
      ["upstream", `${answer}evil`],
      ["client", "evil"],
    ])
    t.match(toClient, /^HTTP\/1.1 502 /, what)
    t.notMatch(toUpstream + toClient, /evil|h2c/i, what)
    t.same(acts.slice(1), ["record 502 upstream-failed", "end client", "end upstream"], what)
  }
  t.end()
})

t.test("http1() takes all that it sends out of the purse first", (t) => {
  const ask = post("/up", "abcd", "Content-Length: 4")
  const head = ask.length - 4
  const whole = play(inside, [["client", ask]], { purse: ask.length })
  t.equal(whole.toUpstream, ask)
  t.same(whole.acts, ["judge POST /up"])
  const waits = play(
    inside,
    [
      ["client", ask + get("/b")],
      ["filled", 4],
    ],
    { purse: head },
  )
  t.equal(waits.toUpstream, ask)
  t.same(waits.acts, ["judge POST /up", "pause"])
  const filled = play(
    inside,
    [
      ["client", ask + get("/b")],
      ["filled", head],
      ["filled", 4],
      ["upstream", reply("one")],
      ["filled", 1_000],
      ["upstream", reply("two")],
    ],
    { purse: 0 },
  )
  t.equal(filled.toUpstream, ask + get("/b"))
  t.equal(filled.toClient, reply("one") + reply("two"))
  t.match(filled.exchanges, [{ bytesSent: ask.length }, { bytesSent: get("/b").length }])
  t.same(filled.acts, [
    "judge POST /up",
    "pause",
    "record 200 allowed-by-rule",
    "judge GET /b",
    "resume",
    "record 200 allowed-by-rule",
  ])
  t.end()
})

t.test("http1() lets the end of a chunked body wait for the purse too", (t) => {
  const ask = post("/up", "1\r\na\r\n0\r\n\r\n", "Transfer-Encoding: chunked")
  const said: readonly Said[] = [
    ["client", ask],
    ["filled", ask.length],
    ["upstream", reply("one")],
  ]
  for (let purse = 0; purse < ask.length; purse++) {
    const { toUpstream, toClient } = play(inside, said, { purse })
    t.equal(toUpstream, ask, `${purse}`)
    t.equal(toClient, reply("one"), `${purse}`)
  }
  const body = ask.length - ask.indexOf("1\r\n") - "\r\n".length
  const sparingly = play(
    inside,
    [
      ["client", ask],
      ["filled", body],
      ["filled", 2],
    ],
    {
      purse: ask.indexOf("1\r\n"),
    },
  )
  t.equal(sparingly.toUpstream, ask)
  t.end()
})

t.test("http1() ends a request whose budget is spent", (t) => {
  const ask = post("/up", "abcd", "Content-Length: 4")
  const head = ask.length - 4
  const said: readonly Said[] = [["client", ask], ["spent"], ["upstream", reply("one")]]
  for (const purse of [0, head]) {
    const { toClient, toUpstream, acts } = play(inside, said, { purse })
    t.match(toClient, /^HTTP\/1.1 403 .*Connection: close.*denied: upload-budget-exceeded\n$/s)
    t.equal(toUpstream, ask.slice(0, purse))
    t.same(acts.slice(1), [
      "pause",
      "record 403 upload-budget-exceeded",
      "end client",
      "end upstream",
    ])
  }
  const begun: readonly Said[] = [
    ["client", ask],
    ["upstream", reply("one").slice(0, -1)],
    ["spent"],
  ]
  const late = play(inside, begun, { purse: head })
  t.same(late.acts.slice(2), ["record 200 upload-budget-exceeded", "reset"])
  const told = play(inside, [...said.slice(0, 2), ["client", "x"]], { purse: head, audit: true })
  t.equal(told.toUpstream, ask)
  t.same(told.acts, ["judge POST /up", "pause", "resume", "pause"])
  t.end()
})

t.test("http1() bounds a WebSocket by its purse", (t) => {
  const purse = handshake.length
  const said: readonly Said[] = [
    ["client", handshake],
    ["upstream", accepted],
    ["client", "frame"],
  ]
  const { toUpstream, acts } = play(inside, [...said, ["spent"]], { purse })
  t.equal(toUpstream, handshake)
  t.same(acts.slice(1), ["pause", "record 101 upload-budget-exceeded", "reset"])
  t.equal(play(inside, [...said, ["filled", 5]], { purse }).toUpstream, `${handshake}frame`)
  t.end()
})

t.test("http1() ignores a purse that answers when its request is over", (t) => {
  const ask = post("/up", "abcd", "Content-Length: 4")
  for (const answer of [["filled", 99], ["spent"]] as const) {
    const { toUpstream, acts } = play(
      inside,
      [["client", ask], ["upstream", reply("no")], answer, ["closed"]],
      { purse: ask.length - 4 },
    )
    t.equal(toUpstream, ask.slice(0, -4))
    t.same(acts.slice(2), ["record 200 allowed-by-rule", "end client", "end upstream"])
  }
  t.end()
})

t.test("http1() passes everything unread in audit mode, once it cannot be read", (t) => {
  const wanted: Wanted = { audit: true }
  const { toClient, toUpstream, exchanges } = both(
    t,
    [
      ["client", get("/a")],
      ["upstream", reply("one")],
      ["client", "GET /b\n\nmore"],
      ["upstream", "whatever"],
      ["client", get("/c")],
      ["closed"],
    ],
    wanted,
  )
  t.equal(toUpstream, `${get("/a")}GET /b\n\nmore${get("/c")}`)
  t.equal(toClient, `${reply("one")}whatever`)
  t.match(exchanges.slice(1), [
    { head: null, answer: { reason: "malformed", go: true }, bytesReceived: 8, detail: null },
  ])
  const pipelined = play(
    inside,
    [
      ["client", `${get("/a")}GET /b\n\nmore`],
      ["upstream", reply("one")],
      ["client", "x"],
    ],
    wanted,
  )
  t.equal(pipelined.toUpstream, `${get("/a")}GET /b\n\nmorex`)
  t.end()
})

t.test("http1() lets denied requests go on in audit mode, each for itself", (t) => {
  const { toUpstream, exchanges } = both(
    t,
    [
      ["client", get("/evil")],
      ["upstream", reply("one")],
      ["client", get("/a")],
      ["upstream", reply("two")],
    ],
    { audit: true, denied: /evil/ },
  )
  t.equal(toUpstream, get("/evil") + get("/a"))
  t.match(exchanges, [
    { status: 200, answer: { decision: "deny", reason: "path-not-allowed" } },
    { status: 200, answer: { decision: "allow" } },
  ])
  t.end()
})

t.test("http1() ends a request whose body breaks its framing", (t) => {
  const field = "Transfer-Encoding: chunked"
  const table: readonly (readonly [string, string, string])[] = [
    ["an extension", "1\r\na\r\n1", ";a\r\nb\r\n0\r\n\r\n"],
    ["a bare LF", "1\r\na\r\n1", "\nb\r\n0\r\n\r\n"],
    ["a chunk too long", "1\r\na", "b\r\n0\r\n\r\n"],
    ["a folded trailer", "0\r\n", "A: b\r\n c\r\n\r\n"],
  ]
  for (const [what, good, bad] of table) {
    const ask = post("/up", good, field)
    const said: readonly Said[] = [
      ["client", ask + bad],
      ["client", get("/evil")],
    ]
    const { toClient, toUpstream, acts, exchanges } = both(t, said)
    t.match(toClient, /^HTTP\/1.1 400 Bad Request\r\n.*Connection: close/s, what)
    t.equal(toUpstream, ask, what)
    t.same(acts.slice(1), ["record 400 malformed", "end client", "end upstream"], what)
    t.match(exchanges, [{ head: { target: "/up" }, answer: { decision: "deny" } }])
    const told = both(t, [["client", ask + bad], ["upstream", "any"], ["closed"]], { audit: true })
    t.equal(told.toUpstream, ask + bad, what)
    t.equal(told.toClient, "any", what)
    t.match(told.exchanges, [{ answer: { go: true, reason: "malformed" } }])
    const begun = both(t, [
      ["client", ask],
      ["upstream", reply("one").slice(0, -1)],
      ["client", bad],
    ])
    t.same(begun.acts.slice(-2), ["record 200 malformed", "reset"], what)
  }
  t.end()
})

/** Requests that have more than one reading, or may not be; the reason and the status of each. */
const odd: readonly (readonly [string, string, string, number])[] = [
  ["a bare LF", get("/").replaceAll("\r\n", "\n"), "malformed", 400],
  ["a bare CR", get("/", "A: b\rHost: evil.test"), "malformed", 400],
  ["a folded field", get("/", "A: b", " c"), "malformed", 400],
  ["NUL", get("/", "A: b\0"), "malformed", 400],
  ["two Hosts", get("/", "Host: evil.test"), "malformed", 400],
  ["the same Host twice", get("/", "Host: allowed.test"), "malformed", 400],
  ["no Host", "GET / HTTP/1.1\r\n\r\n", "malformed", 400],
  ["userinfo", get("/").replace("allowed.test", "a@allowed.test"), "malformed", 400],
  [
    "CL.TE",
    post("/", "0\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked"),
    "malformed",
    400,
  ],
  [
    "TE.CL",
    post("/", "0\r\n\r\n", "Transfer-Encoding: chunked", "Content-Length: 5"),
    "malformed",
    400,
  ],
  ["CL.CL", post("/", "abc", "Content-Length: 3", "Content-Length: 0"), "malformed", 400],
  ["xchunked", post("/", "0\r\n\r\n", "Transfer-Encoding: xchunked"), "malformed", 400],
  [
    "a coding with a tab",
    post("/", "0\r\n\r\n", "Transfer-Encoding: chunked\t,"),
    "malformed",
    400,
  ],
  [
    "a coding in HTTP/1.0",
    post("/", "0\r\n\r\n", "Transfer-Encoding: chunked").replace("1.1", "1.0"),
    "malformed",
    400,
  ],
  ["an underscore", post("/", "abc", "Content_Length: 3"), "malformed", 400],
  ["white space before a colon", post("/", "abc", "Content-Length : 3"), "malformed", 400],
  [
    "the framing as an option",
    post("/", "abc", "Content-Length: 3", "Connection: Content-Length"),
    "malformed",
    400,
  ],
  ["a method in lower case", get("/").replace("GET", "get"), "malformed", 400],
  ["HTTP/0.9", "GET /\r\n\r\n", "malformed", 400],
  ["HTTP/2.0", get("/").replace("1.1", "2.0"), "malformed", 400],
  ["a prototype's name as version", get("/").replace("HTTP/1.1", "constructor"), "malformed", 400],
  ["an empty line first", `\r\n${get("/")}`, "malformed", 400],
  ["a fragment", get("/a#b"), "malformed", 400],
  ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "unsupported-protocol", 403],
  ["a tunnel", get("evil.test:443").replace("GET", "CONNECT"), "method-not-allowed", 403],
  ["a tunnel to a path", get("/").replace("GET", "CONNECT"), "method-not-allowed", 403],
  ["an echo", get("/").replace("GET", "TRACE"), "method-not-allowed", 403],
  ["another host in the target", get("https://evil.test/"), "host-mismatch", 421],
  ["another port in the target", get("https://allowed.test:444/"), "host-mismatch", 421],
  ["another scheme", get("http://allowed.test/"), "malformed", 400],
  ["another port", get("/").replace("allowed.test", "allowed.test:8443"), "host-mismatch", 421],
  ["a head too long", get("/", `A: ${"b".repeat(70_000)}`), "limit-exceeded", 431],
  [
    "too many fields",
    get(
      "/",
      ..."a"
        .repeat(201)
        .split("")
        .map((name) => `${name}: b`),
    ),
    "limit-exceeded",
    431,
  ],
  ["dot segments", get("/a/../b"), "malformed", 400],
  ["encoded dots", get("/%2e%2e/b"), "malformed", 400],
  ["an encoded slash", get("/a%2fb"), "malformed", 400],
  ["a backslash", get("/a\\b"), "malformed", 400],
  ["an encoded backslash", get("/a%5cb"), "malformed", 400],
  ["dots encoded twice", get("/%252e%252e/b"), "malformed", 400],
  ["another method by a field", get("/", "X-HTTP-Method-Override: DELETE"), "malformed", 400],
]

t.test("http1() sends nothing on of a request that has more than one reading", (t) => {
  for (const [what, text, reason, status] of odd) {
    const { toClient, toUpstream, exchanges } = both(t, [["client", text], ["closed"]])
    t.equal(toUpstream, "", what)
    t.match(toClient, new RegExp(`^HTTP/1.1 ${status} [A-Z]`), what)
    t.match(exchanges, [{ status, answer: { reason } }], what)
  }
  t.end()
})

t.test("http1() lets all of these pass in audit mode", (t) => {
  for (const [what, text] of odd) {
    const { toUpstream, toClient, exchanges } = both(t, [["client", text], ["closed"]], {
      audit: true,
    })
    t.equal(toUpstream, text, what)
    t.equal(toClient, "", what)
    t.equal(exchanges.length, 1, what)
  }
  t.end()
})

t.test("http1() compares the port with that of the connection", (t) => {
  const table: readonly (readonly ["http" | "https", number, string, boolean])[] = [
    ["https", 443, "allowed.test", true],
    ["https", 443, "allowed.test:443", true],
    ["https", 443, "allowed.test:80", false],
    ["https", 8443, "allowed.test:8443", true],
    ["https", 8443, "allowed.test", false],
    ["http", 80, "allowed.test", true],
    ["http", 80, "allowed.test:80", true],
    ["http", 80, "allowed.test:443", false],
    ["http", 8080, "allowed.test:8080", true],
    ["http", 8080, "198.51.100.1", false],
  ]
  for (const [scheme, port, host, good] of table) {
    const text = get("/").replace("allowed.test", host)
    const { toUpstream, toClient } = play(
      (links) => http1(links, { scheme, port }),
      [["client", text]],
    )
    t.equal(toUpstream, good ? text : "", `${scheme} ${port} ${host}`)
    t.match(toClient, good ? /^$/ : /^HTTP\/1.1 421 Misdirected Request\r\n/)
  }
  t.end()
})
