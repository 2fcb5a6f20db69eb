/**
 * Between the workers and the resolver: which addresses a name has, which names an address had.
 *
 * One UNIX socket that only the gate's own user may open. Each side checks what the other says.
 */
import { createConnection, createServer } from "node:net"
import { chmodSync, rmSync } from "node:fs"
import { addressOfSocket, parseAddress, unmap } from "../net/address.ts"
import type { Address } from "../net/address.ts"
import { parseHostname } from "../net/hostname.ts"
import type { Hostname } from "../net/hostname.ts"
import { reasons, type Reason } from "../flows/reason.ts"
import { Granted, Leases } from "./leases.ts"
import { lines, type Message } from "./lines.ts"

/** What the resolver found for a name; `reason` says why there is no address. */
export interface Resolution {
  readonly addresses: readonly Address[]
  readonly reason: Reason | null
}

export interface Names {
  readonly resolve: (host: Hostname) => Promise<Resolution>
  readonly names: (address: Address) => Promise<readonly Hostname[]>
  readonly close: () => void
}

/** What the resolver's side is asked about. */
export interface NameSource {
  readonly resolve: (host: Hostname) => Promise<Resolution>
  readonly namesOf: (address: Address) => readonly Hostname[]
  /** Until when these names hold; null: there are none. */
  readonly untilOf: (address: Address) => number | null
}

/** The resolver's side. */
export interface NameServer {
  /** Addresses have a name more than before: resolves when no worker believes otherwise; null: none does. */
  readonly changed: (addresses: readonly Address[]) => Promise<void> | null
  readonly close: () => void
}

/** Serves the workers. Resolves when it listens. */
export function serveNames(path: string, source: NameSource): Promise<NameServer> {
  const workers = new Set<Granted>()
  const server = createServer((socket) => {
    const line = lines(
      socket,
      (message) => void answer(message),
      () => {
        workers.delete(granted)
        granted.close()
        socket.destroy()
      },
    )
    const granted = new Granted(line.send, () => socket.destroy())
    workers.add(granted)
    const names = (address: Address): object => {
      const untilMs = source.untilOf(address)
      const lent = untilMs !== null && granted.grant(address, untilMs, Date.now())
      return { names: source.namesOf(address), untilMs: lent ? untilMs : null }
    }
    const answer = async (message: Message): Promise<void> => {
      const { id, host, address, givenBack } = message
      if (typeof host === "string") {
        const name = parseHostname(host)
        const found = name === null ? nothing : await source.resolve(name).catch(() => nothing)
        line.send({ id, addresses: found.addresses, reason: found.reason })
      } else if (typeof address === "string") {
        const parsed = parseAddress(address)
        line.send({ id, ...(parsed === null ? { names: [] } : names(unmap(parsed))) })
      } else if (typeof givenBack === "number") granted.givenBack(givenBack)
    }
  })
  const changed = (addresses: readonly Address[]): Promise<void> | null => {
    const waits = [...workers].flatMap((granted) => granted.callBack(addresses) ?? [])
    return waits.length === 0 ? null : Promise.all(waits).then(() => {})
  }
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    // Why: one that was killed has left its own behind.
    rmSync(path, { force: true })
    server.listen(path, () => {
      chmodSync(path, 0o600)
      resolve({ changed, close: () => server.close() })
    })
  })
}

const nothing: Resolution = { addresses: [], reason: "upstream-failed" }
/** A resolver that was ended and started anew is back within this time. */
const retryMs = 100
/** How long a question waits for a resolver that is away: at the start, or started anew. */
const awayMs = 1_000
/** Most questions that wait so. */
const unsentMax = 4_096
/** Longer than the resolver's own patience with its upstreams. */
const answerTimeoutMs = 12_000

interface Questions {
  /** @param heard told of the answer before anything else that the resolver says */
  readonly ask: (question: object, heard?: (message: Message) => void) => Promise<Message | null>
  readonly close: () => void
}

/** Asks over one connection, which is made anew when it ends. */
function questions(path: string, leases: Leases): Questions {
  let lastId = 0
  const asked = new Map<number, (message: Message | null) => void>()
  /** Questions that nobody was there for yet. */
  const unsent = new Map<number, object>()
  let line: ReturnType<typeof lines> | null = null
  let closed = false

  const connect = (): void => {
    const socket = createConnection(path)
    const lost = (): void => {
      line = null
      leases.clear()
      for (const [id, give] of asked) {
        if (unsent.has(id)) continue
        asked.delete(id)
        give(null)
      }
      if (!closed) setTimeout(connect, retryMs)
    }
    const answered = (message: Message): void => {
      const { id, callBack } = message
      if (typeof callBack === "number") {
        leases.giveBack(addressesIn(message))
        opened.send({ givenBack: callBack })
      }
      if (typeof id !== "number") return
      asked.get(id)?.(message)
      asked.delete(id)
    }
    const opened = lines(socket, answered, lost)
    socket.once("connect", () => {
      line = opened
      for (const question of unsent.values()) opened.send(question)
      unsent.clear()
    })
  }
  connect()

  const ask = (question: object, heard?: (message: Message) => void): Promise<Message | null> =>
    new Promise((resolve) => {
      const id = ++lastId
      const give = (message: Message | null): void => {
        clearTimeout(timer)
        asked.delete(id)
        unsent.delete(id)
        // Why here: what the resolver says next may already be on its way.
        if (message !== null) heard?.(message)
        resolve(message)
      }
      const timer = setTimeout(() => {
        give(null)
      }, answerTimeoutMs)
      asked.set(id, give)
      if (line !== null) line.send({ id, ...question })
      else if (unsent.size >= unsentMax) give(null)
      else {
        unsent.set(id, { id, ...question })
        setTimeout(() => {
          if (unsent.has(id)) give(null)
        }, awayMs)
      }
    })

  const close = (): void => {
    closed = true
    line?.close()
  }
  return { ask, close }
}

/** The workers' side. While the resolver is away no name has an address: closed. */
export function askNames(path: string): Names {
  const leases = new Leases()
  const { ask, close } = questions(path, leases)
  let turn: Promise<void> | null = null

  /** Once all that had arrived by now has been read. */
  const nextTurn = (): Promise<void> =>
    (turn ??= new Promise((resolve) => {
      setImmediate(() => {
        turn = null
        resolve()
      })
    }))

  const names = async (given: Address): Promise<readonly Hostname[]> => {
    const address = unmap(given)
    if (leases.namesOf(address, Date.now()) !== null) {
      // Why: a lease may have been called back before the connection came, and be read after it.
      await nextTurn()
      const lent = leases.namesOf(address, Date.now())
      if (lent !== null) return lent
    }
    const answer = await ask({ address }, (message) => {
      const { untilMs } = message
      if (typeof untilMs === "number") leases.take(address, namesIn(message), untilMs)
    })
    return namesIn(answer)
  }

  return { resolve: async (host) => resolutionIn(await ask({ host })), names, close }
}

function addressesIn(message: Message): Address[] {
  if (!Array.isArray(message["addresses"])) return []
  const texts: unknown[] = message["addresses"]
  return texts.flatMap((text) => {
    const address = typeof text === "string" ? addressOfSocket(text) : null
    return address === null ? [] : [address]
  })
}

function resolutionIn(message: Message | null): Resolution {
  if (message === null || !Array.isArray(message["addresses"])) return nothing
  const reason = reasons.find((each) => each === message["reason"]) ?? null
  return { addresses: addressesIn(message), reason }
}

function namesIn(message: Message | null): readonly Hostname[] {
  const texts: unknown = message?.["names"]
  if (!Array.isArray(texts)) return []
  return texts.flatMap((text) => {
    const name = typeof text === "string" ? parseHostname(text) : null
    return name === null ? [] : [name]
  })
}
