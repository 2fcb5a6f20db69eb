/**
 * `sluice ca install` and `uninstall` with the distribution's own tool, on copies of the machine's
 * stores: in a mount namespace of its own, so that nothing outside changes.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import t from "tap"

t.setTimeout(280_000)
const program = join(resolve(import.meta.dirname, "../.."), "dist", "cli", "main.js")
const bundle = "/etc/ssl/certs/ca-certificates.crt"
const skip =
  process.getuid?.() !== 0
    ? "needs root"
    : !existsSync("/usr/sbin/update-ca-certificates")
      ? "needs Debian's ca-certificates"
      : false

/** Everything that install and uninstall change, as a copy. */
const covered = `set -e
for path in /etc/ssl/certs /usr/local/share/ca-certificates /var/lib/sluice; do
  mkdir -p "$path"
  copy=$(mktemp -d -p "$HOME")
  cp -a "$path/." "$copy"
  mount --bind "$copy" "$path"
done
set +e
ca() { echo "<ca $1>"; ${process.execPath} ${program} ca "$@" 2>&1; echo "<status $?>"; }
`

t.test("sluice ca", { skip, timeout: 270_000 }, (t) => {
  const home = mkdtempSync(join(tmpdir(), "sluice-ca-"))
  t.teardown(() => {
    rmSync(home, { recursive: true })
    execFileSync("rmdir", ["--ignore-fail-on-non-empty", "/var/lib/sluice"])
  })
  const before = readFileSync(bundle, "utf8")
  const run = (script: string): string =>
    execFileSync("unshare", ["--mount", "--propagation", "private", "sh", "-c", covered + script], {
      encoding: "utf8",
      env: { PATH: process.env["PATH"] ?? "", HOME: home },
      // Why: a message of update-ca-certificates is nobody's here.
      stdio: ["ignore", "pipe", "ignore"],
    })

  const said = run(`
ca path; ca install; ca install; ca path
stat -c '%a %U' /var/lib/sluice/authority/key.pem
openssl verify -CApath /etc/ssl/certs -no-CAfile /var/lib/sluice/authority/certificate.pem
grep -c BEGIN ${bundle}
cp /var/lib/sluice/authority/certificate.pem $HOME/kept.pem
ca env
ca uninstall; ca uninstall
grep -c BEGIN ${bundle}
openssl verify -CApath /etc/ssl/certs -no-CAfile $HOME/kept.pem 2>&1 | tail -1
rm $HOME/kept.pem
find /etc/ssl/certs -name 'sluice*'; ls /var/lib/sluice
`)
  const parts = said.split(/<ca \w+>\n/)
  const [, none, made, again, path, env, gone, goneAgain] = parts
  const certificate = "/var/lib/sluice/authority/certificate.pem"
  t.match(none, /none is kept on this machine.*\n<status 1>/)
  t.match(made, /Made an authority: .*\n.*Added it to the system's store with update-ca-cert.*\n/)
  t.match(again, /The authority is .*\n.*has it already\n.*\n<status 0>/)
  t.match(path, `${certificate}\n<status 0>\n600 root\n${certificate}: OK\n`)
  t.match(env, /^export NODE_EXTRA_CA_CERTS=/m)
  t.match(gone, /Took the authority out of .*\n.*Removed the authority with its key\n<status 0>/)
  t.match(goneAgain, /does not have it\n.*No authority is kept on this machine\n<status 0>/)
  const [with_, without] = [...said.matchAll(/^(\d+)$/gm)].map(([count]) => Number(count))
  t.equal(with_, (without ?? 0) + 1, "the bundle has one more, and then as many as before")
  t.match(goneAgain, /error|failed/, "and nobody trusts it any more")
  t.equal(readFileSync(bundle, "utf8"), before, "outside nothing has changed")
  t.end()
})
