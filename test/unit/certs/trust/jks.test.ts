import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import t from "tap"
import { authority } from "../../../../certs/authority.ts"
import { jks, readJks } from "../../../../certs/trust/jks.ts"

const nowMs = Date.UTC(2026, 10, 25)
const entries = ["one", "zwei", "三"].map((alias) => ({ alias, der: authority(alias, nowMs).der }))

/** An entry with a private key, as a user's own store may hold one: tag, alias, date, key, chain. */
const keyEntry = Buffer.concat([
  Buffer.from("0000000100036b6579000000000000000000000002aabb", "hex"),
  Buffer.from("000000010005582e35303900000003010203", "hex"),
])

t.test("readJks() gives back what jks() wrote", (t) => {
  t.strictSame(readJks(jks({ entries, others: [] }, nowMs)), { entries, others: [] })
  const both = { entries, others: [keyEntry, keyEntry] }
  t.strictSame(readJks(jks(both, nowMs)), both)
  t.strictSame(readJks(jks({ entries: [], others: [] }, nowMs)), { entries: [], others: [] })
  t.end()
})

t.test("readJks() gives null for a store that is cut anywhere", (t) => {
  const whole = jks({ entries: entries.slice(0, 1), others: [keyEntry] }, nowMs)
  for (let end = 0; end < whole.length; end++) {
    if (readJks(whole.subarray(0, end)) !== null) t.fail(`${end} bytes`)
  }
  t.end()
})

t.test("readJks() gives null for other files, and in no long time", (t) => {
  const startedMs = performance.now()
  for (const parts of [
    [],
    ["cececece", "00000002", "00000000"],
    ["feedfeed", "00000001", "00000000"],
    ["feedfeed", "00000002", "ffffffff"],
    ["feedfeed", "00000002", "00000001", "00000003", "00"],
    // A chain of four thousand million certificates.
    ["feedfeed", "00000002", "00000001", "00000001", "0000", "00".repeat(12), "ffffffff"],
  ]) {
    const text = parts.join("")
    t.equal(readJks(Buffer.from(text, "hex")), null, text)
  }
  t.ok(performance.now() - startedMs < 1_000)
  t.end()
})

const hasKeytool = spawnSync("keytool", ["-help"]).status === 0

t.test(
  "Java reads the store, and its digest fits the password and no other",
  { skip: hasKeytool ? false : "keytool is not installed" },
  (t) => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-jks-"))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const path = join(folder, "store")
    writeFileSync(path, jks({ entries: entries.slice(0, 2), others: [] }, nowMs, "secret"))
    const list = ["-list", "-keystore", path, "-storepass"]
    const said = execFileSync("keytool", [...list, "secret"], { encoding: "utf8" })
    t.match(said, /contains 2 entries/)
    t.match(said, /^one, .*trustedCertEntry/m)
    t.not(spawnSync("keytool", [...list, "changeit"]).status, 0)
    t.end()
  },
)
