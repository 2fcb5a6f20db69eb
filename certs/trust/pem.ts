/** Certificates as text (RFC 7468): cut out of files, joined to bundles, as bytes. Pure. */

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

/** Each certificate of a text, DER. */
export function dersIn(text: string): Buffer[] {
  return (text.match(certificate) ?? []).map((each) =>
    Buffer.from(each.replaceAll(/-----[A-Z ]+-----|\s/g, ""), "base64"),
  )
}

/** A text without the private keys in it: a user's own file may hold both, for nobody else to read. */
export function withoutKeys(text: string): string {
  let inKey = false
  return text
    .split("\n")
    .filter((line) => {
      if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(line)) inKey = true
      const drop = inKey
      if (/-----END [A-Z0-9 ]*PRIVATE KEY-----/.test(line)) inKey = false
      return !drop
    })
    .join("\n")
}

/** A bundle, and more behind it; the first may lack its last line end. */
export function joined(bundle: string, more: string): string {
  return bundle === "" || bundle.endsWith("\n") ? `${bundle}${more}` : `${bundle}\n${more}`
}
