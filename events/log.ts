/**
 * The event log of one run. ✋ Appends to the file that log-file.ts opened, and reads it back once
 * at the end to see whether it is still what was written.
 *
 * Here, and nowhere else, an event gets its `seq` and is redacted. Recording never waits and never
 * throws: an event that finds no room (a full disk) is counted as lost, and takes no `seq`.
 */
import { createHash } from "node:crypto"
import { close, createReadStream, fstatSync, lstatSync } from "node:fs"
import { createInterface } from "node:readline"
import { Appender, type AppenderOptions } from "./appender.ts"
import { counted, noCounts } from "./count.ts"
import type { Counts, Event, EventBody } from "./event.ts"
import { lines, timeText, type Lines, type TimedBody } from "./line.ts"
import type { LogFile } from "./log-file.ts"
import { replaceEnd } from "./last-line.ts"
import { redactEvent } from "./redact.ts"

/** How long the end of a run waits for the disk, in milliseconds. */
const flushMsMax = 5000

/**
 * Longest log of a run, in bytes: days of a busy machine. A job that floods it must not fill the disk;
 * findings and the end are recorded all the same.
 */
const logBytesMax = 2 * 1024 * 1024 * 1024

/** A log longer than this, in bytes, is not read back at the end; its size and file still are checked. */
const readBackBytesMax = 64 * 1024 * 1024

export interface LogOptions extends AppenderOptions {
  /** Told of each event as it is written, redacted; `seq` is 0 for one that is lost. */
  readonly onEvent?: (event: Event) => void
  /** The job's own tokens, which no line may hold. */
  readonly tokens?: readonly string[]
  /** For tests: another limit than `logBytesMax`. */
  readonly bytesMax?: number
}

/** What became of the log. */
export interface LogEnd {
  readonly path: string
  readonly counts: Counts
  /** Lines in the file that are this run's. */
  readonly recorded: number
  /** Events that are not in the file. */
  readonly lost: number
  /** Somebody else changed the file while the run went on: it is no evidence any more. */
  readonly altered: boolean
}

export class Log {
  readonly #file: LogFile
  readonly #run: string
  readonly #lines: Lines
  readonly #appender: Appender
  readonly #onEvent: ((event: Event) => void) | null
  readonly #bytesMax: number
  #bytes = 0
  #counts: Counts = noCounts
  #seq = 0
  #lost = 0

  /** @param run An id: letters, digits, `-`, `_`. */
  constructor(file: LogFile, run: string, options: LogOptions = {}) {
    this.#file = file
    this.#run = run
    this.#lines = lines(run, options.tokens)
    this.#appender = new Appender(file.fd, options)
    this.#onEvent = options.onEvent ?? null
    this.#bytesMax = options.bytesMax ?? logBytesMax
  }

  /**
   * Appends one event.
   *
   * @param timeMs When it happened, in milliseconds since 1970.
   * @returns Its `seq`; null when it is lost.
   */
  record(body: EventBody, timeMs: number): number | null {
    this.#counts = counted(this.#counts, body)
    return this.#append(body, timeMs, false)
  }

  /** Appends events in their order: the same as recording each, and cheaper. */
  recordAll(events: readonly TimedBody[]): void {
    const redacted = events.map(({ body, atMs }) => ({ body: redactEvent(body), atMs }))
    const texts = this.#lines.many(redacted, this.#seq + 1)
    let bytes = 0
    for (const text of texts) bytes += text.length
    // Why: an event that finds no room takes no `seq`, so the lines behind it would be other ones.
    if (this.#bytes + bytes > this.#bytesMax || bytes > this.#appender.room) {
      for (const { body, atMs } of events) this.record(body, atMs)
      return
    }
    this.#bytes += bytes
    for (const [index, { body, atMs }] of redacted.entries()) {
      this.#counts = counted(this.#counts, body)
      this.#appender.push(texts[index] ?? "")
      this.#tell(body, atMs, ++this.#seq)
    }
  }

  #tell(redacted: EventBody, timeMs: number, seq: number): void {
    this.#onEvent?.({ v: 1, time: timeText(timeMs), run: this.#run, seq, ...redacted })
  }

  #append(body: EventBody, timeMs: number, evenIfFull: boolean): number | null {
    const redacted = redactEvent(body)
    const line = this.#lines.line(redacted, this.#seq + 1, timeMs)
    const fits =
      this.#bytes + line.length <= this.#bytesMax || body.kind === "finding" || evenIfFull
    const taken = fits && this.#appender.push(line, evenIfFull)
    if (taken) this.#bytes += line.length
    if (taken) this.#seq++
    else this.#lost++
    const seq = taken ? this.#seq : null
    this.#tell(redacted, timeMs, seq ?? 0)
    return seq
  }

  /** What happened so far, lost events included. */
  get counts(): Counts {
    return this.#counts
  }

  get lost(): number {
    return this.#lost
  }

  /** Whether the caller should stop taking events until `drained()`; see Appender.full. */
  get full(): boolean {
    return this.#appender.full
  }

  async drained(): Promise<void> {
    await this.#appender.drained()
  }

  /** Writes `run-ended`, waits for the disk (at most 5 seconds), and closes the file. */
  async end(status: number, timeMs: number): Promise<LogEnd> {
    this.#append(this.#ended(status, this.#lost), timeMs, true)
    const unwritten = await this.#appender.flush(flushMsMax)
    if (unwritten > 0) this.#endAnyway(status, timeMs, unwritten)
    const altered = await this.#altered(unwritten === 0)
    await new Promise((done) => close(this.#file.fd, done))
    const { path } = this.#file
    return { path, counts: this.#counts, recorded: this.#seq, lost: this.#lost, altered }
  }

  #ended(status: number, lost: number): EventBody {
    return { kind: "run-ended", status, counts: this.#counts, lost }
  }

  /** The disk takes no more: the last lines give their place to `run-ended`, and are lost. */
  #endAnyway(status: number, timeMs: number, unwritten: number): void {
    const complete = this.#seq - unwritten
    // `run-ended` itself is among those that were not written.
    const lost = this.#lost + unwritten - 1
    const { fd, startBytes, isRegular } = this.#file
    const line = (dropped: number): string =>
      this.#lines.line(this.#ended(status, lost + dropped), complete - dropped + 1, timeMs)
    const end = startBytes + this.#appender.writtenBytes
    const dropped = isRegular ? replaceEnd(fd, startBytes, end, line) : null
    this.#seq = dropped === null ? complete : complete - dropped + 1
    this.#lost = dropped === null ? lost + 1 : lost + dropped
  }

  /**
   * Whether the file is another one, shorter, or different from what was written.
   *
   * Why: the file belongs to the user who called sudo, as whom the job runs too.
   */
  async #altered(complete: boolean): Promise<boolean> {
    if (!this.#file.isRegular) return false
    try {
      const now = fstatSync(this.#file.fd)
      const named = lstatSync(this.#file.path)
      if (named.ino !== now.ino || named.dev !== now.dev) return true
      if (!complete) return false
      if (now.size < this.#file.startBytes + this.#appender.writtenBytes) return true
      if (now.size - this.#file.startBytes > readBackBytesMax) return false
      return (await this.#digestOnDisk()) !== this.#appender.digest()
    } catch {
      return true
    }
  }

  /** Other runs may append to the same file: only the lines of this one count. */
  async #digestOnDisk(): Promise<string> {
    const digest = createHash("sha256")
    const start = this.#file.startBytes
    // The digits of a time are always as many: what stands in front of `run` has one length.
    const mark = `,"run":"${this.#run}",`
    const from = `{"v":1,"time":"2026-11-23T00:00:00.000Z"`.length
    const stream = createReadStream("", {
      fd: this.#file.fd,
      start,
      autoClose: false,
      encoding: "latin1",
    })
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
      if (line.startsWith(mark, from)) digest.update(`${line}\n`, "latin1")
    }
    return digest.digest("hex")
  }
}
