import t from "tap"
import type { Test } from "tap"
import { headTimeoutMs, http1 } from "../../../proxy/http1.ts"
import type { Links, Relay } from "../../../proxy/relay.ts"
import { cut, play } from "./relayed.ts"
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
