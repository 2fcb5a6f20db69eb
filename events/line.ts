/**
 * An event → its line. Pure but for the memory of one logger.
 *
 * The line is made by pino, set up so that it holds the contract's fields and no field of pino's
 * own: `v` stands where pino would write the level, the event's time where it would write now, and
 * `run` is its base. Everything that is not printable ASCII becomes a `\u` escape: a log can be
 * shown with `cat` whatever a job put into a name, and a character is a byte, so that a write that
 * the disk cut short can go on where it stopped.
 */
import { pino } from "pino"
import type { EventBody } from "./event.ts"
import { withoutTokens } from "./own-tokens.ts"

/** Longest line, its newline included, in bytes (and characters). */
export const lineBytesMax = 64 * 1024

/** Latest time that has four digits of year: 9999-12-31. */
const timeMsMax = 253_402_300_799_999

/** An event, and when it happened in milliseconds since 1970. */
export interface TimedBody {
  readonly atMs: number
  readonly body: EventBody
}

export interface Lines {
  /** The line of an event, newline included, at most `lineBytesMax` bytes of ASCII. */
  readonly line: (body: EventBody, seq: number, timeMs: number) => string
  /** The lines of several, in their order, the first with this `seq`. */
  readonly many: (events: readonly TimedBody[], seq: number) => readonly string[]
}

/**
 * Lines of one run.
 *
 * @param tokens the job's own, which no line may hold
 */
export function lines(run: string, tokens: readonly string[] = []): Lines {
  const cut = withoutTokens(tokens)
  let time = ""
  let written = ""
  const logger = pino(
    {
      base: { run },
      formatters: { level: () => ({ v: 1 }) },
      timestamp: () => time,
    },
    { write: (line: string) => (written = line) },
  )
  const print = (body: EventBody, seq: number): string => {
    logger.info({ seq, ...body })
    return cut(ascii(written))
  }
  const line = (body: EventBody, seq: number, timeMs: number): string => {
    time = `,"time":"${timeText(timeMs)}"`
    let text = print(body, seq)
    for (let step = 0; text.length > lineBytesMax; step++) text = print(shortened(body, step), seq)
    return text
  }
  return {
    line,
    many: (events, seq) => events.map(({ body, atMs }, index) => line(body, seq + index, atMs)),
  }
}

/** RFC 3339 with milliseconds, UTC; what is no time of four-digit years becomes the nearest one. */
export function timeText(timeMs: number): string {
  const known = Number.isFinite(timeMs) ? Math.min(Math.max(0, timeMs), timeMsMax) : 0
  return new Date(known).toISOString()
}

// oxlint-disable-next-line no-control-regex -- Why: what is no printable ASCII, by definition.
const notPrintable = /[^\n\x20-\x7e]/

function ascii(line: string): string {
  if (!notPrintable.test(line)) return line
  let out = ""
  for (let index = 0; index < line.length; index++) {
    const code = line.charCodeAt(index)
    const plain = code === 10 || (code >= 0x20 && code <= 0x7e)
    out += plain ? line[index] : `\\u${code.toString(16).padStart(4, "0")}`
  }
  return out
}

/** Steps that shorten only the process; after them the rest of the event is shortened too. */
const processSteps = 5

/** A shorter body for a line that is too long: arguments first, and then everything, by halves. */
export function shortened(body: EventBody, step: number): EventBody {
  const characters = Math.max(16, 2048 >> step)
  const items = Math.max(2, 64 >> step)
  if (step < processSteps && "process" in body) {
    return { ...body, process: shorter(body.process, characters, items) as typeof body.process }
  }
  return shorter(body, Math.max(16, 4096 >> (step - processSteps)), items) as EventBody
}

function shorter(value: unknown, characters: number, items: number): unknown {
  if (typeof value === "string") {
    return value.length > characters ? `${value.slice(0, characters)}…` : value
  }
  if (Array.isArray(value)) {
    return value.slice(0, items).map((item) => shorter(item, characters, items))
  }
  if (typeof value !== "object" || value === null) return value
  // No event has more fields than this, but for the free ones of `context`.
  const entries = Object.entries(value).slice(0, Math.max(32, items))
  return Object.fromEntries(
    entries.map(([key, item]) => [key.slice(0, 64), shorter(item, characters, items)]),
  )
}
