/**
 * What was trusted before a run still is in it: by variables, by configuration, by Java's options, and
 * after a program has renewed the system's store. Outside nothing changes.
 */
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import t from "tap"
import { authority } from "../../certs/authority.ts"
import { jks } from "../../certs/trust/jks.ts"
import { guarded, labFor, whyNoLab, type Guarded } from "../bypass/harness.ts"
import { digestOfStores, has, hello, javas, makeHome, plainEnvironment, url } from "./fetchers.ts"

t.setTimeout(280_000)
const skip = whyNoLab() ?? false

t.test("what was trusted", { skip, timeout: 270_000 }, async (t) => {
  const lab = await labFor(t, {})
  const home = join(lab.directory, "home")
  const jvms = javas()
  makeHome(home, jvms)
  const before = digestOfStores()
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
        environment: { ...plainEnvironment(home), ...environment },
        bare: true,
        options,
        timeoutMs: 60_000,
      },
      ["sh", "-c", script],
    )

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
