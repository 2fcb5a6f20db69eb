/** Who the job runs as: the user who called sudo, or the one named. */
import type { Owner } from "../events/log-file.ts"
import { runTool } from "../kernel/tool.ts"
import type { Identity } from "./launch.ts"

export interface User extends Identity {
  readonly name: string
  /** null: no home directory is known. */
  readonly home: string | null
  readonly shell: string | null
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The job's user.
 *
 * @param wanted `--user NAME` or a number; null: who called sudo, else root
 * @throws Error when there is no such user
 */
export function jobUser(wanted: string | null, environment: Environment): User {
  const key = wanted ?? environment["SUDO_UID"] ?? "0"
  // Why no leading hyphen: getent would take it for an option.
  if (!/^[\w.@$][\w.@$-]{0,63}$/.test(key)) throw new Error(unknownUser(key))
  let entry: string[]
  try {
    entry = runTool("getent", ["passwd", key]).trim().split(":")
  } catch {
    // Why: a container may have no entry for the number that called sudo; the number is enough.
    const gid = wanted === null ? (environment["SUDO_GID"] ?? key) : key
    if (!isId(key) || !isId(gid)) throw new Error(unknownUser(key))
    return { name: key, uid: Number(key), gid: Number(gid), groups: [], home: null, shell: null }
  }
  const [name = key, , uid = "", gid = "", , home = "", shell = ""] = entry
  const groups = runTool("id", ["-G", name]).trim().split(/\s+/).map(Number)
  return {
    name,
    uid: Number(uid),
    gid: Number(gid),
    groups,
    home: home || null,
    shell: shell || null,
  }
}

/** Who called: the user behind sudo, else whoever this process is. What they name, they must be able to read. */
export function caller(environment: Environment): Owner {
  const { SUDO_UID: uid = "", SUDO_GID: gid = uid } = environment
  if (isId(uid) && isId(gid)) return { uid: Number(uid), gid: Number(gid) }
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
}

/** A user's or group's number. The highest means "no change" to setresuid(2). */
function isId(text: string): boolean {
  return /^\d{1,10}$/.test(text) && Number(text) < 0xffffffff
}

function unknownUser(key: string): string {
  return `Cannot run as "${key}": there is no such user, must be a name or number of /etc/passwd`
}

/**
 * The environment the job would have had without us: sudo put its own user in place of the caller.
 */
export function jobEnvironment(environment: Environment, user: User): Record<string, string> {
  const result: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined) result[name] = value
  }
  if (user.uid === 0) return result
  if (user.home !== null) result["HOME"] = user.home
  if (user.shell !== null) result["SHELL"] = user.shell
  result["USER"] = user.name
  result["LOGNAME"] = user.name
  delete result["MAIL"]
  return result
}

/** A user number that no account and no process has: the gate's own. */
export function gateUid(seed: number, isTaken: (uid: number) => boolean): number {
  // systemd's range for such users (systemd.exec(5), DynamicUser=): 61184 to 65519.
  const first = 61_184
  const count = 4_336
  for (let step = 0; step < count; step++) {
    const uid = first + ((seed + step) % count)
    if (!isTaken(uid)) return uid
  }
  throw new Error(`Cannot find a user for the gate: ${first} to ${first + count - 1} are all taken`)
}
