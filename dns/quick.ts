/**
 * Answers to datagrams that were asked before, byte for byte: the way that nearly every question of
 * a busy build takes. A whole answer is kept; only its number and its times to live are written anew.
 */
import { LRUCache } from "lru-cache"
import type { Found } from "./found.ts"
import type { Line, NameLine } from "./lines.ts"
import { writeTtls } from "./section.ts"

const answersMax = 8_192
const bytesMax = 8 * 1024 * 1024
/** What an answer costs beside its bytes, roughly. */
const overheadBytes = 768
/** A longer question has options in it, which differ each time. */
const questionBytesMax = 300

export interface QuickAnswer {
  /** Rewritten in place for each question. */
  reply: Buffer
  /** Where the records begin in `reply`. */
  readonly recordsAt: number
  readonly found: Found
  readonly untilMs: number
  /** The seconds that are taken off the times to live as they stand in `reply`. */
  elapsed: number
  readonly body: NameLine
  /** The part of a line's key that does not say who asked; see lineKey. */
  readonly asked: string
  /** Who asked last, as the socket names it, and the line that counts it. */
  address: string
  port: number
  line: Line
}

export class QuickAnswers {
  readonly #answers = new LRUCache<string, QuickAnswer>({ max: answersMax, maxSize: bytesMax })

  find(question: Buffer, nowMs: number): QuickAnswer | null {
    if (question.length > questionBytesMax) return null
    const key = question.toString("latin1", 2)
    const known = this.#answers.get(key)
    if (known === undefined) return null
    if (nowMs < known.untilMs) return known
    this.#answers.delete(key)
    return null
  }

  keep(question: Buffer, answer: QuickAnswer): void {
    if (question.length > questionBytesMax) return
    const size = overheadBytes + question.length + answer.reply.length
    this.#answers.set(question.toString("latin1", 2), answer, { size })
  }
}

/** The reply for one more question. @param busy an earlier one may still be on its way: copy it */
export function quickReply(
  answer: QuickAnswer,
  question: Buffer,
  nowMs: number,
  busy: boolean,
): Buffer {
  if (busy) answer.reply = Buffer.from(answer.reply)
  const { reply, found } = answer
  reply[0] = question[0] ?? 0
  reply[1] = question[1] ?? 0
  const elapsed = Math.floor((nowMs - found.bornAtMs) / 1000)
  if (elapsed !== answer.elapsed) {
    answer.elapsed = elapsed
    writeTtls(reply, answer.recordsAt, found.section, elapsed)
  }
  return reply
}
