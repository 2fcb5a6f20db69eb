/**
 * What a command trusts: real programs, with no flag or variable of the test's own, against a host
 * whose certificate only the run's own authority has signed.
 */
import { join } from "node:path"
import t from "tap"
import { arrives, labFor, whyNoLab } from "../bypass/harness.ts"
import { digestOfStores, has, hello, javas, makeHome, plainEnvironment } from "./fetchers.ts"
import { programs, type Program } from "./fetchers.ts"

t.setTimeout(280_000)
const skip = whyNoLab() ?? false

t.test("programs", { skip, timeout: 270_000 }, async (t) => {
  const lab = await labFor(t, {})
  const home = join(lab.directory, "home")
  const jvms = javas()
  makeHome(home, jvms)
  const plain = plainEnvironment(home)
  const before = digestOfStores()

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
  const argvFor = (rule: string): string[] =>
    lab.guarded(["--quiet", "--mode", "block", "--allow", rule], ["sh", "-c"])

  await t.test("no program trusts that host by itself", async (t) => {
    const argv = argvFor("allowed.test")
    const said = await saidIn(argv.toSpliced(argv.indexOf("--upstream-ca"), 2))
    for (const [{ name, prints, arrives: word }, words] of said) {
      if (word === undefined) t.notMatch(words, prints ?? hello, name)
      else t.strictSame(await lab.seen(word), [], name)
    }
  })

  // Why a rule over requests: then Sluice answers with a leaf of the run's own authority.
  const said = await saidIn(argvFor("https://allowed.test/**"))
  for (const program of all) {
    const { name, here, needs, prints, arrives: word } = program
    const missing = here ? {} : { skip: `needs ${needs}` }
    await t.test(`${name} trusts the authority of the run`, missing, async (t) => {
      t.match(said.get(program), prints ?? hello)
      if (word !== undefined) t.ok(await arrives(lab, word), "what it asked for arrives")
    })
  }

  const shown = [...said].find(([{ name }]) => name === "openssl s_client")?.[1]
  if (shown !== undefined) t.match(shown, /i:CN = Sluice \d{8}T/, "and it is that authority")
  t.equal(digestOfStores(), before, "nothing in the machine's stores has changed")
})
