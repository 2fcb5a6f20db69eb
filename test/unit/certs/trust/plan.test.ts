import t from "tap"
import { authority } from "../../../../certs/authority.ts"
import { jks, readJks } from "../../../../certs/trust/jks.ts"
import { dersIn } from "../../../../certs/trust/pem.ts"
import { stores, trust, type Trust, type Wanted } from "../../../../certs/trust/plan.ts"
import type { Machine } from "../../../../certs/trust/store.ts"
import { subjectHash } from "../../../../certs/trust/subject-hash.ts"

const nowMs = Date.UTC(2026, 10, 25)
const [root, added, corporate] = ["Root", "Sluice run", "Corporate"].map((name) =>
  authority(name, nowMs),
)
if (root === undefined || added === undefined || corporate === undefined) throw new Error("none")
const wanted: Wanted = {
  added: added.pem,
  otherwise: () => root.pem,
  directory: "/srv/project",
  folder: "/run/sluice",
  coversSystem: true,
  nowMs,
}

/** A machine of these files, and of links: a text that begins with "-> ". */
function machine(
  files: Readonly<Record<string, string | Buffer>>,
  environment: Machine["environment"] = {},
): Machine {
  const paths = Object.keys(files)
  const real = (path: string): string | null => {
    let at = path
    for (let hops = 0; hops < 8; hops++) {
      const link = paths.find(
        (each) =>
          (at === each || at.startsWith(`${each}/`)) && String(files[each]).startsWith("-> "),
      )
      if (link === undefined) break
      at = String(files[link]).slice(3) + at.slice(link.length)
    }
    return paths.some((each) => each === at || each.startsWith(`${at}/`)) ? at : null
  }
  return {
    environment,
    home: "/home/me",
    real,
    read(path) {
      const at = real(path)
      const content = at === null ? undefined : files[at]
      if (at === null || content === undefined) return null
      return { bytes: Buffer.from(content), path: at, dev: 1, ino: paths.indexOf(at) + 1 }
    },
    list(path) {
      const at = `${real(path)}/`
      const below = paths.filter((each) => each.startsWith(at))
      return [...new Set(below.map((each) => each.slice(at.length).split("/")[0] ?? ""))]
    },
  }
}

/** The texts of all files that are replaced, by their path. */
function replaced({ own }: Trust): Record<string, string> {
  const inside = own.directories.flatMap(({ path, files }) =>
    Object.entries(files).map(([name, content]) => [`${path}/${name}`, String(content)]),
  )
  return Object.fromEntries<string>([
    ...inside,
    ...own.files.map(({ path, content }) => [path, String(content)]),
  ] as [string, string][])
}

const debian = {
  "/etc/ssl/certs/ca-certificates.crt": root.pem,
  "/etc/ssl/certs/0a0b0c0d.0": "-> /etc/ssl/certs/Root.pem",
  "/etc/ssl/certs/Root.pem": root.pem,
  "/usr/lib/ssl/cert.pem": "-> /etc/ssl/certs/ca-certificates.crt",
  "/usr/local/share/ca-certificates/own.crt": corporate.pem,
}

t.test("trust() extends the stores of each distribution, where their own tools write them", (t) => {
  const both = `${root.pem}${added.pem}`
  const hash = subjectHash(added.der)
  const cases = [
    {
      name: "Debian",
      files: debian,
      bundle: "/etc/ssl/certs/ca-certificates.crt",
      wanted: {
        "/etc/ssl/certs/ca-certificates.crt": both,
        "/etc/ssl/certs/sluice-1.pem": added.pem,
        "/usr/local/share/ca-certificates/sluice-1.crt": added.pem,
      },
      links: { [`${hash}.0`]: "sluice-1.pem" },
    },
    {
      name: "Alpine",
      files: {
        "/etc/ssl/certs/ca-certificates.crt": root.pem,
        "/etc/ssl/cert.pem": "-> /etc/ssl/certs/ca-certificates.crt",
      },
      bundle: "/etc/ssl/certs/ca-certificates.crt",
      wanted: { "/etc/ssl/certs/ca-certificates.crt": both },
      links: {},
    },
    {
      name: "Red Hat",
      files: {
        "/etc/ssl/certs": "-> /etc/pki/tls/certs",
        "/etc/pki/tls/certs/ca-bundle.crt": "-> /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/pki/tls/cert.pem": "-> /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem": root.pem,
        "/etc/pki/ca-trust/extracted/openssl/ca-bundle.trust.crt": root.pem.replaceAll(
          "CERTIFICATE",
          "TRUSTED CERTIFICATE",
        ),
        "/etc/pki/ca-trust/source/anchors/own.pem": corporate.pem,
      },
      bundle: "/etc/pki/tls/certs/ca-bundle.crt",
      wanted: {
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem": both,
        "/etc/pki/ca-trust/extracted/openssl/ca-bundle.trust.crt": `${root.pem.replaceAll("CERTIFICATE", "TRUSTED CERTIFICATE")}${added.pem}`,
        "/etc/pki/ca-trust/source/anchors/sluice-1.pem": added.pem,
      },
      links: {},
    },
    {
      name: "openSUSE",
      files: {
        "/etc/ssl/ca-bundle.pem": "-> /var/lib/ca-certificates/ca-bundle.pem",
        "/var/lib/ca-certificates/ca-bundle.pem": root.pem,
      },
      bundle: "/etc/ssl/ca-bundle.pem",
      wanted: { "/var/lib/ca-certificates/ca-bundle.pem": both },
      links: {},
    },
    {
      name: "a file that is in no such directory",
      files: { "/etc/ssl/cert.pem": root.pem },
      bundle: "/etc/ssl/cert.pem",
      wanted: { "/etc/ssl/cert.pem": both },
      links: {},
    },
  ]
  for (const { name, files, bundle, wanted: texts, links } of cases) {
    const plan = trust(machine(files), wanted)
    t.strictSame(replaced(plan), texts, name)
    t.equal(plan.variables["SSL_CERT_FILE"], bundle, name)
    const found = Object.assign({}, ...plan.own.directories.map((each) => each.links)) as unknown
    t.strictSame(found, links, `${name}: links`)
    t.equal(plan.own.run["ca-certificates.crt"], both)
    t.equal(plan.own.run["authority.pem"], added.pem)
  }
  t.end()
})

t.test(
  "trust() takes the other authorities where the machine has no bundle, and copies nothing",
  (t) => {
    const { "/usr/local/share/ca-certificates/own.crt": own } = debian
    const plan = trust(
      machine({ "/etc/ssl/certs/README": "", "/usr/local/share/ca-certificates/own.crt": own }),
      wanted,
    )
    t.strictSame(replaced(plan), {})
    t.equal(plan.variables["SSL_CERT_FILE"], "/run/sluice/ca-certificates.crt")
    t.equal(plan.own.run["ca-certificates.crt"], `${root.pem}${added.pem}`)
    t.end()
  },
)

t.test("a hash that is taken in a directory gets the next number", (t) => {
  const hash = subjectHash(added.der)
  const files = {
    ...debian,
    [`/etc/ssl/certs/${hash}.0`]: root.pem,
    [`/etc/ssl/certs/${hash}.1`]: root.pem,
  }
  const [directory] = trust(machine(files), wanted).own.directories
  t.strictSame(directory?.links, { [`${hash}.2`]: "sluice-1.pem" })
  t.end()
})

t.test("every variable of every store is set, or extended, or left alone", (t) => {
  const own = { ...debian, "/home/me/own.pem": `# mine\n${corporate.pem}` }
  for (const { name, holds, set } of stores.flatMap(({ variables }) => variables)) {
    const value = (given?: string): string | undefined =>
      trust(machine(own, given === undefined ? {} : { [name]: given }), wanted).variables[name]
    const usual =
      holds === "whole" ? "/etc/ssl/certs/ca-certificates.crt" : "/run/sluice/added-authorities.pem"
    t.equal(value(), set === "always" ? usual : undefined, `${name} is not set`)
    t.equal(value(""), set === "always" ? usual : undefined, `${name} is empty`)

    const plan = trust(machine(own, { [name]: "/home/me/own.pem" }), wanted)
    const path = plan.variables[name] ?? ""
    const text = plan.own.run[path.slice("/run/sluice/".length)]
    t.equal(text, `# mine\n${corporate.pem}${added.pem}`, `${name} names a file of the user`)
    t.equal(value("/usr/lib/ssl/cert.pem"), undefined, `${name} names a store that is extended`)
    for (const odd of ["false", "/nowhere", "/etc/ssl"])
      t.equal(value(odd), undefined, `${name}=${odd}`)
  }
  t.end()
})

t.test("a private key beside a user's certificate is not copied", (t) => {
  const key = "-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----\n"
  const files = {
    ...debian,
    "/srv/mine.pem": key + corporate.pem,
    "/etc/pip.conf": "cert=/srv/mine.pem",
  }
  for (const environment of [{ SSL_CERT_FILE: "/srv/mine.pem" }, {}]) {
    const { own } = trust(machine(files, environment), wanted)
    t.notMatch(Object.values(own.run).join(""), "PRIVATE KEY")
  }
  t.end()
})

t.test("a variable may name a relative path, or a directory", (t) => {
  const files = {
    "/srv/project/own.pem": corporate.pem,
    "/srv/project/certs/one.pem": corporate.pem,
    "/srv/project/certs/12345678.0": "-> /srv/project/certs/one.pem",
    "/srv/project/certs/two.crt": root.pem,
    "/srv/project/certs/README": "no certificate",
  }
  const texts = (value: string): unknown => {
    const plan = trust(machine(files, { REQUESTS_CA_BUNDLE: value }), wanted)
    t.equal(plan.variables["REQUESTS_CA_BUNDLE"], "/run/sluice/trust/requests_ca_bundle.pem")
    return dersIn(String(plan.own.run["trust/requests_ca_bundle.pem"]))
  }
  t.strictSame(texts("own.pem"), [corporate.der, added.der])
  t.strictSame(texts("certs"), [corporate.der, root.der, added.der])
  t.end()
})

t.test("a file that configuration names is extended where it lies", (t) => {
  const cases = [
    ["/home/me/.npmrc", "cafile = /srv/mine.pem"],
    ["/srv/project/.npmrc", 'cafile="/srv/mine.pem"'],
    ["/srv/project/.yarnrc.yml", "httpsCaFilePath: '/srv/mine.pem'"],
    ["/home/me/.yarnrc", 'cafile "/srv/mine.pem"'],
    ["/home/me/.config/pip/pip.conf", "[global]\ncert = /srv/mine.pem"],
    ["/home/me/.condarc", "ssl_verify: /srv/mine.pem"],
    ["/home/me/.gitconfig", '[http "https://git.example.com"]\n\tsslCAInfo = /srv/mine.pem'],
    ["/srv/project/.git/config", "[http]\n\tsslcainfo = ../../mine.pem"],
    ["/home/me/.cargo/config.toml", '[http]\ncainfo = "/srv/mine.pem"'],
    ["/home/me/.curlrc", 'cacert = "/srv/mine.pem"'],
    ["/home/me/.wgetrc", "ca_certificate = /srv/mine.pem"],
    ["/home/me/.bundle/config", 'BUNDLE_SSL_CA_CERT: "/srv/mine.pem"'],
    ["/home/me/.composer/config.json", '{"config": {"cafile": "/srv/mine.pem"}}'],
    ["/home/me/.aws/config", "[default]\nca_bundle = /srv/mine.pem"],
    [
      "/home/me/.config/gcloud/configurations/config_default",
      "custom_ca_certs_file = /srv/mine.pem",
    ],
  ] as const
  for (const [file, text] of cases) {
    const files = { ...debian, [file]: text, "/srv/mine.pem": `# mine\n${corporate.pem}` }
    const plan = trust(machine(files), wanted)
    t.equal(replaced(plan)["/srv/mine.pem"], `# mine\n${corporate.pem}${added.pem}`, file)
  }
  t.end()
})

t.test("what configuration names is in the variable that would put it aside", (t) => {
  for (const [file, text, name] of [
    ["/etc/pip.conf", "cert = /srv/mine.pem", "REQUESTS_CA_BUNDLE"],
    ["/home/me/.aws/config", "ca_bundle=/srv/mine.pem", "AWS_CA_BUNDLE"],
  ] as const) {
    const files = { ...debian, [file]: text, "/srv/mine.pem": corporate.pem }
    const { variables, own } = trust(machine(files), wanted)
    t.equal(variables[name], `/run/sluice/trust/${name.toLowerCase()}.pem`)
    const all = own.run[`trust/${name.toLowerCase()}.pem`]
    t.equal(all, `${root.pem}${corporate.pem}${added.pem}`, name)
    t.equal(variables["SSL_CERT_FILE"], "/etc/ssl/certs/ca-certificates.crt", "and in no other")
  }
  t.end()
})

t.test("configuration that names no certificates is left alone, and read in no long time", (t) => {
  const shadow = "root:*:1:0:99999:7:::\n"
  const startedMs = performance.now()
  for (const text of [
    "cafile=/etc/shadow",
    "cafile=/nowhere",
    "cafile=",
    "cafile=null",
    "#cafile=/srv/mine.pem",
    `cafile=/srv/mine.pem${" ".repeat(5_000)}x`,
    `cafile=/srv/mine.pem\n${"x".repeat(300_000)}`,
    `cafile${" ".repeat(200_000)}`,
  ]) {
    const files = {
      ...debian,
      "/srv/project/.npmrc": text,
      "/etc/shadow": shadow,
      "/srv/mine.pem": corporate.pem,
    }
    const plan = trust(machine(files), wanted)
    t.strictSame(plan.own.files, [], text.slice(0, 40).trim())
  }
  t.ok(performance.now() - startedMs < 2_000)
  t.end()
})

t.test("browsers are told by policies, which keep what others say", (t) => {
  const files = {
    ...debian,
    "/etc/opt/chrome/policies/managed/own.json":
      '{"CACertificates": ["AQID"], "HomepageLocation": "x"}',
    "/etc/opt/chrome/policies/managed/broken.json": "{",
    "/etc/chromium/master_preferences": "{}",
    "/etc/firefox/policies/policies.json":
      '{"policies": {"BlockAboutConfig": true, "Certificates": {"Install": ["/srv/mine.pem"]}}}',
  }
  const plan = trust(machine(files), wanted)
  const texts = replaced(plan)
  const json = (path: string): unknown => JSON.parse(texts[path] ?? "null")
  const der = added.der.toString("base64")
  t.strictSame(json("/etc/opt/chrome/policies/managed/zz-sluice.json"), {
    CACertificates: ["AQID", der],
  })
  for (const path of ["/etc/opt/chrome_for_testing", "/etc/opt/edge", "/etc/chromium"]) {
    t.strictSame(json(`${path}/policies/managed/zz-sluice.json`), { CACertificates: [der] }, path)
  }
  t.strictSame(json("/etc/firefox/policies/policies.json"), {
    policies: {
      BlockAboutConfig: true,
      Certificates: { Install: ["/srv/mine.pem", "/run/sluice/trust/authority-1.pem"] },
    },
  })
  t.equal(plan.own.run["trust/authority-1.pem"], added.pem)
  t.end()
})

t.test("the store of every JVM keeps its own authorities and gets the added ones", (t) => {
  const mine = { entries: [{ alias: "mine", der: corporate.der }], others: [] }
  const homes = [
    "/usr/lib/jvm/java-17",
    "/usr/lib/jvm/java-8/jre",
    "/opt/hostedtoolcache/Java_Temurin-Hotspot_jdk/21.0.1-12/x64",
    "/home/me/.sdkman/candidates/java/21-tem",
    "/srv/named",
    "/srv/started",
  ]
  const at = (home: string): string => `${home}/lib/security/cacerts`
  const files = {
    ...debian,
    ...Object.fromEntries(homes.map((home) => [at(home), jks(mine, 0)])),
    "/usr/lib/jvm/shared/lib/security/cacerts": "-> /etc/ssl/certs/java/cacerts",
    "/etc/ssl/certs/java/cacerts": jks(mine, 0),
    "/srv/started/bin/java": "",
    "/usr/bin/java": "-> /srv/started/bin/java",
    "/srv/named/lib/security/jssecacerts": jks(mine, 0),
    "/srv/project/gradle.properties": "systemProp.javax.net.ssl.trustStore=/srv/gradle.jks\n",
    "/srv/gradle.jks": jks(mine, 0),
    "/usr/lib/jvm/broken/lib/security/cacerts": "root:x:0:0::/root:/bin/sh\n",
  }
  const environment = { JAVA_HOME: "/srv/named", PATH: "/bin:/usr/bin" }
  const { own, variables } = trust(machine(files, environment), wanted)
  t.strictSame(
    own.files.map(({ path }) => path).toSorted(),
    [...homes.map(at), "/srv/gradle.jks", "/srv/named/lib/security/jssecacerts"].toSorted(),
  )
  for (const { content } of own.files) {
    const read = readJks(Buffer.from(content))
    t.strictSame(
      read?.entries.map(({ der }) => der),
      [added.der, corporate.der],
    )
  }
  const [certs] = own.directories
  t.ok(Buffer.isBuffer(certs?.files["java/cacerts"]), "a store in a copied directory goes there")
  t.equal(variables["JAVA_TOOL_OPTIONS"], undefined, "no JVM writes a line to standard error")
  t.end()
})

t.test("JAVA_TOOL_OPTIONS names a store where it is set already, or no JVM is found", (t) => {
  const option = "-Djavax.net.ssl.trustStore=/run/sluice/java.jks"
  const jvm = {
    ...debian,
    "/usr/lib/jvm/one/lib/security/cacerts": jks(
      { entries: [{ alias: "a", der: corporate.der }], others: [] },
      0,
    ),
  }
  const ders = ({ own }: Trust): unknown =>
    readJks(Buffer.from(own.run["java.jks"] ?? ""))?.entries.map(({ der }) => der)
  const extended = trust(machine(jvm, { JAVA_TOOL_OPTIONS: "-Xmx1g" }), wanted)
  t.equal(extended.variables["JAVA_TOOL_OPTIONS"], `-Xmx1g ${option}`)
  t.strictSame(ders(extended), [added.der, corporate.der])
  const none = trust(machine(debian), wanted)
  t.equal(none.variables["JAVA_TOOL_OPTIONS"], option)
  t.strictSame(ders(none), [added.der, root.der])
  t.end()
})

t.test("a store that Java's options name is extended in place, with its password", (t) => {
  const store = jks({ entries: [{ alias: "mine", der: corporate.der }], others: [] }, 0, "secret")
  for (const options of [
    "-Djavax.net.ssl.trustStore=/srv/mine.jks -Djavax.net.ssl.trustStorePassword=secret",
    `-Xmx1g "-Dx=y" -Djavax.net.ssl.trustStorePassword="secret" -Djavax.net.ssl.trustStore="/srv/mine.jks"`,
  ]) {
    for (const name of ["JAVA_TOOL_OPTIONS", "MAVEN_OPTS", "GRADLE_OPTS"]) {
      const plan = trust(
        machine({ ...debian, "/srv/mine.jks": store }, { [name]: options }),
        wanted,
      )
      const [file] = plan.own.files
      const entries = [
        { alias: "sluice-1", der: added.der },
        { alias: "mine", der: corporate.der },
      ]
      t.strictSame(file?.content, jks({ entries, others: [] }, nowMs, "secret"), name)
      if (name === "JAVA_TOOL_OPTIONS") t.equal(plan.variables[name], undefined)
    }
  }
  t.end()
})

t.test("where the system has the authority already, nothing of it is replaced", (t) => {
  const files = { ...debian, "/etc/ssl/certs/ca-certificates.crt": `${root.pem}${added.pem}` }
  const environment = { CURL_CA_BUNDLE: "/etc/ssl/certs/ca-certificates.crt" }
  const plan = trust(machine(files, environment), { ...wanted, coversSystem: false })
  t.strictSame(replaced(plan), {})
  t.equal(plan.variables["CURL_CA_BUNDLE"], undefined)
  t.equal(plan.variables["SSL_CERT_FILE"], "/etc/ssl/certs/ca-certificates.crt")
  t.end()
})
