import t from "tap"
import { certificatesIn, trustBundle } from "../../../guard/trust.ts"

const one = "-----BEGIN CERTIFICATE-----\nAQID\nBAUG\n-----END CERTIFICATE-----"

t.test("certificatesIn() keeps certificates and nothing that stands around them", (t) => {
  const key = "-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----"
  t.equal(certificatesIn(`# my own\n${one}\n${key}\r\n${one}`), `${one}\n${one}\n`)
  for (const text of ["", "root:*:1:0:99999:7:::\n", key, "-----BEGIN CERTIFICATE-----\nAQ"]) {
    t.equal(certificatesIn(text), null, text)
  }
  t.end()
})

t.test("certificatesIn() takes no long time over a text that has none", (t) => {
  const startedMs = performance.now()
  t.equal(certificatesIn("-----BEGIN CERTIFICATE-----\n".repeat(100_000)), null)
  t.equal(certificatesIn(`-----BEGIN CERTIFICATE-----${"A".repeat(4 << 20)}`), null)
  t.ok(performance.now() - startedMs < 2_000)
  t.end()
})

t.test("trustBundle() ends with the authorities of the user", (t) => {
  t.ok(trustBundle(`${one}\n`).endsWith(`${one}\n`))
  t.notMatch(trustBundle(null), one)
  t.end()
})
