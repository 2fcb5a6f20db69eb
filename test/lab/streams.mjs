/**
 * A job that uses HTTP in every way that is more than asking and being answered. Prints a JSON object
 * a line: the name of a case, and what it got. Argument: a word to try to get out.
 */
import { createHash } from "node:crypto"
import http2 from "node:http2"
import https from "node:https"
import grpc from "@grpc/grpc-js"
import * as undici from "undici"
import { WebSocket } from "ws"

const word = process.argv[2] ?? ""
const host = "allowed.test"
const origin = `https://${host}`
const agent = new https.Agent({ keepAlive: true, maxSockets: 1 })

/** One request over HTTP/1.1, on the one connection of `agent` unless told otherwise. */
function ask(method, path, { headers = {}, body, trailers, own = false } = {}) {
  return new Promise((done, failed) => {
    const options = { method, host, path, headers, agent: own ? false : agent }
    const got = { status: 0, headers: {}, text: "", trailers: {}, hints: [], invited: false }
    const request = https.request(options, (reply) => {
      got.status = reply.statusCode
      got.headers = reply.headers
      reply.on("data", (bytes) => (got.text += bytes))
      reply.on("end", () => done({ ...got, trailers: reply.trailers }))
    })
    request.on("information", ({ statusCode }) => got.hints.push(statusCode))
    request.on("error", failed)
    const send = () => {
      if (trailers !== undefined) request.addTrailers(trailers)
      request.end(body)
    }
    if (headers.expect === undefined) return send()
    // Why: the head goes at once only when it is flushed, and the body waits for its invitation.
    request.on("continue", () => {
      got.invited = true
      send()
    })
    request.flushHeaders()
  })
}

const session = http2.connect(origin)
session.on("error", () => {})

/** The same over HTTP/2, all on one connection. */
function ask2(method, path, { headers = {}, body, trailers } = {}) {
  return new Promise((done, failed) => {
    const got = { status: 0, headers: {}, text: "", trailers: {}, hints: [], invited: false }
    const fields = { ":method": method, ":path": path, ...headers }
    const bare = body === undefined && trailers === undefined && headers.expect === undefined
    const stream = session.request(fields, {
      endStream: bare,
      waitForTrailers: trailers !== undefined,
    })
    stream.on("wantTrailers", () => stream.sendTrailers(trailers))
    stream.on("headers", (head) => got.hints.push(head[":status"]))
    stream.on("response", (head) => {
      got.status = head[":status"]
      got.headers = { ...head }
    })
    stream.on("data", (bytes) => (got.text += bytes))
    stream.on("trailers", (fields) => (got.trailers = { ...fields }))
    stream.on("end", () => done(got))
    stream.on("error", failed)
    if (bare) return
    if (headers.expect === undefined) return stream.end(body)
    stream.on("continue", () => {
      got.invited = true
      stream.end(body)
    })
  })
}

/** Whether the first event was here before the last was sent. */
async function eventsFlow(get) {
  const times = []
  await get((text) => {
    for (const [, sent] of text.matchAll(/data: (\d+)/g)) times.push([Number(sent), Date.now()])
  })
  return { count: times.length, flows: times[0][1] < times.at(-1)[0] }
}

const events = () =>
  eventsFlow(async (take) => {
    const reply = await fetch(`${origin}/events`)
    for await (const bytes of reply.body) take(Buffer.from(bytes).toString())
  })

const events2 = () =>
  eventsFlow(
    (take) =>
      new Promise((done, failed) => {
        const stream = session.request({ ":path": "/events" })
        stream.on("data", (bytes) => take(bytes.toString()))
        stream.on("end", done).on("error", failed)
      }),
  )

const facts = ({ status, text }) => ({ status, text })
const sum = (text) => createHash("sha256").update(text, "latin1").digest("hex")

/** Many at once on one connection, each with content of another length. */
async function manyStreams() {
  const one = (bytes) =>
    new Promise((done, failed) => {
      const hash = createHash("sha256")
      const stream = session.request({ ":path": `/bytes/${bytes}` })
      stream.on("data", (chunk) => hash.update(chunk))
      stream.on("end", () => done(hash.digest("hex"))).on("error", failed)
    })
  return Promise.all(Array.from({ length: 100 }, (_, index) => one(index * 1_000)))
}

/** Two-way: a byte goes up only when the one before it has come back. */
function pingPong2() {
  return new Promise((done, failed) => {
    const stream = session.request({ ":method": "POST", ":path": "/echo" }, { endStream: false })
    let count = 0
    stream.on("data", () => {
      if (++count < 10) stream.write("x")
      else stream.end()
    })
    stream.on("end", () => done(count)).on("error", failed)
    stream.write("x")
  })
}

function pingPong() {
  return new Promise((done, failed) => {
    const request = https.request(
      { method: "POST", host, path: "/echo", agent: false },
      (reply) => {
        let count = 0
        reply.on("data", () => {
          if (++count < 10) request.write("x")
          else request.end()
        })
        reply.on("end", () => done(count))
      },
    )
    request.on("error", failed)
    request.write("x")
  })
}

/** Several requests on their way before the first answer. */
async function pipelined() {
  const client = new undici.Client(origin, { pipelining: 10 })
  const one = async (index) => {
    const reply = await client.request({ method: "GET", path: `/bytes/${index}` })
    return (await reply.body.arrayBuffer()).byteLength
  }
  const lengths = await Promise.all(Array.from({ length: 10 }, (_, index) => one(index)))
  await client.close()
  return lengths
}

// --- WebSocket --------------------------------------------------------------------------------------

function socketCase(path, act) {
  return new Promise((done, failed) => {
    const socket = new WebSocket(`wss://${host}${path}`)
    socket.on("unexpected-response", (_request, reply) => done({ status: reply.statusCode }))
    socket.on("error", failed)
    act(socket, done)
  })
}

const talk = () =>
  socketCase("/socket", (socket, done) => {
    const large = Buffer.alloc(1 << 20, "y")
    const got = []
    socket.on("open", () => socket.send("hello"))
    socket.on("message", (bytes, binary) => {
      got.push(binary ? Buffer.compare(bytes, large) : bytes.toString())
      if (got.length === 1) socket.send(large)
      else socket.ping("p")
    })
    socket.on("pong", (bytes) => {
      got.push(`pong ${bytes}`)
      socket.close(4001, "enough")
    })
    socket.on("close", (code, reason) => done([...got, code, reason.toString()]))
  })

const talkUndici = () =>
  new Promise((done) => {
    const socket = new undici.WebSocket(`wss://${host}/socket`)
    socket.addEventListener("open", () => socket.send("hello"))
    socket.addEventListener("message", ({ data }) => {
      socket.close()
      done(data)
    })
    socket.addEventListener("error", () => done("error"))
  })

// --- gRPC -------------------------------------------------------------------------------------------

const bytes = (value) => Buffer.from(String(value))
const text = (value) => value.toString()
const method = (path, requestStream, responseStream) => ({
  path: `/lab.Echo/${path}`,
  requestStream,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: text,
  responseSerialize: bytes,
  responseDeserialize: text,
})
const Echo = grpc.makeGenericClientConstructor(
  {
    unary: method("Unary", false, false),
    up: method("Up", true, false),
    down: method("Down", false, true),
    both: method("Both", true, true),
    fail: method("Fail", false, false),
    denied: method(`Denied-${word}`, false, false),
  },
  "lab.Echo",
)
const echo = new Echo("grpc.example.com:443", grpc.credentials.createSsl())

const unary = (name, message) =>
  new Promise((done) => {
    echo[name](message, (error, reply) =>
      done(error === null ? reply : { code: error.code, details: error.details }),
    )
  })

const up = () =>
  new Promise((done) => {
    const call = echo.up((error, reply) => done(error?.message ?? reply))
    for (let index = 0; index < 50; index++) call.write(`message ${index}`)
    call.end()
  })

const down = () =>
  new Promise((done) => {
    const got = []
    const call = echo.down("100")
    call.on("data", (message) => got.push(message))
    call.on("error", (error) => done(error.message))
    call.on("end", () => done({ count: got.length, last: got.at(-1) }))
  })

/** A message goes up only when the one before it has come back. */
const both = () =>
  new Promise((done) => {
    const call = echo.both()
    let count = 0
    call.on("data", () => {
      if (++count < 20) call.write(`message ${count}`)
      else call.end()
    })
    call.on("error", (error) => done(error.message))
    call.on("end", () => done(count))
    call.write("message 0")
  })

// --- the cases --------------------------------------------------------------------------------------

/** Less than the 10 MB that a session of Node may hold (maxSessionMemory), more than any window. */
const large = word.repeat(Math.ceil(6_000_000 / Math.max(word.length, 1)))
const late = { headers: { expect: "100-continue" }, body: "late" }
const lateWord = { headers: { expect: "100-continue" }, body: word }
const summed = { trailers: { "x-lab-count": "7" }, body: "body" }
const declared = { headers: { trailer: "x-lab-count" }, ...summed }

const cases = {
  "server-sent events, HTTP/1.1": events,
  "server-sent events, HTTP/2": events2,
  "two-way body, HTTP/1.1": pingPong,
  "two-way body, HTTP/2": pingPong2,
  "100-continue, HTTP/1.1": async () => {
    const got = await ask("PUT", "/digest", { ...late, own: true })
    return { invited: got.invited, text: got.text }
  },
  "100-continue, HTTP/2": async () => {
    const got = await ask2("PUT", "/digest", late)
    return { invited: got.invited, text: got.text }
  },
  "100-continue refused by the server": async () => {
    const got = await ask("PUT", "/refuse", { ...late, own: true })
    return { invited: got.invited, status: got.status }
  },
  "100-continue refused by the firewall": async () => {
    const got = await ask("PUT", "/closed", { ...lateWord, own: true })
    return { invited: got.invited, status: got.status }
  },
  "trailers, HTTP/1.1": async () => {
    const got = await ask("POST", "/trailers", { ...declared, own: true })
    return { sent: JSON.parse(got.text), got: got.trailers }
  },
  "trailers, HTTP/2": async () => {
    const got = await ask2("POST", "/trailers", summed)
    return { sent: JSON.parse(got.text), got: { "x-lab-sum": got.trailers["x-lab-sum"] } }
  },
  "early hints, HTTP/1.1": async () => {
    const got = await ask("GET", "/hints")
    return { hints: got.hints, text: got.text }
  },
  "early hints, HTTP/2": async () => {
    const got = await ask2("GET", "/hints")
    return { hints: got.hints, text: got.text }
  },
  "HEAD, HTTP/1.1": async () => {
    const got = await ask("HEAD", "/bytes/12345")
    return { length: got.headers["content-length"], text: got.text }
  },
  "HEAD, HTTP/2": async () => {
    const got = await ask2("HEAD", "/bytes/12345")
    return { length: got.headers["content-length"], text: got.text }
  },
  "statuses without a body, HTTP/1.1": async () => {
    const got = []
    for (const status of [204, 302, 304, 404, 500]) {
      got.push(facts(await ask("GET", `/status/${status}`)).status)
    }
    return got
  },
  "statuses without a body, HTTP/2": async () => {
    const got = []
    for (const status of [204, 302, 304, 404, 500]) {
      got.push(facts(await ask2("GET", `/status/${status}`)).status)
    }
    return got
  },
  "a denial between others, HTTP/1.1": async () => {
    const first = await ask("GET", "/bytes/1")
    const denied = await ask("POST", `/closed/${word}`, { body: word })
    const last = await ask("GET", "/bytes/2")
    return [first.status, denied.status, last.status]
  },
  "a denial between others, HTTP/2": async () => {
    const all = [
      ask2("GET", "/bytes/1"),
      ask2("POST", `/closed/${word}`, { body: word }),
      ask2("GET", "/bytes/2"),
    ]
    return (await Promise.all(all)).map(({ status }) => status)
  },
  "a large denied upload, HTTP/1.1": () =>
    ask("POST", "/closed", { body: large, own: true }).then(
      ({ status }) => status,
      // Why: who is refused while it sends may see the end before the answer (RFC 9112 §9.6).
      () => 403,
    ),
  "a large denied upload, HTTP/2": async () =>
    (await ask2("POST", "/closed", { body: large })).status,
  "many streams": async () => sum((await manyStreams()).join("")),
  "pipelined requests": pipelined,
  "WebSocket, ws": talk,
  "WebSocket, undici": talkUndici,
  "WebSocket denied": () => socketCase(`/closed/${word}`, () => {}),
  "gRPC, unary": () => unary("unary", "hello"),
  "gRPC, client streaming": up,
  "gRPC, server streaming": down,
  "gRPC, both ways": both,
  "gRPC, an error in the trailers": () => unary("fail", "x"),
  "gRPC, denied": async () => ({ code: (await unary("denied", word)).code }),
  "gRPC, after a denial": () => unary("unary", "still here"),
}

const whole = Number(process.argv[3] ?? 0)
const poll = whole === 0 ? null : fetch(`${origin}/poll/${whole}`).then((reply) => reply.text())
const told = (name, got) => console.log(JSON.stringify({ name, got }))
const only = process.argv.slice(4)
for (const [name, act] of Object.entries(cases)) {
  if (only.length > 0 && !only.includes(name)) continue
  const late = new Promise((done) => setTimeout(done, 15_000, "nothing within 15 s").unref())
  told(
    name,
    await Promise.race([act(), late]).catch((error) => `failed: ${error.code ?? error.message}`),
  )
}
if (poll !== null) told("long poll", await poll.catch((error) => `failed: ${error.cause?.code}`))
process.exit(0)
