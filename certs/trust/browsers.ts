/**
 * Browsers: Chrome, Chromium, Edge and Firefox, which have authorities of their own. They are told by
 * the policies that a machine's owner gives them.
 *
 * Why not by the user's NSS database: only certutil(1) can write one, and it loads whatever libraries
 * the database names, before the firewall stands around it. A database in the home is also kept
 * beyond the run.
 */
import { pem } from "../certificate.ts"
import type { Places } from "./places.ts"
import type { Machine } from "./store.ts"

/**
 * Chrome's family reads every file of `policies/managed` (chromium.org, Linux Quick Start). Each row: a
 * directory that is there, and where the policies are below it. /etc/opt is in every Debian.
 */
const managed = [
  { directory: "/etc/opt", below: "chrome/policies/managed" },
  { directory: "/etc/opt", below: "chrome_for_testing/policies/managed" },
  { directory: "/etc/opt", below: "edge/policies/managed" },
  { directory: "/etc/chromium", below: "policies/managed" },
  { directory: "/etc/chromium-browser", below: "policies/managed" },
] as const

/** Firefox reads the first of these (toolkit/components/enterprisepolicies). */
const firefox = [
  { directory: "/etc/firefox", below: "policies" },
  { directory: "/usr/lib/firefox/distribution", below: "" },
  { directory: "/usr/lib/firefox-esr/distribution", below: "" },
  { directory: "/usr/share/firefox-esr/distribution", below: "" },
  { directory: "/usr/lib64/firefox/distribution", below: "" },
] as const

/** Directories that are copied once a policy is put there. */
export const browserDirectories = [...managed, ...firefox].map(({ directory }) => directory)

type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)
const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

function read(machine: Machine, path: string): Fields {
  try {
    return fieldsOf(JSON.parse(machine.read(path)?.bytes.toString("utf8") ?? "{}"))
  } catch {
    // Why: a browser does not read such a file either.
    return {}
  }
}

/**
 * Puts policies where browsers look for them; what other policies say stays.
 *
 * @param certificates DER
 * @param folder where the run's files lie
 * @returns files for that folder: Firefox takes certificates from files only
 */
export function extendBrowsers(
  machine: Machine,
  places: Places,
  certificates: readonly Buffer[],
  folder: string,
): Readonly<Record<string, string>> {
  for (const { directory, below } of managed) {
    const real = machine.real(directory)
    if (real === null) continue
    // Why: of one name in two files only one counts.
    const others = machine
      .list(`${real}/${below}`)
      .filter((name) => name.endsWith(".json"))
      .flatMap((name) => listOf(read(machine, `${real}/${below}/${name}`)["CACertificates"]))
    const ours = certificates.map((der) => der.toString("base64"))
    const policy = JSON.stringify({ CACertificates: [...others, ...ours] })
    // The last name of all: files are read in their order.
    places.copy(real).files[`${below}/zz-sluice.json`] = policy
  }
  const place = firefox.find(({ directory }) => machine.real(directory) !== null)
  const real = place === undefined ? null : machine.real(place.directory)
  if (place === undefined || real === null) return {}
  const files = Object.fromEntries(
    certificates.map((der, index) => [`trust/authority-${index + 1}.pem`, pem(der)]),
  )
  const name = [place.below, "policies.json"].filter((part) => part !== "").join("/")
  const given = read(machine, `${real}/${name}`)
  const policies = fieldsOf(given["policies"])
  const kept = fieldsOf(policies["Certificates"])
  const paths = Object.keys(files).map((file) => `${folder}/${file}`)
  const Certificates = { ...kept, Install: [...listOf(kept["Install"]), ...paths] }
  places.copy(real).files[name] = JSON.stringify({
    ...given,
    policies: { ...policies, Certificates },
  })
  return files
}
