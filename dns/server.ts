/**
 * The sockets on which the job asks: datagrams and connections in, answers out. What a message means
 * is not known here.
 */
import { createSocket } from "node:dgram"
import { createServer } from "node:net"
import type { Socket as UdpSocket } from "node:dgram"
import type { Server, Socket } from "node:net"
import { addressOfSocket } from "../net/address.ts"
import type { Endpoint } from "../net/endpoint.ts"
import { Frames, framed } from "./frames.ts"
import type { Client } from "./owners.ts"

/** A socket to listen on: inherited, or (tests, benchmarks) bound here. */
export type Listener =
  | {
      readonly transport: "udp"
      /** Of the inherited socket: `udp6` for a dual-stack one. */
      readonly family: "udp4" | "udp6"
      readonly fd: number
    }
  | { readonly transport: "tcp"; readonly fd: number }
  | { readonly transport: "udp" | "tcp"; readonly at: Endpoint }

/** Who answers. */
export interface Answerer {
  /**
   * The answer to a datagram that was asked before; null: not known, see respond. The buffer is
   * written anew with the next call, so it must be on its way by then; `busy` says that it may not
   * be.
   */
  quick(message: Buffer, address: string, port: number, busy: boolean): Buffer | null
  /** The answer; null: none is due. Never rejects. */
  respond(message: Buffer, client: Client): Buffer | null | Promise<Buffer | null>
  /** Whether no more questions should be read for now. */
  readonly saturated: boolean
  /** Resolves when they should. */
  ready(): Promise<void>
  /** Counts a datagram that was not read because of `saturated`. */
  overlooked(): void
}

/** Answers go out at once; those that must wait for a client are few, and datagrams may be lost. */
const sendQueueBytesMax = 1024 * 1024
/** Asked of the kernel, which gives what it may. */
const receiveBufferBytes = 1024 * 1024

/** As `tcp-clients` of BIND and `incoming-num-tcp` of Unbound, and more. */
const connectionsMax = 256
/** Questions of one connection that are worked on at a time (RFC 7766 §6.2.1.1). */
const pipelinedMax = 32
/** RFC 7766 §6.2.3: "of the order of a few seconds"; also for a message to become whole. */
const idleMs = 10_000

export interface Listening {
  readonly port: number
  close(): void
}

/** Listens on a UDP socket. Throws where it cannot. */
export async function serveUdp(
  listener: Exclude<Listener, { transport: "tcp" }>,
  answerer: Answerer,
): Promise<Listening> {
  const family =
    "family" in listener ? listener.family : listener.at.address.includes(":") ? "udp6" : "udp4"
  const socket = createSocket({
    type: family,
    // Why: senders are addresses already; the default look-up costs 7 % of all answers.
    lookup: (host, _options, callback) => callback(null, host, family === "udp6" ? 6 : 4),
  })
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject)
    socket.once("listening", resolve)
    if ("fd" in listener) socket.bind({ fd: listener.fd })
    else socket.bind(listener.at.port, listener.at.address)
  })
  socket.removeAllListeners("error")
  // Why: an answer that cannot be delivered (the client's port is closed) concerns nobody else.
  socket.on("error", () => {})
  growReceiveBuffer(socket)
  listenUdp(socket, answerer)
  return { port: socket.address().port, close: () => socket.close() }
}

function growReceiveBuffer(socket: UdpSocket): void {
  try {
    socket.setRecvBufferSize(receiveBufferBytes)
  } catch {
    // Why: a smaller buffer only means that a burst is lost earlier, and asked again.
  }
}

function listenUdp(socket: UdpSocket, answerer: Answerer): void {
  let closed = false
  socket.on("close", () => (closed = true))
  const send = (reply: Buffer | null, port: number, address: string): void => {
    if (reply === null || closed || socket.getSendQueueSize() > sendQueueBytesMax) return
    socket.send(reply, port, address)
  }
  socket.on("message", (message, { address, port }) => {
    // Why: nobody asks from port 0, and nothing can be sent there.
    if (port === 0) return
    const known = answerer.quick(message, address, port, socket.getSendQueueCount() > 0)
    if (known !== null) return socket.send(known, port, address)
    if (answerer.saturated) return answerer.overlooked()
    const source = addressOfSocket(address)
    if (source === null) return
    const client: Client = { transport: "udp", source: { address: source, port }, target: null }
    const reply = answerer.respond(message, client)
    if (!(reply instanceof Promise)) return send(reply, port, address)
    void reply.then((bytes) => send(bytes, port, address))
  })
}

/** Listens for connections. Throws where it cannot. */
export async function serveTcpOn(
  listener: Exclude<Listener, { family: string }>,
  connections: TcpConnections,
): Promise<Listening> {
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    connections.serve(socket, null)
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.once("listening", resolve)
    if ("fd" in listener) server.listen({ fd: listener.fd })
    else server.listen(listener.at.port, listener.at.address)
  })
  server.removeAllListeners("error")
  // Why: accept(2) fails for want of descriptors; the next connection is another try.
  server.on("error", () => {})
  const address = server.address()
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    close: () => server.close(),
  }
}

/** Connections with questions in them, wherever they were accepted. */
export class TcpConnections {
  readonly #answerer: Answerer
  readonly #open = new Set<Connection>()

  constructor(answerer: Answerer) {
    this.#answerer = answerer
  }

  /**
   * @param socket with `allowHalfOpen`, so that who has asked all may say so
   * @param target where the client connected to; null where a redirection hides it
   */
  serve(socket: Socket, target: Endpoint | null): void {
    const source = addressOfSocket(socket.remoteAddress)
    const port = socket.remotePort
    if (source === null || port === undefined || !this.#makeRoom()) {
      socket.resetAndDestroy()
      return
    }
    const client: Client = { transport: "tcp", source: { address: source, port }, target }
    const connection = new Connection(socket, client, this.#answerer)
    this.#open.add(connection)
    socket.on("close", () => this.#open.delete(connection))
  }

  close(): void {
    for (const connection of this.#open) connection.close()
  }

  /**
   * Room for one more: the oldest connection that waits for nothing gives way (RFC 7766 §6.2.3), so
   * that those who ask are served beside a flood of those who do not.
   */
  #makeRoom(): boolean {
    if (this.#open.size < connectionsMax) return true
    for (const connection of this.#open) {
      if (!connection.idle) continue
      connection.close()
      this.#open.delete(connection)
      return true
    }
    return false
  }
}

class Connection {
  readonly #socket: Socket
  readonly #client: Client
  readonly #answerer: Answerer
  readonly #frames = new Frames()
  readonly #waiting: Buffer[] = []
  #active = 0
  #ended = false
  #held = false
  readonly #timer: NodeJS.Timeout

  constructor(socket: Socket, client: Client, answerer: Answerer) {
    this.#socket = socket
    this.#client = client
    this.#answerer = answerer
    this.#timer = setTimeout(() => this.#idle(), idleMs)
    socket.on("error", () => this.close())
    socket.on("close", () => clearTimeout(this.#timer))
    socket.on("end", () => {
      this.#ended = true
      this.#pump()
    })
    socket.on("drain", () => this.#pump())
    socket.on("data", (chunk) => {
      const messages = this.#frames.push(chunk)
      if (messages.length === 0) return
      this.#timer.refresh()
      this.#waiting.push(...messages)
      this.#pump()
    })
  }

  /** Whether no answer is due. */
  get idle(): boolean {
    return this.#active === 0 && this.#waiting.length === 0
  }

  close(): void {
    this.#socket.destroy()
  }

  /** Works on what waits, as far as the client reads answers and the log takes lines. */
  #pump(): void {
    const socket = this.#socket
    while (!socket.destroyed && this.#mayWork()) {
      const message = this.#waiting.shift()
      if (message === undefined) break
      this.#active++
      void this.#answer(message)
    }
    if (this.#answerer.saturated) void this.#hold()
    if (this.#waiting.length > 0 || this.#active >= pipelinedMax || socket.writableNeedDrain) {
      socket.pause()
    } else {
      socket.resume()
      if (this.#ended && this.#active === 0) socket.end()
    }
  }

  #mayWork(): boolean {
    return (
      this.#active < pipelinedMax && !this.#socket.writableNeedDrain && !this.#answerer.saturated
    )
  }

  async #answer(message: Buffer): Promise<void> {
    const reply = await this.#answerer.respond(message, this.#client)
    this.#active--
    // Why: over a connection, what is no question at all ends it; nothing after it can be trusted.
    if (reply === null) return this.close()
    if (this.#socket.destroyed) return
    this.#socket.write(framed(reply))
    this.#pump()
  }

  async #hold(): Promise<void> {
    if (this.#held) return
    this.#held = true
    this.#socket.pause()
    await this.#answerer.ready()
    this.#held = false
    this.#pump()
  }

  /** No message became whole for a while: a client that waits for an answer of ours may go on. */
  #idle(): void {
    if (this.#active === 0 || this.#socket.writableNeedDrain) this.close()
    else this.#timer.refresh()
  }
}
