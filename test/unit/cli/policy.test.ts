import t from "tap"
import { policyCommand, printScalar } from "../../../cli/policy.ts"
import { specialRanges } from "../../../net/special.ts"
import type { PresetLines } from "../../../policies/parse.ts"

const files = new Map([
  ["good.yml", "use: [npm]\nallow:\n  - allowed.test\n  - to: scoped.test\n    by: curl\n"],
  ["bad.yml", "mode: bloc\nallow:\n  - github.com:99999\n"],
  ["audit.yml", "mode: audit\nallow: [github.com]\n"],
  ["endpoints.txt", "github.com:443 *.example.com:443\n"],
])
const npm: PresetLines = {
  lines: [
    { text: "registry.example.com", source: "preset npm", line: 4, why: "packages" } as never,
  ],
}

function run(...words: string[]): { status: number; out: string; err: string } {
  return runWith(npm, ...words)
}

function runWith(
  preset: PresetLines,
  ...words: string[]
): { status: number; out: string; err: string } {
  let [out, err] = ["", ""]
  const io = {
    out: (text: string) => void (out += text),
    err: (text: string) => void (err += text),
    environment: {},
    isTerminal: false,
    columns: 80,
  }
  const status = policyCommand(words, io, {
    read: (path) => {
      const text = files.get(path)
      if (text === undefined) throw new Error("no such file")
      return text
    },
    presets: (names) => new Map(names.includes("npm") ? [["npm", preset]] : []),
    presetNames: () => ["npm", "pypi"],
    special: () => specialRanges,
  })
  return { status, out, err }
}

void t.test("policy check says every error and gives 2", async (t) => {
  const { status, out, err } = run("check", "bad.yml")
  t.equal(status, 2)
  t.equal(out, "")
  t.match(err, /^bad.yml:1:7: error: Cannot read mode "bloc".*\nbad.yml:3:5: error: /)
  t.match(err, /2 errors; nothing of this policy would be applied/)
  t.match(JSON.parse(run("check", "bad.yml", "--json").out), {
    errors: [{ source: "bad.yml", line: 1, column: 7 }, { line: 3 }],
  })
})

void t.test("policy check sums up a good policy and warns", async (t) => {
  const good = run("check", "good.yml")
  t.equal(good.status, 0)
  t.match(good.out, /^good.yml: 3 rules, mode block, sha256 [0-9a-f]{64}\n$/)
  t.equal(good.err, "")
  const audit = run("check", "audit.yml")
  t.equal(audit.status, 0)
  t.match(audit.out, /1 warning/)
  t.match(audit.err, /^audit.yml:2:9: warning: Beware of rule "github.com"/)
  const other = run("check", "endpoints.txt")
  t.equal(other.status, 0)
  t.match(other.err, /endpoints.txt:1:16: note: /)
})

void t.test("policy check and explain say what presets note", async (t) => {
  const noted = { ...npm, notes: ["Cannot read /home/u/.npmrc: it is no plain file"] }
  const { status, out, err } = run("check", "good.yml")
  t.match({ status, out, err }, { status: 0, err: "" })
  const told = runWith(noted, "check", "good.yml")
  t.equal(told.status, 0)
  t.match(told.err, /^preset npm: note: Cannot read .*\n$/)
  t.match(JSON.parse(runWith(noted, "check", "good.yml", "--json").out), {
    notes: [{ source: "preset npm", message: /no plain file/ }],
  })
  t.match(runWith(noted, "explain", "good.yml").err, /^preset npm: note: /)
  t.equal(runWith(noted, "explain", "good.yml", "--json").err, "")
})

void t.test("policy explain names verdict, reason, rule and layer", async (t) => {
  const allowed = run("explain", "good.yml", "allowed.test")
  t.equal(allowed.status, 0)
  t.match(
    allowed.out,
    /^allow {2}allowed.test\n {2}reason {2}allowed-by-rule\n {2}rule {4}good.yml:3: allowed.test\n {2}layer {3}name/,
  )
  const denied = run("explain", "good.yml", "POST", "https://evil.test/x")
  t.equal(denied.status, 0)
  t.match(
    denied.out,
    /^deny {2}POST https:\/\/evil.test\/x\n[^]*add under `allow:`\n {4}- POST https:\/\/evil.test\/x\n$/,
  )
  t.same(JSON.parse(run("explain", "good.yml", "registry.example.com", "--json").out), {
    verdict: "allow",
    reason: "allowed-by-rule",
    rule: { source: "preset npm", line: 4, text: "registry.example.com" },
    layer: "name",
    target: "registry.example.com",
    notes: [],
    wanted: null,
  })
  t.match(JSON.parse(run("explain", "good.yml", "evil.test", "--json").out), {
    verdict: "deny",
    reason: "name-not-allowed",
    rule: null,
    layer: "name",
  })
  t.match(run("explain", "good.yml", "scoped.test", "--by", "/usr/bin/curl").out, /^allow/)
  t.match(run("explain", "audit.yml", "evil.test").out, /audit: let through/)
  t.equal(run("explain", "bad.yml", "evil.test").status, 2)
  t.match(run("explain", "good.yml", "*.evil.test"), { status: 2, err: /wildcard/ })
})

void t.test("policy explain without a target shows each rule with its line", async (t) => {
  const { status, out } = run("explain", "good.yml")
  t.equal(status, 0)
  t.match(out, /^mode block, intercept when-needed, 3 rules/)
  t.match(out, /allow {2}registry.example.com {4}preset npm:4 {2}\(packages\)\n/)
  t.match(out, /allow {2}allowed.test {12}good.yml:3\n/)
  t.match(JSON.parse(run("explain", "good.yml", "--json").out), {
    rules: [{ effect: "allow", target: "registry.example.com", why: "packages" }, {}, {}],
  })
})

void t.test("policy teaches who calls it wrongly", async (t) => {
  t.match(run("--help"), { status: 0, out: /Usage: sluice policy check/ })
  t.match(run("check", "--help"), { status: 0, out: /Usage/ })
  t.match(run(), { status: 2, err: /must be check or explain/ })
  t.match(run("chek"), { status: 2, err: /"chek", must be check or explain/ })
  t.match(run("check"), { status: 2, err: /no FILE/ })
  t.match(run("check", "a", "b"), { status: 2, err: /after FILE/ })
  t.match(run("check", "missing.yml"), { status: 2, err: /missing.yml.*no such file/ })
  t.match(run("check", "good.yml", "--jsn"), { status: 2, err: /--jsn/ })
  t.match(run("explain", "good.yml", "a.test", "--token", "x"), { status: 2, err: /none, job/ })
})

void t.test("printScalar() quotes what YAML would read as something else", async (t) => {
  t.equal(printScalar("github.com:22"), "github.com:22")
  t.equal(printScalar("[2001:db8::1]:443"), '"[2001:db8::1]:443"')
  t.equal(printScalar("*.example.com"), '"*.example.com"')
  t.equal(printScalar("POST https://a.test/x"), "POST https://a.test/x")
})
