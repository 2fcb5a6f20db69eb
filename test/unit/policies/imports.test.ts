import t from "tap"
import { formOf, readPolicy } from "../../../policies/imports.ts"
import type { Read } from "../../../policies/imports.ts"
import { printProblem } from "../../../policies/rule.ts"
import { printTarget } from "../../../policies/target.ts"

const read = (text: string, source = "p"): Read =>
  readPolicy(text, { source, environment: {}, presets: new Map() })

const targets = ({ policy }: Read): string[] =>
  (policy?.rules ?? []).map(({ target }) => printTarget(target))

void t.test("readPolicy() reads Harden-Runner's text as it is", async (t) => {
  const text = `
# what the build needs
github.com:443 api.github.com:443,registry.example.com
*.blob.core.windows.net:443   # artifacts
ssh.example.com:22, 203.0.113.7:8080
`
  const found = read(text)
  t.equal(found.form, "harden-runner")
  t.equal(found.policy?.mode, "block")
  t.same(targets(found), [
    "github.com",
    "api.github.com",
    "registry.example.com",
    "**.blob.core.windows.net",
    "ssh.example.com:22",
    "203.0.113.7:8080",
  ])
  t.same(found.policy?.rules[3]?.origin, {
    source: "p",
    line: 4,
    column: 1,
    text: "*.blob.core.windows.net:443",
  })
  t.match(found.notes.map(printProblem), [
    /^p:4:1: \*\.blob\.core\.windows\.net:443 covers any number of labels/,
    /metadata/,
    /TLS/,
  ])
  t.match(read("github.com:443 bad_\u0000host").problems, [{ line: 1, column: 16 }])
  t.match(read("github.com https://a.test/").problems, [{ message: /HOST:PORT/ }])
  t.match(read("github.com:443:1 a.test").policy, null)
})

void t.test("readPolicy() reads GitHub's egress-firewall.yaml as it is", async (t) => {
  const found = read(
    "mode: enforce\nallow:\n  - github.com\n  - '*.example.com'\n  - a.test:8443\n",
  )
  t.equal(found.form, "github")
  t.equal(found.policy?.mode, "block")
  t.same(targets(found), ["github.com", "**.example.com", "a.test:8443"])
  t.match(found.notes.map(printProblem), [/^p:4:5: \*\.example\.com covers any number/, /443/])
  t.equal(read("mode: log\nallow: []").policy?.mode, "audit")
  t.equal(read("allow: [a.test]", ".github/egress-firewall.yaml").form, "github")
  t.match(read("mode: enforce\nallows: [a.test]").problems, [{ message: /must be `allow`/ }])
  t.match(read("mode: enforce\nallow: [{to: a.test}]").problems, [{ message: /mapping/ }])
})

void t.test("formOf() takes Sluice's own language where nothing else is plain", async (t) => {
  const table: [string, string][] = [
    ["", "sluice"],
    ["# nothing", "sluice"],
    ["mode: block", "sluice"],
    ["allow:\n- github.com", "sluice"],
    ["- github.com", "sluice"],
    ["{allow: [a.test]}", "sluice"],
    ["mode: audit\nallow: [a.test]", "sluice"],
    ["github.com:443", "harden-runner"],
    ["*.github.com:443", "harden-runner"],
    ["[2001:db8::1]:443 a.test", "harden-runner"],
    ["mode: enforce", "github"],
    ["mode: log", "github"],
  ]
  for (const [text, form] of table) t.equal(formOf(text, "p"), form, JSON.stringify(text))
})
