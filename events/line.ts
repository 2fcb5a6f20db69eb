/**
 * Events → their lines. Pure.
 *
 * Lines are made many at a time: `JSON.stringify` takes less than half as long for one of a batch as
 * for one alone. Everything that is not printable ASCII becomes a `\u` escape: a log can be shown with
 * `cat` whatever a job put into a name, and a character is a byte, so that a write that the disk cut
 * short can go on where it stopped.
 */
import type { EventBody } from "./event.ts"

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

/** Lines of one run. */
export function lines(run: string): Lines {
  const printed = (events: readonly TimedBody[], first: number): readonly string[] => {
    let seq = first
    let lastMs = Number.NaN
    let time = ""
    const stamped = events.map(({ body, atMs }) => {
      if (atMs !== lastMs) time = timeText((lastMs = atMs))
      return { v: 1, time, run, seq: seq++, ...body }
    })
    return apart(JSON.stringify(stamped)).map(ascii)
  }
  const one = (body: EventBody, seq: number, atMs: number): string =>
    printed([{ body, atMs }], seq)[0] ?? ""
  const line = (body: EventBody, seq: number, atMs: number): string => {
    let text = one(body, seq, atMs)
    for (let step = 0; text.length > lineBytesMax; step++) {
      text = one(shortened(body, step), seq, atMs)
    }
    return text
  }
  return {
    line,
    many: (events, seq) =>
      printed(events, seq).map((text, index) => {
        const event = events[index]
        if (text.length <= lineBytesMax || event === undefined) return text
        return line(event.body, seq + index, event.atMs)
      }),
  }
}

/**
 * The end of a line and the beginning of the next: of all that an event may hold, only an event has
 * `v` as its first field, and inside a text each `"` has a backslash before it.
 */
const seam = `},{"v":1,"time":"`

/** The items of an array of events, each as a line. */
function apart(array: string): string[] {
  const items: string[] = []
  let from = 1
  for (let at = array.indexOf(seam); at >= 0; at = array.indexOf(seam, from)) {
    items.push(`${array.slice(from, at + 1)}\n`)
    from = at + 2
  }
  items.push(`${array.slice(from, -1)}\n`)
  return items
}

/** RFC 3339 with milliseconds, UTC; what is no time of four-digit years becomes the nearest one. */
export function timeText(timeMs: number): string {
  const known = Number.isFinite(timeMs) ? Math.min(Math.max(0, timeMs), timeMsMax) : 0
  return new Date(known).toISOString()
}

const del = "\x7f"

/** What JSON.stringify gives has no other control characters than this one and the newline at its end. */
function ascii(line: string): string {
  if (Buffer.byteLength(line) === line.length && !line.includes(del)) return line
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
