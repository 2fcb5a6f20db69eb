/**
 * The authority that is kept on a machine: made once, by root, and trusted by its programs where
 * somebody wants that. ✋ A run does not use it: each makes its own.
 */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { X509Certificate } from "node:crypto"
import { hostname } from "node:os"
import { dirname, join } from "node:path"
import { authority } from "../certs/authority.ts"
import { anchorFile, systemMeans, type Means } from "../certs/trust/means.ts"
import { runTool, tool } from "../kernel/tool.ts"

/** Root's alone to write; the certificate is everybody's to read. */
export const keptFolder = "/var/lib/sluice/authority"
const certificateName = "certificate.pem"
const keyName = "key.pem"
/** RFC 5280 appendix A bounds a common name at 64; the random part keeps two machines apart. */
const hostnameCharsMax = 40
/** A store with 150 authorities and Java's hook take seconds, on a slow machine many. */
const updateTimeoutMs = 120_000

export interface Kept {
  readonly path: string
  readonly pem: string
  /** Milliseconds since 1970. */
  readonly notAfterMs: number
}

/** The kept certificate; null: none was made. */
export function keptAuthority(folder = keptFolder): Kept | null {
  const path = join(folder, certificateName)
  if (!existsSync(path)) return null
  const pem = readFileSync(path, "utf8")
  return { path, pem, notAfterMs: Date.parse(new X509Certificate(pem).validTo) }
}

/**
 * Makes an authority and keeps it; one that is there stays.
 *
 * @throws Error when what is there could have been read or changed by others
 */
export function keepAuthority(nowMs: number, folder = keptFolder): Kept {
  const known = keptAuthority(folder)
  if (known !== null) {
    checkKey(join(folder, keyName))
    return known
  }
  const parent = dirname(folder)
  mkdirSync(parent, { recursive: true, mode: 0o755 })
  // Why beside it and then renamed: nobody ever sees half of one, or two.
  const made = mkdtempSync(join(parent, ".authority-"))
  try {
    const random = made.slice(-6).toLowerCase()
    const signer = authority(`Sluice ${hostname().slice(0, hostnameCharsMax)} ${random}`, nowMs)
    const key = signer.key.export({ type: "pkcs8", format: "pem" })
    writeFileSync(join(made, keyName), key, { mode: 0o600, flag: "wx" })
    writeFileSync(join(made, certificateName), signer.pem, { mode: 0o644, flag: "wx" })
    chmodSync(made, 0o755)
    renameSync(made, folder)
  } finally {
    rmSync(made, { recursive: true, force: true })
  }
  return keepAuthority(nowMs, folder)
}

function checkKey(path: string): void {
  const facts = lstatSync(path)
  if (facts.isFile() && facts.uid === process.getuid?.() && (facts.mode & 0o077) === 0) return
  const mode = (facts.mode & 0o7777).toString(8)
  throw new Error(
    `Cannot use the key "${path}": its owner is ${facts.uid} and its mode ${mode}, must be root's alone (600); sluice ca uninstall removes it`,
  )
}

/** Removes the kept authority, and says whether there was one. */
export function forgetAuthority(folder = keptFolder): boolean {
  const was = existsSync(folder)
  rmSync(folder, { recursive: true, force: true })
  return was
}

/** The means of this machine's distribution; null: it is none that is known. */
export function machineMeans(): Means | null {
  return systemMeans(
    (name) => {
      try {
        return tool(name) !== ""
      } catch {
        return false
      }
    },
    (path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true,
  )
}

/**
 * Adds a certificate to the system's store, with the distribution's own tool.
 *
 * @returns false: it was there already
 */
export function addToSystem(means: Means, pem: string): boolean {
  const path = anchorFile(means)
  if (existsSync(path) && readFileSync(path, "utf8") === pem) return false
  writeFileSync(path, pem, { mode: 0o644 })
  try {
    runTool(means.tool, means.add, "", updateTimeoutMs)
  } catch (error) {
    // Why: else the next install would think that it is done.
    rmSync(path, { force: true })
    throw error
  }
  return true
}

/** Takes it away again. @returns false: it was not there */
export function removeFromSystem(means: Means): boolean {
  const path = anchorFile(means)
  if (!existsSync(path)) return false
  rmSync(path)
  runTool(means.tool, means.remove, "", updateTimeoutMs)
  return true
}
