/**
 * Who asks: the process at the other end of a socket, as the guard finds it. Kept for a moment, so
 * that one socket that asks much costs one look-up.
 */
import { LRUCache } from "lru-cache"
import { printEndpoint } from "../net/endpoint.ts"
import type { Endpoint } from "../net/endpoint.ts"
import type { Process, Transport } from "../flows/flow.ts"

export interface Owner {
  readonly process: Process | null
  readonly step: string | null
}

/** One end of the job's that asks. */
export interface Client {
  readonly transport: Transport
  readonly source: Endpoint
  /** Where the question was sent; null where a redirection hides it. */
  readonly target: Endpoint | null
}

export type FindOwner = (client: Client) => Promise<Owner>

export const nobody: Owner = { process: null, step: null }

/** For the log: long enough that a busy socket costs next to nothing. */
export const keptMs = 1_000
/** For verdicts: a port that another process takes over must not keep the first one's rights. */
export const keptForVerdictsMs = 100
const clientsMax = 4_096
/** The guard answers in well under a millisecond; one that does not answer is not waited for. */
const findMs = 1_000
/** Look-ups that the guard has before it; whoever comes then is nobody. */
const openMax = 1_024

interface Entry {
  owner: Owner | null
  readonly promise: Promise<Owner>
  readonly until: number
}

export class Owners {
  readonly #find: FindOwner
  readonly #now: () => number
  readonly #keptMs: number
  readonly #entries = new LRUCache<string, Entry>({ max: clientsMax })
  #open = 0

  /** @param forMs for how long an owner is taken to be still the same */
  constructor(find: FindOwner, now: () => number, forMs: number) {
    this.#find = find
    this.#keptMs = forMs
    this.#now = now
  }

  /** The owner, or a promise of it, which never rejects: an owner that is not found is nobody. */
  of(client: Client): Owner | Promise<Owner> {
    const key = `${client.transport} ${printEndpoint(client.source)}`
    const known = this.#entries.get(key)
    if (known !== undefined && this.#now() < known.until) return known.owner ?? known.promise
    if (this.#open >= openMax) return nobody
    this.#open++
    const promise = within(findMs, this.#find(client), nobody)
      .catch(() => nobody)
      .then((owner) => {
        this.#open--
        entry.owner = owner
        return owner
      })
    const entry: Entry = { owner: null, promise, until: this.#now() + this.#keptMs }
    this.#entries.set(key, entry)
    return promise
  }
}

/** What a promise gives, or `otherwise` when it takes longer. */
export async function within<T>(timeMs: number, promise: Promise<T>, otherwise: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(resolve, timeMs, otherwise)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
