/**
 * Which of a process's descriptors is a socket: the ones most likely first, so that finding a new
 * socket rarely takes a look at all of them. ✋ Reads /proc/PID/fd.
 *
 * Nothing is answered from memory. What was seen before only says where to look first: each answer
 * was read from /proc during the call that gives it.
 */
import { readdirSync, readlinkSync } from "node:fs"

/** Descriptors that are looked at for one socket, of all processes: about 0.2 s of the guard's time. */
export const descriptorsMax = 65_536
/** Descriptors that are tried before all are listed. */
const guessesMax = 8
/** Descriptors that are remembered of one process. */
const rememberedMax = 64

/** How many more descriptors may be looked at. */
export interface LooksLeft {
  left: number
}

/** The descriptors of one process, and where its last sockets were. */
export class Descriptors {
  readonly #directory: string
  /**
   * Those that were sockets of the job, the one found longest ago first. A program that opens and
   * closes connections uses the same few numbers over and over, and most in turn.
   */
  readonly #found = new Set<string>()

  constructor(pid: number) {
    this.#directory = `/proc/${pid}/fd`
  }

  /** Whether this socket (`socket:[INODE]`) is where the last ones were; false says nothing more. */
  guess(link: string, looks: LooksLeft): boolean {
    for (const name of [...this.#found].slice(0, guessesMax)) {
      if (looks.left-- <= 0) return false
      const seen = this.#read(name)
      this.#found.delete(name)
      // Why: what is still a socket goes to the end of the row, and what is closed out of it.
      if (seen !== null) this.#found.add(name)
      if (seen === link) return true
    }
    return false
  }

  /** Whether the process has this socket open. Newest descriptors first: that is where a new one is. */
  holds(link: string, looks: LooksLeft): boolean {
    let names: string[]
    try {
      names = readdirSync(this.#directory)
    } catch {
      return false
    }
    for (let index = names.length - 1; index >= 0; index--) {
      if (looks.left-- <= 0) return false
      const name = names[index] ?? ""
      if (this.#read(name) !== link) continue
      if (this.#found.size < rememberedMax) this.#found.add(name)
      return true
    }
    return false
  }

  #read(name: string): string | null {
    try {
      return readlinkSync(`${this.#directory}/${name}`)
    } catch {
      // Why: closed in the meantime.
      return null
    }
  }
}
