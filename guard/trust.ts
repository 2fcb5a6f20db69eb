/** The authorities that the job's programs will trust: the machine's, and those the user added. */
import { readFileSync } from "node:fs"

/** Where distributions keep their bundle: Debian and Alpine, Red Hat, openSUSE. */
const bundles = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
]

/** PEM of the machine's bundle; "" where the machine has none. */
function machineBundle(): string {
  for (const path of bundles) {
    try {
      return readFileSync(path, "utf8")
    } catch {
      // Why: another distribution's place.
    }
  }
  return ""
}

const certificate = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+?-----END CERTIFICATE-----/g

/**
 * The certificates in a text, and nothing else of it: the job is shown them.
 *
 * @returns null where there is none
 */
export function certificatesIn(text: string): string | null {
  const found = text.match(certificate) ?? []
  return found.length === 0 ? null : `${found.join("\n")}\n`
}

/**
 * The bundle that lies ready in the job's /run/sluice, for programs that are pointed to it.
 *
 * @param further PEM of `--upstream-ca`; null: none
 */
export function trustBundle(further: string | null): string {
  return further === null ? machineBundle() : `${machineBundle()}\n${further}`
}
