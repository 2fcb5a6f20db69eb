/** Row 40: the authority of a run, whose key nobody in the job may have, and none of another run's. */
import { X509Certificate } from "node:crypto"
import t from "tap"
import { runLifeMs } from "../../certs/authority.ts"
import { guarded, labFor, whyNoLab } from "./harness.ts"

t.setTimeout(120_000)
const skip = whyNoLab() ?? false

/**
 * Looks for keys as a thief would: every readable file that was written lately or lies where Sluice
 * has its own, and the environment of every process that is to be seen. Prints the public key of each
 * private one. Left out is what packages install, for the time that it takes.
 */
const search = String.raw`
set -f
left_out='-path /usr -o -path /proc -o -name node_modules -o -path /root/.* -o -path /opt'
recent() { find / -xdev \( $left_out \) -prune -o -type f -readable -newermt '-10 minutes' -size -256k -print 2>/dev/null; }
ours() { find /run /dev/shm /var/lib/sluice /etc/ssl -type f -readable 2>/dev/null; }
{ recent; ours; } | sort -u | xargs -d '\n' grep -lsaE '^-----BEGIN [A-Z ]*PRIVATE KEY' | while read -r file; do
  openssl pkey -in "$file" -pubout 2>/dev/null
done
cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | grep -a 'PRIVATE KEY'
`

t.test("row 40: the authority of a run", { skip, timeout: 110_000 }, async (t) => {
  const lab = await labFor(t, {})
  const inside = async (script: string): Promise<string> =>
    (await guarded(lab, { mode: "block", timeoutMs: 60_000 }, ["sh", "-c", script])).stdout

  await t.test("its certificate is inside, and nothing else of it", async (t) => {
    const files = await inside("find /run/sluice -type f | grep -v trust/ | sort")
    t.strictSame(files.trimEnd().split("\n"), [
      "/run/sluice/added-authorities.pem",
      "/run/sluice/authority.pem",
      "/run/sluice/ca-certificates.crt",
      "/run/sluice/resolv.conf",
    ])
  })

  await t.test("no key that can be read in the job is its key", async (t) => {
    const planted =
      "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $HOME/planted"
    const stdout = await inside(
      `export HOME=$(mktemp -d); ${planted}; openssl pkey -in $HOME/planted -pubout; cat /run/sluice/authority.pem; echo ===\n${search}\nrm -r $HOME`,
    )
    const [before = "", found = ""] = stdout.split("===\n")
    const [shown = "", certificate = ""] = before.split(/(?=-----BEGIN CERTIFICATE)/)
    t.ok(shown.length > 0 && found.includes(shown), "the search finds a key that is there")
    const key = new X509Certificate(certificate).publicKey.export({ type: "spki", format: "pem" })
    t.notOk(found.includes(key.toString()), "and not the authority's")
  })

  await t.test("it is made anew for each run, and lives for days", async (t) => {
    const texts = [await inside("cat /run/sluice/authority.pem")]
    texts.push(await inside("cat /run/sluice/authority.pem"))
    const [one, other] = texts.map((text) => new X509Certificate(text))
    if (one === undefined || other === undefined) throw new Error("unreachable")
    t.not(one.subject, other.subject)
    t.notOk(one.publicKey.equals(other.publicKey))
    t.not(one.serialNumber, other.serialNumber)
    for (const { ca, validFrom, validTo } of [one, other]) {
      t.equal(ca, true)
      t.ok(Date.parse(validFrom) < Date.now() - 24 * 60 * 60 * 1000, "a skewed clock does no harm")
      t.ok(Date.parse(validTo) <= Date.now() + runLifeMs)
    }
  })

  await t.test("what the job changes in its stores is changed for nobody else", async (t) => {
    const path = "/etc/ssl/certs/sluice-test.pem"
    t.teardown(() => lab.run(["rm", "-f", path]))
    t.equal(await inside(`echo mine >${path}; cat ${path}`), "mine\n")
    t.not((await lab.run(["cat", path])).status, 0)
  })
})
