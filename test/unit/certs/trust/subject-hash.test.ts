import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import t from "tap"
import { authority } from "../../../../certs/authority.ts"
import { pem } from "../../../../certs/certificate.ts"
import { dersIn } from "../../../../certs/trust/pem.ts"
import { subjectHash } from "../../../../certs/trust/subject-hash.ts"

const skip = spawnSync("openssl", ["version"]).status === 0 ? false : "openssl is not installed"
const folder = mkdtempSync(join(tmpdir(), "sluice-hash-"))
t.teardown(() => rmSync(folder, { recursive: true }))

function opensslHash(der: Buffer): string {
  const input = pem(der)
  return execFileSync("openssl", ["x509", "-noout", "-subject_hash"], {
    input,
    encoding: "utf8",
  }).trim()
}

/** A certificate that openssl-req(1) made, with another subject. */
function made(subject: string, mask: string): Buffer {
  const settings = join(folder, "openssl.cnf")
  writeFileSync(settings, `[req]\ndistinguished_name = d\nstring_mask = ${mask}\nutf8 = yes\n[d]\n`)
  const text = execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-config", settings, "-keyout", join(folder, "key"), "-utf8", "-subj", subject],
    ],
    { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
  )
  return dersIn(text)[0] ?? Buffer.alloc(0)
}

t.test("subjectHash() says what OpenSSL says", { skip }, (t) => {
  for (const subject of [
    "/CN=Sluice 20261125T163920-4dcd4ae6",
    "/C=DE/O=Some  Company,  Inc. /OU=  a b /CN=Root CA",
    "/O=Zürich/CN=三 Ω",
    "/O=a+OU=b+CN=c/CN=d",
    "/DC=test/DC=allowed/emailAddress=Me@Example.com/CN=X",
  ]) {
    for (const mask of ["utf8only", "default", "nombstr"]) {
      let der: Buffer
      try {
        der = made(subject, mask)
      } catch {
        // Why: some subjects cannot be written in some types.
        continue
      }
      t.equal(subjectHash(der), opensslHash(der), `${subject} as ${mask}`)
    }
  }
  const ours = authority("Sluice Of Ours", Date.now()).der
  t.equal(subjectHash(ours), opensslHash(ours))
  t.end()
})

t.test("subjectHash() gives null for a certificate that is cut anywhere", (t) => {
  const { der } = authority("cut", Date.now())
  for (let end = 0; end < der.length; end++) {
    if (subjectHash(der.subarray(0, end)) !== null) t.fail(`${end} bytes`)
  }
  t.match(subjectHash(der), /^[0-9a-f]{8}$/)
  t.end()
})
