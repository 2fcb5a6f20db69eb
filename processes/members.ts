/** Which processes belong to the job: those in its PID namespace, and in any that it made itself. */
import { readdirSync, readlinkSync } from "node:fs"
import { parentOf } from "./program.ts"

export interface Members {
  /** The job's processes by the machine's numbers, newest first. */
  readonly list: () => readonly number[]
  /** Reads the list anew, unless that was done within the last `listingFreshMs`. */
  readonly refresh: (nowMs: number) => boolean
  readonly has: (pid: number) => boolean
}

/** A list younger than this is not read again: a flood of unknown sockets must not cost a scan each. */
export const listingFreshMs = 20

/** Parents that are asked for; what is deeper counts as nobody's. */
const parentsMax = 4_096

/**
 * @param initPid the job's first process, as the machine numbers it
 */
export function members(initPid: number): Members {
  const space = spaceOf(initPid)
  const outside = spaceOf(process.pid)
  let known: readonly number[] = []
  let set = new Set<number>()
  let readAtMs = Number.NEGATIVE_INFINITY

  /** Who stands in another namespace than ours is the job's where a parent is. */
  const belongs = (pid: number, judged: Map<number, boolean>): boolean => {
    const way: number[] = []
    let answer = false
    for (let at = pid; at > 1 && way.length < parentsMax; at = parentOf(at)) {
      const before = judged.get(at)
      const own = before === undefined ? spaceOf(at) : null
      way.push(at)
      answer = before ?? (own !== null && own === space)
      if (before !== undefined || own === null || own === space || own === outside) break
    }
    for (const each of way) judged.set(each, answer)
    return answer
  }
  return {
    list: () => known,
    has: (pid) => set.has(pid) || belongs(pid, new Map()),
    refresh(nowMs) {
      if (nowMs - readAtMs < listingFreshMs) return false
      readAtMs = nowMs
      // Why so: what has a number below the first process's may have wrapped round; all are looked at.
      const pids = readdirSync("/proc").map(Number).filter(Number.isInteger)
      const judged = new Map<number, boolean>()
      known = pids.filter((pid) => belongs(pid, judged)).toSorted((a, b) => b - a)
      set = new Set(known)
      return true
    },
  }
}

/** The PID namespace of a process, `pid:[4026531836]`; null where it has gone. */
function spaceOf(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`)
  } catch {
    return null
  }
}
