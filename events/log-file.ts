/**
 * Where an event log goes, and how its file is opened. ✋ Makes directories and opens the file.
 *
 * The guard is root and the path lies where the job's user may write: everything is therefore done
 * with the rights of that user, so that a planted link leads no further than the user could go.
 */
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  writeSync,
  type Stats,
} from "node:fs"
import { dirname, join, resolve } from "node:path"

/** A log that cannot be opened. The message says what to do. */
export class LogFileError extends Error {
  override readonly name = "LogFileError"
}

export interface Owner {
  readonly uid: number
  readonly gid: number
}

export interface LogFile {
  /** Opened for reading and appending. */
  readonly fd: number
  /** Absolute. */
  readonly path: string
  /** Size before the first line of this run, in bytes. */
  readonly startBytes: number
  /** False for /dev/null and its kind, which cannot be read back. */
  readonly isRegular: boolean
}

/** Used where the user has no directory of their own that can be written. */
const systemRuns = "/var/lib/sluice/runs"

/**
 * The directory of all logs of a user: `$XDG_STATE_HOME/sluice/runs`, and `~/.local/state` where that
 * is not set to an absolute path (XDG Base Directory Specification).
 */
export function runsDirectory(
  home: string,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  const state = environment["XDG_STATE_HOME"] ?? ""
  return join(state.startsWith("/") ? state : join(home, ".local", "state"), "sluice", "runs")
}

/**
 * Opens the log of a run under its default path, `<directory>/<run>.jsonl`, or under
 * /var/lib/sluice/runs where that cannot be written.
 *
 * @throws LogFileError
 */
export function openDefaultLogFile(directory: string, run: string, owner: Owner): LogFile {
  try {
    return openLogFile(join(directory, `${run}.jsonl`), owner)
  } catch (error) {
    if (process.geteuid?.() !== 0) throw error
    return openLogFile(join(systemRuns, `${run}.jsonl`), owner)
  }
}

/**
 * Opens a log for appending; makes it, and the directories above it, where they are missing. It is
 * made with mode 0600 for `owner`.
 *
 * @throws LogFileError
 */
export function openLogFile(path: string, owner: Owner): LogFile {
  const absolute = resolve(path)
  try {
    return checked(
      absolute,
      as(owner, () => open(absolute, 0o700)),
      null,
    )
  } catch (error) {
    // Root may write where the user may not, as long as no user can lead it astray.
    if (!isDenied(error) || process.geteuid?.() !== 0 || !onlyRootMayChange(dirname(absolute))) {
      throw explained(absolute, error)
    }
  }
  try {
    return checked(absolute, open(absolute, 0o755), owner)
  } catch (error) {
    throw explained(absolute, error)
  }
}

interface Opened {
  readonly fd: number
  readonly isNew: boolean
}

function open(path: string, directoryMode: number): Opened {
  const { O_APPEND, O_CREAT, O_EXCL, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants
  const flags = O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
  mkdirSync(dirname(path), { recursive: true, mode: directoryMode })
  try {
    return { fd: openSync(path, flags | O_CREAT | O_EXCL, 0o600), isNew: true }
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error
    return { fd: openSync(path, flags), isNew: false }
  }
}

function checked(path: string, { fd, isNew }: Opened, giveTo: Owner | null): LogFile {
  try {
    const stats = fstatSync(fd)
    if (!stats.isFile() && !isMemoryDevice(stats)) {
      throw new LogFileError(
        `Cannot write the event log "${path}": it is no regular file, must be one (or /dev/null)`,
      )
    }
    if (giveTo !== null && isNew) fchownSync(fd, giveTo.uid, giveTo.gid)
    const startBytes = stats.isFile() ? stats.size + finishLine(fd, stats.size) : 0
    return { fd, path, startBytes, isRegular: stats.isFile() }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/**
 * Ends the last line of a file where an earlier run could not, so that it does not swallow our first
 * one. Gives the number of bytes that were added.
 */
function finishLine(fd: number, size: number): number {
  const last = Buffer.alloc(1)
  if (size === 0 || readSync(fd, last, 0, 1, size - 1) === 0 || last[0] === 10) return 0
  return writeSync(fd, "\n")
}

/** /dev/null and /dev/full: major number 1, memory devices (linux/Documentation/admin-guide/devices.txt). */
function isMemoryDevice(stats: Stats): boolean {
  return stats.isCharacterDevice() && stats.rdev >> 8 === 1
}

/** Runs `act` with the rights of `owner` and no other; then takes root's back. */
export function as<Result>(owner: Owner, act: () => Result): Result {
  const { geteuid, getegid, getgroups, seteuid, setegid, setgroups } = process
  const canChange = geteuid?.() === 0 && owner.uid !== 0
  if (!canChange || !getegid || !getgroups || !seteuid || !setegid || !setgroups) return act()
  const groups = getgroups()
  const group = getegid()
  setgroups([owner.gid])
  setegid(owner.gid)
  seteuid(owner.uid)
  try {
    return act()
  } finally {
    seteuid(0)
    setegid(group)
    setgroups(groups)
  }
}

/** Whether every directory from the root down to this one is root's, and nobody else may write there. */
function onlyRootMayChange(directory: string): boolean {
  for (let path = directory; ; path = dirname(path)) {
    try {
      const stats = lstatSync(path)
      if (!stats.isDirectory() || stats.uid !== 0 || (stats.mode & 0o022) !== 0) return false
    } catch (error) {
      if (codeOf(error) !== "ENOENT") return false
    }
    if (path === "/") return true
  }
}

function isDenied(error: unknown): boolean {
  return ["EACCES", "EPERM", "EROFS"].includes(codeOf(error))
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : ""
}

const explanations: Readonly<Record<string, string>> = {
  ELOOP: "it is a symbolic link, must be a regular file",
  EISDIR: "it is a directory, must be a file",
  EACCES: "the user who called Sluice may not write there, must be a directory that they own",
  EPERM: "the user who called Sluice may not write there, must be a directory that they own",
  EROFS: "it lies on a read-only file system, must be one that can be written",
  ENOSPC: "the disk is full, must have room for the log",
  ENOTDIR: "a part of the path is no directory, must be one",
  EEXIST: "a part of the path is no directory, must be one",
}

function explained(path: string, error: unknown): LogFileError {
  if (error instanceof LogFileError) return error
  const code = codeOf(error)
  const why = explanations[code] ?? `the system says ${code || String(error)}, must be writable`
  return new LogFileError(`Cannot open the event log "${path}": ${why}`)
}
