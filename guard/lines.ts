/**
 * JSON lines over a stream between two of our own processes: framed, bounded, never trusted.
 *
 * A peer that sends a line too long or no JSON object is broken or broken into: its stream ends.
 */
import type { Duplex } from "node:stream"

/** One message, in bytes: a batch of events, the whole policy (10,000 rules are about 3 MB). */
export const lineBytesMax = 16 << 20
/** Pieces of an unfinished line that are kept apart; a peer may send single bytes. */
const piecesMax = 256
/** Messages that wait for what `receive` promised; beyond it nothing more is read. */
const unansweredMax = 1_024

export type Message = Readonly<Record<string, unknown>>

export interface Lines {
  /** false: the peer reads slower than we write; wait for `drained()`. */
  readonly send: (message: object) => boolean
  readonly drained: () => Promise<void>
  readonly end: () => void
  readonly close: () => void
}

/**
 * Reads and writes messages on `stream`.
 *
 * @param receive called once for each message, in order; a promise of it is an answer still to come,
 *   which must not fail
 * @param closed called once, when the stream has ended for whatever reason
 */
export function lines(
  stream: Duplex,
  receive: (message: Message) => unknown,
  closed: () => void,
): Lines {
  let rest: Buffer[] = []
  let restBytes = 0
  let unanswered = 0
  const refuse = (): void => {
    stream.destroy()
  }
  stream.on("data", (chunk: Buffer) => {
    let from = 0
    for (;;) {
      const end = chunk.indexOf(10, from)
      if (end < 0) break
      rest.push(chunk.subarray(from, end))
      const line = rest.length === 1 ? (rest[0] ?? chunk) : Buffer.concat(rest)
      rest = []
      restBytes = 0
      from = end + 1
      const message = parse(line)
      if (message === null) return refuse()
      const answer = receive(message)
      if (answer instanceof Promise) wait(answer)
      if (stream.destroyed) return
    }
    if (from === chunk.length) return
    rest.push(chunk.subarray(from))
    restBytes += chunk.length - from
    if (restBytes > lineBytesMax) return refuse()
    // Why pieces of doubled size and not one buffer: each byte is then copied a few times at most.
    if (rest.length > piecesMax) rest = joined(rest)
  })
  const wait = (answer: Promise<unknown>): void => {
    if (++unanswered === unansweredMax) stream.pause()
    void answer.finally(() => {
      if (unanswered-- === unansweredMax) stream.resume()
    })
  }
  let ended = false
  const finish = (): void => {
    if (!ended) closed()
    ended = true
  }
  stream.on("error", () => stream.destroy())
  stream.on("close", finish)
  stream.on("end", finish)
  const outbox = new Turn(stream)
  return {
    send: (message) => outbox.send(message),
    drained: () =>
      new Promise((resolve) => {
        if (!stream.writableNeedDrain || stream.destroyed) return resolve()
        stream.once("drain", resolve)
        stream.once("close", resolve)
      }),
    end: () => {
      outbox.flush()
      stream.end()
    },
    close: () => stream.destroy(),
  }
}

/**
 * What is sent in one turn of the event loop, written at once: each write wakes the peer, and that
 * costs more than all the rest of a message.
 */
class Turn {
  readonly #stream: Duplex
  #text = ""

  constructor(stream: Duplex) {
    this.#stream = stream
  }

  send(message: object): boolean {
    if (!this.#stream.writable) return false
    if (this.#text === "") setImmediate(() => this.flush())
    this.#text += `${JSON.stringify(message)}\n`
    return !this.#stream.writableNeedDrain
  }

  flush(): void {
    if (this.#text !== "" && this.#stream.writable) this.#stream.write(this.#text)
    this.#text = ""
  }
}

/** The same bytes in few pieces: from the end, each takes in those before it that are no longer. */
function joined(pieces: readonly Buffer[]): Buffer[] {
  const kept: { bytes: number; parts: Buffer[] }[] = []
  for (const piece of pieces) {
    let last = { bytes: piece.length, parts: [piece] }
    for (
      let top = kept.at(-1);
      top !== undefined && top.bytes <= 2 * last.bytes;
      top = kept.at(-1)
    ) {
      last = { bytes: top.bytes + last.bytes, parts: [...top.parts, ...last.parts] }
      kept.pop()
    }
    kept.push(last)
  }
  return kept.map(({ parts }) => (parts.length === 1 ? parts : [Buffer.concat(parts)])).flat()
}

function parse(line: Buffer): Message | null {
  try {
    const value: unknown = JSON.parse(line.toString("utf8"))
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Message)
      : null
  } catch {
    return null
  }
}
