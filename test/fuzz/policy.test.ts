/**
 * Policy texts, mutated and random: nothing throws or takes long, every error stands inside the
 * text, and what is read is read again from its own print. Seeded and short; longer with
 * FUZZ_SECONDS.
 */
import t from "tap"
import { compile } from "../../policies/compile.ts"
import { explain } from "../../policies/explain.ts"
import { readPolicy } from "../../policies/imports.ts"
import { parsePolicy, usedPresets } from "../../policies/parse.ts"
import { printPolicy } from "../../policies/print.ts"
import { warnings } from "../../policies/warnings.ts"
import { randomly } from "./randomly.ts"

const seconds = Number(process.env["FUZZ_SECONDS"] ?? 1)
/** A text of a few hundred bytes, on a busy machine. */
const slowMs = 500

const { below, bytes, mutated, one } = randomly()

const targets = [
  "github.com",
  "'*.example.com'",
  '"**.b\\u00fccher.example:*"',
  "github.com:1-65535/udp",
  "10.0.0.0/8:53",
  "'[2001:db8::/32]:443'",
  "GET,HEAD https://a.test:8443/a/*/**;x//b",
  "http://${GITHUB_HOST}/${GITHUB_REPOSITORY}/**",
  "icmp://10.0.0.1",
  "{to: a.test, by: /usr/bin/x, step: s, token: job}",
  "{to: '*.github.io', wide: true}",
  "{to: up.test, up: 10MB}",
  "{to: WEBSOCKET https://a.test/**, up: 3 KiB}",
  "*alias",
  "&anchor a.test",
  "!!str a.test",
  "0x7f.1",
  "\u202ea.test",
]

const whole = `mode: block
use: [npm]
allow:
  - github.com # comment
  - to: https://a.test/**
    token: job
deny: [gist.github.com, "PUT https://a.test/**"]
intercept: when-needed
opaque: [pinned.test]
resolve-private: ["*.internal"]
`

function text(): string {
  const kind = below(6)
  if (kind === 0) return bytes(below(200)).toString("latin1")
  if (kind === 1)
    return `${one(["github.com:443", "*.a.test", "[::1]:1"])} ${one(targets)},${one(targets)}`
  const list = Array.from({ length: below(5) }, () => `  - ${one(targets)}\n`).join("")
  const head = `mode: ${one(["audit", "block", "enforce", "log", "&x y"])}\n`
  const source = kind === 2 ? whole : `${head}allow:\n${list}deny:\n${list}`
  return below(3) === 0 ? source : mutated(Buffer.from(source)).toString("utf8")
}

const surroundings = {
  source: "p",
  environment: { GITHUB_HOST: "h.test", GITHUB_REPOSITORY: "o/r" },
  presets: new Map([["npm", { lines: [{ text: "n.test", source: "preset npm", line: 1 }] }]]),
}

t.test("policy texts: every error has its place, and what is read is read again", async (t) => {
  const until = Date.now() + seconds * 1000
  let [count, good, slowest] = [0, 0, 0]
  while (Date.now() < until) {
    const input = text()
    const begun = performance.now()
    usedPresets(input)
    const { policy, problems } = readPolicy(input, surroundings)
    count++
    const lines = input.split("\n").length
    for (const { source, line, column, message } of problems ?? []) {
      const inside = source !== "p" || (line >= 1 && line <= lines && column >= 1)
      if (!inside) t.fail(`${line}:${column} of ${lines}: ${JSON.stringify(input)}`)
      if (/[\p{Cc}\p{Cf}]/u.test(message)) t.fail(`shows: ${JSON.stringify(message)}`)
    }
    if (policy === null) {
      if ((problems ?? []).length === 0) t.fail(`no problem: ${JSON.stringify(input)}`)
      continue
    }
    good++
    const again = parsePolicy(printPolicy(policy), surroundings)
    if (again.policy?.sha256 !== policy.sha256) t.fail(`another: ${JSON.stringify(input)}`)
    warnings(policy)
    const index = compile(policy)
    for (const target of ["a.test", "10.0.0.1:53", "PUT https://a.test/x"]) explain(index, target)
    slowest = Math.max(slowest, performance.now() - begun)
  }
  t.ok(good > 0 && good < count, `${good} of ${count} were good`)
  t.ok(slowest < slowMs, `the slowest took ${slowest.toFixed(1)} ms`)
})

t.test("policy texts: the largest and the deepest are read in time", async (t) => {
  const size = 200_000
  const fillers = [
    "[",
    "{",
    "- ",
    "a: ",
    "'",
    "* ",
    "&a ",
    "? ",
    "#",
    "\t",
    "a.",
    "a ",
    "|\n ",
    "!!a ",
    "- [",
    "{a: ",
  ]
  for (const filler of fillers) {
    const begun = performance.now()
    readPolicy(filler.repeat(size / filler.length), surroundings)
    const took = performance.now() - begun
    t.ok(took < 20_000, `${JSON.stringify(filler)}: ${Math.round(took)} ms`)
  }
  const begun = performance.now()
  const list = Array.from({ length: 20_000 }, (_, at) => `  - h${at}.test\n`).join("")
  t.equal(readPolicy(`allow:\n${list}`, surroundings).policy?.rules.length, 20_000)
  t.ok(performance.now() - begun < 20_000)
})
