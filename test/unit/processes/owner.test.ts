import { createServer, createConnection, type AddressInfo, type Socket } from "node:net"
import { once } from "node:events"
import { readlinkSync } from "node:fs"
import t, { type Test } from "tap"
import { parseAddress } from "../../../net/address.ts"
import type { Address } from "../../../net/address.ts"
import type { SocketDiag } from "../../../kernel/socket-diag.ts"
import type { Members } from "../../../processes/members.ts"
import { ownerFinder } from "../../../processes/owner.ts"

const at = (text: string): Address => parseAddress(text) ?? ("" as Address)
const from = { address: at("198.18.0.2"), port: 40_000 }
const to = { address: at("198.51.100.1"), port: 443 }

/** A connection of our own over loopback, and its inode. */
async function connection(t: Test): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const socket: Socket = createConnection((server.address() as AddressInfo).port, "127.0.0.1")
  await once(socket, "connect")
  t.teardown(() => {
    socket.destroy()
    server.close()
  })
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle
  return Number(/\[(\d+)\]/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1])
}

function diag(inode: number | null): SocketDiag {
  const owner = inode === null ? null : { inode, uid: 0 }
  return {
    tcp: () => owner,
    udp: () => null,
    udpByPort: () => owner,
    tcpByPorts: () => owner,
    close: () => {},
  }
}

function job(pids: readonly number[], fresh = true): Members & { readonly asked: () => number } {
  let known: readonly number[] = []
  let asked = 0
  return {
    asked: () => asked,
    list: () => known,
    has: (pid) => pids.includes(pid),
    refresh: () => {
      asked++
      if (fresh) known = pids
      return fresh
    },
  }
}

const rest = { redact: (argv: readonly string[]) => argv.slice(0, 1), now: () => 0, exact: true }

t.test("ownerFinder() names who holds the socket, with redacted arguments", async (t) => {
  const members = job([1, process.pid])
  const find = ownerFinder({ diag: diag(await connection(t)), members, ...rest })
  t.match(find("tcp", from, to), { pid: process.pid, arguments: [process.argv0], ancestors: [] })
  t.match(find("udp", from, null), { pid: process.pid })
  t.equal(members.asked(), 1, "the second is found without a new list")
})

t.test("ownerFinder() says nobody, where nobody of the job holds it", async (t) => {
  const find = ownerFinder({ diag: diag(await connection(t)), members: job([1]), ...rest })
  t.equal(find("tcp", from, to), null)
  for (const inode of [null, 0]) {
    t.equal(
      ownerFinder({ diag: diag(inode), members: job([process.pid]), ...rest })("tcp", from, to),
      null,
    )
  }
})

t.test("ownerFinder() says later, where the list is too fresh to be made anew", async (t) => {
  const members = job([process.pid], false)
  const find = ownerFinder({ diag: diag(await connection(t)), members, ...rest })
  t.equal(find("tcp", from, to), "later")
})

t.test("ownerFinder() takes a TCP connection without a target for one to a resolver", async (t) => {
  const asked: number[][] = []
  const inode = await connection(t)
  const find = ownerFinder({
    diag: {
      ...diag(inode),
      tcp: () => null,
      tcpByPorts: (...ports) => {
        asked.push(ports)
        return { inode, uid: 0 }
      },
    },
    members: job([process.pid]),
    ...rest,
  })
  t.match(find("tcp", from, null), { pid: process.pid })
  t.strictSame(asked, [[from.port, 53]])
})
