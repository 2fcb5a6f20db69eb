import { createConnection, type Socket } from "node:net"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setImmediate } from "node:timers/promises"
import t, { type Test } from "tap"
import { parseAddress, type Address } from "../../../net/address.ts"
import type { Hostname } from "../../../net/hostname.ts"
import { Names } from "../../../dns/names.ts"
import { Granted, Leases, leasesMax } from "../../../guard/leases.ts"
import { lines, type Message } from "../../../guard/lines.ts"
import { askNames, serveNames } from "../../../guard/resolver-link.ts"

const at = (text: string): Address => parseAddress(text) ?? ("" as Address)
const host = (text: string): Hostname => text as Hostname
const one = at("192.0.2.1")
const other = at("192.0.2.2")

/** A resolver that counts how often it is asked for the names of an address. */
async function resolver(t: Test) {
  // Why: the path of a UNIX socket has 107 characters at most (unix(7)).
  const directory = mkdtempSync(join(tmpdir(), "sluice-link-"))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const path = join(directory, "socket")
  const names = new Names()
  let asked = 0
  const server = await serveNames(path, {
    resolve: () => Promise.resolve({ addresses: [one], reason: null }),
    namesOf: (address) => {
      asked++
      return names.namesOf(address, Date.now())
    },
    untilOf: (address) => names.untilOf(address, Date.now()),
  })
  t.teardown(() => server.close())
  const give = async (name: string, address: Address, ttlMs = 60_000): Promise<void> => {
    const news = names.remember(host(name), [address], ttlMs, Date.now())
    if (news.length > 0) await server.changed(news)
  }
  return { path, give, changed: server.changed, asked: () => asked }
}

function asker(t: Test, path: string): ReturnType<typeof askNames> {
  const link = askNames(path)
  t.teardown(link.close)
  return link
}

t.test("askNames() asks once for the names of an address, as long as they hold", async (t) => {
  const { path, give, asked } = await resolver(t)
  const { names, resolve } = asker(t, path)
  t.strictSame(await resolve(host("a.test")), { addresses: [one], reason: null })
  await give("a.test", one)
  t.strictSame(await names(one), ["a.test"])
  t.strictSame(await names(at("::ffff:192.0.2.1")), ["a.test"], "the same address")
  t.strictSame(await names(one), ["a.test"])
  t.equal(asked(), 1)
  t.strictSame(await names(other), [])
  t.strictSame(await names(other), [])
  t.equal(asked(), 3, "an address without names may have one at any time")
})

t.test("askNames() knows a new name before anybody can have been told of it", async (t) => {
  const { path, give, asked } = await resolver(t)
  const workers = [asker(t, path), asker(t, path)]
  await give("a.test", one)
  for (let round = 0; round < 20; round++) {
    for (const { names } of workers) await names(one)
    await give(`${round}.test`, one)
    for (const { names } of workers) t.equal((await names(one)).at(-1), `${round}.test`)
  }
  t.equal(asked(), 2 + 2 * 20)
})

t.test("askNames() is not asked to forget what has not changed", async (t) => {
  const { path, give, asked } = await resolver(t)
  const { names } = asker(t, path)
  await give("a.test", one)
  await names(one)
  await give("a.test", one, 120_000)
  await give("b.test", other)
  await names(one)
  t.equal(asked(), 1)
})

/** A worker that does only what the test has it do. */
async function worker(t: Test, path: string) {
  const socket: Socket = createConnection(path)
  t.teardown(() => socket.destroy())
  await once(socket, "connect")
  const heard: Message[] = []
  const waiting: (() => void)[] = []
  const line = lines(
    socket,
    (message) => {
      heard.push(message)
      for (const resolve of waiting.splice(0)) resolve()
    },
    () => {},
  )
  const next = async (): Promise<Message | undefined> => {
    while (heard.length === 0) await new Promise<void>((resolve) => waiting.push(resolve))
    return heard.shift()
  }
  return { socket, line, next }
}

t.test("serveNames() lets no answer go before a lease is given back", async (t) => {
  const { path, give } = await resolver(t)
  const { line, next } = await worker(t, path)
  await give("a.test", one)
  line.send({ id: 1, address: one })
  t.match(await next(), { names: ["a.test"], untilMs: Number })
  let given = false
  const giving = give("b.test", one).then(() => (given = true))
  const call = await next()
  t.match(call, { callBack: Number, addresses: [one] })
  await setImmediate()
  t.notOk(given)
  line.send({ givenBack: 77 })
  line.send({ givenBack: call?.["callBack"] })
  await giving
  await give("c.test", one)
  line.send({ id: 2, address: one })
  t.match(await next(), { names: ["a.test", "b.test", "c.test"] }, "no lease, no call")
})

t.test("serveNames() does not wait for a worker that is gone", async (t) => {
  const { path, give } = await resolver(t)
  const { socket, line, next } = await worker(t, path)
  await give("a.test", one)
  line.send({ id: 1, address: one })
  await next()
  const giving = give("b.test", one)
  await next()
  socket.destroy()
  await giving
  await give("c.test", one)
})

t.test("serveNames() cuts off a worker that is silent, and gives no answer", async (t) => {
  const { path, give } = await resolver(t)
  const { socket, line, next } = await worker(t, path)
  await give("a.test", one)
  line.send({ id: 1, address: one })
  await next()
  const closed = once(socket, "close")
  await t.rejects(give("b.test", one), /silent/)
  await closed
})

t.test("Granted lends no more than it can keep in mind", async (t) => {
  const granted = new Granted(
    () => {},
    () => {},
  )
  const address = (index: number): Address => `198.18.${index >> 8}.${index & 255}` as Address
  let lent = 0
  for (let index = 0; index < leasesMax; index++)
    lent += granted.grant(address(index), 100, 0) ? 1 : 0
  t.equal(lent, leasesMax)
  t.notOk(granted.grant(address(leasesMax), 100, 0))
  t.ok(granted.grant(address(0), 200, 0), "what is lent may be lent again")
  t.ok(granted.grant(address(leasesMax), 200, 100), "what has ended makes room")
})

t.test("Leases end with their time", (t) => {
  const leases = new Leases()
  leases.take(one, [host("a.test")], 100)
  t.strictSame(leases.namesOf(one, 99), ["a.test"])
  t.equal(leases.namesOf(one, 100), null)
  t.equal(leases.namesOf(other, 0), null)
  leases.giveBack([one])
  t.equal(leases.namesOf(one, 99), null)
  t.end()
})
