/**
 * Lets bytes flow between a client and an upstream: both ways, with back-pressure and half-close
 * kept. Changes nothing, and looks at nothing but what the caller's `peek` and `watch` do.
 */
import type { Socket } from "node:net"
import type { Inlet } from "./inlet.ts"
import type { Purse } from "./relay.ts"
import { Toll } from "./toll.ts"

/** One side: a socket and where its bytes land. */
export interface Side {
  readonly socket: Socket
  readonly inlet: Inlet
  /** The TCP socket beneath; `socket` itself where there is no TLS. */
  readonly base: Socket
}

/**
 * Ends a side at once, by a reset where that can be. Why not beneath TLS: Node 20 then writes to memory
 * that it has freed. There the connection ends without TLS's own end, which is an error to whom it
 * happens to.
 */
export function resetSide({ socket, base }: Side): void {
  if (socket === base) socket.resetAndDestroy()
  else socket.destroy()
}

export interface SpliceOptions {
  /** Sent to the upstream before anything else. */
  readonly first: Buffer
  /** Sees what the upstream says, for as long as it returns true. */
  readonly watch: ((bytes: Buffer) => boolean) | null
  /** Sees what the client says, for as long as it returns true. */
  readonly peek: ((bytes: Buffer) => boolean) | null
  /** Pays for what the client sends; null: nothing bounds it. `enforced` is false in audit mode. */
  readonly budget: { readonly purse: Purse; readonly enforced: boolean } | null
  /** Both sides are closed. `detail`: what went wrong, or null. Called once. */
  readonly done: (detail: string | null) => void
}

export const budgetSpent = "More was to be sent than the rule's `up` lets out in a run."

/** One direction. */
class Lane {
  readonly #from: Side
  readonly #to: Side
  bytes = 0
  #stopped = false
  readonly #written = (): void => {
    const { socket } = this.#to
    if (!this.#stopped || (socket.writableLength > 0 && !socket.destroyed)) return
    this.free()
    if (!this.#from.socket.destroyed) this.#from.inlet.resume()
  }

  constructor(from: Side, to: Side) {
    this.#from = from
    this.#to = to
  }

  /** The kernel has not taken all yet. */
  get stopped(): boolean {
    return this.#stopped
  }

  /** What was sent is no longer needed here. */
  free(): void {
    this.#stopped = false
    this.#from.inlet.release()
  }

  /** Sends bytes on; the source rests until the kernel has taken them all. */
  send(bytes: Buffer, owned: boolean): void {
    const { socket } = this.#to
    const { inlet } = this.#from
    if (bytes.length === 0 || socket.destroyed || socket.writableEnded) return
    this.bytes += bytes.length
    const own = inlet.own
    socket.write(owned || own ? bytes : Buffer.from(bytes), this.#written)
    if (socket.writableLength === 0 || this.#stopped) return
    this.#stopped = true
    if (own) inlet.hold()
    inlet.pause()
  }
}

/** Two lanes, from the first byte to the last. */
export class Splice {
  readonly #client: Side
  readonly #upstream: Side
  readonly #options: SpliceOptions
  readonly #up: Lane
  readonly #down: Lane
  /** null: nothing is paid for. */
  readonly #toll: Toll | null
  #exhausted = false
  #watch: SpliceOptions["watch"]
  #peek: SpliceOptions["peek"]
  #open = 2
  #detail: string | null = null

  constructor(client: Side, upstream: Side, options: SpliceOptions) {
    this.#client = client
    this.#upstream = upstream
    this.#options = options
    this.#watch = options.watch
    this.#peek = options.peek
    this.#up = new Lane(client, upstream)
    this.#down = new Lane(upstream, client)
    const { budget } = options
    const exhausted = (): void => this.#spent(budget?.enforced !== false)
    this.#toll = budget === null ? null : new Toll(client, this.#up, { ...budget, exhausted })
  }

  /** From the client, sent on. */
  get bytesSent(): number {
    return this.#up.bytes
  }

  get bytesReceived(): number {
    return this.#down.bytes
  }

  /** More was to be sent than the budget had. */
  get exhausted(): boolean {
    return this.#exhausted
  }

  /**
   * @param clientEnded whether the client had ended its side before
   * @param greeting what the upstream said before
   */
  start(clientEnded: boolean, greeting: Buffer): void {
    const { first } = this.#options
    // Why chosen once: bytes that nobody counts go the short way.
    const way = this.#toll === null ? this.#up : { send: this.#toll.pass.bind(this.#toll) }
    this.#client.inlet.take = (bytes, owned) => {
      if (this.#peek !== null && !this.#peek(bytes)) this.#peek = null
      way.send(bytes, owned)
    }
    this.#upstream.inlet.take = (bytes, owned) => {
      if (this.#watch !== null && !this.#watch(bytes)) this.#watch = null
      this.#down.send(bytes, owned)
    }
    this.#join(this.#client, this.#upstream)
    this.#join(this.#upstream, this.#client)
    this.#upstream.inlet.resume()
    this.#client.inlet.resume()
    way.send(first, true)
    if (greeting.length > 0) {
      this.#watch?.(greeting)
      this.#down.send(greeting, true)
    }
    if (clientEnded) this.#endUpstream()
    if (this.#upstream.socket.readableEnded) this.#client.socket.end()
    if (this.#upstream.socket.closed) this.#closed(this.#client)
  }

  /** Ends both sides at once. */
  reset(detail: string): void {
    this.#detail ??= detail
    resetSide(this.#client)
    resetSide(this.#upstream)
  }

  /** Gives back what an idle connection does not need. */
  rest(): void {
    this.#client.inlet.rest()
    this.#upstream.inlet.rest()
  }

  #join(from: Side, to: Side): void {
    from.socket.once("end", () => {
      if (from === this.#client) this.#endUpstream()
      else to.socket.end()
    })
    from.socket.once("error", (error: NodeJS.ErrnoException) => {
      this.#detail ??= `${from === this.#client ? "client" : "upstream"}: ${error.code ?? "failed"}`
      // Why: an end by error must not look like an end in good order to the other side.
      resetSide(to)
    })
    from.socket.once("close", () => this.#closed(to))
  }

  /** Why not at once: bytes that wait to be paid for go before the end. */
  #endUpstream(): void {
    const { socket } = this.#upstream
    if (this.#toll === null) socket.end()
    else this.#toll.whenClear(() => socket.end())
  }

  #spent(enforced: boolean): void {
    this.#exhausted = true
    if (enforced) this.reset(budgetSpent)
    else this.#detail ??= budgetSpent
  }

  #closed(other: Side): void {
    // Why: a side that is closed in good order has read all and written all; no bytes are cut off.
    if (--this.#open > 0) {
      if (other.socket.writableEnded) return
      if (other === this.#upstream) this.#endUpstream()
      else other.socket.end()
      return
    }
    this.#toll?.close()
    this.#up.free()
    this.#down.free()
    this.#options.done(this.#detail)
  }
}
