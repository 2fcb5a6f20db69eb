/**
 * Streams whose rule bounds what may be sent: nothing of them goes on before it was paid for. While
 * a purse is filled, nothing more of the client is read. Pure.
 */
import { errorCodes } from "../http/frame.ts"
import type { H2Session, Stream } from "./h2-session.ts"
import { budgetSpent } from "./splice.ts"

export class H2Purses {
  readonly #session: H2Session
  readonly #resume: () => void
  #asking = false
  /** The next frame of this stream was paid for. */
  #paid: Stream | null = null
  #held: (() => void) | null = null

  /** @param resume Called once a question was answered, whatever the answer is. */
  constructor(session: H2Session, resume: () => void) {
    this.#session = session
    this.#resume = resume
  }

  /** A purse is being asked. */
  get asking(): boolean {
    return this.#asking
  }

  /** Whether so many bytes of a stream may go on. false: the answer comes later. */
  pays(stream: Stream, bytes: number): boolean {
    const paid = this.#paid === stream
    this.#paid = null
    const { purse } = stream.answer
    if (purse === null || paid || bytes === 0 || purse.take(bytes)) return true
    this.#asking = true
    this.#session.links.pauseClient()
    purse.fill(bytes, (taken) => this.#answered(stream, taken))
    return false
  }

  /** What is to be done once the question that is open was answered well. */
  hold(send: () => void): void {
    this.#held = send
  }

  #answered(stream: Stream, taken: boolean): void {
    const session = this.#session
    if (session.over || !this.#asking) return
    this.#asking = false
    const held = this.#held
    this.#held = null
    session.apart(() => {
      // Why: it may have been reset meanwhile.
      if (session.streams.get(stream.id) === stream) {
        // In audit mode it goes on, and nothing bounds it any more.
        if (taken || session.stop(stream, "upload-budget-exceeded", budgetSpent).go) {
          if (held === null) this.#paid = stream
          else held()
        } else session.end(stream, errorCodes.cancel, budgetSpent)
      }
      this.#resume()
    })
  }
}
