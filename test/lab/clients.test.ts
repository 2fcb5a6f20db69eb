/** Programs as people use them, behind the firewall: each where it may go, and where it may not. */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import t from "tap"
import type { Event } from "../../events/event.ts"
import type { Reason } from "../../flows/reason.ts"
import { guarded, labFor, whyNoLab } from "../bypass/harness.ts"
import { script, shown } from "../bypass/ways.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false
const evil = "198.51.100.66"

interface Client {
  readonly name: string
  /** Programs that must be there, else the client is skipped by name. */
  readonly needs: string
  /** Shell: reaches what is allowed, and prints what it got. */
  readonly allowed: string
  readonly prints: RegExp
  /** Shell: tries what is not allowed. */
  readonly denied: string
  readonly reason: Reason
  /** The end of the executable's path in the events. */
  readonly executable: RegExp
  readonly allow?: readonly string[]
  /** It asks names, and opens no connection. */
  readonly asksOnly?: true
}

type Told = Extract<Event, { kind: "name" | "flow" }>
const told = (events: readonly Event[]): Told[] =>
  events.filter((event) => event.kind === "name" || event.kind === "flow")

function has(program: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

/** A directory with one bare repository in it, as a plain web server serves it. */
function repositories(): string {
  const root = mkdtempSync(join(tmpdir(), "sluice-git-"))
  const git = (...argv: string[]): void => {
    const names = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    execFileSync("git", ["-C", root, ...names, ...argv], { stdio: "ignore" })
  }
  git("init", "work")
  writeFileSync(join(root, "work", "file"), "cloned\n")
  git("-C", "work", "add", "file")
  git("-C", "work", "commit", "-m", "first")
  git("clone", "--bare", "work", "repo.git")
  git("-C", "repo.git", "update-server-info")
  return root
}

const java = `import java.net.*;
public class Fetch {
  public static void main(String[] argv) throws Exception {
    for (String url : argv) {
      try (var in = new URL(url).openStream()) { System.out.print(new String(in.readAllBytes())); }
      catch (java.io.IOException e) { System.out.println(e); }
    }
  }
}
`

/** @param ca PEM file of the lab's authority @param home a directory to write in */
function clients(ca: string, home: string): Client[] {
  const usual = { reason: "name-not-allowed", prints: /hello from allowed\.test over tls/ } as const
  const ssh =
    "timeout 3 ssh -v -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
  const npm = `npm install --prefix ${home}/app --cache ${home}/cache --cafile ${ca} --fetch-retries=0 --no-audit --no-fund --no-update-notifier left-padder`
  const node = (url: string): string =>
    `NODE_EXTRA_CA_CERTS=${ca} node -e 'require("https").get("${url}", (r) => r.pipe(process.stdout)).on("error", (e) => console.log(e.code))'`
  return [
    {
      name: "curl, HTTP/1.1",
      needs: "curl",
      allowed: `curl -sS -m 9 --http1.1 --cacert ${ca} https://allowed.test/`,
      denied: `curl -sS -m 9 --http1.1 --cacert ${ca} https://evil.test/`,
      executable: /\/curl$/,
      ...usual,
    },
    {
      name: "curl, HTTP/2",
      needs: "curl",
      allowed: `curl -sS -m 9 --http2 -w '%{http_version}' --cacert ${ca} https://allowed.test/`,
      denied: `curl -sSk -m 9 --http2 --resolve evil.test:443:${evil} https://evil.test/`,
      executable: /\/curl$/,
      reason: "name-not-allowed",
      prints: /hello from allowed\.test over tls\n2/,
    },
    {
      name: "wget",
      needs: "wget",
      allowed: `wget -q -T 9 -t 1 -O - --ca-certificate=${ca} https://allowed.test/`,
      denied: `wget -q -T 9 -t 1 -O - --ca-certificate=${ca} https://evil.test/`,
      executable: /\/wget$/,
      ...usual,
    },
    {
      name: "git",
      needs: "git",
      allowed: `GIT_SSL_CAINFO=${ca} git clone https://git.example.com/repo.git ${home}/clone && cat ${home}/clone/file`,
      denied: `GIT_SSL_CAINFO=${ca} git clone -q https://evil.test/repo.git ${home}/other`,
      executable: /\/git-remote-http$/,
      reason: "name-not-allowed",
      prints: /^cloned$/m,
      allow: ["git.example.com"],
    },
    {
      name: "npm",
      needs: "npm",
      allowed: `${npm} --registry https://registry.example.com && cd ${home}/app && node -p 'require("left-padder")(7, 3)'`,
      denied: `${npm} --registry https://evil.test --prefer-online`,
      executable: /\/node$/,
      reason: "name-not-allowed",
      prints: /^ {2}7$/m,
      allow: ["registry.example.com"],
    },
    {
      name: "Python",
      needs: "python3",
      allowed: `SSL_CERT_FILE=${ca} python3 -c 'import urllib.request as r; print(r.urlopen("https://pypi.example.com/simple/tidy-words/").read().decode())'`,
      denied: `SSL_CERT_FILE=${ca} python3 -c 'import urllib.request as r; r.urlopen("https://evil.test/")'`,
      executable: /\/python3[.\d]*$/,
      reason: "name-not-allowed",
      prints: /tidy_words-1\.0\.0/,
      allow: ["pypi.example.com"],
    },
    {
      name: "Node",
      needs: "node",
      allowed: node("https://allowed.test/"),
      denied: node("https://evil.test/"),
      executable: /\/node$/,
      ...usual,
    },
    {
      name: "Java",
      needs: "keytool",
      allowed: `java -XX:TieredStopAtLevel=1 -Djavax.net.ssl.trustStore=${home}/trust -Djavax.net.ssl.trustStorePassword=changeit ${home}/Fetch.java https://allowed.test/ https://evil.test/`,
      denied: "true",
      executable: /\/java$/,
      ...usual,
    },
    {
      name: "dig",
      needs: "dig",
      allowed: "dig +short allowed.test A",
      denied: "dig evil.test A",
      executable: /\/dig$/,
      reason: "name-not-allowed",
      prints: /198\.51\.100\.10\n[\s\S]*NXDOMAIN[\s\S]*EDE: 15 \(Blocked\)/,
      asksOnly: true,
    },
    {
      name: "openssl s_client",
      needs: "openssl",
      allowed: `openssl s_client -connect allowed.test:443 -servername allowed.test -CAfile ${ca} </dev/null 2>&1`,
      denied: `openssl s_client -connect ${evil}:443 -servername evil.test </dev/null 2>&1`,
      executable: /\/openssl$/,
      reason: "name-not-allowed",
      prints: /Verify return code: 0 \(ok\)[\s\S]*alert/,
    },
    {
      name: "ssh",
      needs: "ssh",
      allowed: `${ssh} allowed.test 2>&1`,
      denied: `${ssh} ${evil} 2>&1`,
      executable: /\/ssh$/,
      reason: "address-not-allowed",
      prints: /remote software version OpenSSH_9\.2/,
      allow: ["allowed.test:22"],
    },
  ]
}

t.test("clients", { skip, timeout: 280_000 }, async (t) => {
  const served = has("git") ? repositories() : null
  t.teardown(() => served !== null && rmSync(served, { recursive: true, force: true }))
  const lab = await labFor(t, served === null ? {} : { repositories: served })
  const home = join(lab.directory, "home")
  mkdirSync(join(home, "app"), { recursive: true })
  writeFileSync(join(home, "Fetch.java"), java)
  if (has("keytool")) {
    const store = ["-keystore", join(home, "trust"), "-storepass", "changeit", "-noprompt"]
    const certificate = ["-importcert", "-alias", "lab", "-file", lab.authorityFile]
    execFileSync("keytool", [...certificate, ...store], { stdio: "ignore" })
  }

  for (const client of clients(lab.authorityFile, home)) {
    const missing = has(client.needs) ? {} : { skip: `needs ${client.needs}` }
    await t.test(`${client.name} reaches what is allowed, and nothing else`, missing, async (t) => {
      const allow = client.allow ?? ["allowed.test"]
      const run = await guarded(
        lab,
        { mode: "block", allow, environment: { HOME: home }, timeoutMs: 60_000 },
        ["sh", "-c", `${client.allowed}\n${client.denied}\n`],
      )
      if (!t.match(run.stdout, client.prints, "it got what it asked for")) t.comment(shown(run))
      const events = told(run.events)
      const kind = client.asksOnly === true ? "name" : "flow"
      const passed = events.filter((event) => event.kind === kind && event.verdict === "allow")
      const denied = events.filter(({ verdict }) => verdict === "deny")
      t.ok(passed.length > 0, "what passed is told")
      t.ok(
        denied.some(({ reason, enforced }) => reason === client.reason && enforced),
        "what was denied is told",
      )
      // Why not all of them: what is allowed does not wait until it is known whose it is.
      const named = (list: readonly Told[]): Told[] =>
        list.filter(({ process }) => client.executable.test(process?.executable ?? ""))
      if (client.asksOnly !== true) t.ok(named(passed).length > 0, "what passed is somebody's")
      const all = t.equal(named(denied).length, denied.length, "what was denied is somebody's")
      if (!all) t.comment(shown(run))
      t.match(run.events.at(-1), { kind: "run-ended", lost: 0 })
    })
  }

  await t.test("programs that are gone in a moment are named", async (t) => {
    const count = 8
    const run = await guarded(lab, { mode: "block", allow: ["allowed.test:80"] }, [
      ...["sh", "-c"],
      `for n in $(seq ${count}); do curl -s -m 5 http://allowed.test/ >/dev/null; curl -s -m 5 http://${evil}:808$n/; curl -s -m 5 http://n$n.evil.test/; done; true`,
    ])
    const events = told(run.events)
    const flows = events.filter(({ kind }) => kind === "flow")
    t.equal(flows.length, 2 * count)
    const denied = events.filter(({ verdict }) => verdict === "deny")
    t.ok(denied.length >= 2 * count)
    for (const event of denied) {
      t.match(event.process, { executable: /\/curl$/, ancestors: [{ executable: /sh$/ }] })
    }
  })

  await t.test("a job outlives its orphans, and they leave nothing behind", async (t) => {
    const orphans = "for n in 1 2 3 4 5; do (sleep 0.0$n &); done; sleep 0.5"
    const run = await guarded(lab, { mode: "block" }, [
      ...["sh", "-c", `${orphans}; echo alive; cat /proc/[0-9]*/stat | grep -c ' Z '; exit 7`],
    ])
    t.equal(run.stdout, "alive\n0\n")
    t.equal(run.status, 7)
  })

  await t.test("a program that asks names over TCP is named", async (t) => {
    const { events } = await guarded(
      lab,
      { mode: "block", allow: ["allowed.test"] },
      script(
        `for host in ("allowed.test", "evil.test"):`,
        `    m = question(host); tcp("203.0.113.53", 53, struct.pack(">H", len(m)) + m)`,
      ),
    )
    const names = told(events)
    t.strictSame(
      names.map(({ verdict }) => verdict),
      ["allow", "deny"],
    )
    t.match(names.at(-1)?.process, { executable: /\/python3[.\d]*$/ })
  })
})
