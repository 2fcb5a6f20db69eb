import t from "tap"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import type { Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import type { Test } from "tap"
import { Carrier } from "../../../proxy/carrier.ts"
import { Inlet } from "../../../proxy/inlet.ts"
import type { Answer, Exchange, Links, Relay } from "../../../proxy/relay.ts"
import type { Side } from "../../../proxy/splice.ts"
import { listen } from "./world.ts"

/** Both ends of one connection on loopback: what the far end holds, and our side of it. */
async function pair(t: Test): Promise<{ far: Socket; side: Side }> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true })
  const port = await listen(server, "127.0.0.1")
  const far = connect({ port, host: "127.0.0.1", allowHalfOpen: true })
  far.on("error", () => {})
  const [socket] = (await once(server, "connection")) as [Socket]
  socket.on("error", () => {})
  server.close()
  const inlet = new Inlet()
  inlet.adopt(socket)
  t.teardown(() => [far, socket].forEach((each) => each.destroy()))
  return { far, side: { socket, inlet, base: socket } }
}

interface Made {
  readonly client: Socket
  readonly upstream: Socket
  readonly links: () => Links
  readonly carrier: Carrier
  readonly said: string[]
  readonly done: Promise<string | null>
}

const answer = { go: true } as unknown as Answer

/** A relay that passes bytes as they are, and writes down what it hears. */
async function carried(
  t: Test,
  change: Partial<Relay> = {},
  record: () => void | Promise<void> = () => {},
): Promise<Made> {
  const [one, other] = [await pair(t), await pair(t)]
  const said: string[] = []
  const made: { links: Links | null; end: (detail: string | null) => void } = {
    links: null,
    end: () => {},
  }
  const done = new Promise<string | null>((resolve) => (made.end = resolve))
  const carrier = new Carrier({
    client: one.side,
    upstream: other.side,
    requests: { judge: () => answer, broken: () => answer, stopped: () => answer, record },
    relay: (links) => {
      made.links = links
      return {
        client: (bytes) => links.toUpstream(bytes, false),
        upstream: (bytes) => links.toClient(bytes, false),
        clientEnded: () => {
          said.push("client ended")
          links.endUpstream()
        },
        upstreamEnded: () => {
          said.push("upstream ended")
          links.endClient()
        },
        late: () => said.push("late"),
        closed: (detail) => said.push(`closed ${detail}`),
        ...change,
      }
    },
    done: (detail) => made.end(detail),
  })
  const links = (): Links => {
    if (made.links === null) throw new Error("no links yet")
    return made.links
  }
  return { client: one.far, upstream: other.far, carrier, said, done, links }
}

/** All that a socket says until it ends; the socket stays as it is. */
function text(socket: Socket): Promise<string> {
  let all = ""
  socket.on("data", (bytes: Buffer) => (all += bytes.toString()))
  return new Promise((resolve) => socket.once("end", () => resolve(all)))
}

t.test("Carrier carries what was said before, and all that follows, both ways", async (t) => {
  const { client, upstream, carrier, said, done } = await carried(t)
  carrier.start(Buffer.from("first "), Buffer.from("early "))
  client.end("then")
  t.equal(await text(upstream), "first then")
  upstream.end("reply")
  t.equal(await text(client), "early reply")
  t.equal(await done, null)
  t.same(said, ["client ended", "upstream ended", "closed null"])
  t.match(carrier, { bytesSent: 10, bytesReceived: 11 })
})

t.test("Carrier does not read a side while the other takes nothing", async (t) => {
  const { client, upstream, carrier } = await carried(t)
  carrier.start(Buffer.alloc(0), Buffer.alloc(0))
  client.pause()
  const all = 64 * 1_048_576
  let sent = 0
  const block = Buffer.alloc(1_048_576)
  const more = (): void => {
    while (sent < all && upstream.write(block)) sent += block.length
  }
  upstream.on("drain", more)
  more()
  await sleep(300)
  t.ok(carrier.bytesReceived < all / 2, `${carrier.bytesReceived} bytes are in between`)
  let got = 0
  await new Promise<void>((resolve) => {
    client.on("data", (bytes: Buffer) => {
      got += bytes.length
      if (got >= all / 2) resolve()
    })
    client.resume()
  })
  t.pass("and reads on once it does")
  carrier.reset("enough")
})

t.test("Carrier stops reading a client that does not take the answers made here", async (t) => {
  const page = Buffer.alloc(65_536, "p")
  const made = await carried(t, { client: () => made.links().toClient(page, true) })
  made.carrier.start(Buffer.alloc(0), Buffer.alloc(0))
  made.client.pause()
  const asking = setInterval(() => made.client.write("x"), 1)
  await sleep(500)
  clearInterval(asking)
  // What the kernel's buffers hold is the far end's; ours is bounded.
  const before = made.carrier.bytesReceived
  await sleep(100)
  t.equal(made.carrier.bytesReceived, before)
  made.carrier.reset("enough")
})

t.test(
  "Carrier keeps what arrives while the relay wants nothing, and gives it later",
  async (t) => {
    const heard: string[] = []
    const made = await carried(t, {
      client: (bytes) => {
        heard.push(String(bytes))
        made.links().pauseClient()
      },
    })
    made.carrier.start(Buffer.alloc(0), Buffer.alloc(0))
    made.client.write("one")
    await sleep(30)
    made.client.end("two")
    await sleep(30)
    t.same(heard, ["one"])
    made.links().resumeClient()
    await sleep(30)
    t.same(heard, ["one", "two"])
    made.links().resumeClient()
    await sleep(30)
    t.same(made.said, ["client ended"])
    made.carrier.reset("enough")
  },
)

t.test("Carrier reads no further request while the event log has no room", async (t) => {
  let room = (): void => {}
  const full = new Promise<void>((resolve) => (room = resolve))
  const heard: string[] = []
  const relay: Partial<Relay> = {
    client: (bytes) => {
      heard.push(String(bytes))
      made.links().record({} as Exchange)
    },
  }
  const made = await carried(t, relay, () => (heard.length === 1 ? full : undefined))
  made.carrier.start(Buffer.alloc(0), Buffer.alloc(0))
  made.client.write("one")
  await sleep(30)
  made.client.write("two")
  await sleep(30)
  t.same(heard, ["one"])
  room()
  await sleep(30)
  t.same(heard, ["one", "two"])
  made.carrier.reset("enough")
})

t.test(
  "Carrier passes a reset of either side on to the other, and tells the relay once",
  async (t) => {
    for (const who of ["client", "upstream"] as const) {
      const made = await carried(t)
      made.carrier.start(Buffer.alloc(0), Buffer.alloc(0))
      const other = made[who === "client" ? "upstream" : "client"]
      const reset = new Promise<string | undefined>((resolve) =>
        other.once("error", (error: NodeJS.ErrnoException) => resolve(error.code)),
      )
      other.resume()
      await sleep(20)
      made[who].resetAndDestroy()
      t.equal(await reset, "ECONNRESET")
      t.equal(await made.done, `${who}: ECONNRESET`)
      t.same(made.said, [`closed ${who}: ECONNRESET`])
    }
  },
)

t.test(
  "Carrier calls late() when its time is over, and not after it was asked not to",
  async (t) => {
    const { links, said, carrier } = await carried(t)
    carrier.start(Buffer.alloc(0), Buffer.alloc(0))
    links().timer(20)
    links().timer(null)
    await sleep(60)
    t.same(said, [])
    links().timer(20)
    await sleep(60)
    t.same(said, ["late"])
    carrier.reset("enough")
  },
)
