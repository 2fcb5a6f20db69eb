/**
 * Reads event logs. ✋ Opens the files that it is given, for reading.
 *
 * A log may come from anywhere and be of any size: a line that is no event is counted and passed
 * over, a line without end is dropped as it comes in, and no more than one line is held.
 */
import { createReadStream, openSync, readSync, closeSync, fstatSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import type { Event } from "./event.ts"
import { lineCharactersMax, parseEvent, type Other } from "./parse.ts"

/** How a log was read. */
export interface ReadCounts {
  /** Lines that are events, of kinds that this version has no use for as well. */
  readonly events: number
  /** Lines that are no event: damaged, cut short, or not of a log. */
  readonly broken: number
}

/**
 * Reads a log to its end, one call for each event.
 *
 * @param path A file; `-` is standard input.
 * @throws The error of the file system, as it is.
 */
export async function readLog(
  path: string,
  onEvent: (event: Event | Other) => void,
): Promise<ReadCounts> {
  const stream = path === "-" ? createReadStream("", { fd: 0 }) : createReadStream(path)
  const counts = { events: 0, broken: 0 }
  const splitter = new Splitter()
  for await (const chunk of stream) {
    for (const line of splitter.push(chunk as Buffer)) take(line, counts, onEvent)
  }
  for (const line of splitter.end()) take(line, counts, onEvent)
  return counts
}

function take(
  line: string | null,
  counts: { events: number; broken: number },
  onEvent: (event: Event | Other) => void,
): void {
  if (line !== null && line.trim() === "") return
  const read = line === null ? "broken" : parseEvent(line)
  if (read === "broken") counts.broken++
  else {
    counts.events++
    onEvent(read)
  }
}

/** Bytes that a growing log is read by at once. */
const followBytes = 64 * 1024

/** How often a log that stands still is looked at, in milliseconds. */
const followMs = 200

/**
 * The events of a log from its beginning, and then those that come, until `signal` ends it. Lines
 * that are no events are passed over.
 *
 * @throws The error of the file system, as it is.
 */
export async function* follow(path: string, signal: AbortSignal): AsyncGenerator<Event> {
  const fd = openSync(path, "r")
  const chunk = Buffer.alloc(followBytes)
  const splitter = new Splitter()
  try {
    for (let position = 0; !signal.aborted;) {
      const bytes =
        fstatSync(fd).size > position ? readSync(fd, chunk, 0, followBytes, position) : 0
      position += bytes
      for (const line of splitter.push(chunk.subarray(0, bytes))) {
        const event = line === null ? "broken" : parseEvent(line)
        if (event !== "broken" && event.kind !== "other") yield event
      }
      if (bytes === 0) await sleep(followMs, undefined, { signal }).catch(() => undefined)
    }
  } finally {
    closeSync(fd)
  }
}

/** Bytes → lines; null stands for a line that is longer than any may be. */
class Splitter {
  #rest: Buffer[] = []
  #restBytes = 0
  #tooLong = false

  push(chunk: Buffer): (string | null)[] {
    const lines: (string | null)[] = []
    let from = 0
    for (let end = chunk.indexOf(10, from); end !== -1; end = chunk.indexOf(10, from)) {
      this.#keep(chunk.subarray(from, end))
      lines.push(this.#line())
      from = end + 1
    }
    this.#keep(chunk.subarray(from))
    return lines
  }

  /** The line that no newline ends, if there is one. */
  end(): (string | null)[] {
    return this.#restBytes > 0 || this.#tooLong ? [this.#line()] : []
  }

  #keep(bytes: Buffer): void {
    if (this.#tooLong || bytes.length === 0) return
    if (this.#restBytes + bytes.length > lineCharactersMax) {
      this.#tooLong = true
      this.#rest = []
      this.#restBytes = 0
      return
    }
    // A copy: the buffer that it is a part of may be written again.
    this.#rest.push(Buffer.from(bytes))
    this.#restBytes += bytes.length
  }

  #line(): string | null {
    const line = this.#tooLong ? null : Buffer.concat(this.#rest).toString("utf8")
    this.#rest = []
    this.#restBytes = 0
    this.#tooLong = false
    return line
  }
}
