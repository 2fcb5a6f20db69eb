/**
 * One connection whose TLS is ended here: verified TLS with the upstream first, then the client's, in
 * the protocol that the upstream chose and with a leaf for its server name; then their requests. Or a
 * page, for a client that is refused.
 */
import type { SecureContext, TLSSocket } from "node:tls"
import type { Hostname } from "../net/hostname.ts"
import type { Flow, Opening } from "../flows/flow.ts"
import { Carrier } from "./carrier.ts"
import { http1 } from "./http1.ts"
import { http2 } from "./http2.ts"
import { offer } from "./protocol.ts"
import type { Protocol } from "./protocol.ts"
import type { Links, Relay } from "./relay.ts"
import { Requests } from "./requests.ts"
import type { Hopeless, RequestsWorld } from "./requests.ts"
import { secureClient, secureUpstream } from "./secure.ts"
import type { Accepted, Secured, Trust } from "./secure.ts"
import { resetSide } from "./splice.ts"
import type { Side } from "./splice.ts"

/** What ending TLS needs of the world. */
export interface InsideWorld extends RequestsWorld {
  readonly trust: Trust
  /** A context with a leaf for this name; rejects where the guard signs none. */
  readonly leaf: (host: Hostname) => Promise<SecureContext>
  /** A client did not take our leaf for this name. */
  readonly pin: (host: Hostname) => void
}

/** An opening that names its host. */
export type NamedTls = Extract<Opening, { kind: "tls" }> & { readonly serverName: Hostname }

/** The opening, where it is TLS that names its host. */
export function namedTls(opening: Opening | null): NamedTls | null {
  return opening?.kind === "tls" && opening.serverName !== null
    ? { ...opening, serverName: opening.serverName }
    : null
}

/** Why no request can be asked. */
export interface Closed {
  readonly detail: string
  /** The client did not accept our leaf. */
  readonly leafRefused: boolean
}

/** How long a client that is refused may take for its request. nginx: client_header_timeout 60 s. */
const requestTimeoutMs = 10_000

const nothing = Buffer.alloc(0)
const gone: Accepted = { refusal: null, detail: "The client has gone." }

export class Inside {
  readonly #client: Side
  readonly #opening: NamedTls
  readonly #flow: () => Flow
  readonly #world: InsideWorld
  #secured: Extract<Secured, { side: unknown }> | null = null
  #requests: Requests | null = null
  /** TLS over the client's socket and over the upstream's, once it was begun. */
  #tls: { client: TLSSocket | null; upstream: TLSSocket | null } = { client: null, upstream: null }

  /** @param flow as it is known now; its opening is not asked for */
  constructor(client: Side, opening: NamedTls, flow: () => Flow, world: InsideWorld) {
    this.#client = client
    this.#opening = opening
    // Why kept: it is asked for with each request, and changes once at the most.
    let [seen, opened] = [flow(), { ...flow(), opening }]
    this.#flow = () => {
      const now = flow()
      if (now !== seen) [seen, opened] = [now, { ...now, opening }]
      return opened
    }
    this.#world = world
  }

  /** The requests so far; null: none can be asked yet. */
  get requests(): Requests | null {
    return this.#requests
  }

  /** Begins TLS with the upstream. `then` is called once; null: it stands, and its certificate is good. */
  secure(
    upstream: Side,
    then: (failed: Extract<Secured, { failed: unknown }> | null) => void,
  ): void {
    const { serverName, protocols } = this.#opening
    this.#tls.upstream = secureUpstream(
      upstream,
      serverName,
      offer(protocols) ?? [],
      this.#world.trust,
      (secured) => {
        if ("failed" in secured) return then(secured)
        this.#secured = secured
        then(null)
      },
    )
  }

  /**
   * Ends the client's TLS and carries its requests. `begun` or `closed` is called once.
   *
   * @param hello the client's bytes so far
   * @param done what was begun is over
   */
  open(
    hello: Buffer,
    begun: (carrier: Carrier) => void,
    closed: (why: Closed) => void,
    done: (detail: string | null) => void,
  ): void {
    const secured = this.#secured
    if (secured === null) throw new Error("Cannot open: there is no upstream, must be secured")
    const { side, agreed, protocol, early } = secured
    this.#accept(hello, agreed ? protocol : null, (accepted) => {
      if ("side" in accepted) {
        const carrier = this.#carrier(accepted.side, side, protocol, null, done)
        begun(carrier)
        carrier.start(nothing, early())
        return
      }
      resetSide(side)
      const { refusal, detail } = accepted
      if (refusal === null) return closed({ detail, leafRefused: false })
      this.#world.pin(this.#opening.serverName)
      const words = `The client did not accept Sluice's certificate (${refusal}).`
      closed({ detail: words, leafRefused: true })
    })
  }

  /** Ends the client's TLS and answers its request with a page; nothing goes anywhere. */
  refuse(hello: Buffer, hopeless: Hopeless, done: () => void): void {
    const protocol = this.#opening.protocols.length === 0 ? null : "http/1.1"
    this.#accept(hello, protocol, (accepted) => {
      if (!("side" in accepted)) return done()
      const carrier = this.#carrier(accepted.side, null, "http/1.1", hopeless, () => {
        clearTimeout(timer)
        done()
      })
      const timer = setTimeout(() => carrier.reset("No request came."), requestTimeoutMs)
      carrier.start(nothing, nothing)
    })
  }

  /** Gives up both sides, before they are carried. */
  close(): void {
    const { client, upstream } = this.#tls
    upstream?.destroy()
    if (client === null) resetSide(this.#client)
    else client.destroy()
  }

  #carrier(
    client: Side,
    upstream: Side | null,
    protocol: Protocol,
    hopeless: Hopeless | null,
    done: (detail: string | null) => void,
  ): Carrier {
    const requests = new Requests(this.#world, { flow: this.#flow, dialledFor: null, hopeless })
    this.#requests = requests
    const { port } = this.#flow().target
    const relay = (links: Links): Relay =>
      protocol === "h2" ? http2(links) : http1(links, { scheme: "https", port })
    return new Carrier({ client, upstream, relay, requests, done })
  }

  #accept(hello: Buffer, protocol: Protocol | null, then: (accepted: Accepted) => void): void {
    const client = this.#client
    this.#world.leaf(this.#opening.serverName).then(
      (context) => {
        // Why: TLS takes the hello back by unshift; see Session's refusal, and stream.unshift().
        client.inlet.pause()
        if (client.socket.readableEnded) resetSide(client)
        if (client.socket.destroyed) return then(gone)
        this.#tls.client = secureClient(client, hello, context, protocol, then)
      },
      () => {
        resetSide(client)
        then({ refusal: null, detail: "There was no leaf for this name." })
      },
    )
  }
}
