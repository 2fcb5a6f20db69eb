import t from "tap"
import { demoCommand } from "../../../cli/demo.ts"
import type { Build, Mode } from "../../../cli/demo-build.ts"
import { buildEnded, comparison, ending, faults, opening } from "../../../cli/demo-story.ts"
import { ways, type Loot, type Way } from "../../../lab/thief.ts"
import type { Io } from "../../../cli/io.ts"

const plain = { columns: 100, colour: false }
const all = (...keys: readonly Way["key"][]): Way[] => ways.filter(({ key }) => keys.includes(key))
const stolen = all("by-name", "by-address", "by-labels", "by-udp")
const borrowed = all("borrowed-name")
const nothing: Loot = { attacker: [], registry: borrowed, contacts: [] }
const contact = { kind: "name", at: "203.0.113.53", text: "evil.test" } as const

const build = (mode: Mode, loot: Loot, change: Partial<Build> = {}): Build => ({
  mode,
  npm: { status: 0, stdout: "\nadded 2 packages in 1s\n", stderr: "" },
  works: true,
  loot,
  report: {
    v: 1,
    runs: [],
    counts: { allowed: 0, denied: 0, names: 0, requests: 0, findings: 0 },
    enforced: true,
    denied: [],
    deniedBeyond: 0,
    allowed: [],
    allowedBeyond: 0,
    fronts: [],
    findings: [],
    lost: 0,
    missing: 0,
    broken: 0,
  },
  ...change,
})

const audit = build("audit", { attacker: stolen, registry: borrowed, contacts: [contact] })
const block = build("block", nothing)

async function said(argv: readonly string[]): Promise<[number, string, string]> {
  let [out, err] = ["", ""]
  const io: Io = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    environment: {},
    isTerminal: false,
    columns: 80,
  }
  return [await demoCommand(argv, io), out, err]
}

void t.test("demoCommand() helps, and refuses an option that it does not know", async (t) => {
  const [status, out] = await said(["--help"])
  t.equal(status, 0)
  t.match(out, /^Usage: sluice demo/)
  t.ok(out.split("\n").every((line) => line.length <= 82))
  const [wrong, , err] = await said(["--loud"])
  t.equal(wrong, 2)
  t.match(err, /^sluice: Unknown option '--loud'/)
})

void t.test(
  "demoCommand() says who may run it",
  { skip: process.getuid?.() === 0 && "root" },
  async (t) => {
    const [status, , err] = await said([])
    t.equal(status, 125)
    t.match(err, /not root, must be root .* sudo sluice demo/)
  },
)

void t.test("the story tells what the attacker received", (t) => {
  t.match(
    buildEnded(audit, plain),
    "The attacker received the token 4 times: by name, by address, in DNS labels and by UDP.",
  )
  t.match(buildEnded(block, plain), "The attacker received nothing.")
  t.match(buildEnded(block, plain), "added 2 packages in 1s")
  const touched = build("block", { ...nothing, contacts: [contact] })
  t.match(buildEnded(touched, plain), "no token, but was reached")
  const one = build("block", { ...nothing, attacker: all("by-udp"), contacts: [contact] })
  t.match(buildEnded(one, plain), "received the token once: by UDP.")
  t.end()
})

void t.test("the comparison has a row for each way, within 100 columns", (t) => {
  const text = comparison([audit, block], plain)
  t.match(text, /by name +https:\/\/evil\.test +stolen +stopped\n/)
  t.match(text, /by UDP .* stolen +stopped\n/)
  t.match(text, /under the registry's name .* registry\* +registry\*\n/)
  t.ok(text.split("\n").every((line) => line.length <= 100 && line === line.trimEnd()))
  t.end()
})

void t.test("colour is for terminals", (t) => {
  const story = (colour: boolean): string => {
    const paper = { columns: 100, colour }
    return [opening(paper), buildEnded(audit, paper), comparison([audit, block], paper)].join("")
  }
  t.notMatch(story(false), "\u001b")
  t.match(story(true), "\u001b[31mstolen")
  t.end()
})

void t.test("faults() finds none where all went as it must, and names each one", (t) => {
  t.same(faults([audit, block]), [])
  t.match(ending([], plain), "Both builds succeeded")
  const cases: [Build, RegExp][] = [
    [build("block", nothing, { works: false }), /block: the build failed/],
    [build("block", nothing, { report: null }), /block: there is no event log/],
    [build("block", { ...nothing, attacker: borrowed }), /received the token under the registry/],
    [build("block", { ...nothing, contacts: [contact] }), /1 message\(s\) reached the attacker/],
    [build("audit", { ...audit.loot, attacker: stolen.slice(1) }), /did not leave by name/],
  ]
  for (const [broken, wanted] of cases) {
    const [found = "", ...others] = faults([broken])
    t.match(found, wanted)
    t.same(others, [])
    t.match(ending([found], plain), wanted)
  }
  t.end()
})
