import t from "tap"
import type { Test } from "tap"
import { createHash, randomBytes } from "node:crypto"
import { connect } from "node:net"
import type { Server, Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import type { Endpoint } from "../../../net/endpoint.ts"
import { defaultLimits, openGate } from "../../../proxy/server.ts"
import type { Gate, Limits, Surroundings } from "../../../proxy/server.ts"
import * as make from "./bytes.ts"
import { heard, listen, name, rule, upstream, world } from "./world.ts"
import type { TestWorld, Wanted } from "./world.ts"

/** Gate and upstream on two addresses of loopback, with the same port. */
interface Lab extends TestWorld {
  readonly port: number
  readonly gate: Gate
  readonly open: (first?: string | Buffer) => Socket
}

async function lab(
  t: Test,
  server: Server,
  wanted: (port: number) => Wanted,
  more: Partial<Surroundings> = {},
  limits: Partial<Limits> = {},
): Promise<Lab> {
  const port = await listen(server, "127.0.0.2")
  const made = world({
    resolves: { "allowed.test": ["127.0.0.2"] },
    gave: { "127.0.0.1": ["allowed.test"] },
    ...wanted(port),
  })
  const isOurs = (endpoint: Endpoint): boolean => endpoint.address === "127.0.0.1"
  const gate = await openGate(
    { ...made.surroundings, isOurs, ...more },
    { ...defaultLimits, ...limits },
  )
  await listen(gate.server, "127.0.0.1", port)
  t.teardown(async () => {
    await gate.close()
    server.close()
  })
  return {
    ...made,
    port,
    gate,
    open: (first) => {
      const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true })
      socket.on("error", () => {})
      if (first !== undefined) socket.write(first)
      return socket
    },
  }
}

const allowed = (port: number): Wanted => ({ rules: [rule(`allowed.test:${port}`)] })
const hello = make.helloFor("allowed.test")
const evilHello = make.helloFor("evil.test")

/** Says what it hears, and ends when its client does. */
function echo(): ReturnType<typeof upstream> {
  return upstream((socket) => {
    socket.on("data", (bytes: Buffer) => socket.write(bytes))
    socket.on("end", () => socket.end())
  })
}

t.test("a gate splices an allowed server name and counts its bytes", async (t) => {
  const up = echo()
  const { open, flow } = await lab(t, up, allowed)
  const client = open(hello)
  client.end("more")
  const got = await heard(client)
  t.same(got, Buffer.concat([hello, Buffer.from("more")]))
  t.match(await flow(), {
    action: "splice",
    verdict: "allow",
    enforced: true,
    reason: "allowed-by-rule",
    opening: { kind: "tls", serverName: "allowed.test" },
    bytesSent: hello.length + 4,
    bytesReceived: hello.length + 4,
    dialled: { address: "127.0.0.2" },
  })
})

t.test("a gate refuses another server name by an alert, and nothing reaches anybody", async (t) => {
  const up = echo()
  const { open, flow } = await lab(t, up, allowed)
  t.same(await heard(open(evilHello)), Buffer.from([21, 3, 3, 0, 2, 2, 49]))
  t.match(await flow(), {
    action: "refuse",
    verdict: "deny",
    enforced: true,
    reason: "name-not-allowed",
    opening: { serverName: "evil.test" },
    bytesSent: 0,
  })
  t.same(up.got, [])
})

t.test("a gate gets its alert through to a client that still sends", async (t) => {
  const { open } = await lab(t, echo(), allowed)
  const client = open(Buffer.concat([evilHello, randomBytes(200_000)]))
  t.same(await heard(client), Buffer.from([21, 3, 3, 0, 2, 2, 49]))
})

t.test("a gate resets what is neither TLS nor HTTP", async (t) => {
  const up = echo()
  const { open, flow } = await lab(t, up, () => ({ rules: [] }))
  t.equal(await heard(open("canary\r\n")), "reset")
  t.match(await flow(), { reason: "name-not-allowed", opening: { kind: "opaque" } })
  t.same(up.got, [])
})

t.test(
  "a gate judges each request of a connection, and one for another host goes nowhere",
  async (t) => {
    const up = upstream((socket) => {
      socket.on("data", () => socket.write("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"))
    })
    const { open, flow, requests, port } = await lab(t, up, allowed)
    const request = `POST /a?b=c HTTP/1.1\r\nHost: allowed.test:${port}\r\nContent-Length: 3\r\n\r\nabc`
    const client = open(`${request}GET /evil HTTP/1.1\r\nHost: evil.test:${port}\r\n\r\n`)
    client.end()
    t.match(String(await heard(client)), /201 Created[\s\S]*ok[\s\S]*421 Misdirected Request/)
    const text = Buffer.concat(up.got).toString()
    t.match(text, /^POST \/a\?b=c HTTP\/1\.1\r\n[\s\S]*\r\n\r\nabc$/)
    t.notMatch(text, /evil/)
    t.match(await flow(), { action: "forward", verdict: "allow", opening: { kind: "http" } })
    t.match(requests(), [
      { method: "POST", host: "allowed.test", path: "/a?b=*", status: 201, verdict: "allow" },
      { method: "GET", host: "evil.test", path: "/evil", status: 421, reason: "host-mismatch" },
    ])
  },
)

t.test("a gate sends a chunked body on to its end", async (t) => {
  const up = upstream((socket) => {
    socket.on("data", (bytes: Buffer) => {
      if (bytes.toString().endsWith("0\r\n\r\n")) socket.end("HTTP/1.1 200 OK\r\n\r\n")
    })
  })
  const { open, port, flow } = await lab(t, up, allowed)
  const client = open(
    `POST / HTTP/1.1\r\nHost: allowed.test:${port}\r\nTransfer-Encoding: chunked\r\n\r\n`,
  )
  for (const piece of ["3\r", "\nab", "c\r\n", "0\r\n\r\nGET /evil"]) {
    client.write(piece)
    await sleep(5)
  }
  t.match(String(await heard(client)), /200 OK/)
  client.destroy()
  t.match(Buffer.concat(up.got).toString(), /\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/)
  await flow()
})

t.test("a gate refuses a body that breaks its framing", async (t) => {
  const up = upstream(() => {})
  const { open, port, flow, requests } = await lab(t, up, allowed)
  const client = open(
    `POST / HTTP/1.1\r\nHost: allowed.test:${port}\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc`,
  )
  t.match(String(await heard(client)), /^HTTP\/1\.1 400 /)
  client.destroy()
  t.match(await flow(), { verdict: "deny", reason: "malformed" })
  t.match(requests(), [{ method: "POST", status: 400, reason: "malformed", bytesReceived: 0 }])
})

t.test("a gate answers a denied request with a page that names the line to add", async (t) => {
  const up = echo()
  const { open, port, flow, requests } = await lab(t, up, allowed)
  const got = await heard(open(`GET /x HTTP/1.1\r\nHost: evil.test:${port}\r\n\r\n`))
  t.match(String(got), /^HTTP\/1\.1 403 Forbidden\r\n/)
  t.match(String(got), `add to the policy: evil.test:${port}\n`)
  t.match(await flow(), { action: "refuse", reason: "name-not-allowed" })
  t.match(requests(), [{ status: 403, verdict: "deny", reason: "name-not-allowed" }])
  t.same(up.got, [])
  const head = await heard(open(`HEAD /x HTTP/1.1\r\nHost: evil.test:${port}\r\n\r\n`))
  t.match(String(head), /\r\n\r\n$/, "no body after HEAD")
})

t.test("a gate never dials the address that the job chose for an allowed name", async (t) => {
  const evil = echo()
  const { open, flow, port } = await lab(t, evil, (port) => ({
    rules: [rule(`allowed.test:${port}`)],
    resolves: { "allowed.test": ["127.0.0.3"] },
  }))
  const good = echo()
  await listen(good, "127.0.0.3", port)
  t.teardown(() => good.close())
  const client = open(hello)
  client.end()
  await heard(client)
  t.match(await flow(), { verdict: "allow", dialled: { address: "127.0.0.3" } })
  t.same(evil.got, [])
  t.same(Buffer.concat(good.got), hello)
})

t.test("a gate refuses a name that has no address", async (t) => {
  const { open, flow } = await lab(t, echo(), (port) => ({
    rules: [rule(`allowed.test:${port}`)],
    resolves: {},
  }))
  t.same(await heard(open(hello)), Buffer.from([21, 3, 3, 0, 2, 2, 49]))
  t.match(await flow(), { verdict: "deny", reason: "name-address-mismatch", action: "refuse" })
})

t.test("a gate never dials itself, nor what may not be dialled", async (t) => {
  const up = echo()
  const loop = await lab(t, up, allowed, { isOurs: () => true })
  t.same(await heard(loop.open(hello)), Buffer.from([21, 3, 3, 0, 2, 2, 49]))
  t.match(await loop.flow(), { verdict: "deny", reason: "loop" })
  const secret = await lab(t, echo(), (port) => ({
    rules: [rule(`allowed.test:${port}`)],
    resolves: { "allowed.test": ["10.0.0.1", "10.0.0.2"] },
  }))
  await heard(secret.open(hello))
  t.match(await secret.flow(), { verdict: "deny", reason: "private-address", enforced: true })
  t.same(up.got, [])
})

t.test("a gate tries the next address where one refuses", async (t) => {
  const up = echo()
  const { open, flow } = await lab(t, up, (port) => ({
    rules: [rule(`allowed.test:${port}`)],
    resolves: { "allowed.test": ["127.0.0.9", "::1", "127.0.0.2"] },
  }))
  const client = open(hello)
  client.end()
  t.same(await heard(client), hello)
  t.match(await flow(), { dialled: { address: "127.0.0.2" } })
})

t.test("a gate tells that an upstream could not be reached", async (t) => {
  const { open, flow, port } = await lab(t, echo(), (port) => ({
    rules: [rule(`allowed.test:${port}`)],
    resolves: { "allowed.test": ["127.0.0.9"] },
  }))
  await heard(open(hello))
  t.match(await flow(), {
    verdict: "allow",
    reason: "upstream-failed",
    action: "refuse",
    detail: `ECONNREFUSED at 127.0.0.9:${port}.`,
  })
  const page = await heard(open(`GET / HTTP/1.1\r\nHost: allowed.test:${port}\r\n\r\n`))
  t.match(String(page), /^HTTP\/1\.1 502 /)
})

t.test("a gate lets a server speak first to a silent client", async (t) => {
  const up = upstream((socket) => {
    socket.write("220 allowed.test ESMTP\r\n")
    socket.on("data", () => socket.end("221 bye\r\n"))
  })
  const { open, flow } = await lab(t, up, allowed)
  const client = open()
  client.once("data", () => client.write("QUIT\r\n"))
  t.equal(String(await heard(client)), "220 allowed.test ESMTP\r\n221 bye\r\n")
  client.end()
  t.match(await flow(), { verdict: "allow", opening: { kind: "opaque" }, bytesSent: 6 })
})

t.test("a gate judges a client that was silent by its server name", async (t) => {
  const up = echo()
  const { open, flow } = await lab(t, up, allowed)
  const client = open()
  await sleep(450)
  client.write(evilHello)
  t.same(await heard(client), Buffer.from([21, 3, 3, 0, 2, 2, 49]))
  t.match(await flow(), { verdict: "deny", reason: "name-not-allowed" })
  t.same(up.got, [])
})

t.test("a gate keeps the half-close of either side", async (t) => {
  const up = upstream((socket) => {
    socket.on("end", () => {
      socket.write("after your end")
      setTimeout(() => socket.end("."), 20)
    })
  })
  const { open, flow } = await lab(t, up, allowed)
  const client = open(hello)
  client.end()
  t.equal(String(await heard(client)), "after your end.")
  await flow()
  const first = upstream((socket) => {
    socket.end("bye")
  })
  const other = await lab(t, first, allowed)
  const late = other.open(hello)
  t.equal(String(await heard(late)), "bye")
  late.end("after your end")
  await other.flow()
  // Why: what the gate has sent may still be on its way.
  while (!Buffer.concat(first.got).toString().endsWith("after your end")) await sleep(5)
})

t.test("a gate passes a reset on to the other side", async (t) => {
  const up = upstream((socket) => {
    socket.once("data", () => socket.resetAndDestroy())
  })
  const { open, flow } = await lab(t, up, allowed)
  t.equal(await heard(open(hello)), "reset")
  t.match(await flow(), { verdict: "allow", detail: /ECONNRESET/ })
})

t.test("a gate carries much both ways, unchanged, with a slow reader at the end", async (t) => {
  const sum = createHash("sha256")
  const up = upstream((socket) => {
    socket.on("data", (bytes: Buffer) => {
      sum.update(bytes)
      if (!socket.write(bytes)) {
        socket.pause()
        socket.once("drain", () => socket.resume())
      }
    })
    socket.on("end", () => socket.end())
  })
  const { open, flow } = await lab(t, up, allowed)
  const client = open(hello)
  const sent = createHash("sha256").update(hello)
  const back = createHash("sha256")
  const piece = randomBytes(1_000_003)
  let received = 0
  client.on("data", (bytes: Buffer) => {
    back.update(bytes)
    received += bytes.length
    if (received % 7 === 0) {
      client.pause()
      setTimeout(() => client.resume(), 3)
    }
  })
  for (let count = 0; count < 24; count++) {
    sent.update(piece)
    if (!client.write(piece)) await new Promise((resolve) => client.once("drain", resolve))
  }
  client.end()
  await new Promise((resolve) => client.once("end", resolve))
  const wanted = sent.digest("hex")
  t.equal(sum.digest("hex"), wanted)
  t.equal(back.digest("hex"), wanted)
  t.match(await flow(), { bytesSent: 24 * piece.length + hello.length })
})

t.test("a gate in audit mode lets pass what block mode refuses, and says so", async (t) => {
  const up = echo()
  const audit = world({ rules: [], mode: "audit" }).surroundings
  const { open, flow } = await lab(t, up, () => ({ rules: [], mode: "audit" }), {
    // Why: the target as it stands is the gate itself here.
    decide: (asked) => {
      const verdict = audit.decide(asked)
      if (verdict.decision === "wait" || verdict.permit === null) return verdict
      return { ...verdict, permit: { ...verdict.permit, host: name("allowed.test") } }
    },
  })
  const client = open("canary\r\n")
  client.end()
  t.same(String(await heard(client)), "canary\r\n")
  t.match(await flow(), {
    verdict: "deny",
    enforced: false,
    reason: "name-not-allowed",
    action: "splice",
    bytesSent: 8,
  })
})

t.test("a gate tells what a flow was that was allowed whatever it says", async (t) => {
  const audit = world({ rules: [], mode: "audit" }).surroundings
  const more: Partial<Surroundings> = {
    decide: (asked) => {
      const verdict = audit.decide(asked)
      if (verdict.decision === "wait" || verdict.permit === null) return verdict
      const permit = { ...verdict.permit, host: name("allowed.test") }
      return { ...verdict, decision: "allow", reason: "allowed-by-rule", permit }
    },
  }
  const spoken: readonly (readonly [string | Buffer | null, string | null, object])[] = [
    [evilHello, null, { kind: "tls", serverName: "evil.test" }],
    ["GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", null, { kind: "http", serverName: "evil.test" }],
    ["canary\r\n", null, { kind: "opaque" }],
    [null, "SSH-2.0-OpenSSH_9.2\r\n", { kind: "ssh" }],
    [null, "220 allowed.test\r\n", { kind: "opaque" }],
  ]
  for (const [first, greeting, opening] of spoken) {
    const up = upstream((socket) => {
      if (greeting !== null) socket.write(greeting)
      socket.on("end", () => socket.end())
    })
    const { open, flow, requests } = await lab(t, up, () => ({ rules: [] }), more)
    const client = open()
    // Why: what is said before the verdict is read anyway.
    await sleep(30)
    if (first !== null) client.write(first)
    else await new Promise((resolve) => client.once("data", resolve))
    client.end()
    await heard(client)
    t.match(await flow(), { verdict: "allow", action: "splice", opening })
    t.same(requests(), [])
    if (first !== null) t.same(Buffer.concat(up.got), Buffer.from(first))
  }
})

t.test("a gate forgets a connection that says nothing", async (t) => {
  const { open, gate, events } = await lab(t, echo(), (port) => ({
    rules: [rule(`GET http://allowed.test:${port}/**`)],
  }))
  const client = open()
  await new Promise((resolve) => client.once("connect", resolve))
  client.destroy()
  while (gate.connections > 0) await sleep(5)
  t.same(events, [])
})

t.test("a gate turns away more than its limit, and counts them", async (t) => {
  const { open, events, gate } = await lab(t, echo(), allowed, {}, { connectionsMax: 2 })
  const kept = [open(), open()]
  while (gate.connections < 2) await sleep(5)
  t.equal(await heard(open(hello)), "reset")
  t.equal(await heard(open(hello)), "reset")
  while (!events.some((event) => event.kind === "drop")) await sleep(20)
  t.match(events, [{ kind: "drop", transport: "tcp", packets: 2, reason: "limit-exceeded" }])
  for (const client of kept) client.destroy()
})

t.test("a gate gives up its oldest openings for newer ones", async (t) => {
  const { open, flow } = await lab(t, echo(), allowed, {}, { undecidedMax: 2 })
  const slow = Array.from({ length: 3 }, () => open(hello.subarray(0, 20)))
  t.match(await flow(), { verdict: "deny", reason: "limit-exceeded" })
  const client = open(hello)
  client.end()
  t.same(await heard(client), hello, "a whole opening is served meanwhile")
  for (const socket of slow) socket.destroy()
})

t.test("a gate ends what is idle for too long", async (t) => {
  const { open, flow } = await lab(t, echo(), allowed, {}, { idleMs: 500 })
  const client = open(hello)
  t.equal(await heard(client), "reset")
  t.match(await flow(), { verdict: "allow", detail: /too long/ })
})

t.test("a gate begins nothing new while there is no room for events", async (t) => {
  let room = (): void => {}
  const recorded: unknown[] = []
  const { open, gate } = await lab(t, echo(), allowed, {
    record: (event) => {
      recorded.push(event)
      return recorded.length > 1 ? undefined : new Promise<void>((resolve) => (room = resolve))
    },
  })
  t.same(await heard(open(evilHello)), Buffer.from([21, 3, 3, 0, 2, 2, 49]))
  while (recorded.length === 0) await sleep(5)
  const client = open(evilHello)
  const said = heard(client)
  await sleep(100)
  t.equal(recorded.length, 1)
  t.equal(gate.connections, 2, "what is not recorded is not over")
  room()
  t.same(await said, Buffer.from([21, 3, 3, 0, 2, 2, 49]))
})

t.test("a gate hands connections to port 53 on", async (t) => {
  const taken: Socket[] = []
  const { open, port } = await lab(t, echo(), allowed, {
    serveNames: (socket) => {
      taken.push(socket)
    },
  })
  const client = open(hello)
  client.end()
  await heard(client)
  t.same(taken, [], `not on port ${port}`)
})

t.test(
  "a gate asks who only where a verdict or a refusal needs it, and says what it forgets",
  async (t) => {
    const said: string[] = []
    const tell = (word: string) => (flow: { readonly id: string }) => {
      said.push(`${word} ${flow.id}`)
      return Promise.resolve({ process: null, step: null })
    }
    const told = { opened: tell("opened"), forgotten: tell("forgotten"), owner: tell("owner") }
    const talk = async (needsProcess: boolean, bytes: Buffer | null) => {
      const { open, gate } = await lab(t, echo(), allowed, { ...told, needsProcess })
      const client = open(bytes ?? undefined)
      client.end()
      await heard(client)
      await gate.close()
      return said.splice(0)
    }
    t.same(await talk(false, hello), ["opened f1"])
    t.same(await talk(true, hello), ["owner f1"])
    t.same(await talk(false, evilHello), ["opened f1", "owner f1"])
    t.same(await talk(false, null), ["opened f1", "forgotten f1"])
  },
)

t.test("a gate that ends records what still waits for its owner", async (t) => {
  const { open, gate, events } = await lab(t, echo(), allowed, {
    owner: () => new Promise(() => {}),
  })
  const client = open(evilHello)
  client.end("more")
  await heard(client)
  t.same(events, [], "not recorded yet")
  await gate.close()
  t.match(events, [{ kind: "flow", verdict: "deny", process: null }])
})
