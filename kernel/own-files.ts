/**
 * Files of the machine that the job sees in a version of its own: by mounts in its namespace alone.
 *
 * Why directories as a whole, and not each file: a program that renews a store (update-ca-certificates)
 * puts a new file in the place of the old one, and nothing can be put in the place of a mount.
 */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  type Stats,
} from "node:fs"
import { dirname, join } from "node:path"
import { c, call, setMountAttributes } from "./libc.ts"
import { atPlace } from "./place.ts"

export type Content = string | Uint8Array

/** A file of the job's own in place of one of the machine's. */
export interface OwnFile {
  /** Absolute, without links (realpath(3)). */
  readonly path: string
  /** What stood there when it was read (stat(2)): another file is not replaced. */
  readonly dev: number
  readonly ino: number
  readonly content: Content
}

/** A copy of a directory for the job, which may change it; what it changes ends with it. */
export interface OwnDirectory {
  /** Absolute, without links. */
  readonly path: string
  /** By path inside it: files that are added or replaced. */
  readonly files: Readonly<Record<string, Content>>
  /** By path inside it: symbolic links that are added or replaced, and where they lead. */
  readonly links: Readonly<Record<string, string>>
}

export interface OwnFiles {
  /** By path below the job's /run/sluice. */
  readonly run: Readonly<Record<string, Content>>
  readonly files: readonly OwnFile[]
  readonly directories: readonly OwnDirectory[]
}

/** Entries that are copied; stores of certificates have some hundreds. A directory with more stays. */
const entriesMax = 8_192
/** The largest store of a distribution is 250 KiB; what is larger is the machine's own file. */
const fileBytesMax = 4 << 20
/** Directories inside directories; what lies deeper is the machine's own. */
const depthMax = 4

/** Writes files below a directory that is there; makes the directories between. */
export function writeBelow(root: string, files: Readonly<Record<string, Content>>): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, name)
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
    writeFileSync(path, content, { mode: 0o644 })
  }
}

/**
 * Puts the job's own files where it looks for them.
 *
 * @param stage an empty directory outside the job's reach, where they are kept
 */
export function coverFiles(stage: string, { files, directories }: OwnFiles): void {
  mkdirSync(stage, { mode: 0o700 })
  let number = 0
  for (const directory of directories) {
    const copy = join(stage, String(number++))
    mkdirSync(copy)
    if (!copyBelow(directory.path, copy, depthMax, { entries: 0 })) continue
    writeBelow(copy, directory.files)
    for (const [name, target] of Object.entries(directory.links)) {
      rmSync(join(copy, name), { force: true })
      symlinkSync(target, join(copy, name))
    }
    atPlace(directory.path, (place, facts) => {
      if (!facts.isDirectory()) return
      like(copy, facts)
      bind(copy, place)
    })
  }
  for (const { path, dev, ino, content } of files) {
    const own = join(stage, String(number++))
    writeFileSync(own, content)
    // Why compared: the path may lie where the job's user writes, and what is mounted there is seen
    // by root in the job as well.
    const same = (facts: Stats): boolean => facts.dev === dev && facts.ino === ino
    let covered = false
    atPlace(path, (place, facts) => {
      if (!facts.isFile() || !same(facts)) return
      like(own, facts)
      bind(own, place)
      covered = true
    })
    if (covered) atPlace(path, (place) => setMountAttributes(place, c.MOUNT_ATTR_RDONLY, 0))
  }
}

function bind(source: string, target: string): void {
  call("mount", `mount "${target}"`, source, target, null, c.MS_BIND | c.MS_REC, null)
}

/** Gives a copy the owner and the permissions of what it stands for. */
function like(copy: string, facts: Stats): void {
  chownSync(copy, facts.uid, facts.gid)
  chmodSync(copy, facts.mode & 0o7777)
}

/** @returns false: there is more than may be copied. What is no file, directory or link is left out. */
function copyBelow(from: string, to: string, depth: number, counted: { entries: number }): boolean {
  for (const name of readdirSync(from)) {
    if (++counted.entries > entriesMax) return false
    const [source, target] = [join(from, name), join(to, name)]
    const facts = lstatSync(source, { throwIfNoEntry: false })
    if (facts?.isSymbolicLink() === true) symlinkSync(readlinkSync(source), target)
    else if (facts?.isFile() === true && facts.size > fileBytesMax) {
      writeFileSync(target, "")
      bind(source, target)
    } else if (facts?.isFile() === true) {
      copyFileSync(source, target)
      like(target, facts)
    } else if (facts?.isDirectory() === true) {
      mkdirSync(target)
      if (depth === 0) bind(source, target)
      else if (!copyBelow(source, target, depth - 1, counted)) return false
      else like(target, facts)
    }
  }
  return true
}
