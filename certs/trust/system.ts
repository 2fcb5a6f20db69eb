/**
 * The system's own store, where each distribution has it: for all programs that have none of their own.
 * GnuTLS (wget, apt, Debian's Git) has no variable at all, so it is replaced in the job's view.
 *
 * Directories are copied as a whole, so that a program that renews the store in the job, such as
 * update-ca-certificates(8) after an apt-get, works, and finds the added authorities where a
 * machine's owner would put them. What it writes ends with the run.
 */
import { joined } from "./pem.ts"
import type { Places } from "./places.ts"
import type { Found, Machine } from "./store.ts"
import { subjectHash } from "./subject-hash.ts"

/**
 * Bundles; the first that is there is the machine's.
 * Precedent: Go's list (crypto/x509/root_linux.go), and OpenSSL's default on Debian.
 */
export const bundles = [
  "/etc/ssl/certs/ca-certificates.crt", // Debian, Alpine, Gentoo
  "/etc/pki/tls/certs/ca-bundle.crt", // Fedora, Red Hat
  "/etc/ssl/ca-bundle.pem", // openSUSE
  "/etc/pki/tls/cacert.pem", // OpenELEC
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // CentOS, Red Hat 7 and newer
  "/etc/ssl/cert.pem", // Alpine, OpenSSL's default
  "/etc/pki/tls/cert.pem", // Red Hat's OpenSSL
  "/etc/pki/ca-trust/extracted/openssl/ca-bundle.trust.crt", // Red Hat's own format
  "/etc/ca-certificates/extracted/tls-ca-bundle.pem", // Arch
  "/var/lib/ca-certificates/ca-bundle.pem", // openSUSE
  "/usr/lib/ssl/cert.pem", // OpenSSL's default on Debian
  "/usr/local/share/certs/ca-root-nss.crt",
] as const

/** Directories that the distribution's own tool writes, and where it takes a machine's own authorities from. */
const managed = [
  { directory: "/etc/ssl/certs", anchors: "/usr/local/share/ca-certificates", ending: "crt" },
  {
    directory: "/etc/pki/ca-trust/extracted",
    anchors: "/etc/pki/ca-trust/source/anchors",
    ending: "pem",
  },
  {
    directory: "/etc/ca-certificates/extracted",
    anchors: "/etc/ca-certificates/trust-source/anchors",
    ending: "crt",
  },
  { directory: "/var/lib/ca-certificates", anchors: "/etc/pki/trust/anchors", ending: "pem" },
] as const

export const managedDirectories = managed.map(({ directory }) => directory)

/** Directories in which OpenSSL looks for `HASH.N` (openssl-rehash(1)). */
const hashed = [
  "/etc/ssl/certs",
  "/etc/pki/tls/certs",
  "/etc/pki/ca-trust/extracted/pem/directory-hash",
  "/var/lib/ca-certificates/pem",
] as const

/** OpenSSL's `BEGIN TRUSTED CERTIFICATE` is one too. */
const anyCertificate = /-----BEGIN (TRUSTED )?CERTIFICATE-----/

export interface SystemStore {
  /** The path by which programs know the machine's bundle; null: it has none. */
  readonly bundle: string | null
  /** PEM of the machine's authorities; "" where it has no bundle. */
  readonly roots: string
}

/**
 * Puts the added authorities into every store of the system.
 *
 * @param added PEM
 * @param certificates the same, each DER
 */
export function extendSystem(
  machine: Machine,
  places: Places,
  added: string,
  certificates: readonly { readonly der: Buffer; readonly pem: string }[],
): SystemStore {
  const found = bundles.flatMap((path) => {
    const file = machine.read(path)
    const text = file?.bytes.toString("utf8") ?? ""
    return file !== null && anyCertificate.test(text) ? [{ path, file, text }] : []
  })
  for (const { file, text } of found) places.put(file, joined(text, added))
  for (const path of hashed) extendHashed(machine, places, path, certificates)
  for (const { directory, anchors, ending } of managed) {
    const [real, from] = [machine.real(directory), machine.real(anchors)]
    // Why not otherwise: the machine's own tool would write them where the machine keeps them.
    if (real === null || from === null || !places.copies(real)) continue
    const { files } = places.copy(from)
    for (const [index, { pem }] of certificates.entries()) files[named(index, ending)] = pem
  }
  const [first] = found
  return { bundle: first?.path ?? null, roots: first?.text ?? "" }
}

/** PEM of the machine's authorities; "" where it has no bundle. */
export function systemRoots(machine: Machine): string {
  for (const path of bundles) {
    const text = machine.read(path)?.bytes.toString("utf8") ?? ""
    if (anyCertificate.test(text)) return text
  }
  return ""
}

function named(index: number, ending: string): string {
  return `sluice-${index + 1}.${ending}`
}

function extendHashed(
  machine: Machine,
  places: Places,
  path: string,
  certificates: readonly { readonly der: Buffer; readonly pem: string }[],
): void {
  const real = machine.real(path)
  if (real === null || !places.copies(real)) return
  const names = new Set(machine.list(real))
  if (![...names].some((name) => /^[0-9a-f]{8}\.\d+$/.test(name))) return
  for (const [index, { der, pem }] of certificates.entries()) {
    const hash = subjectHash(der)
    if (hash === null) continue
    let number = 0
    while (names.has(`${hash}.${number}`)) number++
    names.add(`${hash}.${number}`)
    places.add(`${real}/${named(index, "pem")}`, pem)
    places.link(`${real}/${hash}.${number}`, named(index, "pem"))
  }
}

/** Text of a file that a variable names; of a directory, the certificates in it. null: there is none. */
export function textAt(
  machine: Machine,
  path: string,
): { text: string; file: Found | null } | null {
  const file = machine.read(path)
  if (file !== null) {
    const text = file.bytes.toString("utf8")
    return anyCertificate.test(text) ? { text, file } : null
  }
  const inside = machine
    .list(path)
    .filter((name) => /\.(pem|crt|cer|\d+)$/.test(name))
    .map((name) => machine.read(`${path}/${name}`))
    .filter((each) => each !== null)
  // Why by real path: the same certificate lies there as a file and as one or two links.
  const texts = new Map(inside.map((each) => [each.path, each.bytes.toString("utf8")]))
  const text = [...texts.values()].filter((each) => anyCertificate.test(each)).join("\n")
  return text === "" ? null : { text, file: null }
}
