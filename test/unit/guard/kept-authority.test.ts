import { X509Certificate, createPrivateKey } from "node:crypto"
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import t from "tap"
import { forgetAuthority, keepAuthority, keptAuthority } from "../../../guard/kept-authority.ts"

t.test("keepAuthority() makes one, keeps its key to itself, and gives the same again", (t) => {
  const parent = mkdtempSync(join(tmpdir(), "sluice-kept-"))
  t.teardown(() => rmSync(parent, { recursive: true }))
  const folder = join(parent, "deep", "authority")
  t.equal(keptAuthority(folder), null)
  const kept = keepAuthority(Date.now(), folder)
  t.strictSame(keepAuthority(Date.now(), folder), kept)
  t.strictSame(keptAuthority(folder), kept)
  t.equal(statSync(join(folder, "key.pem")).mode & 0o7777, 0o600)
  t.equal(statSync(folder).mode & 0o7777, 0o755)
  const certificate = new X509Certificate(kept.pem)
  t.ok(certificate.checkPrivateKey(createPrivateKey(readFileSync(join(folder, "key.pem")))))
  t.match(certificate.subject, /^CN=Sluice /)
  t.strictSame(readdirSync(join(parent, "deep")), ["authority"], "nothing else is left")

  chmodSync(join(folder, "key.pem"), 0o644)
  t.throws(() => keepAuthority(Date.now(), folder), /its mode 644, must be root's alone/)

  t.equal(forgetAuthority(folder), true)
  t.equal(forgetAuthority(folder), false)
  t.equal(keptAuthority(folder), null)
  t.end()
})
