/**
 * What the job's programs will trust beside the machine's authorities: the run's own and those of
 * `--upstream-ca`. Reads the machine for certs/trust/, with the rights of the job's user. ✋
 */
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from "node:fs"
import { readdirSync, statSync } from "node:fs"
import { rootCertificates } from "node:tls"
import { as, type Owner } from "../events/log-file.ts"
import { trust, type Trust, type Wanted } from "../certs/trust/plan.ts"
import { joined } from "../certs/trust/pem.ts"
import { systemRoots } from "../certs/trust/system.ts"
import type { Found, Machine } from "../certs/trust/store.ts"

/** The largest store of a distribution is 250 KiB. */
const fileBytesMax = 4 << 20
/** Names in one directory: stores of certificates have some hundreds. */
const namesMax = 8_192

/** null where the file is none, cannot be read, or is too large: it is not extended then. */
function read(path: string): Found | null {
  let fd: number | null = null
  try {
    const real = realpathSync.native(path)
    // Why before opening: to open a device or a pipe is an act of its own.
    if (!statSync(real).isFile()) return null
    fd = openSync(real, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
    const facts = fstatSync(fd)
    const { size, dev, ino } = facts
    if (!facts.isFile() || size > fileBytesMax) return null
    const bytes = Buffer.alloc(size)
    let length = 0
    while (length < size) {
      const got = readSync(fd, bytes, length, size - length, null)
      if (got === 0) break
      length += got
    }
    return { bytes: bytes.subarray(0, length), path: real, dev, ino }
  } catch {
    return null
  } finally {
    if (fd !== null) closeSync(fd)
  }
}

function list(path: string): readonly string[] {
  try {
    return readdirSync(path).slice(0, namesMax)
  } catch {
    return []
  }
}

function real(path: string): string | null {
  try {
    return realpathSync.native(path)
  } catch {
    return null
  }
}

/** The machine as one user may read it, each file once. */
export function machine(environment: Machine["environment"], home: string | null): Machine {
  const files = new Map<string, Found | null>()
  return {
    environment,
    home,
    list,
    real,
    read(path) {
      const known = files.get(path)
      if (known !== undefined) return known
      const found = read(path)
      files.set(path, found)
      return found
    },
  }
}

/** Authorities for a machine without a bundle: Node's own, which are Mozilla's. */
export const ownRoots = (): string => `${rootCertificates.join("\n")}\n`

export interface JobTrust {
  readonly environment: Machine["environment"]
  readonly user: Owner & { readonly home: string | null }
  readonly directory: string
  /** PEM of `--upstream-ca`; null: none. */
  readonly upstream: string | null
  /** PEM of the run's authority. */
  readonly authority: string
}

/**
 * PEM of the authorities by which servers are verified: the machine's, or Node's where it has none.
 *
 * @param further PEM of `--upstream-ca`; null: none
 */
export function upstreamRoots(further: string | null): string {
  const roots = systemRoots(machine({}, null))
  return joined(roots === "" ? ownRoots() : roots, further ?? "")
}

/** Where a run's files are in the job's view. */
export const jobFolder = "/run/sluice"

/** What the job gets. Call before any other thread runs: it changes the process's user for a moment. */
export function jobTrust({ environment, user, directory, upstream, authority }: JobTrust): Trust {
  const wanted: Wanted = {
    added: joined(upstream ?? "", authority),
    otherwise: ownRoots,
    directory,
    folder: jobFolder,
    coversSystem: true,
    nowMs: Date.now(),
  }
  return as(user, () => trust(machine(environment, user.home), wanted))
}
