/**
 * The end of a log on a full disk. ✋ Shortens the file and writes to it.
 *
 * A log that ends in half a line, and without the number of events that it lost, is worth less than
 * one with some lines fewer: so the last ones make room for `run-ended`, in space that the file has
 * already.
 */
import { fstatSync, ftruncateSync, readSync, writeSync } from "node:fs"
import { lineBytesMax } from "./line.ts"

/**
 * Puts a last line in the place of the end of the file.
 *
 * @param from Where our part of the file begins, in bytes: nothing before it is touched.
 * @param to Where it ends. Nothing is done where the file goes on.
 * @param line The last line, newline included, when so many whole lines were dropped.
 * @returns How many whole lines were dropped; null: it could not be done.
 */
export function replaceEnd(
  fd: number,
  from: number,
  to: number,
  line: (dropped: number) => string,
): number | null {
  try {
    if (fstatSync(fd).size !== to) return null
    const tail = Buffer.alloc(Math.min(to - from, 4 * lineBytesMax))
    const start = to - tail.length
    if (readSync(fd, tail, 0, tail.length, start) !== tail.length) return null
    // What stands behind the last newline is no whole line.
    let end = tail.lastIndexOf(10) + 1
    for (let dropped = 0; end > 0; dropped++) {
      const text = Buffer.from(line(dropped), "latin1")
      if (start + end + text.length <= to) return write(fd, start + end, text) ? dropped : null
      end = end < 2 ? 0 : tail.lastIndexOf(10, end - 2) + 1
    }
    return null
  } catch {
    return null
  }
}

function write(fd: number, position: number, text: Buffer): boolean {
  ftruncateSync(fd, position)
  if (writeSync(fd, text) === text.length) return true
  ftruncateSync(fd, position)
  return false
}
