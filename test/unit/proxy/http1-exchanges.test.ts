/**
 * Random exchanges through the relay of HTTP/1.1, cut anyhow: what each side gets is read by a slow,
 * obvious reader, and must be the messages that the other side sent.
 */
import assert from "node:assert/strict"
import t from "tap"
import { http1 } from "../../../proxy/http1.ts"
import { fc } from "../../property.ts"
import { Stage } from "./relayed.ts"

type Body =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly text: string }
  | { readonly kind: "chunked"; readonly chunks: readonly string[]; readonly trailers: boolean }

interface Exchanged {
  readonly method: string
  readonly path: string
  readonly fields: readonly (readonly [string, string])[]
  readonly body: Body
  readonly interims: number
  readonly status: number
  readonly replyFields: readonly (readonly [string, string])[]
  readonly reply: Body
}

/** A message as the slow reader reads it. */
interface Message {
  readonly first: string
  readonly fields: readonly string[]
  readonly body: string
}

const bytes = fc
  .array(fc.constantFrom("a", "\0", "\r\n", "GET / HTTP/1.1\r\n", "0\r\n\r\n", "\u00ff"), {
    maxLength: 6,
  })
  .map((parts) => parts.join(""))

const body: fc.Arbitrary<Body> = fc.oneof(
  fc.constant<Body>({ kind: "none" }),
  bytes.map((text): Body => ({ kind: "length", text })),
  fc
    .tuple(fc.array(bytes.filter((text) => text !== "")), fc.boolean())
    .map(([chunks, trailers]): Body => ({ kind: "chunked", chunks, trailers })),
)

const fields = fc.array(
  fc.tuple(
    fc.constantFrom("Accept", "x-a", "COOKIE", "Te-x", "Hosts"),
    fc.constantFrom("", "b", "a: b", "c\td", "\u00e9", '"q, r"'),
  ),
  { maxLength: 4 },
)

const exchange: fc.Arbitrary<Exchanged> = fc.record({
  method: fc.constantFrom("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "M-SEARCH"),
  path: fc.constantFrom("/", "/a/b?c=d", "/%20;x//", "/denied"),
  fields,
  body,
  interims: fc.nat(2),
  status: fc.constantFrom(200, 204, 304, 404, 500),
  replyFields: fields,
  reply: body,
})

function written(body: Body, of: "request" | "reply"): { field: string; text: string } {
  switch (body.kind) {
    case "none":
      return { field: of === "reply" ? "Content-Length: 0\r\n" : "", text: "" }
    case "length":
      return { field: `Content-Length: ${body.text.length}\r\n`, text: body.text }
    case "chunked": {
      const chunks = body.chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`)
      const trailers = body.trailers ? "X-Trailer: 1\r\n" : ""
      const text = `${chunks.join("")}0\r\n${trailers}\r\n`
      return { field: "Transfer-Encoding: chunked\r\n", text }
    }
  }
}

function lines(fields: Exchanged["fields"]): string {
  return fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")
}

function isBodyless({ method, status }: Exchanged): boolean {
  return method === "HEAD" || status === 204 || status === 304
}

function isDenied({ path }: Exchanged): boolean {
  return path === "/denied"
}

function asked(one: Exchanged): string {
  const { field, text } = written(one.body, "request")
  return `${one.method} ${one.path} HTTP/1.1\r\nHost: allowed.test\r\n${lines(one.fields)}${field}\r\n${text}`
}

function answered(one: Exchanged): string {
  const { field, text } = written(one.reply, "reply")
  const head = `HTTP/1.1 ${one.status} Word\r\n${lines(one.replyFields)}${field}\r\n`
  return "HTTP/1.1 100 Continue\r\n\r\n".repeat(one.interims) + head + (isBodyless(one) ? "" : text)
}

/** The whole messages of a text. `methods`: of the requests, where they are replies to such. */
function messages(text: string, methods: readonly string[] | null): Message[] {
  const found: Message[] = []
  let rest = text
  let replies = 0
  while (rest.includes("\r\n\r\n")) {
    const end = rest.indexOf("\r\n\r\n")
    const [first = "", ...fields] = rest.slice(0, end).split("\r\n")
    const status = Number(first.split(" ")[1])
    const interim = methods !== null && status < 200
    const method = interim ? "" : methods?.[replies++]
    const empty = methods !== null && (interim || method === "HEAD" || [204, 304].includes(status))
    let at = end + 4
    let body = ""
    if (!empty && /^transfer-encoding: chunked$/im.test(fields.join("\n"))) {
      for (;;) {
        const line = rest.indexOf("\r\n", at)
        const size = Number.parseInt(rest.slice(at, line), 16)
        if (Number.isNaN(size)) throw new Error(`no chunk: ${rest.slice(at)}`)
        at = line + 2
        if (size === 0) break
        body += rest.slice(at, at + size)
        at += size + 2
      }
      at = rest.startsWith("\r\n", at) ? at + 2 : rest.indexOf("\r\n\r\n", at) + 4
    } else if (!empty) {
      const length = fields.find((field) => field.toLowerCase().startsWith("content-length:"))
      const size = Number(length?.split(":")[1] ?? 0)
      body = rest.slice(at, at + size)
      at += size
    }
    found.push({ first, fields, body })
    rest = rest.slice(at)
  }
  return found
}

const inside = (links: Parameters<typeof http1>[0]): ReturnType<typeof http1> =>
  http1(links, { scheme: "https", port: 443 })

/** Sends all requests at once or in pieces, and each reply once its request is whole. */
function exchanged(all: readonly Exchanged[], sizes: readonly number[]): Stage {
  const stage = new Stage(inside, { denied: /denied/ })
  let turn = 0
  const pieces = function* (text: string): Generator<string> {
    for (let at = 0; at < text.length;) {
      const size = sizes[turn++ % sizes.length] ?? 1
      yield text.slice(at, at + size)
      at += size
    }
  }
  const replies = all.filter((one) => !isDenied(one))
  let next = 0
  const reply = (): void => {
    for (;;) {
      const one = replies[next]
      if (one === undefined) return
      const whole = replies
        .slice(0, next + 1)
        .map((each) => forwarded(each))
        .join("")
      if (stage.toUpstream.length < whole.length) return
      next++
      for (const piece of pieces(answered(one))) stage.say(["upstream", piece])
    }
  }
  for (const piece of pieces(all.map((one) => asked(one)).join(""))) {
    stage.say(["client", piece])
    reply()
  }
  return stage
}

/** A request as the upstream is to get it: without trailers. */
function forwarded(one: Exchanged): string {
  return one.body.kind === "chunked"
    ? asked({ ...one, body: { ...one.body, trailers: false } })
    : asked(one)
}

t.test("http1() passes every exchange as it is, however it comes", (t) => {
  const sizes = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(fc.array(exchange, { minLength: 1, maxLength: 5 }), sizes, (some, sizes) => {
      // Why: a denied request that has a body ends the connection.
      const all = some.map((one) =>
        isDenied(one) ? { ...one, body: { kind: "none" } as const } : one,
      )
      const passed = all.filter((one) => !isDenied(one))
      const stage = exchanged(all, sizes)
      const { toUpstream, toClient, exchanges } = stage.played()
      assert.equal(toUpstream, passed.map((one) => forwarded(one)).join(""))
      const got = messages(
        toClient,
        all.map(({ method }) => method),
      )
      const wanted = all.flatMap((one) =>
        isDenied(one) ? [null] : messages(answered(one), [one.method]),
      )
      assert.equal(got.length, wanted.length)
      for (const [index, message] of wanted.entries()) {
        if (message === null) assert.match(got[index]?.first ?? "", /^HTTP\/1.1 403 /)
        else {
          const fields = message.first.includes(" 204 ")
            ? message.fields.filter((field) => !/^(content-length|transfer-encoding):/i.test(field))
            : message.fields
          assert.deepEqual(got[index], { ...message, fields })
        }
      }
      assert.equal(exchanges.length, all.length)
    }),
    { numRuns: 300 },
  )
  t.pass("each side got what the other sent")
  t.end()
})
