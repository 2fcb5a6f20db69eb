/**
 * The real machine behind `Surroundings`: reads configuration files and lists folders, writes
 * nothing, runs nothing.
 *
 * The guard that calls this is root and the paths lie in a stranger's project: so a file is read
 * only if it is a plain one, small, and readable for the user whom the command runs as anyway.
 */
import { closeSync, constants, fstatSync, openSync, opendirSync, readSync, statSync } from "node:fs"
import type { Stats } from "node:fs"
import type { Surroundings } from "./found.ts"

/** Configuration is written by hand; the largest pom.xml of the Maven project itself is 60 KiB. */
export const fileBytesMax = 1024 * 1024
/** More names than that are no folder of configuration. */
const namesMax = 10_000

/** Whom the command runs as. */
export interface User {
  readonly uid: number
  /** Every group of the user. */
  readonly groups: readonly number[]
}

/**
 * The machine as it is now: each file and folder is read once.
 *
 * @param user null: whoever runs this, with the kernel's own judgement.
 */
export function realSurroundings({
  environment,
  directory,
  home,
  user,
}: {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly directory: string
  readonly home: string
  readonly user: User | null
}): Surroundings {
  const files = new Map<string, ReturnType<Surroundings["read"]>>()
  const folders = new Map<string, readonly string[]>()
  return {
    read: (path) => {
      const known = files.get(path)
      if (known !== undefined) return known
      const read = readPlainFile(path, user)
      files.set(path, read)
      return read
    },
    list: (folder) => {
      const names = folders.get(folder) ?? namesIn(folder)
      folders.set(folder, names)
      return names
    },
    environment,
    directory,
    home,
  }
}

function readPlainFile(path: string, user: User | null): ReturnType<Surroundings["read"]> {
  if (path.includes("\0")) return null
  let descriptor: number | null = null
  try {
    // Why before opening: to open a device or a pipe is an act of its own.
    const before = statSync(path)
    if (!before.isFile()) return before.isDirectory() ? null : { problem: "it is no plain file" }
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
    const file = fstatSync(descriptor)
    if (!file.isFile()) return { problem: "it is no plain file" }
    if (user !== null && !readableFor(user, file)) {
      return { problem: "the user whom the command runs as may not read it" }
    }
    // Why the size and not the end: files of /proc say 0, and some of them never end.
    if (file.size > fileBytesMax) return { problem: `it is larger than ${fileBytesMax} bytes` }
    const bytes = Buffer.alloc(file.size)
    let length = 0
    while (length < file.size) {
      const read = readSync(descriptor, bytes, length, file.size - length, length)
      if (read === 0) break
      length += read
    }
    return bytes.toString("utf8", 0, length)
  } catch (error) {
    const { code = "unknown" } = error as NodeJS.ErrnoException
    return code === "ENOENT" || code === "ENOTDIR" ? null : { problem: `the system says ${code}` }
  } finally {
    if (descriptor !== null) closeSync(descriptor)
  }
}

/** The kernel's rule for plain permission bits (path_resolution(7)). */
function readableFor({ uid, groups }: User, file: Stats): boolean {
  if (uid === 0) return true
  if (file.uid === uid) return (file.mode & 0o400) !== 0
  if (groups.includes(file.gid)) return (file.mode & 0o040) !== 0
  return (file.mode & 0o004) !== 0
}

function namesIn(folder: string): string[] {
  const names: string[] = []
  try {
    const open = opendirSync(folder)
    try {
      for (let entry = open.readSync(); entry !== null; entry = open.readSync()) {
        names.push(entry.name)
        if (names.length >= namesMax) break
      }
    } finally {
      open.closeSync()
    }
  } catch {
    return []
  }
  return names.sort()
}
