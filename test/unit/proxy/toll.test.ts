import t from "tap"
import type { Test } from "tap"
import { connect } from "node:net"
import type { Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { openGate } from "../../../proxy/server.ts"
import type { Purse } from "../../../proxy/relay.ts"
import * as make from "./bytes.ts"
import { heard, listen, rule, upstream, world } from "./world.ts"
import type { TestWorld } from "./world.ts"

/** A purse with so much in it, filled a while later by `more`, once. */
function purse(bytes: number, more = 0, afterMs = 5): Purse & { left: number; fills: number } {
  const made = {
    left: bytes,
    fills: 0,
    take: (wanted: number) => {
      if (wanted > made.left) return false
      made.left -= wanted
      return true
    },
    fill: (wanted: number, then: (taken: boolean) => void) => {
      made.fills++
      setTimeout(() => {
        made.left += more
        more = 0
        then(made.take(wanted))
      }, afterMs)
    },
  }
  return made
}

interface Lab extends TestWorld {
  readonly got: () => Buffer
  readonly open: (first: string | Buffer) => Socket
}

async function lab(t: Test, mode: "block" | "audit", paid: Purse): Promise<Lab> {
  const server = upstream((socket) => {
    socket.on("end", () => socket.end("bye"))
  })
  const port = await listen(server, "127.0.0.2")
  const bounded = { ...rule(`allowed.test:${port}`), up: 1 }
  const made = world({
    rules: [bounded],
    mode,
    resolves: { "allowed.test": ["127.0.0.2"] },
    gave: { "127.0.0.1": ["allowed.test"] },
  })
  const gate = await openGate({
    ...made.surroundings,
    isOurs: ({ address }) => address === "127.0.0.1",
    purse: (of) => (of === bounded ? paid : null),
  })
  await listen(gate.server, "127.0.0.1", port)
  t.teardown(async () => {
    await gate.close()
    server.close()
  })
  return {
    ...made,
    got: () => Buffer.concat(server.got),
    open: (first) => {
      const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true })
      socket.on("error", () => {})
      socket.write(first)
      return socket
    },
  }
}

const hello = make.helloFor("allowed.test")

void t.test("a splice pays for every byte of the client, the opening too", async (t) => {
  const paid = purse(100_000)
  const { open, flow, got } = await lab(t, "block", paid)
  const client = open(hello)
  client.end("more")
  t.same(await heard(client), Buffer.from("bye"))
  t.match(await flow(), { verdict: "allow", bytesSent: hello.length + 4 })
  t.same(got(), Buffer.concat([hello, Buffer.from("more")]))
  t.equal(paid.left, 100_000 - hello.length - 4)
})

void t.test("a splice waits for its purse, in order, and ends after the last byte", async (t) => {
  const body = Buffer.alloc(3_000_000, "x")
  const paid = purse(0, hello.length + body.length, 30)
  const { open, flow, got } = await lab(t, "block", paid)
  const client = open(hello)
  client.end(body)
  t.same(await heard(client), Buffer.from("bye"), "the upstream saw the end, after everything")
  t.match(await flow(), { verdict: "allow", bytesSent: hello.length + body.length })
  t.ok(got().equals(Buffer.concat([hello, body])))
  t.equal(paid.left, 0)
})

void t.test("a splice whose purse is empty resets both sides, and says why", async (t) => {
  const { open, flow, got } = await lab(t, "block", purse(hello.length + 10))
  const client = open(hello)
  await sleep(50)
  client.write("0123456789")
  await sleep(50)
  client.write("one more")
  t.equal(await heard(client), "reset")
  t.match(await flow(), {
    verdict: "deny",
    enforced: true,
    reason: "upload-budget-exceeded",
    action: "splice",
    rule: { source: "test.yml" },
    bytesSent: hello.length + 10,
    detail: /`up`/,
  })
  t.same(got(), Buffer.concat([hello, Buffer.from("0123456789")]), "no byte beyond the budget")
})

void t.test("a splice whose purse never had anything sends nothing", async (t) => {
  const { open, flow, got } = await lab(t, "block", purse(0))
  t.equal(await heard(open(hello)), "reset")
  t.match(await flow(), { verdict: "deny", reason: "upload-budget-exceeded", bytesSent: 0 })
  t.equal(got().length, 0)
})

void t.test("in audit mode a splice goes on without its purse, and is told of", async (t) => {
  const paid = purse(hello.length)
  const { open, flow, got } = await lab(t, "audit", paid)
  const client = open(hello)
  await sleep(50)
  client.write("first ")
  await sleep(50)
  client.end("second")
  t.same(await heard(client), Buffer.from("bye"))
  t.match(await flow(), {
    verdict: "deny",
    enforced: false,
    reason: "upload-budget-exceeded",
    bytesSent: hello.length + 12,
  })
  t.same(got(), Buffer.concat([hello, Buffer.from("first second")]))
  t.equal(paid.fills, 1, "nothing is asked for once it is known")
})

void t.test(
  "a client that goes away while its purse is filled leaves nothing behind",
  async (t) => {
    const { open, flow } = await lab(t, "block", purse(0, 1_000_000, 100))
    const client = open(hello)
    await sleep(20)
    client.resetAndDestroy()
    t.match(await flow(), { verdict: "allow", detail: /client/ })
  },
)
