/** Which processes belong to the job: those in its PID namespace. */
import { readdirSync, readlinkSync } from "node:fs"

export interface Members {
  /** The job's processes by the machine's numbers, newest first. */
  readonly list: () => readonly number[]
  /** Reads the list anew, unless that was done within the last `listingFreshMs`. */
  readonly refresh: (nowMs: number) => boolean
  readonly has: (pid: number) => boolean
}

/** A list younger than this is not read again: a flood of unknown sockets must not cost a scan each. */
export const listingFreshMs = 20

/**
 * @param initPid the job's first process, as the machine numbers it
 */
export function members(initPid: number): Members {
  const space = spaceOf(initPid)
  let known: readonly number[] = []
  let set = new Set<number>()
  let readAtMs = Number.NEGATIVE_INFINITY
  return {
    list: () => known,
    has: (pid) => set.has(pid) || (space !== null && spaceOf(pid) === space),
    refresh(nowMs) {
      if (nowMs - readAtMs < listingFreshMs) return false
      readAtMs = nowMs
      // Why so: what has a number below the first process's may have wrapped round; all are looked at.
      const pids = readdirSync("/proc").map(Number).filter(Number.isInteger)
      const mine = (pid: number): boolean => set.has(pid) || spaceOf(pid) === space
      known = space === null ? [] : pids.filter(mine).toSorted((a, b) => b - a)
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
