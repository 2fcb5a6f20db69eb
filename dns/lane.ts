/**
 * One UDP socket to one upstream, at a random port: the kernel draws it and drops what comes from
 * anywhere else, for the socket is connected. Used for some questions, then replaced.
 */
import { createSocket } from "node:dgram"
import type { Socket } from "node:dgram"
import { isIPv6 } from "../net/address.ts"
import type { Endpoint } from "../net/endpoint.ts"
import { classIn } from "./code.ts"
import { readResponse } from "./message.ts"
import { randomBelow } from "./random.ts"
import { lowered } from "./wire-name.ts"
import type { Response } from "./message.ts"

/**
 * How a question ended. `doubtful`: the name came back in another spelling; `guessed`: somebody
 * seems to guess answers.
 */
export type Outcome = Response | "silent" | "unreachable" | "doubtful" | "guessed" | "closed"

/** Datagrams that answer nothing; so many mean that somebody guesses. */
const straysMax = 64

interface Pending {
  /** The name as it was sent, case and all. */
  readonly spelled: string
  readonly type: number
  /** Whether the upstream is known not to keep the case. */
  readonly anyCase: boolean
  readonly settle: (outcome: Outcome) => void
}

export class Lane {
  readonly #socket: Socket
  readonly #pending = new Map<number, Pending>()
  /** Questions to be sent once the socket is connected; null: it is. */
  #early: Buffer[] | null = []
  #usesLeft: number
  #strays = 0
  #retired = false
  #closed = false

  /** @param uses how many questions go this way */
  constructor({ address, port }: Endpoint, uses: number) {
    this.#usesLeft = uses
    const family = isIPv6(address) ? 6 : 4
    const socket = createSocket({
      type: family === 6 ? "udp6" : "udp4",
      // Why: the address is one already; looking it up would only cost time.
      lookup: (host, _options, callback) => callback(null, host, family),
    })
    this.#socket = socket
    socket.on("error", () => this.#fail("unreachable"))
    socket.on("message", (message) => this.#take(message))
    socket.on("connect", () => {
      for (const message of this.#early ?? []) this.#send(message)
      this.#early = null
    })
    socket.connect(port, address)
  }

  get usable(): boolean {
    return !this.#closed && !this.#retired && this.#usesLeft > 0 && this.#strays < straysMax
  }

  /** A number that no question of this socket has now. */
  freeId(): number {
    let id = randomBelow(0x1_0000)
    while (this.#pending.has(id)) id = randomBelow(0x1_0000)
    return id
  }

  ask(
    id: number,
    spelled: string,
    type: number,
    message: Buffer,
    { anyCase, timeoutMs }: { readonly anyCase: boolean; readonly timeoutMs: number },
  ): Promise<Outcome> {
    this.#usesLeft--
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle("silent"), timeoutMs)
      const settle = (outcome: Outcome): void => {
        clearTimeout(timer)
        if (this.#pending.delete(id)) resolve(outcome)
        if (this.#retired && this.#pending.size === 0) this.close()
      }
      this.#pending.set(id, { spelled, type, anyCase, settle })
      if (this.#early === null) this.#send(message)
      else this.#early.push(message)
    })
  }

  /** No more questions; closed when the last one has its answer. */
  retire(): void {
    this.#retired = true
    if (this.#pending.size === 0) this.close()
  }

  close(): void {
    this.#fail("closed")
  }

  #send(message: Buffer): void {
    if (this.#closed) return
    this.#socket.send(message, (error) => {
      if (error !== null) this.#fail("unreachable")
    })
  }

  #take(message: Buffer): void {
    const response = readResponse(message)
    const pending = response === null ? undefined : this.#pending.get(response.id)
    if (response === null || pending === undefined) return this.#stray()
    const { spelled, type, anyCase } = pending
    if (response.type !== type || response.class !== classIn) return this.#stray()
    if (response.exact === spelled) return pending.settle(response)
    if (lowered(response.exact) !== lowered(spelled)) return this.#stray()
    pending.settle(anyCase ? response : "doubtful")
  }

  /** Why: under a flood of guesses, what is still open is asked another way. */
  #stray(): void {
    this.#strays++
    if (this.#strays < straysMax) return
    for (const pending of this.#pending.values()) pending.settle("guessed")
  }

  #fail(outcome: "unreachable" | "closed"): void {
    if (this.#closed) return
    this.#closed = true
    this.#early = null
    this.#socket.close()
    for (const pending of this.#pending.values()) pending.settle(outcome)
  }
}
