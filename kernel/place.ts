/**
 * A place in the tree of files that is held while something is done to it: by a descriptor, so that
 * nobody can put a link there in between.
 */
import { closeSync, constants, fstatSync, openSync, readlinkSync, type Stats } from "node:fs"

/** asm-generic/fcntl.h; node:fs does not name it. */
const O_PATH = 0o10000000

/**
 * Does something to what a path names now.
 *
 * @param path absolute and without links (realpath(3))
 * @param act gets a path that leads to this very place, whatever becomes of its name
 * @returns `absent`: nothing is there. `moved`: a link stands in the path. Nothing was done then.
 */
export function atPlace(
  path: string,
  act: (place: string, facts: Stats) => void,
): "done" | "absent" | "moved" {
  let fd: number
  try {
    fd = openSync(path, O_PATH | constants.O_NOFOLLOW)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === "ENOENT" || code === "ENOTDIR") return "absent"
    throw error
  }
  try {
    const place = `/proc/thread-self/fd/${fd}`
    const facts = fstatSync(fd)
    if (facts.isSymbolicLink() || readlinkSync(place) !== path) return "moved"
    act(place, facts)
    return "done"
  } finally {
    closeSync(fd)
  }
}
