/**
 * Endpoint → process: which of the job's processes holds the socket at the job's end of a connection.
 *
 * The kernel names the socket's inode (sock_diag, in `kernel/`); this room finds who holds it open.
 */
import { isDeepStrictEqual } from "node:util"
import { LRUCache } from "lru-cache"
import { addressBytes } from "../net/address.ts"
import type { Address } from "../net/address.ts"
import type { Endpoint } from "../net/endpoint.ts"
import type { Process, Transport } from "../flows/flow.ts"
import type { SocketDiag, SocketOwner } from "../kernel/socket-diag.ts"
import { Descriptors, descriptorsMax, type LooksLeft } from "./descriptors.ts"
import type { Members } from "./members.ts"
import { processOf } from "./program.ts"

export interface OwnerSource {
  readonly diag: SocketDiag
  readonly members: Members
  readonly redact: (argv: readonly string[]) => readonly string[]
  readonly now: () => number
  /** true: a rule depends on the answer, so nothing is taken from a moment ago. */
  readonly exact: boolean
}

/** How long what was read of a process may be shown again; a program may be replaced by exec. */
const processFreshMs = 200
const processesKept = 1024
/** Processes that opened the last sockets: those that are asked first. */
const recentMax = 4

/** Whose target is not known was redirected, and only questions to a resolver are. */
const redirectedPort = 53

/** `later`: the socket has a holder, but the job's processes were listed too recently to list anew. */
export type Found = Process | null | "later"

interface Shown {
  readonly process: Process
  readonly readAtMs: number
}

/** Gives the function that answers for one job. */
export function ownerFinder(
  source: OwnerSource,
): (transport: Transport, from: Endpoint, to: Endpoint | null) => Found {
  const shown = new LRUCache<number, Shown>({ max: processesKept })
  let recent: { readonly pid: number; readonly descriptors: Descriptors }[] = []

  const describe = (pid: number): Process | null => {
    const known = shown.get(pid)
    const nowMs = source.now()
    const age = known === undefined ? -1 : nowMs - known.readAtMs
    if (!source.exact && known !== undefined && age >= 0 && age < processFreshMs) {
      return known.process
    }
    const read = processOf(pid, source.members.has, source.redact)
    if (read === null) return null
    // Why: thousands of flows of one process need not hold a copy each.
    const process =
      known !== undefined && isDeepStrictEqual(known.process, read) ? known.process : read
    shown.set(pid, { process, readAtMs: nowMs })
    return process
  }

  const holder = (inode: number): number | "later" | null => {
    const link = `socket:[${inode}]`
    const looks: LooksLeft = { left: descriptorsMax }
    const known =
      recent.find(({ descriptors }) => descriptors.guess(link, looks)) ??
      recent.find(({ descriptors }) => descriptors.holds(link, looks))
    if (known !== undefined) {
      if (known !== recent[0]) recent = [known, ...recent.filter((other) => other !== known)]
      return known.pid
    }
    const tried = new Set(recent.map(({ pid }) => pid))
    const among = (pids: readonly number[]): number | null => {
      for (const pid of pids) {
        if (tried.has(pid)) continue
        tried.add(pid)
        const descriptors = new Descriptors(pid)
        if (!descriptors.holds(link, looks)) continue
        recent = [{ pid, descriptors }, ...recent].slice(0, recentMax)
        return pid
      }
      return null
    }
    const pid = among(source.members.list())
    if (pid !== null) return pid
    if (!source.members.refresh(source.now())) return "later"
    return among(source.members.list())
  }

  return (transport, from, to) => {
    const socket = socketOf(source.diag, transport, from, to)
    if (socket === null || socket.inode === 0) return null
    const pid = holder(socket.inode)
    return typeof pid === "number" ? describe(pid) : pid
  }
}

function socketOf(
  diag: SocketDiag,
  transport: Transport,
  from: Endpoint,
  to: Endpoint | null,
): SocketOwner | null {
  const local = ends(from)
  if (to === null) {
    return transport === "udp"
      ? diag.udpByPort(from.port)
      : diag.tcpByPorts(from.port, redirectedPort)
  }
  const both = { local, remote: ends(to) }
  if (transport === "tcp") return diag.tcp(both)
  return diag.udp(both) ?? diag.udpByPort(from.port)
}

function ends({ address, port }: { readonly address: Address; readonly port: number }) {
  return { address: addressBytes(address), port }
}
