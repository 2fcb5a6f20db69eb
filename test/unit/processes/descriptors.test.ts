import { closeSync, openSync, readlinkSync } from "node:fs"
import { createServer, createConnection, type AddressInfo, type Socket } from "node:net"
import { once } from "node:events"
import t, { type Test } from "tap"
import { Descriptors, descriptorsMax } from "../../../processes/descriptors.ts"

const plenty = (): { left: number } => ({ left: descriptorsMax })

/** Opens sockets of our own, and gives their links; each is closed when its word is called. */
async function opener(t: Test) {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const open = new Set<Socket>()
  t.teardown(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return async () => {
    const socket = createConnection((server.address() as AddressInfo).port, "127.0.0.1")
    open.add(socket)
    await once(socket, "connect")
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle
    const close = async (): Promise<void> => {
      socket.destroy()
      open.delete(socket)
      await once(socket, "close")
    }
    return { link: readlinkSync(`/proc/self/fd/${fd}`), fd, close }
  }
}

t.test("Descriptors finds a socket by looking at all, and knows no other", async (t) => {
  const open = await opener(t)
  const ours = new Descriptors(process.pid)
  const { link } = await open()
  t.notOk(ours.guess(link, plenty()), "nothing is known yet")
  t.ok(ours.holds(link, plenty()))
  t.notOk(ours.holds("socket:[1]", plenty()))
  t.notOk(new Descriptors(2 ** 22 + 1).holds(link, plenty()), "who has gone holds nothing")
})

t.test("Descriptors looks first where the last sockets were", async (t) => {
  const open = await opener(t)
  const ours = new Descriptors(process.pid)
  const sockets = [await open(), await open(), await open()]
  for (const { link } of sockets) t.ok(ours.holds(link, plenty()))
  let guessed = 0
  for (let round = 0; round < 20; round++) {
    await sockets.shift()?.close()
    const next = await open()
    sockets.push(next)
    if (ours.guess(next.link, plenty())) guessed++
    else t.ok(ours.holds(next.link, plenty()))
  }
  t.ok(guessed >= 15, `${guessed} of 20 without a list`)
})

t.test("Descriptors is not led astray by a socket that lasts", async (t) => {
  const open = await opener(t)
  const ours = new Descriptors(process.pid)
  const lasting = []
  for (let n = 0; n < 20; n++) lasting.push(await open())
  for (const { link } of lasting) t.ok(ours.holds(link, plenty()))
  let looks = 0
  for (let round = 0; round < 40; round++) {
    const { link, close } = await open()
    const left = plenty()
    t.ok(ours.guess(link, left) || ours.holds(link, left))
    looks += descriptorsMax - left.left
    await close()
  }
  t.ok(looks < 40 * 20, `${looks} looks, of some 45 descriptors each`)
})

t.test("Descriptors never takes what was there for what is there", async (t) => {
  const open = await opener(t)
  const ours = new Descriptors(process.pid)
  const { link, fd, close } = await open()
  t.ok(ours.holds(link, plenty()))
  t.ok(ours.guess(link, plenty()))
  await close()
  const other = openSync("/dev/null", "r")
  t.teardown(() => closeSync(other))
  t.equal(other, fd, "another file has its number")
  t.notOk(ours.guess(link, plenty()))
  t.notOk(ours.holds(link, plenty()))
})

t.test("Descriptors looks at no more than it may", async (t) => {
  const open = await opener(t)
  const ours = new Descriptors(process.pid)
  const { link } = await open()
  t.notOk(ours.holds(link, { left: 0 }))
  t.ok(ours.holds(link, plenty()))
  t.notOk(ours.guess(link, { left: 0 }))
  t.ok(ours.guess(link, { left: 1 }))
})
