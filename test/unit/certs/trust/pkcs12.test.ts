import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import t from "tap"
import { authority } from "../../../../certs/authority.ts"
import { readPkcs12 } from "../../../../certs/trust/pkcs12.ts"

const folder = mkdtempSync(join(tmpdir(), "sluice-p12-"))
t.teardown(() => rmSync(folder, { recursive: true }))
const certificates = ["one", "two"].map((name) => authority(name, Date.now()))
const ders = certificates.map(({ der }) => der)
const hasOpenssl = spawnSync("openssl", ["version"]).status === 0
const skip = hasOpenssl ? false : "openssl is not installed"
writeFileSync(join(folder, "all.pem"), certificates.map(({ pem }) => pem).join(""))

/** A store with both certificates, as openssl-pkcs12(1) makes it. */
function store(password: string, ...options: readonly string[]): Buffer {
  const argv = ["pkcs12", "-export", "-nokeys", "-in", join(folder, "all.pem")]
  const out = ["-out", join(folder, "store"), "-passout", `pass:${password}`]
  execFileSync("openssl", [...argv, ...out, ...options], { stdio: "ignore" })
  return readFileSync(join(folder, "store"))
}

t.test("readPkcs12() reads stores with encryption and without", { skip }, (t) => {
  const plain = store("changeit", "-certpbe", "NONE", "-nomac", "-caname", "first")
  const found = readPkcs12(plain, "not needed")
  t.strictSame(
    found?.map(({ der }) => der),
    ders,
  )
  t.strictSame(
    found?.map(({ alias }) => alias),
    ["first", "certificate 2"],
  )
  for (const cipher of ["AES-256-CBC", "AES-192-CBC", "AES-128-CBC"]) {
    const bytes = store("changeit", "-certpbe", cipher)
    const read = readPkcs12(bytes, "changeit")
    t.strictSame(
      read?.map(({ der }) => der),
      ders,
      cipher,
    )
    t.equal(readPkcs12(bytes, "another"), null, `${cipher}, another password`)
  }
  t.strictSame(readPkcs12(store("", "-certpbe", "AES-256-CBC", "-macalg", "SHA1"), "")?.length, 2)
  t.end()
})

t.test(
  "readPkcs12() gives null for what it cannot read, and does not count for ever",
  { skip },
  (t) => {
    const whole = store("changeit", "-certpbe", "AES-256-CBC", "-iter", "1")
    // Why not the last ones: the digest at the end is not read.
    for (let end = 0; end < whole.length - 200; end++) {
      if (readPkcs12(whole.subarray(0, end), "changeit") !== null) t.fail(`${end} bytes`)
    }
    const older = spawnSync("openssl", [
      ...["pkcs12", "-export", "-nokeys", "-legacy", "-certpbe", "PBE-SHA1-RC2-40"],
      ...["-in", join(folder, "all.pem"), "-passout", "pass:changeit", "-out", join(folder, "old")],
    ])
    if (older.status === 0) t.equal(readPkcs12(readFileSync(join(folder, "old")), "changeit"), null)
    const startedMs = performance.now()
    t.equal(
      readPkcs12(store("changeit", "-certpbe", "AES-256-CBC", "-iter", "300000"), "changeit"),
      null,
    )
    t.ok(performance.now() - startedMs < 5_000)
    t.end()
  },
)

t.test("readPkcs12() gives null for other bytes", (t) => {
  for (const bytes of [
    Buffer.alloc(0),
    ders[0] ?? Buffer.alloc(0),
    Buffer.from("feedfeed", "hex"),
  ]) {
    t.equal(readPkcs12(bytes, "changeit"), null)
  }
  t.end()
})
