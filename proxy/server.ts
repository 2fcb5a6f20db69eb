/**
 * Accepts the job's connections, within limits, and gives each a session.
 *
 * The listener is inherited: it is transparent, so the local end of an accepted socket is where the
 * job meant to go. Never binds a port of its own, never asks a question twice.
 */
import { createServer } from "node:net"
import type { Server, Socket } from "node:net"
import { addressOfSocket } from "../net/address.ts"
import type { Endpoint } from "../net/endpoint.ts"
import { printEndpoint } from "../net/endpoint.ts"
import type { Drop, EventBody } from "../events/event.ts"
import type { Flow } from "../flows/flow.ts"
import { Inlet, proveInlets, trimInlets } from "./inlet.ts"
import { Session } from "./session.ts"
import type { World } from "./world.ts"

/** What the gate needs of the world: functions that guard/ hands in. */
export interface Surroundings extends World {
  /** A new id for a flow, unique within the run. */
  readonly newId: () => string
  /** Takes a connection to port 53, paused; null: there is nobody to take it. */
  readonly serveNames: ((socket: Socket) => void) | null
}

export interface Limits {
  /** Connections at once, in one worker; each takes two descriptors. */
  readonly connectionsMax: number
  /** Of those, from one address. */
  readonly sourceConnectionsMax: number
  /** Of those, whose opening is still awaited; beyond it the oldest is given up. */
  readonly undecidedMax: number
  /** Bytes of openings kept at once. */
  readonly openingBytesMax: number
  /** RFC 5382 REQ-5: a NAT keeps an idle connection for two hours and four minutes. */
  readonly idleMs: number
}

export const defaultLimits: Limits = {
  connectionsMax: 8_192,
  sourceConnectionsMax: 8_192,
  undecidedMax: 4_096,
  openingBytesMax: 67_108_864,
  idleMs: 7_440_000,
}

/** How often idle connections are looked for, and what was refused for want of room is told. */
const sweepMs = 1_000
/** Most targets told of one by one in a sweep; the rest are counted under the last. */
const turnedAwayMax = 256

/** Key of those without a key of their own. */
const elsewhere = "elsewhere"

const namesPort = 53

/** The data plane of one worker. */
export class Gate {
  /** Listens once the caller lets it: `server.listen({ fd })`. */
  readonly server: Server
  readonly #surroundings: Surroundings
  readonly #world: World
  readonly #limits: Limits
  readonly #sessions = new Set<Session>()
  /** In the order they came. */
  readonly #undecided = new Set<Session>()
  readonly #sources = new Map<string, number>()
  /** Kept while the event log has no room: nothing new is begun. */
  #full: Promise<void> | null = null
  readonly #turnedAway = new Map<string, Drop>()
  readonly #sweeper: NodeJS.Timeout

  constructor(surroundings: Surroundings, limits: Limits = defaultLimits) {
    this.#surroundings = surroundings
    this.#world = { ...surroundings, record: (event) => this.#record(event) }
    this.#limits = limits
    this.server = createServer(
      {
        allowHalfOpen: true,
        pauseOnConnect: true,
        noDelay: true,
      },
      (socket) => this.#accept(socket),
    )
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs)
    this.#sweeper.unref()
  }

  /** Connections that are open, or whose events are not recorded yet. */
  get connections(): number {
    return this.#sessions.size
  }

  /** Takes no more connections and ends those that are open. Resolves when all is recorded. */
  async close(): Promise<void> {
    this.server.close()
    clearInterval(this.#sweeper)
    for (const session of this.#sessions) session.reset("The firewall ended.")
    await this.#emptied()
    // Why: an event without its process is worth more than none.
    for (const session of this.#sessions) session.hurry()
    await this.#emptied()
    this.#tellTurnedAway()
  }

  /** Resolves when no session is left, or after a while. */
  async #emptied(): Promise<void> {
    const deadline = Date.now() + sweepMs
    while (this.#sessions.size > 0 && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  #accept(socket: Socket): void {
    socket.on("error", () => {})
    const target = endpointOf(() => [socket.localAddress, socket.localPort])
    const source = endpointOf(() => [socket.remoteAddress, socket.remotePort])
    if (target === null || source === null) {
      // Why: reset before it was accepted; there is nobody left to answer.
      socket.destroy()
      return
    }
    const { serveNames } = this.#surroundings
    if (target.port === namesPort && serveNames !== null) {
      serveNames(socket)
      return
    }
    const ofSource = this.#sources.get(source.address) ?? 0
    if (
      this.#sessions.size >= this.#limits.connectionsMax ||
      ofSource >= this.#limits.sourceConnectionsMax
    ) {
      this.#turnAway(socket, target)
      return
    }
    this.#sources.set(source.address, ofSource + 1)
    this.#begin(socket, source, target)
  }

  #begin(socket: Socket, source: Endpoint, target: Endpoint): void {
    const inlet = new Inlet()
    inlet.adopt(socket)
    const flow: Flow = {
      id: this.#surroundings.newId(),
      openedAtMs: this.#surroundings.now(),
      transport: "tcp",
      source,
      target,
      names: [],
      process: null,
      step: null,
      opening: null,
      request: null,
    }
    const session = new Session({ socket, inlet, base: socket }, flow, this.#world, {
      decided: (decided) => this.#undecided.delete(decided),
      over: (over) => {
        this.#sessions.delete(over)
        this.#undecided.delete(over)
        this.#leave(source.address)
      },
    })
    this.#sessions.add(session)
    this.#undecided.add(session)
    if (this.#full === null) session.start()
    else
      this.#full.then(
        () => session.start(),
        () => session.start(),
      )
    if (this.#undecided.size > this.#limits.undecidedMax) this.#makeRoom()
  }

  #leave(source: string): void {
    const left = (this.#sources.get(source) ?? 1) - 1
    if (left === 0) this.#sources.delete(source)
    else this.#sources.set(source, left)
  }

  /** Gives up the oldest openings until there is room again. */
  #makeRoom(): void {
    for (const session of this.#undecided) {
      if (this.#undecided.size <= this.#limits.undecidedMax) return
      this.#undecided.delete(session)
      session.expire()
    }
  }

  #turnAway(socket: Socket, target: Endpoint): void {
    socket.resetAndDestroy()
    const wanted = printEndpoint(target)
    const room = this.#turnedAway.has(wanted) || this.#turnedAway.size < turnedAwayMax
    const key = room ? wanted : elsewhere
    const before = this.#turnedAway.get(key)
    this.#turnedAway.set(key, {
      kind: "drop",
      transport: "tcp",
      target: before?.target ?? target,
      packets: (before?.packets ?? 0) + 1,
      reason: "limit-exceeded",
      user: null,
    })
  }

  /** Records, and begins nothing new while there is no room for more events. */
  #record(event: EventBody): void | Promise<void> {
    const room = this.#surroundings.record(event)
    if (room === undefined) return
    const full = room.finally(() => {
      if (this.#full === full) this.#full = null
    })
    this.#full = full
    return full
  }

  #sweep(): void {
    const nowMs = this.#surroundings.now()
    let kept = 0
    for (const session of this.#sessions) {
      if (nowMs - session.idleSince(nowMs) > this.#limits.idleMs) {
        session.reset("Nothing moved for too long.")
      }
      kept += session.keptBytes
    }
    for (const session of this.#undecided) {
      if (kept <= this.#limits.openingBytesMax) break
      kept -= session.keptBytes
      this.#undecided.delete(session)
      session.expire()
    }
    this.#tellTurnedAway()
    trimInlets()
  }

  #tellTurnedAway(): void {
    for (const drop of this.#turnedAway.values()) void this.#record(drop)
    this.#turnedAway.clear()
  }
}

/** A gate whose inlets are as fast as this machine's Node lets them be. */
export async function openGate(surroundings: Surroundings, limits?: Limits): Promise<Gate> {
  await proveInlets()
  return new Gate(surroundings, limits)
}

/** null: not known any more, or (Node throws) of a link that this namespace does not have. */
function endpointOf(read: () => [string | undefined, number | undefined]): Endpoint | null {
  try {
    const [address, port] = read()
    const parsed = addressOfSocket(address)
    return parsed === null || port === undefined ? null : { address: parsed, port }
  } catch {
    return null
  }
}
