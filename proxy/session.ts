/**
 * One connection in the world: does what connection.ts says, with sockets, timers and questions.
 * Decides nothing.
 */
import type { Flow } from "../flows/flow.ts"
import { Carrier } from "./carrier.ts"
import { opened, step, wantsBytes } from "./connection.ts"
import { dial, keepAliveAfterMs, keepAliveMs } from "./dial.ts"
import type { Dialled, Dialling } from "./dial.ts"
import { http1 } from "./http1.ts"
import { Inside, namedTls } from "./inside.ts"
import { overheard, peeked } from "./overheard.ts"
import { flowEvent, refusedRequest } from "./record.ts"
import type { Carried } from "./record.ts"
import { refuse } from "./refuse.ts"
import { Requests } from "./requests.ts"
import { Splice } from "./splice.ts"
import type { Side, SpliceOptions } from "./splice.ts"
import { wordsFor } from "./told.ts"
import type { Connection, Input, Output, Refusal, Timer } from "./turn.ts"
import { within } from "./within.ts"
import type { Owner, World } from "./world.ts"

/** Time for the guard to say whose a socket is; then it is nobody's. */
const ownerTimeoutMs = 5_000
/** Time for the resolver to say which names an address has; then it has none. */
const namesTimeoutMs = 5_000

/** How long a refusal is held back for the guard's word. */
const refusalWaitMs = 250

const nobody: Owner = { process: null, step: null }

/** Who wants to know how far a session is. */
export interface Life {
  /** Its verdict stands. Called once, at most. */
  readonly decided: (session: Session) => void
  /** Nothing of it is left: closed, and its events recorded. Called once. */
  readonly over: (session: Session) => void
}

/** A connection from its acceptance until its events are recorded. */
export class Session {
  readonly client: Side
  readonly #world: World
  readonly #life: Life
  #connection: Connection
  #timers = new Map<Timer, NodeJS.Timeout>()
  #dialling: Dialling | null = null
  #upstream: Extract<Dialled, { side: unknown }> | null = null
  /** Where TLS is ended here. */
  #inside: Inside | null = null
  /** What carries the bytes, once they flow. */
  #flowing: Splice | Carrier | null = null
  #requests: Requests | null = null
  #owner: Promise<Owner> | null = null
  #hurried: (() => void) | null = null
  #leafRefused = false
  /** Status of the page that a request of plain HTTP was refused with; null: there was none. */
  #refusedWith: number | null = null
  /** What the upstream said before it was let through. */
  #greeting: Buffer[] = []
  #watching = false
  #closed = false
  /** Bytes moved when the server last looked: see idleSince. */
  #moved = -1
  #movedAtMs: number
  #keptAlive = false

  constructor(client: Side, flow: Flow, world: World, life: Life) {
    this.client = client
    this.#world = world
    this.#life = life
    this.#movedAtMs = flow.openedAtMs
    const [connection, outputs] = opened(flow)
    this.#connection = connection
    for (const output of outputs) this.#do(output)
  }

  /** Bytes of the opening that are kept. */
  get keptBytes(): number {
    return this.#flowing === null ? this.#connection.reader.bytes.length : 0
  }

  /** Asks what is to be asked, and begins to read. */
  start(): void {
    if (this.#connection.phase === "over") return
    const { socket, inlet } = this.client
    inlet.take = (bytes) => this.#tell({ kind: "bytes", bytes })
    socket.on("error", this.#clientFailed)
    socket.on("end", this.#clientEnded)
    socket.on("close", this.#clientClosed)
    const { flow } = this.#connection
    within(this.#world.names(flow.target.address), namesTimeoutMs, []).then((names) => {
      this.#tell({ kind: "names", names })
    }, unreachable)
    if (this.#world.needsProcess) {
      this.#askOwner().then((owner) => this.#tell({ kind: "owner", ...owner }), unreachable)
    } else this.#world.opened(flow)
    this.#read()
  }

  #askOwner(): Promise<Owner> {
    const { flow } = this.#connection
    this.#owner ??= within(this.#world.owner(flow), ownerTimeoutMs, nobody)
    return this.#owner
  }

  /** Gives up an opening that takes up room others need. */
  expire(): void {
    this.#tell({ kind: "timer", timer: "opening" })
  }

  /** Since when nothing has moved; called now and then, so that bytes need not be timed. */
  idleSince(nowMs: number): number {
    if (nowMs - this.#connection.flow.openedAtMs >= keepAliveAfterMs) this.#keepAlive()
    const flowing = this.#flowing
    if (flowing === null) return nowMs
    const moved = flowing.bytesSent + flowing.bytesReceived
    if (moved !== this.#moved) {
      this.#moved = moved
      this.#movedAtMs = nowMs
    } else flowing.rest()
    return this.#movedAtMs
  }

  #keepAlive(): void {
    if (this.#keptAlive || this.#upstream === null) return
    this.#keptAlive = true
    for (const { base } of [this.client, this.#upstream.side]) base.setKeepAlive(true, keepAliveMs)
  }

  /** Ends a connection that flows. */
  reset(detail: string): void {
    if (this.#flowing !== null) this.#flowing.reset(detail)
    else if (this.#inside !== null) this.#inside.close()
    else {
      this.#hangUp()
      this.client.socket.resetAndDestroy()
    }
  }

  /** Has its event recorded even if nobody has said yet whose the connection was. */
  hurry(): void {
    this.#hurried?.()
  }

  readonly #clientEnded = (): void => this.#tell({ kind: "ended" })
  readonly #clientFailed = (): void => {
    this.#closed = true
    this.#tell({ kind: "closed" })
  }
  readonly #clientClosed = (): void => {
    this.#closed = true
    this.#tell({ kind: "closed" })
  }

  #tell(input: Input): void {
    const undecided = this.#connection.final === null
    const [connection, outputs] = step(this.#world, this.#connection, input)
    this.#connection = connection
    if (undecided && connection.final !== null) this.#life.decided(this)
    for (const output of outputs) this.#do(output)
    this.#read()
  }

  /** The client is read only while its bytes are of use. */
  #read(): void {
    if (this.#flowing !== null || this.#closed) return
    const { phase } = this.#connection
    if (phase === "over" || phase === "carrying") return
    const wanted = wantsBytes(this.#connection)
    if (wanted === this.#watching) return
    this.#watching = wanted
    if (wanted) this.client.inlet.resume()
    else this.client.inlet.pause()
  }

  #do(output: Output): void {
    switch (output.do) {
      case "start-timer":
        this.#stopTimer(output.timer)
        this.#timers.set(
          output.timer,
          setTimeout(() => this.#tell({ kind: "timer", timer: output.timer }), output.afterMs),
        )
        return
      case "stop-timer":
        this.#stopTimer(output.timer)
        return
      case "dial":
        this.#dialling = dial(
          output.permit,
          this.#connection.flow.names,
          this.#world,
          this.#dialled,
        )
        return
      case "hang-up":
        this.#hangUp()
        return
      case "listen":
        this.#listen()
        return
      case "carry":
        if (output.requests) this.#carryRequests()
        else this.#carry()
        return
      case "secure":
        this.#secure()
        return
      case "open":
        this.#open()
        return
      case "refuse":
        this.#refuse(output.by)
        return
      case "forget":
        this.#release()
        this.client.socket.destroy()
        this.#world.forgotten(this.#connection.flow)
        this.#end()
        return
    }
  }

  #stopTimer(timer: Timer): void {
    const running = this.#timers.get(timer)
    if (running === undefined) return
    clearTimeout(running)
    this.#timers.delete(timer)
  }

  readonly #dialled = (dialled: Dialled): void => {
    this.#dialling = null
    if ("failed" in dialled) {
      this.#tell({ kind: "dial-failed", reason: dialled.failed, detail: dialled.detail })
      return
    }
    this.#upstream = dialled
    this.#tell({ kind: "dialled", despite: dialled.despite })
  }

  #hangUp(): void {
    this.#dialling?.cancel()
    this.#dialling = null
    if (this.#inside !== null) this.#inside.close()
    else this.#upstream?.side.socket.resetAndDestroy()
    this.#upstream = null
    this.#greeting = []
  }

  #listen(): void {
    const side = this.#upstream?.side
    if (side === undefined) return
    side.inlet.take = (bytes) => {
      // Why: what an upstream says while the client's opening is read waits for the verdict on it.
      this.#greeting.push(Buffer.from(bytes))
      side.inlet.pause()
      this.#tell({ kind: "spoken" })
    }
    // Why: an end is an answer too; the splice passes it on.
    for (const event of ["end", "close"]) {
      side.socket.once(event, () => {
        if (this.#upstream?.side === side) this.#tell({ kind: "spoken" })
      })
    }
    side.inlet.resume()
  }

  #stopListening(): void {
    for (const [event, listener] of this.#listeners) this.client.socket.off(event, listener)
  }

  #carry(): void {
    const upstream = this.#upstream
    if (upstream === null) return
    this.#stopListening()
    const splice = new Splice(this.client, upstream.side, {
      first: this.#connection.reader.bytes,
      watch: this.#overheard(),
      peek: this.#connection.classified === null ? (bytes) => this.#peek(bytes) : null,
      budget: this.#budget(),
      done: (detail) => this.#finish(detail),
    })
    this.#flowing = splice
    splice.start(this.#connection.ended, Buffer.concat(this.#greeting))
    this.#greeting = []
  }

  /** Plain HTTP: its requests, one by one, to the host that the first one named. */
  #carryRequests(): void {
    const upstream = this.#upstream
    if (upstream === null) return
    this.#stopListening()
    const { flow, classified, reader } = this.#connection
    const { port } = flow.target
    const requests = new Requests(this.#world, {
      flow: () => this.#connection.flow,
      dialledFor: classified?.head?.host ?? null,
      hopeless: null,
    })
    this.#requests = requests
    const carrier = new Carrier({
      client: this.client,
      upstream: upstream.side,
      relay: (links) => http1(links, { scheme: "http", port }),
      requests,
      done: (detail) => this.#finish(detail),
    })
    this.#flowing = carrier
    carrier.start(reader.bytes, Buffer.concat(this.#greeting))
  }

  #secure(): void {
    const { classified } = this.#connection
    const opening = namedTls(classified?.opening ?? null)
    if (this.#upstream === null || opening === null) return
    this.#inside = new Inside(this.client, opening, () => this.#connection.flow, this.#world)
    this.#inside.secure(this.#upstream.side, (failed) => {
      if (failed === null) return this.#tell({ kind: "secured" })
      this.#inside = null
      this.#upstream = null
      this.#tell({ kind: "unsecured", reason: failed.failed, detail: failed.detail })
    })
  }

  #open(): void {
    const inside = this.#inside
    if (inside === null) return
    this.#stopListening()
    inside.open(
      this.#connection.reader.bytes,
      (carrier) => {
        this.#flowing = carrier
        this.#requests = inside.requests
      },
      ({ detail, leafRefused }) => {
        this.#leafRefused = leafRefused
        this.#finish(detail)
      },
      (detail) => this.#finish(detail),
    )
  }

  #budget(): SpliceOptions["budget"] {
    const { final } = this.#connection
    const purse = final?.decision === "allow" ? this.#world.purse(final.rule) : null
    return purse === null ? null : { purse, enforced: !this.#world.audit }
  }

  /** Reads on for the event's sake: the opening of a flow that is allowed whatever it says. */
  #peek(bytes: Buffer): boolean {
    this.#connection = peeked(this.#connection, bytes)
    return this.#connection.classified === null
  }

  /** For the event too: what an upstream says that speaks first. */
  #overheard(): ((bytes: Buffer) => boolean) | null {
    const { classified, raw } = this.#connection
    if (!raw || (classified !== null && classified.opening.kind !== "opaque")) return null
    return (bytes) => {
      this.#connection = overheard(this.#connection, bytes)
      return false
    }
  }

  get #listeners(): readonly (readonly ["error" | "end" | "close", () => void])[] {
    return [
      ["error", this.#clientFailed],
      ["end", this.#clientEnded],
      ["close", this.#clientClosed],
    ]
  }

  /** Why not at once: a client that is refused ends, and then nobody can say any more who it was. */
  #refuse(by: Refusal): void {
    this.#release()
    // Why: TLS takes the hello back by unshift, and a socket that flows would throw it away.
    if (by === "inside") this.client.inlet.pause()
    if (this.#connection.ownerKnown) return this.#refuseNow(by)
    const refuseNow = (): void => this.#refuseNow(by)
    void within(this.#askOwner(), refusalWaitMs, nobody).then(refuseNow)
  }

  #refuseNow(by: Refusal): void {
    this.#stopListening()
    const { flow, classified, final } = this.#connection
    const reason = final?.reason ?? "infrastructure"
    const [rule, detail] = [final?.rule ?? null, final?.detail ?? null]
    const opening = classified?.opening ?? null
    const named = namedTls(opening)
    if (by === "inside" && !this.#closed && named !== null) {
      const inside = new Inside(this.client, named, () => this.#connection.flow, this.#world)
      this.#inside = inside
      const hopeless = { decision: final?.decision ?? "deny", reason, rule, detail }
      inside.refuse(this.#connection.reader.bytes, hopeless, () => this.#finish(null))
      return
    }
    const words = wordsFor({ flow, opening, head: classified?.head ?? null, reason, rule, detail })
    refuse(this.client, by === "inside" ? "alert" : by, words)
    this.#finish(null, by === "page" && !this.#closed ? words.status : null)
  }

  #release(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }

  /** The flow is over: its events, once it is known whose it was. */
  #finish(detail: string | null, refusedWith: number | null = null): void {
    this.#release()
    const flowing = this.#flowing
    const carried: Carried = {
      bytesSent: flowing?.bytesSent ?? 0,
      bytesReceived: flowing?.bytesReceived ?? 0,
      durationMs: Math.max(0, this.#world.now() - this.#connection.flow.openedAtMs),
      dialled: flowing === null ? null : (this.#upstream?.endpoint ?? null),
      detail,
      answer: this.#requests?.stands ?? null,
      exhausted:
        flowing instanceof Splice && flowing.exhausted ? { enforced: !this.#world.audit } : null,
      leafRefused: this.#leafRefused,
    }
    this.#refusedWith = refusedWith
    const end = (): void => this.#end()
    this.#record(carried).then(end, end)
  }

  /** Over once the client is gone too: one that is slow to take its refusal holds its place. */
  #end(): void {
    const { socket } = this.client
    if (socket.closed) this.#life.over(this)
    else socket.once("close", () => this.#life.over(this))
  }

  async #record(carried: Carried): Promise<void> {
    const owner = await new Promise<Owner>((resolve) => {
      this.#hurried = () => resolve(nobody)
      ;(this.#owner ?? Promise.resolve(nobody)).then(resolve, unreachable)
    })
    const { flow } = this.#connection
    const connection = { ...this.#connection, flow: { ...flow, ...owner } }
    const request = refusedRequest(connection, carried, this.#world.tokenOf, this.#refusedWith)
    if (request !== null) await this.#world.record(request)
    await this.#world.record(flowEvent(connection, carried))
  }
}

function unreachable(): void {}
