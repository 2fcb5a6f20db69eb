/**
 * Starts the resolver. All that it needs of others comes in as functions, which guard/ provides.
 */
import type { Socket } from "node:net"
import type { Address } from "../net/address.ts"
import type { Endpoint } from "../net/endpoint.ts"
import type { Hostname } from "../net/hostname.ts"
import { Asker } from "./asker.ts"
import type { AskerOptions, Resolved } from "./asker.ts"
import { serveTcpOn, serveUdp, TcpConnections } from "./server.ts"
import type { Listener } from "./server.ts"

export interface ResolverOptions extends AskerOptions {
  readonly listeners: readonly Listener[]
}

export interface Resolver {
  /** Addresses of both families, for a name that the caller may dial. Never rejects. */
  resolve(name: Hostname): Promise<Resolved>
  /** Names that were given for an address and still hold, newest last. */
  namesOf(address: Address): Hostname[]
  /** Until when they all hold, milliseconds, unless `changed` says otherwise; null: there are none. */
  untilOf(address: Address): number | null
  /** Answers questions on a connection that was accepted elsewhere. */
  serveTcp(socket: Socket, target: Endpoint | null): void
  /** Ports listened on, in the order of the listeners. */
  readonly ports: readonly number[]
  /** Records what is counted and closes all. Once closed, it does nothing. */
  close(): void
}

/** Listens on all sockets. Throws where it cannot. */
export async function startResolver(options: ResolverOptions): Promise<Resolver> {
  const asker = new Asker(options)
  const connections = new TcpConnections(asker)
  const listening = await Promise.all(
    options.listeners.map((listener) =>
      listener.transport === "udp" ? serveUdp(listener, asker) : serveTcpOn(listener, connections),
    ),
  )
  let closed = false
  return {
    resolve: (name) => asker.resolve(name),
    namesOf: (address) => asker.namesOf(address),
    untilOf: (address) => asker.untilOf(address),
    serveTcp: (socket, target) => connections.serve(socket, target),
    ports: listening.map(({ port }) => port),
    close() {
      if (closed) return
      closed = true
      for (const each of listening) each.close()
      connections.close()
      asker.close()
    },
  }
}
