/**
 * Carries a relay: what two sockets say goes in, what the relay says goes out to them, with
 * back-pressure both ways. Knows nothing of HTTP.
 *
 * Bytes given to TLS are encrypted during the call, so they need not be kept; bytes given to a bare
 * socket may wait in it, and are copied where their buffer will be used again. A side that does not
 * take what it is sent stops the reading of the other.
 */
import type { Exchange, Links, Relay } from "./relay.ts"
import { resetSide } from "./splice.ts"
import type { Side } from "./splice.ts"

/** How long a side may take to close after its last word. nginx: lingering_timeout 5 s. */
const lingerMs = 5_000
/** How long a client may leave the last of a reply unread. nginx: send_timeout 60 s. */
const unreadMs = 300_000
/** Most bytes read and dropped of a side that was told its end. */
const lingerBytesMax = 1_048_576
/** Unsent bytes at which the other side is read no more, and the side itself: we may answer it. */
const unsentBytesMax = 262_144
/** What is sent in one call is joined up to so many bytes: one record of TLS (RFC 8446 §5.1). */
const joinedBytesMax = 16_384

export interface CarrierOptions {
  readonly client: Side
  /** null: there is none, and the relay sends nothing to it. */
  readonly upstream: Side | null
  readonly relay: (links: Links) => Relay
  readonly requests: Pick<Links, "judge" | "broken" | "stopped"> & {
    /** A promise where there is no room for the event: no further request is read until it is kept. */
    readonly record: (exchange: Exchange) => void | Promise<void>
  }
  /** Both sides are closed. `detail`: what went wrong, or null. Called once. */
  readonly done: (detail: string | null) => void
}

/** One side, and what is being done to it. */
class End {
  readonly side: Side
  readonly encrypted: boolean
  /** Sent to it, in bytes. */
  bytes = 0
  /** The relay will send it no more. */
  ended = false
  closed = false
  /** Its reading is stopped because somebody does not take more. */
  stopped = false
  /** Something was unsent before the present call. */
  busy = false
  /** What the present call sends to it. */
  outgoing: Buffer[] = []
  outgoingBytes = 0
  linger: NodeJS.Timeout | null = null

  constructor(side: Side) {
    this.side = side
    this.encrypted = side.socket !== side.base
  }

  get unsent(): number {
    return this.side.socket.writableLength
  }

  /**
   * Whether so much waits to be sent that nobody may add to it. Why not at the first byte where there
   * is TLS: Node tells of each write only after the turn, even if the kernel took it at once.
   */
  get full(): boolean {
    return this.unsent > (this.encrypted ? unsentBytesMax : 0)
  }
}

/** From the first byte to the last. */
export class Carrier {
  readonly #client: End
  readonly #upstream: End | null
  readonly #ends: readonly End[]
  readonly #options: CarrierOptions
  readonly #relay: Relay
  /** The side whose bytes are being read: its buffer is valid during the call. */
  #reading: End | null = null
  /** The relay is being called: what it sends is written when it returns. */
  #calling = false
  /** Reasons of the relay's, and of the event log's, for which the client is not read. */
  #paused = false
  #waiting = 0
  /** What of the client arrived all the same: TLS gives on what it has decrypted already. */
  #kept: Buffer[] = []
  #timer: NodeJS.Timeout | null = null
  #detail: string | null = null
  #over = false

  constructor(options: CarrierOptions) {
    this.#options = options
    this.#client = new End(options.client)
    this.#upstream = options.upstream === null ? null : new End(options.upstream)
    this.#ends = this.#upstream === null ? [this.#client] : [this.#client, this.#upstream]
    this.#relay = options.relay(this.#links())
  }

  /** To the upstream, in bytes. */
  get bytesSent(): number {
    return this.#upstream?.bytes ?? 0
  }

  get bytesReceived(): number {
    return this.#client.bytes
  }

  /**
   * @param first what the client said before
   * @param early what the upstream said before
   */
  start(first: Buffer, early: Buffer): void {
    const [client, upstream] = [this.#client, this.#upstream]
    this.#join(client)
    if (upstream !== null) this.#join(upstream)
    if (first.length > 0) this.#call(null, () => this.#relay.client(first))
    if (early.length > 0) this.#call(null, () => this.#relay.upstream(early))
    for (const end of this.#ends) {
      this.#read(end)
      if (end.side.socket.readableEnded) this.#sideEnded(end)
      if (end.side.socket.closed) this.#sideClosed(end)
    }
  }

  /** Ends both sides at once. */
  reset(detail: string): void {
    this.#detail ??= detail
    for (const { side, closed } of this.#ends) if (!closed) resetSide(side)
  }

  /** Gives back what an idle connection does not need. */
  rest(): void {
    for (const { side } of this.#ends) side.inlet.rest()
  }

  #links(): Links {
    const { judge, broken, stopped, record } = this.#options.requests
    const [client, upstream] = [this.#client, this.#upstream]
    return {
      judge,
      broken,
      stopped,
      toClient: (bytes, owned) => this.#send(client, bytes, owned),
      toUpstream: (bytes, owned) => {
        if (upstream !== null) this.#send(upstream, bytes, owned)
      },
      record: (exchange) => {
        const room = record(exchange)
        if (room !== undefined) this.#wait(room)
        // Why: who leads nowhere says so once; the next try may find the upstream again.
        if (upstream === null) queueMicrotask(() => this.#end(client))
      },
      pauseClient: () => {
        this.#paused = true
        this.#read(client)
      },
      resumeClient: () => {
        this.#paused = false
        this.#read(client)
      },
      endClient: () => this.#end(client),
      endUpstream: () => {
        if (upstream !== null) this.#end(upstream)
      },
      reset: (detail) => this.reset(detail),
      timer: (afterMs) => this.#time(afterMs),
    }
  }

  /** The event log has no room: the client is not read until it has. */
  #wait(room: Promise<void>): void {
    this.#waiting++
    this.#read(this.#client)
    const go = (): void => {
      this.#waiting--
      this.#read(this.#client)
    }
    room.then(go, go)
  }

  #time(afterMs: number | null): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (afterMs === null || this.#over) return
    this.#timer = setTimeout(() => this.#call(null, () => this.#relay.late()), afterMs)
  }

  /** What the relay says to a side in one call goes on in one write. */
  #call(reading: End | null, step: () => void): void {
    if (this.#over) return
    this.#reading = reading
    this.#calling = true
    for (const end of this.#ends) end.busy = end.unsent > 0
    try {
      step()
    } finally {
      this.#reading = null
      this.#calling = false
      for (const end of this.#ends) this.#write(end)
    }
    for (const end of this.#ends) this.#read(end)
  }

  #write(end: End): void {
    const { side, outgoing, outgoingBytes } = end
    const [first] = outgoing
    if (first === undefined) return
    end.outgoing = []
    end.outgoingBytes = 0
    const { socket } = side
    if (socket.destroyed || socket.writableEnded) return
    if (outgoing.length === 1) socket.write(first, this.#written)
    else if (outgoingBytes <= joinedBytesMax) socket.write(Buffer.concat(outgoing), this.#written)
    else {
      socket.cork()
      for (const bytes of outgoing) socket.write(bytes, this.#written)
      socket.uncork()
    }
  }

  /**
   * Reads a side, or stops reading it, as the other side and itself take what they are sent. A client
   * that was told its end is read on, see #end; but not while bytes in its buffer are still unsent.
   */
  #read(end: End): void {
    const { side, stopped } = end
    if (side.socket.destroyed) return
    const isClient = end === this.#client
    const last = isClient && end.ended
    const other = isClient ? this.#upstream : this.#client
    const held = isClient && !last && this.#held
    const stop = held || other?.full === true || (!last && end.unsent > unsentBytesMax)
    if (stop !== stopped) {
      end.stopped = stop
      if (stop) side.inlet.pause()
      else side.inlet.resume()
    }
    if (stop) return
    side.inlet.release()
    // Why later: the relay may be in the middle of a call.
    if (isClient && this.#kept.length > 0) queueMicrotask(() => this.#deliver())
  }

  get #held(): boolean {
    return this.#paused || this.#waiting > 0
  }

  #deliver(): void {
    while (this.#kept.length > 0 && !this.#held) {
      const [bytes] = this.#kept.splice(0, 1)
      if (bytes !== undefined) this.#call(null, () => this.#relay.client(bytes))
    }
    if (this.#kept.length === 0 && this.#client.side.socket.readableEnded)
      this.#sideEnded(this.#client)
  }

  readonly #written = (): void => {
    if (this.#reading !== null) return
    for (const end of this.#ends) if (end.stopped) this.#read(end)
  }

  #send(to: End, bytes: Buffer, owned: boolean): void {
    const { socket } = to.side
    if (bytes.length === 0 || to.ended || socket.destroyed) return
    to.bytes += bytes.length
    if (!this.#calling) to.busy = to.unsent > 0
    to.outgoing.push(owned || this.#stays(to) ? bytes : Buffer.from(bytes))
    to.outgoingBytes += bytes.length
    // Why: a purse that was filled lets a request go on between calls.
    if (!this.#calling) this.#call(null, () => {})
  }

  /** Whether the bytes being read need no copy on their way to a side. */
  #stays(to: End): boolean {
    if (to.busy) return false
    if (to.encrypted) return true
    const from = this.#reading
    if (from === null || !from.side.inlet.own) return false
    from.side.inlet.hold()
    return true
  }

  #end(end: End): void {
    if (end.ended) return
    end.ended = true
    const { socket, inlet } = end.side
    if (socket.destroyed) return
    this.#write(end)
    if (end !== this.#client) {
      socket.end()
      end.linger = setTimeout(() => socket.destroy(), lingerMs)
      return
    }
    // Why not sooner: a client may rest before it reads the last of a reply.
    end.linger = setTimeout(() => socket.destroy(), unreadMs)
    socket.end(() => {
      if (end.linger !== null) clearTimeout(end.linger)
      if (!end.closed) end.linger = setTimeout(() => socket.destroy(), lingerMs)
    })
    const start = inlet.total
    inlet.take = () => {
      // Why: to close with bytes unread would be a reset, and the last word could be lost in it.
      if (inlet.total - start > lingerBytesMax) socket.destroy()
    }
    this.#kept = []
    this.#read(end)
  }

  #join(end: End): void {
    const { socket, inlet } = end.side
    const relay = this.#relay
    const isClient = end === this.#client
    inlet.take = (bytes) => {
      if (isClient && (this.#held || this.#kept.length > 0)) this.#kept.push(Buffer.from(bytes))
      else this.#call(end, () => (isClient ? relay.client(bytes) : relay.upstream(bytes)))
    }
    end.stopped = true
    socket.once("end", () => this.#sideEnded(end))
    socket.once("error", (error: NodeJS.ErrnoException) => {
      this.#detail ??= `${isClient ? "client" : "upstream"}: ${error.code ?? "failed"}`
      // Why: an end by error must not look like an end in good order to the other side.
      this.reset(this.#detail)
    })
    socket.once("close", () => this.#sideClosed(end))
  }

  #sideEnded(end: End): void {
    end.side.inlet.flush()
    const relay = this.#relay
    if (end !== this.#client) this.#call(null, () => relay.upstreamEnded())
    else if (this.#kept.length === 0) this.#call(null, () => relay.clientEnded())
  }

  #sideClosed(end: End): void {
    if (end.closed) return
    end.closed = true
    if (end.linger !== null) clearTimeout(end.linger)
    if (end === this.#client) this.#finish()
    const open = this.#ends.filter(({ closed }) => !closed)
    for (const each of open) this.#end(each)
    if (open.length > 0) return
    // Why not sooner: what is unsent to the other side may lie in this side's buffer.
    for (const { side } of this.#ends) side.inlet.release()
    this.#finish()
    this.#options.done(this.#detail)
  }

  /** The relay hears no more: nobody is there to be answered. */
  #finish(): void {
    if (this.#over) return
    this.#time(null)
    this.#over = true
    this.#relay.closed(this.#detail)
  }
}
