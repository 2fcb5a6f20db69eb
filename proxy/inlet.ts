/**
 * Where the bytes of a socket land: in buffers that sockets share, not in new ones for each read.
 *
 * A read lands in one small buffer that all sockets of the worker have in common, and is copied on;
 * a socket whose reads fill it gets a big buffer of its own from a pool, as long as its reads are
 * big, and then nothing is copied. So an idle connection holds no memory, and a busy one takes few
 * system calls (design/BENCH: half the CPU of `pipe`).
 *
 * TLS gives its bytes record by record. An inlet that gathers puts the records of one turn behind one
 * another, so that they go on in one piece: one call, one write.
 *
 * `onread` of net.connect is documented; for accepted sockets Node has no such option, and the same
 * fields are set by hand where they are found and proven to work (proveInlets). Else 'data' is used.
 */
import { randomBytes } from "node:crypto"
import { connect, createServer } from "node:net"
import type { Socket } from "node:net"

/** The buffer in common, in bytes: what a read of libuv would take. */
const sharedBytes = 65_536
/** A buffer of one's own, in bytes. Measured: 64 KiB 0.69, 256 KiB 0.52, 1 MiB 0.36 CPU s/GiB. */
const ownBytes = 1_048_576
/** After so many small reads in a row a socket does with the buffer in common again. */
const smallReadsMax = 32
/** Most buffers of one's own in a worker: 32 MiB. */
const ownMax = 32

/** Most bytes in one record of TLS (RFC 8446 §5.1): a read that is smaller was the last of its turn. */
const recordBytes = 16_384
/** What is gathered at the most, in bytes; measured: beyond it nothing is won. */
const gatheredBytes = 131_072
/** Most buffers for gathering in a worker: 16 MiB. */
const gatherMax = 128

const shared = Buffer.allocUnsafeSlow(sharedBytes)

/** Most unused buffers kept for the next busy socket, after each trim. */
const sparesMax = 4

/** Buffers of one size that sockets borrow. */
class Pool {
  readonly #bytes: number
  readonly #max: number
  readonly #spare: Buffer[] = []
  #made = 0

  constructor(bytes: number, max: number) {
    this.#bytes = bytes
    this.#max = max
  }

  /** null: all are lent. */
  take(): Buffer | null {
    const spare = this.#spare.pop()
    if (spare !== undefined) return spare
    if (this.#made >= this.#max) return null
    this.#made++
    return Buffer.allocUnsafeSlow(this.#bytes)
  }

  give(buffer: Buffer): void {
    this.#spare.push(buffer)
  }

  trim(): void {
    this.#made -= this.#spare.splice(sparesMax).length
  }
}

const big = new Pool(ownBytes, ownMax)
const gathering = new Pool(gatheredBytes, gatherMax)

/** Lets go of buffers that a burst has left behind. */
export function trimInlets(): void {
  big.trim()
  gathering.trim()
}

/**
 * Bytes as they arrive. `owned`: they stay as they are; else they are valid during the call only,
 * or, where the taker holds the inlet, until it is released.
 */
export type Taker = (bytes: Buffer, owned: boolean) => void

/** The reading side of one socket. */
export class Inlet {
  /** Who gets the bytes; changed as the connection goes on. */
  take: Taker = () => {}
  #socket: Socket | null = null
  #buffer: Buffer = shared
  #held = false
  /** How much the last read filled. */
  #filled = 0
  /** Reads in a row that would have fitted into the buffer in common. */
  #small = 0
  /** Where the records begin, and end, that were gathered and not given on yet. */
  #from = 0
  #to = 0
  #flushing: NodeJS.Immediate | null = null
  readonly #pool: Pool
  /** What a read brings at the most. */
  readonly #full: number
  /** Bytes read, ever. */
  total = 0

  /** @param gathers for TLS */
  constructor(gathers = false) {
    this.#pool = gathers ? gathering : big
    this.#full = gathers ? recordBytes : sharedBytes
  }

  /** For net.connect. */
  readonly onread = {
    buffer: (): Buffer => this.#next(),
    callback: (count: number): boolean => this.#land(count),
  }

  /** Whether the bytes given to `take` now may be held: they are in this socket's own buffer. */
  get own(): boolean {
    return this.#buffer !== shared && this.#pool === big
  }

  /** Says whose inlet this is. */
  attach(socket: Socket): void {
    this.#socket = socket
    socket.once("close", () => {
      if (this.#held) return
      this.#drop()
    })
  }

  /** Reads an accepted socket, which must be paused, through this inlet. */
  adopt(socket: Socket): void {
    this.attach(socket)
    if (!proven || !installed(socket, this)) {
      socket.on("data", (bytes: Buffer) => {
        this.total += bytes.length
        this.take(bytes, true)
      })
      socket.pause()
    }
  }

  pause(): void {
    this.#socket?.pause()
  }

  resume(): void {
    this.#socket?.resume()
  }

  /** The bytes last taken are still needed: the buffer is not used until release. Pause as well. */
  hold(): void {
    this.#held = true
  }

  release(): void {
    this.#held = false
    if (this.#socket?.destroyed === true) this.#drop()
  }

  /** Gives back a buffer of its own while nothing comes. */
  rest(): void {
    if (this.#held || this.#buffer === shared || this.#from < this.#to) return
    const handle = handleOf(this.#socket)
    if (handle === null) return
    this.#drop()
    handle.useUserBuffer(shared)
  }

  /** Gives on what was gathered; to be called before an end is acted upon. */
  flush(): void {
    if (this.#flushing !== null) clearImmediate(this.#flushing)
    this.#flushing = null
    const [from, to] = [this.#from, this.#to]
    if (from === to) return
    this.#from = to
    this.take(this.#buffer.subarray(from, to), false)
  }

  #drop(): void {
    if (this.#buffer !== shared) this.#pool.give(this.#buffer)
    this.#buffer = shared
    this.#from = 0
    this.#to = 0
  }

  #land(count: number): boolean {
    this.total += count
    this.#filled = count
    if (this.#pool === big || this.#buffer === shared) {
      this.take(this.#buffer.subarray(0, count), false)
      return true
    }
    this.#to += count
    const room = this.#buffer.length - this.#to
    if (count < recordBytes || room < recordBytes) this.flush()
    else this.#flushing ??= setImmediate(() => this.flush())
    return true
  }

  /** Where the next read lands. Called by Node after each read, and once at the beginning. */
  #next(): Buffer {
    if (this.#held) return this.#buffer
    const full = this.#filled >= this.#full
    this.#small = full ? 0 : this.#small + 1
    if (this.#from < this.#to) return this.#buffer.subarray(this.#to)
    this.#from = 0
    this.#to = 0
    if (this.#buffer === shared) {
      if (full) this.#buffer = this.#pool.take() ?? shared
    } else if (this.#small > smallReadsMax) this.#drop()
    return this.#buffer
  }
}

interface Handle {
  readonly useUserBuffer: (buffer: Buffer) => void
}

function handleOf(socket: Socket | null): Handle | null {
  const handle = (socket as unknown as { _handle?: Partial<Handle> | null } | null)?._handle
  return typeof handle?.useUserBuffer === "function" ? (handle as Handle) : null
}

/** Fields that net.Socket keeps its `onread` in. */
interface Fields {
  readonly buffer: symbol
  readonly callback: symbol
  readonly generate: symbol
}

let proven = false

function fieldsOf(socket: Socket): Fields | null {
  const found = new Map(
    Object.getOwnPropertySymbols(socket).map((field) => [field.description, field]),
  )
  const buffer = found.get("kBuffer")
  const callback = found.get("kBufferCb")
  const generate = found.get("kBufferGen")
  if (buffer === undefined || callback === undefined || generate === undefined) return null
  return { buffer, callback, generate }
}

let fields: Fields | null = null

function installed(socket: Socket, inlet: Inlet): boolean {
  const handle = handleOf(socket)
  fields ??= fieldsOf(socket)
  if (handle === null || fields === null) return false
  const slots = socket as unknown as Record<symbol, unknown>
  const { buffer, callback } = inlet.onread
  slots[fields.buffer] = shared
  slots[fields.callback] = callback
  slots[fields.generate] = buffer
  handle.useUserBuffer(shared)
  return true
}

/** Time for a proof on this machine; without it 'data' is used. */
const proofTimeoutMs = 1_000

/**
 * Tries once whether accepted sockets can be read as connected ones are. Whether it works or not,
 * inlets work; it is a matter of speed.
 */
export async function proveInlets(): Promise<boolean> {
  if (proven) return true
  const sample = randomBytes(1_024)
  const path = `\0sluice-${randomBytes(16).toString("hex")}`
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true })
  const works = await new Promise<boolean>((resolve) => {
    setTimeout(() => resolve(false), proofTimeoutMs).unref()
    server.on("error", () => resolve(false))
    server.on("connection", (socket) => {
      const inlet = new Inlet()
      const got: Buffer[] = []
      inlet.take = (bytes) => got.push(Buffer.from(bytes))
      inlet.attach(socket)
      socket.on("error", () => resolve(false))
      socket.on("end", () => {
        socket.destroy()
        resolve(Buffer.concat(got).equals(sample))
      })
      if (!installed(socket, inlet)) {
        socket.destroy()
        resolve(false)
        return
      }
      inlet.resume()
    })
    server.listen(path, () => {
      const client = connect(path, () => client.end(sample))
      client.on("error", () => resolve(false))
      client.resume()
    })
  })
  server.close()
  proven = works
  return works
}
