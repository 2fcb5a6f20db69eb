/** Gives up root, for good, before a process meets the first byte that a job controls. */
import { readFileSync } from "node:fs"

/**
 * Becomes an unprivileged user without groups or capabilities, and proves it.
 *
 * @throws Error when any privilege is left: the process must then end
 */
export function dropPrivileges(uid: number): void {
  process.setgroups?.([])
  process.setgid?.(uid)
  process.setuid?.(uid)
  const status = readFileSync("/proc/self/status", "latin1")
  const field = (name: string): string =>
    new RegExp(`^${name}:(.*)$`, "m").exec(status)?.[1]?.trim() ?? ""
  const id = String(uid)
  const unprivileged =
    field("Uid")
      .split(/\s+/)
      .every((each) => each === id) &&
    field("Gid")
      .split(/\s+/)
      .every((each) => each === id) &&
    field("Groups") === "" &&
    ["CapPrm", "CapEff", "CapAmb"].every((name) => /^0*$/.test(field(name)))
  if (!unprivileged) throw new Error(`Cannot become user ${uid}: privileges are left`)
}
