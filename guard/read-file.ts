/**
 * Reads a file that a person named, or that lies in the project. ✋
 *
 * The guard is root and the path may lie where others write: so it is read with the rights of who
 * called. A planted link then shows nothing in an error that they could not see.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs"
import { resolve } from "node:path"
import { as, type Owner } from "../events/log-file.ts"

/** The longest policy that was measured has 10,000 rules and under 1 MiB; a bundle of authorities 250 KiB. */
export const fileBytesMax = 16 << 20

/** What is said of the file, in `Cannot read <what> "<path>": …`. */
type What = "the policy" | "the authorities" | "the special ranges" | "the job's token"

/**
 * The text of a file.
 *
 * @param owner whose right to read counts
 * @throws Error when it cannot be read, is no regular file, or is longer than `fileBytesMax`
 */
export function readFileAs(owner: Owner, path: string, what: What): string {
  const absolute = resolve(path)
  const refuse = (why: string): never => {
    throw new Error(`Cannot read ${what} "${path}": ${why}`)
  }
  let fd: number
  try {
    fd = as(owner, () => open(absolute))
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException
    if (code === "ENOENT") return refuse("there is no such file")
    if (code !== "EACCES") return refuse(`the system says ${code}, must be a readable file`)
    return refuse("the user who called may not read it, must be allowed to")
  }
  try {
    const stats = fstatSync(fd)
    if (!stats.isFile()) return refuse("it is no regular file, must be one")
    if (stats.size > fileBytesMax) {
      return refuse(`it has ${stats.size} bytes, must have at most ${fileBytesMax}`)
    }
    return readAll(fd)
  } finally {
    closeSync(fd)
  }
}

/** Why not blocking: a FIFO in its place would hold us for ever. */
function open(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
}

/** A file may grow while it is read: what is beyond the limit is left out. */
function readAll(fd: number): string {
  const bytes = Buffer.allocUnsafe(fstatSync(fd).size + 1)
  let length = 0
  for (;;) {
    const got = readSync(fd, bytes, length, bytes.length - length, null)
    length += got
    if (got === 0 || length === bytes.length) return bytes.toString("utf8", 0, length)
  }
}
