/**
 * Appends lines to a file that is already open. ✋ Writes to that descriptor, and nothing else.
 *
 * One write is under way at a time; what waits meanwhile is bounded. When the disk is full or fails,
 * what is waiting is kept and tried again until it succeeds, from the very byte where the last write
 * stopped; lines that find no room are refused, and the caller counts them.
 *
 * Why not that of pino: with a full disk its last flush repeats the write without end, so
 * that the process never exits (sonic-boom 4.2.1, seen with /dev/full), and it does not tell how
 * much is waiting.
 */
import { fsync, write } from "node:fs"
import { createHash, type Hash } from "node:crypto"

/** Bytes waiting from which on the log asks for a pause: about 2 seconds of 5,000 flows a second. */
export const fullBytes = 8 * 1024 * 1024

/** Bytes that may wait at most: beyond them, lines are lost. */
export const waitingBytesMax = 16 * 1024 * 1024

/** How long lines are gathered before they are written, in milliseconds: 50 writes a second at most. */
const gatherMs = 20

/** Bytes that are written at once without gathering any longer. */
const batchBytes = 256 * 1024

/** After a failed write, in milliseconds. */
const retryMs = 250

/** How long the last flush waits for a disk that fails, in milliseconds: a few more attempts. */
const troubleMs = 1000

/** A write that takes longer than this is no reason to keep the job's flows waiting. */
const stalledMs = 5000

export interface AppenderOptions {
  /** Told once when writing begins to fail, and with null when it works again. */
  readonly onTrouble?: (error: NodeJS.ErrnoException | null) => void
  /** For tests: `fs.write` with another disk behind it. */
  readonly write?: typeof write
}

export class Appender {
  readonly #fd: number
  readonly #write: typeof write
  readonly #onTrouble: (error: NodeJS.ErrnoException | null) => void
  readonly #digest: Hash = createHash("sha256")
  #gathered: string[] = []
  /** Bytes of `#gathered`. */
  #gatheredBytes = 0
  /** Being written, from its first byte that is not on the disk yet. */
  #batch: Buffer = Buffer.alloc(0)
  #writing = false
  #writtenBytes = 0
  #progressAt = Date.now()
  #timer: NodeJS.Timeout | null = null
  #trouble: NodeJS.ErrnoException | null = null
  #waiters: (() => void)[] = []

  constructor(fd: number, options: AppenderOptions = {}) {
    this.#fd = fd
    this.#write = options.write ?? write
    this.#onTrouble = options.onTrouble ?? (() => undefined)
  }

  /** Takes a line of ASCII, newline included. False: there is no room, the line is not taken. */
  push(line: string, evenIfFull = false): boolean {
    if (!evenIfFull && line.length > this.room) return false
    if (this.waitingBytes === 0) this.#progressAt = Date.now()
    this.#gathered.push(line)
    this.#gatheredBytes += line.length
    if (!this.#writing && this.#trouble === null) {
      if (this.#gatheredBytes >= batchBytes) this.#pump()
      else this.#timer ??= setTimeout(() => this.#pump(), gatherMs)
    }
    return true
  }

  /** Bytes that are not on the disk yet. */
  get waitingBytes(): number {
    return this.#gatheredBytes + this.#batch.length
  }

  /** Bytes for which there is room. */
  get room(): number {
    return waitingBytesMax - this.waitingBytes
  }

  get writtenBytes(): number {
    return this.#writtenBytes
  }

  /** SHA-256 of all bytes written, in hexadecimal digits. */
  digest(): string {
    return this.#digest.copy().digest("hex")
  }

  /**
   * Whether the caller should pause. Never while the disk fails or hangs: then lines are lost rather
   * than the job's network.
   */
  get full(): boolean {
    const healthy = this.#trouble === null && Date.now() - this.#progressAt < stalledMs
    return healthy && this.waitingBytes >= fullBytes
  }

  /** Resolves as soon as `full` is false. */
  async drained(): Promise<void> {
    while (this.full) await this.#progress(stalledMs)
  }

  /**
   * Writes what is waiting, for at most `timeoutMs`.
   *
   * @returns How many lines could not be written.
   */
  async flush(timeoutMs: number): Promise<number> {
    const started = Date.now()
    const deadline = (): number =>
      started + (this.#trouble === null ? timeoutMs : Math.min(timeoutMs, troubleMs))
    this.#pump()
    while (this.waitingBytes > 0 && Date.now() < deadline()) {
      await this.#progress(deadline() - Date.now())
    }
    if (this.#timer !== null) clearTimeout(this.#timer)
    if (this.waitingBytes === 0) await new Promise((done) => fsync(this.#fd, done))
    return this.#gathered.length + newlines(this.#batch)
  }

  /** Resolves when a write has ended, well or not, or after `timeoutMs`. */
  async #progress(timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, timeoutMs))
      this.#waiters.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  #pump(): void {
    if (this.#writing) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#batch.length === 0) {
      if (this.#gathered.length === 0) return
      this.#batch = Buffer.from(this.#gathered.join(""), "latin1")
      this.#gathered = []
      this.#gatheredBytes = 0
    }
    this.#writing = true
    this.#write(this.#fd, this.#batch, 0, this.#batch.length, null, (error, bytes) => {
      this.#writing = false
      this.#settle(error, bytes)
      const waiters = this.#waiters
      this.#waiters = []
      for (const done of waiters) done()
    })
  }

  #settle(error: NodeJS.ErrnoException | null, bytes: number): void {
    if (error !== null) {
      if (this.#trouble === null) this.#onTrouble(error)
      this.#trouble = error
      this.#timer ??= setTimeout(() => this.#pump(), retryMs)
      return
    }
    if (this.#trouble !== null) this.#onTrouble(null)
    this.#trouble = null
    this.#progressAt = Date.now()
    this.#digest.update(this.#batch.subarray(0, bytes))
    this.#writtenBytes += bytes
    this.#batch = this.#batch.subarray(bytes)
    if (this.#batch.length > 0 || this.#gatheredBytes >= batchBytes) this.#pump()
    else if (this.#gatheredBytes > 0) this.#timer ??= setTimeout(() => this.#pump(), gatherMs)
  }
}

function newlines(bytes: Buffer): number {
  let count = 0
  for (const byte of bytes) if (byte === 10) count++
  return count
}
