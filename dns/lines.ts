/**
 * One line of the log for each question; what one socket asks again and again within a second is
 * one line with a count. Memory is bounded, and no question goes uncounted.
 */
import type { Drop, NameEvent } from "../events/event.ts"
import { nobody } from "./owners.ts"
import type { Owner } from "./owners.ts"

/** What is recorded, without who asked. */
export type NameLine = Omit<NameEvent, "process" | "step" | "repeated">

/** Takes an event; a promise when that was enough, which resolves when more may come. */
export type RecordName = (event: NameEvent | Drop) => Promise<void> | null

/** A question that was recorded, and is counted when it comes again. */
export interface Line {
  readonly key: string
  readonly body: NameLine
  owner: Owner
  /** Questions since the last record. */
  repeated: number
  /** When the next record is due; counted questions after it open a new line. */
  untilMs: number
  open: boolean
}

/** Over which repeated questions are counted. */
const windowMs = 1_000
/** Lines open at a time; beyond, the oldest is closed early. */
const linesMax = 8_192
/** Records that wait for their owner; beyond, whoever asks is told to wait. */
const pendingMax = 8_192

export class Lines {
  readonly #record: RecordName
  readonly #now: () => number
  /** In the order in which they are due. */
  readonly #lines = new Map<string, Line>()
  #timer: NodeJS.Timeout | null = null
  #pending = 0
  #overlooked = 0
  #full: Promise<void> | null = null
  #waiting: (() => void)[] = []

  constructor(record: RecordName, now: () => number) {
    this.#record = record
    this.#now = now
  }

  /** Whether no more questions should be read for now. */
  get saturated(): boolean {
    return this.#full !== null || this.#pending >= pendingMax
  }

  /** Resolves when questions may be read again. */
  async ready(): Promise<void> {
    while (this.saturated) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** Counts a question that was not read because of `saturated`. */
  overlooked(): void {
    this.#overlooked++
    this.#timer ??= this.#later()
  }

  /** The open line of a question from the same socket; null where there is none. */
  find(key: string): Line | null {
    return this.#lines.get(key) ?? null
  }

  /** Records a question now and counts its like from now on. */
  open(key: string, body: NameLine, owner: Owner | Promise<Owner>): Line {
    const waits = owner instanceof Promise
    const line: Line = {
      key,
      body,
      owner: waits ? nobody : owner,
      repeated: 0,
      untilMs: this.#now() + windowMs,
      open: true,
    }
    if (waits) {
      this.#pending++
      void this.#whenOwned(line, owner)
    } else this.#write({ ...body, ...owner })
    this.#keep(line)
    return line
  }

  /** Writes all that is counted and not yet recorded. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    for (const line of this.#lines.values()) this.#end(line)
    this.#lines.clear()
    this.#writeOverlooked()
  }

  #keep(line: Line): void {
    const before = this.#lines.get(line.key)
    if (before !== undefined) this.#drop(before)
    if (this.#lines.size >= linesMax) {
      for (const oldest of this.#lines.values()) {
        this.#drop(oldest)
        break
      }
    }
    this.#lines.set(line.key, line)
    this.#timer ??= this.#later()
  }

  #drop(line: Line): void {
    this.#lines.delete(line.key)
    this.#end(line)
  }

  #end(line: Line): void {
    line.open = false
    this.#flush(line)
  }

  #flush(line: Line): void {
    const { repeated } = line
    if (repeated === 0) return
    line.repeated = 0
    const event = { ...line.body, ...line.owner }
    this.#write(repeated === 1 ? event : { ...event, repeated })
  }

  /** Lines that are due: those asked again go on for another second, the others end. */
  #sweep(): void {
    const nowMs = this.#now()
    for (const line of this.#lines.values()) {
      if (line.untilMs > nowMs) break
      this.#lines.delete(line.key)
      if (line.repeated === 0) line.open = false
      else {
        this.#flush(line)
        line.untilMs = nowMs + windowMs
        this.#lines.set(line.key, line)
      }
    }
    if (!this.saturated) this.#writeOverlooked()
    this.#timer = this.#lines.size === 0 && this.#overlooked === 0 ? null : this.#later()
  }

  #later(): NodeJS.Timeout {
    return setTimeout(() => this.#sweep(), windowMs / 4)
  }

  #writeOverlooked(): void {
    if (this.#overlooked === 0) return
    const packets = this.#overlooked
    this.#overlooked = 0
    this.#write({
      kind: "drop",
      transport: "udp",
      // Why: they were not read, so whom they were for is not known beyond the port.
      target: { address: "0.0.0.0", port: 53 },
      packets,
      reason: "limit-exceeded",
      user: null,
    })
  }

  #write(event: NameEvent | Drop): void {
    const full = this.#record(event)
    if (full === null || this.#full === full) return
    this.#full = full
    void this.#untilRoom(full)
  }

  async #untilRoom(full: Promise<void>): Promise<void> {
    await full
    if (this.#full === full) this.#full = null
    this.#wake()
  }

  async #whenOwned(line: Line, owner: Promise<Owner>): Promise<void> {
    line.owner = await owner
    this.#pending--
    this.#write({ ...line.body, ...line.owner })
    this.#wake()
  }

  #wake(): void {
    if (this.saturated) return
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

/** One string for who asks what. @param asked see askedKey */
export function lineKey(transport: string, address: string, port: number, asked: string): string {
  return `${transport} ${address} ${port} ${asked}`
}

/** What is asked and how it was judged. */
export function askedKey({ type, name, verdict, reason }: NameLine): string {
  return `${type} ${verdict} ${reason} ${name}`
}

/** Whether two questions may share a line: what was given is the same. */
export function sameAnswer(one: NameLine, other: NameLine): boolean {
  return (
    one.rcode === other.rcode &&
    one.addresses.length === other.addresses.length &&
    one.addresses.every((address, index) => address === other.addresses[index])
  )
}
