import { X509Certificate } from "node:crypto"
import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect, createServer } from "node:tls"
import type { AddressInfo } from "node:net"
import { once } from "node:events"
import t from "tap"
import { authority } from "../../../certs/authority.ts"
import { leaf, leafKey, selfSignedLeaf } from "../../../certs/leaf.ts"

const nowMs = Date.now()
const dayMs = 24 * 60 * 60 * 1000
const ca = authority("Sluice test authority", nowMs)
const key = leafKey()

t.test("leaf() is signed by its authority and names what it was asked to name", (t) => {
  const made = new X509Certificate(leaf(ca, key, ["allowed.test", "*.allowed.test"], nowMs).der)
  const root = new X509Certificate(ca.pem)
  t.ok(made.verify(root.publicKey))
  t.ok(made.checkIssued(root))
  t.equal(made.subjectAltName, "DNS:allowed.test, DNS:*.allowed.test")
  t.equal(made.ca, false)
  t.equal(root.ca, true)
  t.match(made.keyUsage, ["1.3.6.1.5.5.7.3.1"])
  t.end()
})

t.test("leaf() is valid since two days, so that a wrong clock does no harm", (t) => {
  const made = new X509Certificate(leaf(ca, key, ["allowed.test"], nowMs).der)
  t.ok(Date.parse(made.validFrom) <= nowMs - 2 * dayMs)
  t.ok(Date.parse(made.validTo) > nowMs + 2 * dayMs)
  t.ok(Date.parse(made.validTo) <= nowMs + 3 * dayMs, "and is over soon")
  t.end()
})

t.test("leaf() never gives a serial number twice, and only positive ones of 16 bytes", (t) => {
  const serials = Array.from(
    { length: 200 },
    () => new X509Certificate(leaf(ca, key, ["allowed.test"], nowMs).der).serialNumber,
  )
  t.equal(new Set(serials).size, serials.length)
  t.ok(serials.every((serial) => /^[4-7][0-9A-F]{31}$/.test(serial)))
  t.end()
})

t.test("leaf() for a name too long for a common name leaves the subject empty", (t) => {
  const long = `${"a".repeat(60)}.allowed.test`
  const made = new X509Certificate(leaf(ca, key, [long], nowMs).der)
  t.equal(made.subject, undefined)
  t.equal(made.checkHost(long), long)
  t.end()
})

t.test("leaf() writes addresses, and years beyond 2049", (t) => {
  const options = {
    addresses: [Buffer.from([198, 51, 100, 10])],
    notAfterMs: Date.UTC(2077, 0, 2, 3, 4, 5),
  }
  const made = new X509Certificate(leaf(ca, key, ["allowed.test"], nowMs, options).der)
  t.equal(made.checkIP("198.51.100.10"), "198.51.100.10")
  t.equal(Date.parse(made.validTo), options.notAfterMs)
  t.end()
})

t.test("a TLS client that trusts the authority accepts the leaf, and no other", async (t) => {
  const good = leaf(ca, key, ["allowed.test"], nowMs)
  const cases = [
    { name: "good", made: good, host: "allowed.test", error: null },
    { name: "another name", made: good, host: "evil.test", error: "ERR_TLS_CERT_ALTNAME_INVALID" },
    {
      name: "expired",
      made: leaf(ca, key, ["allowed.test"], nowMs, { notAfterMs: nowMs - dayMs }),
      host: "allowed.test",
      error: "CERT_HAS_EXPIRED",
    },
    {
      name: "another purpose",
      made: leaf(ca, key, ["allowed.test"], nowMs, { purpose: "clientAuth" }),
      host: "allowed.test",
      error: "INVALID_PURPOSE",
    },
    {
      name: "signed by itself",
      made: selfSignedLeaf(key, ["allowed.test"], nowMs),
      host: "allowed.test",
      error: "DEPTH_ZERO_SELF_SIGNED_CERT",
    },
  ]
  for (const { name, made, host, error } of cases) {
    const server = createServer({ cert: made.pem, key: key.pem }, (socket) => socket.end("hello"))
    server.on("tlsClientError", () => {})
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const { port } = server.address() as AddressInfo
    const client = connect({ port, host: "127.0.0.1", servername: host, ca: [ca.pem] })
    const outcome = await once(client, "secureConnect").then(
      () => null,
      (fault: NodeJS.ErrnoException) => fault.code,
    )
    t.equal(outcome, error, name)
    client.destroy()
    server.close()
  }
})

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0

t.test(
  "openssl verify accepts the chain with strict checks",
  { skip: hasOpenssl ? false : "openssl is not installed" },
  (t) => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-leaf-"))
    t.teardown(() => rmSync(folder, { recursive: true }))
    writeFileSync(join(folder, "ca.pem"), ca.pem)
    writeFileSync(join(folder, "leaf.pem"), leaf(ca, key, ["allowed.test"], nowMs).pem)
    const answer = execFileSync(
      "openssl",
      [
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-verify_hostname",
        "allowed.test",
      ].concat("-CAfile", join(folder, "ca.pem"), join(folder, "leaf.pem")),
      { encoding: "utf8" },
    )
    t.match(answer, /leaf\.pem: OK/)
    t.end()
  },
)
