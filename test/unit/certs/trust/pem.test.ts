import t from "tap"
import { pem } from "../../../../certs/certificate.ts"
import { certificatesIn, dersIn, joined, withoutKeys } from "../../../../certs/trust/pem.ts"

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

t.test("dersIn() gives the bytes of each certificate, and pem() its text again", (t) => {
  t.strictSame(dersIn(`${one}\n# words\n${one}`), Array(2).fill(Buffer.from([1, 2, 3, 4, 5, 6])))
  const long = Buffer.alloc(100, 7)
  t.strictSame(dersIn(pem(long)), [long])
  t.ok(
    pem(long)
      .split("\n")
      .every((line) => line.length <= 64),
  )
  t.end()
})

t.test("joined() keeps certificates apart, whether or not a file ends with a line end", (t) => {
  t.equal(joined("a", "b\n"), "a\nb\n")
  t.equal(joined("a\n", "b\n"), "a\nb\n")
  t.equal(joined("", "b\n"), "b\n")
  t.end()
})

t.test("withoutKeys() drops private keys, and nothing else", (t) => {
  const key = (kind: string): string => `-----BEGIN ${kind}-----\nAQID\n-----END ${kind}-----\n`
  for (const kind of [
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
  ]) {
    t.equal(withoutKeys(`# mine\n${key(kind)}${one}\n`), `# mine\n${one}\n`, kind)
  }
  t.equal(withoutKeys(`${one}\n${key("PUBLIC KEY")}`), `${one}\n${key("PUBLIC KEY")}`)
  t.equal(withoutKeys(`${one}\n-----BEGIN PRIVATE KEY-----\nAQ`), one, "and one that does not end")
  t.end()
})
