import t from "tap"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import type { Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { Inlet, proveInlets, trimInlets } from "../../../proxy/inlet.ts"
import { Gate } from "../../../proxy/server.ts"
import * as make from "./bytes.ts"
import { heard, listen, rule, upstream, world } from "./world.ts"

const big = 3_000_000

/** What an inlet takes of so many bytes, and whether one big buffer was used for some of it. */
async function taken(): Promise<{ bytes: Buffer; own: boolean }> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true })
  const port = await listen(server, "127.0.0.1")
  const client = connect(port, "127.0.0.1")
  const [socket] = (await once(server, "connection")) as [Socket]
  const got: Buffer[] = []
  let own = false
  const inlet = new Inlet()
  inlet.take = (bytes) => {
    got.push(Buffer.from(bytes))
    own ||= inlet.own
  }
  inlet.adopt(socket)
  client.end(Buffer.alloc(big, "0123456789"))
  await sleep(50)
  inlet.resume()
  await once(socket, "end")
  socket.destroy()
  server.close()
  return { bytes: Buffer.concat(got), own }
}

t.test("Inlet reads by 'data' where nothing was proven", async (t) => {
  const { bytes, own } = await taken()
  t.ok(bytes.equals(Buffer.alloc(big, "0123456789")))
  t.notOk(own)
})

t.test("a gate carries bytes where nothing was proven", async (t) => {
  const up = upstream((socket) => {
    socket.on("data", (bytes: Buffer) => socket.write(bytes))
    socket.on("end", () => socket.end())
  })
  const port = await listen(up, "127.0.0.2")
  const { surroundings, flow } = world({
    rules: [rule(`allowed.test:${port}`)],
    resolves: { "allowed.test": ["127.0.0.2"] },
    gave: { "127.0.0.1": ["allowed.test"] },
  })
  const gate = new Gate({ ...surroundings, isOurs: ({ address }) => address === "127.0.0.1" })
  await listen(gate.server, "127.0.0.1", port)
  const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true })
  const sent = Buffer.concat([make.helloFor("allowed.test"), Buffer.alloc(big, "ab")])
  client.end(sent)
  const got = await heard(client)
  t.ok(got !== "reset" && got.equals(sent))
  t.match(await flow(), { bytesSent: sent.length, bytesReceived: sent.length })
  await gate.close()
  up.close()
})

t.test("proveInlets() finds that accepted sockets can be read into buffers", async (t) => {
  t.ok(await proveInlets())
  t.ok(await proveInlets(), "and remembers it")
})

t.test("Inlet reads much into a buffer of its own", async (t) => {
  const { bytes, own } = await taken()
  t.ok(bytes.equals(Buffer.alloc(big, "0123456789")))
  t.ok(own)
  trimInlets()
})

t.test("Inlet gives its buffer back while it rests, and reads on after", async (t) => {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true })
  const port = await listen(server, "127.0.0.1")
  const client = connect(port, "127.0.0.1")
  const [socket] = (await once(server, "connection")) as [Socket]
  const inlet = new Inlet()
  const got: Buffer[] = []
  inlet.take = (bytes) => got.push(Buffer.from(bytes))
  inlet.adopt(socket)
  client.write(Buffer.alloc(big, "x"))
  await sleep(50)
  inlet.resume()
  while (inlet.total < big) await sleep(5)
  inlet.rest()
  t.notOk(inlet.own)
  client.end("more")
  await once(socket, "end")
  t.equal(Buffer.concat(got).subarray(big).toString(), "more")
  socket.destroy()
  server.close()
})
