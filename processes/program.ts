/** One program and its parents, as /proc tells them (proc(5)). */
import { readFileSync, readlinkSync, statSync } from "node:fs"
import type { Process, Program } from "../flows/flow.ts"

/** Ancestors in one event; a build rarely nests deeper, and a hostile one could nest for ever. */
const ancestorsMax = 16
/** Bytes of a command line that are read; the rest is cut. */
const commandLineBytesMax = 4096
/** Arguments shown in one event. */
const argumentsMax = 64

type Redact = (argv: readonly string[]) => readonly string[]

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return null
  }
}

/** In front of a path that leads elsewhere here, as getcwd(3) marks a directory out of reach. */
const unreachable = "(unreachable)"

/**
 * Path of the executable; "" where it cannot be read (a kernel thread, a process just gone).
 *
 * The kernel gives the path as the process's own mount namespace has it, where anything may lie over
 * anything: only where the same file lies under this path here is it that program.
 */
function executableOf(pid: number): string {
  const link = `/proc/${pid}/exe`
  try {
    const path = readlinkSync(link)
    const [runs, lies] = [link, path].map((each) => statSync(each, { throwIfNoEntry: false }))
    if (path.endsWith(" (deleted)") && lies === undefined) return path
    const same = runs?.ino === lies?.ino && runs?.dev === lies?.dev && runs !== undefined
    return same ? path : `${unreachable}${path}`
  } catch {
    return ""
  }
}

function programOf(pid: number, redact: Redact): Program | null {
  const line = read(`/proc/${pid}/cmdline`)
  if (line === null) return null
  const argv = line.slice(0, commandLineBytesMax).replace(/\0$/, "").split("\0")
  const executable = executableOf(pid)
  return { pid, executable, arguments: redact(argv.slice(0, argumentsMax)) }
}

/** The parent's number; 0 where there is none, or the process is gone. */
export function parentOf(pid: number): number {
  const line = read(`/proc/${pid}/stat`)
  if (line === null) return 0
  // Why the last ")": the name before it may hold anything, brackets included.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ")
  return Number(fields[1] ?? 0)
}

/**
 * A process with its ancestors, nearest first, as far as the job reaches.
 *
 * @param isJob whether a process belongs to the job; the first ancestor that does not ends the list
 * @param redact what makes arguments fit to be written
 * @returns null when the process has gone
 */
export function processOf(
  pid: number,
  isJob: (pid: number) => boolean,
  redact: Redact,
): Process | null {
  const program = programOf(pid, redact)
  if (program === null) return null
  const ancestors: Program[] = []
  let parent = parentOf(pid)
  while (parent > 1 && ancestors.length < ancestorsMax && isJob(parent)) {
    const above = programOf(parent, redact)
    if (above === null) break
    ancestors.push(above)
    parent = parentOf(parent)
  }
  return { ...program, ancestors }
}
