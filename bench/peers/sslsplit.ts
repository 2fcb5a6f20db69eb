/** sslsplit: opens TLS and encrypts anew, bytes only: it reads no HTTP. */
import { authorityFile, peerAuthorityFiles } from "../certificates.ts"
import { missingProgram, peer } from "../contestant.ts"

const port = 8464

export const sslsplit = peer({
  name: "sslsplit",
  carries: "opened",
  missing: () => missingProgram("sslsplit", ["sslsplit"]),
  port,
  prepare(bed) {
    const { certificate, key } = peerAuthorityFiles
    const issuing = ["-c", bed.file(certificate), "-k", bed.file(key)]
    // Why: its default for leaves is RSA with 2048 bits, slower than what the others use.
    const leafKey = ["-K", bed.file("peer-page.key")]
    const trust = ["env", `SSL_CERT_FILE=${bed.file(authorityFile)}`]
    const verifying = ["-o", "VerifyPeer=yes", "-u", "root"]
    return [
      ...trust,
      "sslsplit",
      ...issuing,
      ...leafKey,
      ...verifying,
      ...["ssl", "0.0.0.0", `${port}`],
    ]
  },
})
