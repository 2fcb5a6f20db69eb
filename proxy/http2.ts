/**
 * Reads one HTTP/2 connection between a client and an upstream: one stream there for each one here,
 * under the same number. Pure.
 *
 * Each request is decoded, judged, and written anew from what was understood. Windows, SETTINGS,
 * PING and their acknowledgements pass from end to end, so that back-pressure is that of the peers;
 * bodies pass as the bytes that came. No push, no priorities, no other ways to the same host.
 */
import { errorCodes } from "../http/frame.ts"
import { ClientLane } from "./h2-client.ts"
import { lingerMs } from "./h2-lingering.ts"
import { H2Purses } from "./h2-purses.ts"
import { H2Session } from "./h2-session.ts"
import { UpstreamLane } from "./h2-upstream.ts"
import type { Links, Relay } from "./relay.ts"

/** Time for what a client has begun to be whole: the preface, a head. */
export const headTimeoutMs = 30_000

export interface Http2Options {
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number
}

export function http2(links: Links, options: Http2Options = {}): Relay {
  return new Http2(links, options.now ?? (() => performance.now()))
}

class Http2 implements Relay {
  readonly #links: Links
  readonly #session: H2Session
  readonly #purses: H2Purses
  readonly #client: ClientLane
  readonly #upstream: UpstreamLane
  /** What the client sent while a purse is asked. */
  #rest: Buffer = nothing
  #clientEnded = false
  /** The lane's progress when the timer was set, or `lingers`; null: it is not set. */
  #timedAt: number | null = null

  constructor(links: Links, now: () => number) {
    this.#links = links
    this.#session = new H2Session(links)
    this.#purses = new H2Purses(this.#session, () => this.#resume())
    this.#client = new ClientLane(
      this.#session,
      this.#purses,
      { settings: (frameBytesMax) => this.#upstream.settings(frameBytesMax) },
      now,
    )
    this.#upstream = new UpstreamLane(this.#session, this.#client)
    this.#time()
  }

  client(bytes: Buffer): void {
    if (this.#session.over) return
    if (this.#purses.asking) {
      this.#rest = Buffer.concat([this.#rest, bytes])
      return
    }
    this.#read(bytes)
    this.#session.flush()
    this.#time()
  }

  upstream(bytes: Buffer): void {
    if (this.#session.over) return
    this.#upstream.reader.read(bytes)
    this.#session.flush()
    this.#time()
  }

  clientEnded(): void {
    this.#clientEnded = true
    if (this.#session.over || this.#purses.asking) return
    this.#links.timer(null)
    this.#links.endUpstream()
  }

  upstreamEnded(): void {
    this.#session.upstreamEnded()
  }

  late(): void {
    const { lingering } = this.#session
    if (this.#session.over) return
    this.#timedAt = null
    if (lingering.size > 0) {
      lingering.expire()
      this.#session.flush()
      return this.#time()
    }
    this.#session.failClient(errorCodes.enhanceYourCalm, "a head takes too long", "limit-exceeded")
  }

  closed(detail: string | null): void {
    this.#session.closed(detail)
  }

  #read(bytes: Buffer): void {
    const read = this.#client.read(bytes)
    // Why: the bytes are lent for this call only.
    if (this.#purses.asking) this.#rest = Buffer.from(bytes.subarray(read))
  }

  /** A purse was answered: what came meanwhile is read. */
  #resume(): void {
    const rest = this.#rest
    this.#rest = nothing
    this.#read(rest)
    this.#time()
    if (this.#purses.asking || this.#session.over) return
    this.#session.flush()
    this.#links.resumeClient()
    if (this.#clientEnded) this.clientEnded()
  }

  /** Bounds the time of what has begun, from its own beginning. */
  #time(): void {
    const { unfinished, progress } = this.#client
    const { over, lingering } = this.#session
    if (!over && lingering.size > 0) {
      if (this.#timedAt === lingers) return
      this.#timedAt = lingers
      return this.#links.timer(lingerMs)
    }
    const waits = unfinished && !over && !this.#purses.asking
    const wanted = waits ? progress : null
    if (wanted === this.#timedAt) return
    this.#timedAt = wanted
    this.#links.timer(waits ? headTimeoutMs : null)
  }
}

/** The timer runs for streams that linger, not for a head. */
const lingers = -1
const nothing: Buffer = Buffer.alloc(0)
