/**
 * Between the workers and the resolver: which addresses a name has, which names an address had.
 *
 * One UNIX socket that only the gate's own user may open. Each side checks what the other says.
 */
import { createConnection, createServer } from "node:net"
import { chmodSync, rmSync } from "node:fs"
import { addressOfSocket, parseAddress } from "../net/address.ts"
import type { Address } from "../net/address.ts"
import { parseHostname } from "../net/hostname.ts"
import type { Hostname } from "../net/hostname.ts"
import { reasons, type Reason } from "../flows/reason.ts"
import { lines, type Message } from "./lines.ts"

/** What the resolver found for a name; `reason` says why there is no address. */
export interface Resolution {
  readonly addresses: readonly Address[]
  readonly reason: Reason | null
}

export interface Names {
  readonly resolve: (host: Hostname) => Promise<Resolution>
  readonly names: (address: Address) => Promise<readonly Hostname[]>
}

/** The resolver's side. Resolves when it listens. */
export function serveNames(
  path: string,
  source: {
    readonly resolve: (host: Hostname) => Promise<Resolution>
    readonly namesOf: (address: Address) => readonly Hostname[]
  },
): Promise<void> {
  const server = createServer((socket) => {
    const line = lines(
      socket,
      (message) => void answer(message),
      () => socket.destroy(),
    )
    const answer = async (message: Message): Promise<void> => {
      const { id, host, address } = message
      if (typeof host === "string") {
        const name = parseHostname(host)
        const found = name === null ? nothing : await source.resolve(name).catch(() => nothing)
        line.send({ id, addresses: found.addresses, reason: found.reason })
      } else if (typeof address === "string") {
        const parsed = parseAddress(address)
        line.send({ id, names: parsed === null ? [] : source.namesOf(parsed) })
      }
    }
  })
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    // Why: one that was killed has left its own behind.
    rmSync(path, { force: true })
    server.listen(path, () => {
      chmodSync(path, 0o600)
      resolve()
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

/** The workers' side. While the resolver is away no name has an address: closed. */
export function askNames(path: string): Names {
  let lastId = 0
  const asked = new Map<number, (message: Message | null) => void>()
  /** Questions that nobody was there for yet. */
  const unsent = new Map<number, object>()
  let line: ReturnType<typeof lines> | null = null

  const connect = (): void => {
    const socket = createConnection(path)
    const lost = (): void => {
      line = null
      for (const [id, give] of asked) {
        if (unsent.has(id)) continue
        asked.delete(id)
        give(null)
      }
      setTimeout(connect, retryMs)
    }
    const answered = (message: Message): void => {
      const { id } = message
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

  const ask = (question: object): Promise<Message | null> =>
    new Promise((resolve) => {
      const id = ++lastId
      const give = (message: Message | null): void => {
        clearTimeout(timer)
        asked.delete(id)
        unsent.delete(id)
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

  return {
    resolve: async (host) => resolutionIn(await ask({ host })),
    names: async (address) => namesIn(await ask({ address })),
  }
}

function resolutionIn(message: Message | null): Resolution {
  if (message === null || !Array.isArray(message["addresses"])) return nothing
  const texts: unknown[] = message["addresses"]
  const addresses = texts.flatMap((text) => {
    const address = typeof text === "string" ? addressOfSocket(text) : null
    return address === null ? [] : [address]
  })
  const reason = reasons.find((each) => each === message["reason"]) ?? null
  return { addresses, reason }
}

function namesIn(message: Message | null): readonly Hostname[] {
  const texts: unknown = message?.["names"]
  if (!Array.isArray(texts)) return []
  return texts.flatMap((text) => {
    const name = typeof text === "string" ? parseHostname(text) : null
    return name === null ? [] : [name]
  })
}
