/**
 * A run's directory under /run/sluice, and what it says of the machine: written before the machine is
 * changed, so that the next start can undo what a run that was killed left behind.
 */
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { readlinkSync, statSync } from "node:fs"
import { join } from "node:path"

/** How to put back one thing that a run changed outside its own namespaces. */
export type Undo =
  | { readonly kind: "table"; readonly table: string }
  | { readonly kind: "setting"; readonly name: string; readonly before: string }
  | {
      readonly kind: "rule"
      readonly family: string
      readonly table: string
      readonly chain: string
      readonly comment: string
    }

interface Record_ {
  readonly pid: number
  readonly startedTicks: string
  /** The network namespace that it speaks of: several machines may share one /run (ip-netns(8)). */
  readonly network: string
  /** In the order in which it was done; undone backwards. */
  readonly undo: readonly Undo[]
}

export interface RunDirectory {
  readonly path: string
  /** Notes a change of the machine; call before making it. */
  readonly note: (undo: Undo) => void
  /** Undoes what was noted and removes the directory. */
  readonly close: () => void
}

const defaultRoot = "/run/sluice"
/** A directory without a record is of a run that is just starting, or was killed in that moment. */
const startingMs = 10_000

/** Field 22 of /proc/PID/stat: with the pid it names a process for ever. null: there is none. */
function startTicks(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null
  } catch {
    return null
  }
}

function ourNetwork(): string {
  return readlinkSync("/proc/self/ns/net")
}

/** @param root where runs have their directories; only root may write there */
export function openRunDirectory(
  id: string,
  undo: (done: Undo) => void,
  root = defaultRoot,
): RunDirectory {
  const path = join(root, id)
  mkdirSync(root, { recursive: true, mode: 0o711 })
  mkdirSync(path, { mode: 0o711 })
  const noted: Undo[] = []
  const write = (): void => {
    const record: Record_ = {
      pid: process.pid,
      startedTicks: startTicks(process.pid) ?? "",
      network: ourNetwork(),
      undo: noted,
    }
    const file = join(path, "record.json")
    writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 })
    renameSync(`${file}.new`, file)
  }
  write()
  return {
    path,
    note(change) {
      noted.push(asOthersFoundIt(root, id, change))
      write()
    },
    close() {
      putBack(root, id, noted, undo)
      rmSync(path, { recursive: true, force: true })
    },
  }
}

/**
 * Undoes what dead runs left, and removes their directories. What such a run changed in another
 * network namespace is left to the next start there.
 *
 * @returns the ids of the runs that were cleaned up
 */
export function cleanDeadRuns(undo: (done: Undo) => void, root = defaultRoot): string[] {
  let names: string[]
  try {
    names = readdirSync(root)
  } catch {
    return []
  }
  const cleaned: string[] = []
  for (const name of names) {
    const record = readRecord(join(root, name, "record.json"))
    if (record !== null && startTicks(record.pid) === record.startedTicks) continue
    if (record === null && isStarting(join(root, name))) continue
    if (record !== null && record.undo.length > 0 && record.network !== ourNetwork()) continue
    putBack(root, name, record?.undo ?? [], undo)
    rmSync(join(root, name), { recursive: true, force: true })
    cleaned.push(name)
  }
  return cleaned
}

function putBack(
  root: string,
  id: string,
  noted: readonly Undo[],
  undo: (done: Undo) => void,
): void {
  for (const change of noted.toReversed()) {
    if (change.kind !== "setting" || settingOfOthers(root, id, change.name) === null) undo(change)
  }
}

/** A setting that another living run has changed already: what it was before that. */
function asOthersFoundIt(root: string, id: string, change: Undo): Undo {
  if (change.kind !== "setting") return change
  return settingOfOthers(root, id, change.name) ?? change
}

/** The same setting as noted by another run here that still lives: the last to end puts it back. */
function settingOfOthers(root: string, id: string, setting: string): Undo | null {
  for (const name of readdirSync(root)) {
    const record = name === id ? null : readRecord(join(root, name, "record.json"))
    if (record === null || startTicks(record.pid) !== record.startedTicks) continue
    if (record.network !== ourNetwork()) continue
    const same = record.undo.find((each) => each.kind === "setting" && each.name === setting)
    if (same !== undefined) return same
  }
  return null
}

function isStarting(path: string): boolean {
  const facts = statSync(path, { throwIfNoEntry: false })
  return facts === undefined || Date.now() - facts.ctimeMs < startingMs
}

function readRecord(path: string): Record_ | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Record_
  } catch {
    return null
  }
}
