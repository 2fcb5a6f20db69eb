/** Programs that fetch from an https host, each in its usual way, and where they are tried. */
import { createHash } from "node:crypto"
import { execFileSync } from "node:child_process"
import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  writeFileSync,
} from "node:fs"
import { homedir } from "node:os"
import { join, resolve } from "node:path"

export const url = "https://allowed.test/"
export const hello = /hello from allowed\.test over tls/

export interface Program {
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
export function programs(home: string, jvms: readonly Jvm[]): Program[] {
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

export interface Jvm {
  readonly version: string
  readonly path: string
}

/** JVMs on this machine. */
export function javas(): Jvm[] {
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

export function has(test: string): boolean {
  try {
    execFileSync("sh", ["-c", test], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

/** Everything in the machine's stores: what a run must not change. */
export function digestOfStores(): string {
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

/** Makes a home with what the programs need in it. */
export function makeHome(home: string, jvms: readonly Jvm[]): void {
  mkdirSync(home)
  writeFileSync(join(home, "Fetch.java"), http)
  writeFileSync(join(home, "fetch.go"), go)
  // Why by the module: a JVM without a compiler may stand first in PATH.
  jvms.some(({ path }) => has(`${path} ${compiler} -d ${home} ${home}/Fetch.java`))
  if (!has("command -v go")) return
  const environment = { ...process.env, HOME: home, GOFLAGS: "-mod=mod", GO111MODULE: "off" }
  const argv = ["build", "-o", join(home, "fetch"), join(home, "fetch.go")]
  execFileSync("go", argv, { env: environment, cwd: home, stdio: "ignore" })
}

/** An environment in which nothing speaks of certificates. */
export function plainEnvironment(home: string): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "",
    HOME: home,
    RUSTUP_HOME: process.env["RUSTUP_HOME"] ?? join(homedir(), ".rustup"),
  }
}
