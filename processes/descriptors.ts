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
const rememberedMax = 256

/** How many more descriptors may be looked at. */
export interface LooksLeft {
  left: number
}

/** A descriptor that was a socket when it was looked at last. */
interface Seen {
  readonly name: string
  link: string
  /** When it came to be this socket, as the count of looks; later, the longer it stays. */
  since: number
}

/** The descriptors of one process, and where its sockets were. */
export class Descriptors {
  readonly #directory: string
  readonly #seen = new Map<string, Seen>()
  #looks = 0

  constructor(pid: number) {
    this.#directory = `/proc/${pid}/fd`
  }

  /** Whether this socket (`socket:[INODE]`) is where sockets were; false says nothing more. */
  guess(link: string, looks: LooksLeft): boolean {
    for (const seen of this.#seen.values()) {
      if (seen.link === link && looks.left-- > 0) return this.#read(seen.name) === link
    }
    for (const { name } of this.#oldest()) {
      if (looks.left-- <= 0) return false
      if (this.#read(name) === link) return true
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
      if (this.#read(names[index] ?? "") === link) return true
    }
    return false
  }

  /**
   * Those that have been the same socket for longest. A program that opens and closes connections uses
   * the same few numbers over and over, and the oldest connection is the likeliest to be over.
   */
  #oldest(): readonly Seen[] {
    const oldest: Seen[] = []
    for (const seen of this.#seen.values()) {
      let place = oldest.length
      while (place > 0 && seen.since < (oldest[place - 1]?.since ?? 0)) place--
      if (place >= guessesMax) continue
      oldest.splice(place, 0, seen)
      if (oldest.length > guessesMax) oldest.pop()
    }
    return oldest
  }

  #read(name: string): string | null {
    this.#looks++
    let link: string | null = null
    try {
      link = readlinkSync(`${this.#directory}/${name}`)
    } catch {
      // Why: closed in the meantime.
    }
    const seen = this.#seen.get(name)
    if (link === null || !link.startsWith("socket:")) this.#seen.delete(name)
    else if (seen === undefined) {
      if (this.#seen.size < rememberedMax) this.#seen.set(name, { name, link, since: this.#looks })
    } else if (seen.link !== link) {
      seen.link = link
      seen.since = this.#looks
    } else {
      // Why: one that lasts would else be looked at each time, and in vain.
      seen.since = (seen.since + this.#looks) / 2
    }
    return link
  }
}
