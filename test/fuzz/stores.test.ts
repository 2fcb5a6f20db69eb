/**
 * Stores of certificates, mutated and random: nothing throws, nothing takes long. They are a user's
 * files, and the guard that reads them is root. Seeded and short; longer with FUZZ_SECONDS.
 */
import { execFileSync, spawnSync } from "node:child_process"
import t from "tap"
import { authority } from "../../certs/authority.ts"
import { configuredPaths } from "../../certs/trust/configured.ts"
import { jks, readJks } from "../../certs/trust/jks.ts"
import { certificatesIn, dersIn, withoutKeys } from "../../certs/trust/pem.ts"
import { readPkcs12 } from "../../certs/trust/pkcs12.ts"
import { stores } from "../../certs/trust/plan.ts"
import { subjectHash } from "../../certs/trust/subject-hash.ts"
import { randomly } from "./randomly.ts"

const seconds = Number(process.env["FUZZ_SECONDS"] ?? 1)
/** A derivation of a key with the most iterations, on a busy machine. */
const slowMs = 3_000

const { below, bytes, mutated, one } = randomly()
const made = authority("Fuzz", Date.now())
const entries = ["one", "two"].map((alias) => ({ alias, der: made.der }))
const store = jks({ entries, others: [] }, Date.now())

/** A store of OpenSSL's, encrypted or not; where there is no OpenSSL, bytes. */
function pkcs12(...options: readonly string[]): Buffer {
  if (spawnSync("openssl", ["version"]).status !== 0) return made.der
  const argv = ["pkcs12", "-export", "-nokeys", "-passout", "pass:changeit", ...options]
  return execFileSync("openssl", argv, { input: made.pem, stdio: ["pipe", "pipe", "ignore"] })
}
const plain = pkcs12("-certpbe", "NONE", "-nomac")
const encrypted = pkcs12("-certpbe", "AES-256-CBC", "-iter", "1")

function input(): Buffer {
  const seed = one([store, plain, encrypted, made.der, Buffer.from(made.pem)])
  let result = below(9) === 0 ? bytes(below(600)) : seed
  for (let count = below(4); count > 0; count--) result = mutated(result)
  return below(5) === 0 ? result.subarray(0, below(result.length + 1)) : result
}

t.test("readers of stores bear any bytes", (t) => {
  const until = performance.now() + seconds * 1000
  let tried = 0
  while (performance.now() < until) {
    const given = input()
    const startedMs = performance.now()
    try {
      readJks(given)
      readPkcs12(given, "changeit")
      subjectHash(given)
      const text = given.toString("utf8")
      certificatesIn(text)
      for (const der of dersIn(text)) subjectHash(der)
      withoutKeys(text)
    } catch (error) {
      t.fail(`${String(error)}: ${given.toString("hex")}`)
    }
    const tookMs = performance.now() - startedMs
    if (tookMs > slowMs) t.fail(`${tookMs} ms: ${given.toString("hex")}`)
    tried++
  }
  t.ok(tried > 0)
  t.comment(`${tried} inputs`)
  t.end()
})

t.test("readers of configuration bear any text", (t) => {
  const until = performance.now() + seconds * 1000
  const words = [
    "cafile",
    "cert",
    "=",
    ":",
    " ",
    "\n",
    '"',
    "'",
    "sslCAInfo",
    "~/",
    "x".repeat(500),
  ]
  const configured = stores.flatMap((each) => each.configured ?? [])
  while (performance.now() < until) {
    const text = Array.from({ length: below(400) }, () => one(words)).join("")
    const found = { bytes: Buffer.from(text), path: "/x", dev: 0, ino: 0 }
    const machine = {
      environment: {},
      home: "/home/me",
      list: () => [],
      real: (path: string) => path,
    }
    const startedMs = performance.now()
    configuredPaths({ ...machine, read: () => found }, "/srv/project", configured)
    const tookMs = performance.now() - startedMs
    if (tookMs > slowMs) t.fail(`${tookMs} ms: ${JSON.stringify(text)}`)
  }
  t.pass("none was slow")
  t.end()
})
