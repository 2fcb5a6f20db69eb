/**
 * Spends a Permit: the one way out. No other file of the gate opens a connection that a flow asked for.
 *
 * A permit with a host is dialled at addresses that our resolver gives for that host, never at one
 * that the job chose; only the order is the job's. Each address is judged once more before it is
 * dialled.
 */
import { connect } from "node:net"
import type { Socket } from "node:net"
import { isIPv6 } from "../net/address.ts"
import type { Address } from "../net/address.ts"
import { printEndpoint } from "../net/endpoint.ts"
import type { Endpoint } from "../net/endpoint.ts"
import type { Hostname } from "../net/hostname.ts"
import type { Reason } from "../flows/reason.ts"
import type { Permit } from "../policies/policy.ts"
import { Inlet } from "./inlet.ts"
import type { Side } from "./splice.ts"

/** RFC 8305 §8, Connection Attempt Delay. */
const staggerMs = 250
/** Time for all attempts together. HAProxy's examples: 5 s; nginx: proxy_connect_timeout 60 s. */
export const connectTimeoutMs = 20_000
/** Most addresses tried of one name. glibc's resolver passes on 35; more than a few never help. */
const attemptsMax = 8

/** First probe of an idle connection; the kernel's own default is two hours. */
export const keepAliveMs = 60_000
/**
 * Only connections older than this are probed, in milliseconds: it takes four system calls for each
 * socket, and most connections live for less.
 */
export const keepAliveAfterMs = 10_000

export interface Resolved {
  readonly addresses: readonly Address[]
  /** Why there is no address; null: the name simply has none. */
  readonly reason: Reason | null
}

/** What dialling needs of the world. */
export interface Ways {
  readonly resolve: (host: Hostname) => Promise<Resolved>
  /** Whether an address that is not public may be dialled for this host, or as it stands (null). */
  readonly mayDial: (host: Hostname | null, address: Address) => boolean
  /** Whether an endpoint is one of our own listeners. */
  readonly isOurs: (endpoint: Endpoint) => boolean
  readonly mode: "audit" | "block"
}

export type Dialled =
  | {
      readonly side: Side
      readonly endpoint: Endpoint
      /** What block mode would have refused it for; null: nothing. */
      readonly despite: Reason | null
    }
  | { readonly failed: Reason; readonly detail: string }

/** A dial under way. */
export interface Dialling {
  readonly cancel: () => void
}

const spent = new WeakSet<Permit>()

/**
 * Dials what a permit permits, once. `done` is called once, unless cancelled before.
 *
 * @param names Names that our resolver gave for the permit's target, and that still hold.
 */
export function dial(
  permit: Permit,
  names: readonly Hostname[],
  ways: Ways,
  done: (dialled: Dialled) => void,
): Dialling {
  if (spent.has(permit)) throw new Error("Cannot dial: the permit is spent, must be new")
  spent.add(permit)
  const { host, target } = permit
  const known = host === null || names.includes(host) ? choose(permit, null, ways) : null
  const attempts = new Attempts(target.port, done)
  const resolved = async (): Promise<Chosen | Failed> => {
    if (host === null) return { addresses: [], despite: null }
    try {
      return choose(permit, await ways.resolve(host), ways)
    } catch {
      return { failed: "infrastructure", detail: "The resolver did not answer." }
    }
  }
  // Why: an address that our resolver gave for this very name need not be asked for again, until
  // it turns out that nobody is there.
  if (known !== null && (host === null || !("failed" in known))) attempts.start(known, resolved)
  else {
    resolved().then(
      (chosen) => attempts.start(chosen, null),
      () => attempts.cancel(),
    )
  }
  return { cancel: () => attempts.cancel() }
}

interface Chosen {
  readonly addresses: readonly Address[]
  readonly despite: Reason | null
}

type Failed = Extract<Dialled, { failed: Reason }>

/**
 * The addresses to dial, in order; or why there is none.
 *
 * @param resolved null: the target itself is meant.
 */
export function choose(permit: Permit, resolved: Resolved | null, ways: Ways): Chosen | Failed {
  const { host, target } = permit
  let despite: Reason | null = null
  let wanted = resolved === null ? [target.address] : ordered(resolved.addresses, target.address)
  if (wanted.length === 0) {
    const reason = resolved?.reason ?? "name-address-mismatch"
    const mismatch = reason === "name-address-mismatch" || reason === "private-address"
    if (ways.mode === "block" || !mismatch) {
      return { failed: reason, detail: `No address to dial for ${host ?? target.address}.` }
    }
    despite = reason
    wanted = [target.address]
  }
  const foreign = wanted.filter((address) => !ways.isOurs({ address, port: target.port }))
  if (foreign.length === 0) {
    return { failed: "loop", detail: `${printEndpoint(target)} is the firewall itself.` }
  }
  const lawful = foreign.filter((address) => ways.mayDial(host, address))
  if (lawful.length === 0) {
    const detail = `${foreign.join(", ")} is not public.`
    if (ways.mode === "block") return { failed: "private-address", detail }
    return { addresses: foreign, despite: despite ?? "private-address" }
  }
  return { addresses: lawful, despite }
}

/** The job's own choice first where it is among the answers; then the families by turns (RFC 8305 §4). */
function ordered(addresses: readonly Address[], target: Address): Address[] {
  const rest = addresses.filter((address) => address !== target)
  const first = rest.length < addresses.length ? [target] : rest.splice(0, 1)
  const [head] = first
  if (head === undefined) return []
  const same = rest.filter((address) => isIPv6(address) === isIPv6(head))
  const other = rest.filter((address) => isIPv6(address) !== isIPv6(head))
  while (same.length > 0 || other.length > 0) {
    first.push(...other.splice(0, 1), ...same.splice(0, 1))
  }
  return first.slice(0, attemptsMax)
}

/** Connection attempts to several addresses, a quarter of a second apart, until one is there. */
class Attempts {
  #waiting: Address[] = []
  readonly #port: number
  readonly #done: (dialled: Dialled) => void
  readonly #open = new Set<Socket>()
  readonly #tried = new Set<Address>()
  readonly #failures: string[] = []
  #despite: Reason | null = null
  /** Where further addresses come from; null: nowhere, or they have come. */
  #more: (() => Promise<Chosen | Failed>) | null = null
  #asking = false
  #stagger: NodeJS.Timeout | null = null
  readonly #deadline: NodeJS.Timeout
  #over = false

  constructor(port: number, done: (dialled: Dialled) => void) {
    this.#port = port
    this.#done = done
    this.#deadline = setTimeout(() => {
      this.#fail("upstream-failed", `no answer within ${connectTimeoutMs / 1000} s`)
    }, connectTimeoutMs)
  }

  start(chosen: Chosen | Failed, more: (() => Promise<Chosen | Failed>) | null): void {
    this.#more = more
    if (this.#over) return
    if ("failed" in chosen) {
      // Why: nobody is told before dial() has returned.
      queueMicrotask(() => this.#give(chosen))
      return
    }
    this.#despite = chosen.despite
    this.#waiting = [...chosen.addresses]
    this.#next()
  }

  cancel(): void {
    this.#end(null)
  }

  #next(): void {
    if (this.#stagger !== null) clearTimeout(this.#stagger)
    const address = this.#waiting.shift()
    if (address === undefined) {
      if (this.#more !== null) this.#ask(this.#more)
      else if (this.#open.size === 0 && !this.#asking) this.#fail("upstream-failed", null)
      return
    }
    this.#tried.add(address)
    this.#attempt(address)
    if (this.#waiting.length > 0 || this.#more !== null) {
      this.#stagger = setTimeout(() => this.#next(), staggerMs)
    }
  }

  /** The target does not answer, or not soon: what other addresses are there? */
  #ask(more: () => Promise<Chosen | Failed>): void {
    this.#more = null
    this.#asking = true
    const proceed = (chosen: Chosen | Failed): void => {
      this.#asking = false
      if (this.#over) return
      if (!("failed" in chosen)) {
        this.#waiting = chosen.addresses.filter((address) => !this.#tried.has(address))
      }
      this.#next()
    }
    more().then(proceed, () => proceed({ addresses: [], despite: null }))
  }

  #attempt(address: Address): void {
    const inlet = new Inlet()
    const socket = connect({
      host: address,
      port: this.#port,
      noDelay: true,
      allowHalfOpen: true,
      onread: inlet.onread,
    })
    inlet.attach(socket)
    // Why: nothing is read before somebody wants it; a buffer of the kernel's is bounded.
    socket.pause()
    this.#open.add(socket)
    const endpoint: Endpoint = { address, port: this.#port }
    socket.once("connect", () => this.#connected(socket, inlet, endpoint))
    // Why: stays, so that an error between being dialled and being carried harms nobody.
    socket.on("error", (error: NodeJS.ErrnoException) => this.#failed(socket, error, endpoint))
  }

  #connected(socket: Socket, inlet: Inlet, endpoint: Endpoint): void {
    if (this.#over) return
    const despite = this.#despite
    this.#end(socket)
    this.#done({ side: { socket, inlet, base: socket }, endpoint, despite })
  }

  #failed(socket: Socket, error: NodeJS.ErrnoException, endpoint: Endpoint): void {
    if (this.#over) return
    this.#open.delete(socket)
    socket.destroy()
    this.#failures.push(`${error.code ?? "failed"} at ${printEndpoint(endpoint)}`)
    this.#next()
  }

  #fail(failed: Reason, why: string | null): void {
    if (why !== null) this.#failures.push(why)
    this.#give({ failed, detail: `${this.#failures.join(", ")}.` })
  }

  #give(dialled: Failed): void {
    if (this.#over) return
    this.#end(null)
    this.#done(dialled)
  }

  /** Gives up all attempts but one. */
  #end(kept: Socket | null): void {
    this.#over = true
    clearTimeout(this.#deadline)
    if (this.#stagger !== null) clearTimeout(this.#stagger)
    for (const socket of this.#open) if (socket !== kept) socket.destroy()
    this.#open.clear()
  }
}
