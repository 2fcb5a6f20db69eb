/**
 * What a command trusts: real programs, with no flag or variable of the test's own, against a host
 * whose certificate only the run's added authority has signed.
 */
import { createHash } from "node:crypto"
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  lstatSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { homedir } from "node:os"
import { join, resolve } from "node:path"
import t from "tap"
import { authority } from "../../certs/authority.ts"
import { jks } from "../../certs/trust/jks.ts"
import { arrives, guarded, labFor, whyNoLab, type Guarded } from "../bypass/harness.ts"

t.setTimeout(280_000)
const skip = whyNoLab() ?? false
const url = "https://allowed.test/"
const hello = /hello from allowed\.test over tls/

interface Program {
  readonly name: string
  /** Shell: succeeds where the program can be tried. */
  readonly needs: string
  /** Shell: fetches `url` and prints what came. */
  readonly fetch: string
  readonly prints?: RegExp
  /** What arrives at the far end, and only there shows that it was trusted. */
  readonly arrives?: string
}

/** Where npm puts programs. */
const packages = resolve(import.meta.dirname, "../../node_modules/.bin")

/** Debian's own Python: another one in PATH has a home of its own. */
const python = "/usr/bin/python3"

const http = `import java.net.*; import java.net.http.*;
public class Fetch {
  public static void main(String[] argv) throws Exception {
    try (var in = new URL(argv[0]).openStream()) { System.out.print(new String(in.readAllBytes())); }
    var request = HttpRequest.newBuilder(URI.create(argv[0])).build();
    System.out.print(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
  }
}
`
const go = `package main
import ("fmt"; "io"; "net/http"; "os")
func main() {
  answer, err := http.Get(os.Args[1])
  if err != nil { fmt.Println(err); os.Exit(1) }
  io.Copy(os.Stdout, answer.Body)
}
`

const compiler = "-m jdk.compiler/com.sun.tools.javac.Main --release 11"

/** @param home a directory with Fetch.class and fetch in it */
function programs(home: string, jvms: readonly Jvm[]): Program[] {
  const twice = /(hello from allowed\.test over tls\n){2}/
  return [
    { name: "curl", needs: "command -v curl", fetch: `curl -sS ${url}` },
    {
      name: "openssl s_client, in a directory alone",
      needs: "command -v openssl",
      fetch:
        "openssl s_client -no-CAfile -no-CAstore -CApath /etc/ssl/certs -connect allowed.test:443 </dev/null 2>&1",
      prints: /Verify return code: 0 \(ok\)/,
    },
    { name: "wget", needs: "command -v wget", fetch: `wget -q -O - ${url}` },
    {
      name: "openssl s_client",
      needs: "command -v openssl",
      fetch: "openssl s_client -connect allowed.test:443 -verify_return_error </dev/null 2>&1",
      prints: /Verify return code: 0 \(ok\)/,
    },
    {
      name: "openssl s_client, without a variable",
      needs: "command -v openssl",
      fetch: "env -u SSL_CERT_FILE openssl s_client -connect allowed.test:443 </dev/null 2>&1",
      prints: /Verify return code: 0 \(ok\)/,
    },
    {
      name: "gnutls-cli",
      needs: "command -v gnutls-cli",
      fetch: `printf 'GET / HTTP/1.0\\r\\nHost: allowed.test\\r\\n\\r\\n' | gnutls-cli allowed.test`,
    },
    {
      name: "git ls-remote",
      needs: "command -v git",
      fetch: `git ls-remote ${url}repo.git 2>&1`,
      // Why this: the host answers, and has no repository.
      prints: /not valid: is this a git repository/,
    },
    {
      name: "Python urllib",
      needs: `${python} -c 'import ssl'`,
      fetch: `${python} -c 'import urllib.request as r; print(r.urlopen("${url}").read().decode())'`,
    },
    {
      name: "Python requests, as Debian has it",
      needs: `${python} -c 'import requests'`,
      fetch: `${python} -c 'import requests; print(requests.get("${url}").text)'`,
    },
    {
      name: "Python httpx",
      needs: `${python} -c 'import httpx'`,
      fetch: `${python} -c 'import httpx; print(httpx.get("${url}").text)'`,
    },
    {
      name: "Node https",
      needs: "true",
      fetch: `node -e 'require("https").get("${url}", (r) => r.pipe(process.stdout)).on("error", (e) => console.log(e.code))'`,
    },
    {
      name: "Node fetch",
      needs: "true",
      fetch: `node -e 'fetch("${url}").then((r) => r.text()).then(console.log, (e) => console.log(e.cause.code))'`,
    },
    {
      name: "Node with OpenSSL's store",
      needs: "true",
      fetch: `node --use-openssl-ca -e 'fetch("${url}").then((r) => r.text()).then(console.log, (e) => console.log(e.cause.code))'`,
    },
    ...jvms.map(({ version, path }) => ({
      name: `Java ${version}, HttpsURLConnection and HttpClient`,
      needs: `test -e ${home}/Fetch.class`,
      fetch: `${path} -XX:TieredStopAtLevel=1 -cp ${home} Fetch ${url} 2>&1`,
      prints: new RegExp(`^${twice.source}$`),
    })),
    { name: "Go", needs: `test -x ${home}/fetch`, fetch: `${home}/fetch ${url}` },
    {
      name: "Go, without a variable",
      needs: `test -x ${home}/fetch`,
      fetch: `env -u SSL_CERT_FILE ${home}/fetch ${url}`,
    },
    {
      name: "Ruby",
      needs: "ruby -ropenssl -e 1",
      fetch: `ruby -rnet/http -e 'puts Net::HTTP.get(URI("${url}"))'`,
    },
    {
      name: "PHP streams",
      needs: "php -r 'exit(extension_loaded(\"openssl\") ? 0 : 1);'",
      fetch: `php -r 'echo file_get_contents("${url}");'`,
    },
    {
      name: "PHP curl",
      needs: "php -r 'exit(extension_loaded(\"curl\") ? 0 : 1);'",
      fetch: `php -r '$c = curl_init("${url}"); curl_exec($c); echo curl_error($c);'`,
    },
    {
      name: "Perl LWP",
      needs: "perl -MLWP::UserAgent -MLWP::Protocol::https -e 1",
      fetch: `perl -MLWP::UserAgent -e 'print LWP::UserAgent->new->get("${url}")->decoded_content'`,
    },
    {
      name: "Perl HTTP::Tiny",
      needs: "perl -MHTTP::Tiny -MIO::Socket::SSL -e 1",
      fetch: `perl -MHTTP::Tiny -e 'print HTTP::Tiny->new(verify_SSL => 1)->get("${url}")->{content}'`,
    },
    {
      name: "Cargo",
      needs: "command -v cargo",
      fetch: `cd ${home} && mkdir -p crate/src && cd crate && printf '[package]\\nname = "one"\\nversion = "1.0.0"\\nedition = "2021"\\n[lib]\\npath = "src/lib.rs"\\n[dependencies]\\ntwo = { version = "1", registry = "lab" }\\n' >Cargo.toml && : >src/lib.rs && CARGO_HOME=${home}/cargo CARGO_REGISTRIES_LAB_INDEX=sparse+https://allowed.test/index/ CARGO_NET_RETRY=0 cargo fetch 2>&1`,
      // Why this: the index was fetched over TLS, and is none.
      prints: /failed to parse|expected (value|ident)/,
    },
    ...["bun", "deno"].map((name) => ({
      name,
      needs: `test -x ${packages}/${name}`,
      fetch: `${packages}/${name} ${name === "bun" ? "-e" : "eval"} 'console.log(await (await fetch("${url}")).text())'`,
    })),
    {
      name: "Chromium",
      needs: "command -v chromium",
      // Why that option: root needs it.
      fetch: `timeout 60 chromium --headless --no-sandbox --disable-gpu --dump-dom ${url} 2>/dev/null`,
    },
    {
      name: "Firefox",
      needs: "command -v firefox-esr",
      // Why a picture: it can print nothing else. It shows the page only if it is large.
      fetch: `timeout 60 firefox-esr --headless --screenshot ${home}/page.png ${url}firefox 2>/dev/null; echo done`,
      prints: /done/,
      arrives: "/firefox ",
    },
    {
      name: "AWS CLI",
      needs: "aws --version",
      fetch: `AWS_EC2_METADATA_DISABLED=true AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b aws --region us-east-1 --endpoint-url ${url} sts get-caller-identity 2>&1`,
      prints: /Unable to parse response|ResponseParserError|invalid XML/i,
    },
  ]
}

interface Jvm {
  readonly version: string
  readonly path: string
}

/** JVMs on this machine. */
function javas(): Jvm[] {
  const found = new Map<string, string>()
  const folders = ["/usr/lib/jvm"]
  for (const folder of folders) {
    let names: string[]
    try {
      names = readdirSync(folder)
    } catch {
      continue
    }
    for (const name of names) {
      const path = `${folder}/${name}/bin/java`
      if (!has(`test -x ${path}`)) continue
      const words = execFileSync("sh", ["-c", `${path} -version 2>&1`], { encoding: "utf8" })
      const version = /version "([^"]+)"/.exec(words)?.[1]
      if (version !== undefined) found.set(version, path)
    }
  }
  return [...found].map(([version, path]) => ({ version, path }))
}

function has(test: string): boolean {
  try {
    execFileSync("sh", ["-c", test], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

/** Everything in the machine's stores: what a run must not change. */
function digestOfStores(): string {
  const digest = createHash("sha256")
  const add = (path: string): void => {
    const facts = lstatSync(path, { throwIfNoEntry: false })
    if (facts === undefined) return
    digest.update(`${path} ${facts.mode} ${facts.ino} ${facts.mtimeMs}\n`)
    if (facts.isSymbolicLink()) digest.update(readlinkSync(path))
    else if (facts.isFile()) digest.update(readFileSync(path))
    else if (facts.isDirectory()) for (const name of readdirSync(path)) add(join(path, name))
  }
  for (const path of ["/etc/ssl/certs", "/usr/local/share/ca-certificates", "/etc/pki"]) add(path)
  return digest.digest("hex")
}

t.test("trust", { skip, timeout: 270_000 }, async (t) => {
  const lab = await labFor(t, {})
  const home = join(lab.directory, "home")
  mkdirSync(home)
  writeFileSync(join(home, "Fetch.java"), http)
  writeFileSync(join(home, "fetch.go"), go)
  const jvms = javas()
  // Why by the module: a JVM without a compiler may stand first in PATH.
  jvms.some(({ path }) => has(`${path} ${compiler} -d ${home} ${home}/Fetch.java`))
  if (has("command -v go")) {
    const environment = { ...process.env, HOME: home, GOFLAGS: "-mod=mod", GO111MODULE: "off" }
    const argv = ["build", "-o", join(home, "fetch"), join(home, "fetch.go")]
    execFileSync("go", argv, { env: environment, cwd: home, stdio: "ignore" })
  }
  const before = digestOfStores()
  const plain = {
    PATH: process.env["PATH"] ?? "",
    HOME: home,
    RUSTUP_HOME: process.env["RUSTUP_HOME"] ?? join(homedir(), ".rustup"),
  }
  /** Runs a script with nothing in its environment that speaks of certificates. */
  const run = (
    script: string,
    environment: Record<string, string> = {},
    options: readonly string[] = [],
  ): Promise<Guarded> =>
    guarded(
      lab,
      {
        mode: "block",
        allow: ["allowed.test"],
        environment: { ...plain, ...environment },
        bare: true,
        options,
        timeoutMs: 60_000,
      },
      ["sh", "-c", script],
    )

  const all = programs(home, jvms).map((each) => ({ ...each, here: has(each.needs) }))
  const present = all.filter(({ here }) => here)
  /** What each program that is there says, all in one run: that is soon done. */
  const saidIn = async (given: readonly string[]): Promise<Map<Program, string>> => {
    const script = present.map(({ fetch }, index) => `echo "<${index}>"; (${fetch})`).join("\n")
    const settings = { environment: plain, bare: true, timeoutMs: 120_000 }
    const { stdout } = await lab.run([...given, script], settings)
    const parts = stdout.split(/^<\d+>\n/m).slice(1)
    return new Map(present.map((program, index) => [program, parts[index] ?? "nothing"]))
  }
  const options = ["--quiet", "--mode", "block", "--allow", "allowed.test"]
  const argv = lab.guarded(options, ["sh", "-c"])

  await t.test("no program trusts that host by itself", async (t) => {
    const said = await saidIn(argv.toSpliced(argv.indexOf("--upstream-ca"), 2))
    for (const [{ name, prints, arrives: word }, words] of said) {
      if (word === undefined) t.notMatch(words, prints ?? hello, name)
      else t.strictSame(await lab.seen(word), [], name)
    }
  })

  const said = await saidIn(argv)
  for (const program of all) {
    const { name, here, needs, prints, arrives: word } = program
    const missing = here ? {} : { skip: `needs ${needs}` }
    await t.test(`${name} trusts the authorities of the run`, missing, async (t) => {
      t.match(said.get(program), prints ?? hello)
      if (word !== undefined) t.ok(await arrives(lab, word), "what it asked for arrives")
    })
  }

  await t.test("existing values of variables are extended", async (t) => {
    const own = join(lab.directory, "own.pem")
    const mine = authority("Somebody's own", Date.now()).pem
    writeFileSync(own, `# mine\n${mine}`)
    const names = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"]
    const script = `${names.map((name) => `cat "$${name}"; echo ===`).join("\n")}
node -e 'require("https").get("${url}", (r) => r.pipe(process.stdout)).on("error", (e) => console.log(e.code))'
git ls-remote ${url}repo.git 2>&1`
    const { stdout } = await run(script, Object.fromEntries(names.map((name) => [name, own])))
    const texts = stdout.split("===\n")
    for (const [index, name] of names.entries()) {
      const text = texts[index] ?? ""
      t.ok(text.includes(mine) && text.includes("# mine"), `${name} keeps what it named`)
      t.ok(text.includes(readFileSync(lab.authorityFile, "utf8")), `${name} names what was added`)
    }
    t.match(texts.at(-1), hello)
    t.match(texts.at(-1), /is this a git repository/)
    t.equal(readFileSync(own, "utf8"), `# mine\n${mine}`, "the file itself is as it was")
  })

  await t.test("what configuration names is extended, and stays what it is", async (t) => {
    const [own, project] = [join(lab.directory, "named.pem"), join(lab.directory, "project")]
    const mine = authority("Somebody's own", Date.now()).pem
    mkdirSync(project)
    writeFileSync(own, mine)
    writeFileSync(join(home, ".gitconfig"), `[http]\n\tsslCAInfo = ${own}\n`)
    writeFileSync(join(home, ".curlrc"), `cacert = "${own}"\n`)
    t.teardown(() => {
      for (const name of [".gitconfig", ".curlrc"]) rmSync(join(home, name))
    })
    const { stdout } = await run(`cat ${own}; curl -sS ${url}; git ls-remote ${url}repo.git 2>&1`)
    t.ok(stdout.startsWith(mine), "it holds what it held")
    t.match(stdout, hello)
    t.match(stdout, /is this a git repository/)
    t.equal(readFileSync(own, "utf8"), mine, "outside the file is as it was")
  })

  await t.test("a store that Java's options name is extended in place", async (t) => {
    const [jvm] = jvms
    if (jvm === undefined) return t.comment("needs a JVM")
    const store = join(lab.directory, "mine.jks")
    const { der } = authority("Somebody's own", Date.now())
    writeFileSync(
      store,
      jks({ entries: [{ alias: "mine", der }], others: [] }, Date.now(), "secret"),
    )
    const options = `-Djavax.net.ssl.trustStore=${store} -Djavax.net.ssl.trustStorePassword=secret`
    const script = `${jvm.path} $MAVEN_OPTS -cp ${home} Fetch ${url} 2>&1; ${jvm.path} -cp ${home} Fetch ${url} 2>&1`
    const { stdout } = await run(script, { MAVEN_OPTS: options })
    t.match(stdout, /^(hello from allowed\.test over tls\n){4}$/)
    const named = await run(`${jvm.path} -cp ${home} Fetch ${url} 2>&1`, {
      JAVA_TOOL_OPTIONS: "-Dmine=1",
    })
    t.match(named.stdout, /^Picked up JAVA_TOOL_OPTIONS: -Dmine=1 -D.*\n(hello .*\n){2}$/)
  })

  await t.test(
    "a program that renews the system's store can, and finds what was added",
    async (t) => {
      if (!has("command -v update-ca-certificates"))
        return t.comment("needs Debian's ca-certificates")
      const { stdout, status } = await run(
        `update-ca-certificates --fresh >/dev/null 2>&1 && curl -sS ${url} && wget -q -O - ${url}`,
      )
      t.equal(status, 0)
      t.match(stdout, /^(hello from allowed\.test over tls\n){2}$/)
    },
  )

  await t.test("a user who is not root gets the same", async (t) => {
    const events = join(lab.directory, "nobody")
    mkdirSync(events)
    for (const path of [lab.directory, events]) chmodSync(path, 0o777)
    const script = `id -u; curl -sS ${url}; wget -q -O - ${url}; node -e 'fetch("${url}").then((r) => r.text()).then(console.log)'; touch /etc/ssl/certs/x 2>&1`
    const { stdout } = await run(script, {}, [
      ...["--user", "nobody", "--events", join(events, "log")],
    ])
    t.match(stdout, /^[1-9]\d*\n(hello from allowed\.test over tls\n+){3}touch: .*denied\n$/)
  })

  t.equal(digestOfStores(), before, "nothing in the machine's stores has changed")
})
