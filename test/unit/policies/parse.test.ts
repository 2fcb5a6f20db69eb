import t from "tap"
import { parsePolicy, parseRuleLine, extendPolicy, usedPresets } from "../../../policies/parse.ts"
import type { PresetLines, Surroundings } from "../../../policies/parse.ts"
import type { Policy } from "../../../policies/policy.ts"
import { printProblem } from "../../../policies/rule.ts"
import { printTarget } from "../../../policies/target.ts"

const presets = new Map<string, PresetLines>([
  [
    "npm",
    {
      lines: [
        { text: "registry.example.com", source: "preset npm", line: 7 },
        { text: { to: "*.example.com", by: "npm" }, source: "preset npm", line: 8 },
      ],
      resolvePrivate: ["registry.example.com"],
    },
  ],
])

const surroundings: Surroundings = {
  source: "sluice.yml",
  environment: {
    GITHUB_REPOSITORY: "owner/repository",
    GITHUB_HOST: "github.example.com",
    CI_STAR: "*",
    CI_SPACE: "a b",
    CI_DOTS: "owner/../other",
    CI_NEWLINE: "a\nallow: [evil.test]",
    CI_PORTS: "evil.test:1-65535",
    CI_EMPTY: "",
    CI_SLASH: "evil.test/x",
    GITHUB_TOKEN: "secret",
    HOME: "/root",
  },
  presets,
  presetNames: ["npm", "pypi", "github-actions"],
}

const policyOf = (text: string): Policy => {
  const { policy, problems } = parsePolicy(text, surroundings)
  if (policy === null) throw new Error(problems.map(printProblem).join("\n"))
  return policy
}

const problemsOf = (text: string): string[] =>
  (parsePolicy(text, surroundings).problems ?? []).map(printProblem)

void t.test("parsePolicy() reads the example of the contract", async (t) => {
  const policy = policyOf(`
mode: block                      # audit | block
use: [npm]
allow:
  - github.com
  - "*.githubusercontent.com"
  - github.com:22
  - 10.1.2.0/24:5432
  - time.cloudflare.com:123/udp
  - GET,HEAD https://registry.example.com/**
  - https://api.github.com/repos/\${GITHUB_REPOSITORY}/**
  - to: deploy.example.com
    by: /usr/bin/rsync
    step: deploy
  - to: https://api.github.com/**
    token: job
deny:
  - gist.github.com
  - PUT,POST https://registry.example.com/**
intercept: when-needed
opaque: [pinned.example.com]
resolve-private: [db.internal.example]
`)
  t.equal(policy.mode, "block")
  t.equal(policy.intercept, "when-needed")
  t.same(policy.opaque, [{ pattern: "pinned.example.com" }])
  t.same(
    policy.resolvePrivate.map(({ pattern }) => pattern),
    ["registry.example.com", "db.internal.example"],
  )
  t.same(
    policy.rules.map(({ effect, target }) => `${effect} ${printTarget(target)}`),
    [
      "allow registry.example.com",
      "allow *.example.com",
      "allow github.com",
      "allow *.githubusercontent.com",
      "allow github.com:22",
      "allow 10.1.2.0/24:5432",
      "allow time.cloudflare.com:123/udp",
      "allow GET,HEAD https://registry.example.com/**",
      "allow https://api.github.com/repos/owner/repository/**",
      "allow deploy.example.com",
      "allow https://api.github.com/**",
      "deny gist.github.com",
      "deny PUT,POST https://registry.example.com/**",
    ],
  )
  t.same(policy.rules[1]?.origin, {
    source: "preset npm",
    line: 8,
    column: 1,
    text: "*.example.com (by: npm)",
  })
  t.same(policy.rules[8]?.origin, {
    source: "sluice.yml",
    line: 11,
    column: 5,
    text: "https://api.github.com/repos/${GITHUB_REPOSITORY}/**",
  })
  t.match(policy.rules[9], { by: "/usr/bin/rsync", step: "deploy", token: null })
  t.match(policy.rules[10], { by: null, step: null, token: "job" })
  t.same(JSON.parse(JSON.stringify(policy)), policy, "a policy survives JSON")
  t.same(usedPresets("use: [npm, pypi]\nallow: [*"), ["npm", "pypi"])
})

void t.test("parsePolicy() reads every form of a target", async (t) => {
  const table: [string, string | null][] = [
    ["github.com", null],
    ["GitHub.com.", "github.com"],
    ["github.com:443", "github.com"],
    ["github.com:443/tcp", "github.com"],
    ["github.com:8000-8999", null],
    ["github.com:*", null],
    ["github.com:1-65535", "github.com:*"],
    ["github.com/udp", "github.com/udp"],
    ["localhost:8080", null],
    ["10.1.2.3", null],
    ["10.1.2.3/32", "10.1.2.3"],
    ["10.1.2.3/tcp", "10.1.2.3"],
    ["10.0.0.0/8/udp", null],
    ["10.0.0.0/8:53/udp", null],
    ["2001:db8::1", null],
    ["2001:DB8::/32", "2001:db8::/32"],
    ["[2001:db8::1]:5432", null],
    ["[2001:db8::/32]:443", "2001:db8::/32"],
    ["[2001:db8::/32]:8443/udp", null],
    ["[2001:db8::1]", "2001:db8::1"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["icmp://github.com", null],
    ["icmp://10.0.0.0/8", null],
    ["icmp://2001:db8::1", null],
    ["icmp://[2001:db8::1]", "icmp://2001:db8::1"],
    ["icmp://*.github.com", null],
    ["https://github.com/", null],
    ["HTTPS://GitHub.com/A/b", "https://github.com/A/b"],
    ["https://github.com:443/**", "https://github.com/**"],
    ["https://github.com:8443/**", null],
    ["http://github.com/**", null],
    ["http://github.com:80/a%7eb", "http://github.com/a~b"],
    ["GET https://github.com/a*/**/b", null],
    ["GET, HEAD https://github.com/**", "GET,HEAD https://github.com/**"],
    ["https://*.github.com/%c3%bc", "https://*.github.com/%C3%BC"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["productionresultssa*.blob.core.windows.net", null],
  ]
  for (const [text, canonical] of table) {
    const rule = parseRuleLine("allow", text, {})
    if (Array.isArray(rule))
      t.fail(printProblem(rule[0] ?? { source: "", line: 0, column: 0, message: text }))
    else t.equal(printTarget(rule.target), canonical ?? text)
  }
})

void t.test("parsePolicy() says what is wrong with a line and what would be right", async (t) => {
  const table: [string, RegExp][] = [
    ["", /is empty/],
    ["github.com:0", /port/],
    ["github.com:65536", /port/],
    ["github.com:90-80", /must be 80-90/],
    ["github.com:443:443", /colon/],
    ["github.com/", /must be `github.com` or `https:\/\/github.com\/\*\*`/],
    ["github.com/owner", /request rule: `https:\/\/github.com\/owner`/],
    ["https://github.com", /no path, must be `https:\/\/github.com\/\*\*`/],
    ["http://github.com", /`github.com:80`/],
    ["https://user@github.com/", /user name/],
    ["https://github.com/?q=1", /query/],
    ["https://github.com/../x", /canonical path/],
    ["https://github.com/%2e%2e/x", /canonical path/],
    ["https://github.com/a%2fb", /canonical path/],
    ["https://github.com/a**", /\*\* inside/],
    ["https://10.0.0.1/**", /address/],
    ["get https://github.com/**", /upper case/],
    ["* https://github.com/**", /without methods/],
    ["GET github.com", /space/],
    ["ssh://github.com:22", /must be `github.com:22`/],
    ["udp://github.com:53", /must be `github.com:53\/udp`/],
    ["10.1.2.3/24", /must be 10.1.2.0\/24/],
    ["10.1.2.0/33", /must be \/0 to \/32/],
    ["127.1", /odd spelling/],
    ["0x7f.0.0.1", /odd spelling/],
    ["2130706433", /odd spelling/],
    ["010.0.0.1", /odd spelling/],
    ["2001:db8::1:443/tcp/tcp", /./],
    ["2001:db8::/32:443", /brackets/],
    ["fe80::1%eth0", /./],
    ["a..b", /labels/],
    ["git hub.com", /space/],
    ["github.com\u0000", /invisible/],
    ["github\u200b.com", /invisible/],
    ["www.ab*.example.com", /whole label/],
    ["icmp://github.com:80", /port/],
    ["GET icmp://github.com", /methods/],
    ["*.com", /public suffix/],
    ["**.co.uk", /public suffix/],
    ["*", /any name at all/],
    ["**", /any name at all/],
    ["*.github.io", /github.io/],
    ["*.blob.core.windows.net", /blob.core.windows.net/],
    ["a*.blob.core.windows.net", /blob.core.windows.net/],
    ["*.s3.amazonaws.com", /s3.amazonaws.com/],
    ["*.s3.eu-west-1.amazonaws.com", /s3.eu-west-1.amazonaws.com/],
    ["*.s3.*.amazonaws.com", /s3.\*.amazonaws.com/],
    ["*.workers.dev:*", /workers.dev/],
    ["https://*.storage.googleapis.com/**", /storage.googleapis.com/],
    ["*.*.core.windows.net", /./],
    ["x".repeat(5000), /characters/],
  ]
  for (const [text, wanted] of table) {
    const rule = parseRuleLine("allow", text, {})
    if (Array.isArray(rule)) t.match(rule[0]?.message, wanted, JSON.stringify(text))
    else t.fail(`${text} was read`)
  }
})

void t.test("parsePolicy() lets a wide wildcard stand where the rule says so", async (t) => {
  t.equal(policyOf(`allow: [{to: "*.github.io", wide: true}]`).rules[0]?.wide, true)
  t.equal(problemsOf(`allow: [{to: "*.github.io", wide: false}]`).length, 1)
  t.equal(policyOf(`deny: ["*.github.io", "**"]`).rules.length, 2)
  t.equal(policyOf(`allow: ["*.internal", "*.allowed.test", "*.googleapis.com"]`).rules.length, 3)
})

void t.test("parsePolicy() names every error with line and column", async (t) => {
  t.match(
    problemsOf(`mode: bloc
allows:
  - github.com
allow:
  - github.com:99999
  - *.github.com
  - 443
  - ~
  - [github.com]
  - to: github.com
    bye: x
  - by: x
  - to: github.com
    by: bin/rsync
    token: other
  - {to: "github.com:53/udp", by: dig}
  - {to: 10.0.0.1, token: job}
  - {to: github.com, wide: "yes"}
  - {to: github.com, up: 1000}
  - {to: github.com, up: 10mb}
  - {to: github.com, up: [10MB]}
  - {to: "github.com:53/udp", up: 1MB}
  - {to: icmp://github.com, up: 1MB}
deny:
  - {to: github.com, token: job}
  - {to: github.com, up: 1MB}
use: [npn, nothing-like-it]
mode: audit
opaque: github.com
resolve-private: ["a b"]
intercept: sometimes
`),
    [
      /^sluice.yml:1:7: Cannot read mode "bloc": is unknown, must be audit, block$/,
      /^sluice.yml:2:1: Cannot read key "allows": is unknown, must be `allow`$/,
      /^sluice.yml:5:5: .*"99999" for a port/,
      /^sluice.yml:6:5: .*must be in quotes: "\*.github.com"/,
      /^sluice.yml:7:5: .*is a number, must be text in quotes/,
      /^sluice.yml:8:5: .*is empty/,
      /^sluice.yml:9:5: .*is a list/,
      /^sluice.yml:11:5: .*"bye": is unknown, must be `by`/,
      /^sluice.yml:12:5: .*has no `to`/,
      /^sluice.yml:13:5: .*absolute path/,
      /^sluice.yml:13:5: .*must be `token: job`/,
      /^sluice.yml:16:6: .*UDP/,
      /^sluice.yml:17:6: .*token/,
      /^sluice.yml:18:28: .*true or false/,
      /^sluice.yml:19:6: .*has up: "1000", has no unit, must be `1000B`/,
      /^sluice.yml:20:6: .*has up: "10mb", has the unit "mb", must be `10MB`/,
      /^sluice.yml:21:26: .*is a list or a mapping, must be text/,
      /^sluice.yml:22:6: .*has up: for UDP or ICMP/,
      /^sluice.yml:23:6: .*has up: for UDP or ICMP/,
      /^sluice.yml:25:6: .*token: in deny/,
      /^sluice.yml:26:6: .*up: in deny/,
      /^sluice.yml:27:7: .*"npn": is unknown, must be `npm`/,
      /^sluice.yml:27:12: .*must be one of: github-actions, npm, pypi/,
      /^sluice.yml:28:1: .*"mode": stands here again/,
      /^sluice.yml:29:9: .*no list/,
      /^sluice.yml:30:19: .*no host/,
      /^sluice.yml:31:12: .*when-needed, always, never/,
    ],
  )
  t.match(problemsOf("mode: x\nallow: [github.com\nmode"), [
    /^sluice.yml:1:7: /,
    /^sluice.yml:3:1: Cannot read YAML/,
    /^sluice.yml:3:1: Cannot read YAML/,
  ])
  t.match(problemsOf("- github.com"), [/no mapping/])
  t.match(problemsOf("allow: &a [github.com]\ndeny: *a"), [/anchor/, /\*a/])
  t.match(problemsOf("allow: !!set {github.com}"), [/tag/])
  t.match(problemsOf("a: 1\n---\nb: 2"), [/"a"/, /YAML/])
  t.match(problemsOf("allow: [{? [a] : b}]"), [/must be one of/])
  t.match(problemsOf(`allow: ${"[".repeat(100_000)}`), [/Cannot read/])
  t.match(problemsOf("x".repeat(9_000_000)), [/characters/])
  t.same(policyOf("").rules, [])
  t.same(policyOf("# nothing\nallow:\n").rules, [])
})

void t.test("parsePolicy() reads a budget, which is part of the policy's meaning", async (t) => {
  const bounded = policyOf(`allow: [{to: "https://a.test/**", up: 10MB}]`)
  t.match(bounded.rules[0], { up: 10_000_000, origin: { text: "https://a.test/** (up: 10MB)" } })
  t.equal(policyOf(`allow: ["https://a.test/**"]`).rules[0]?.up, null)
  t.equal(bounded.sha256, policyOf(`allow: [{to: "https://a.test/**", up: 10000kB}]`).sha256)
  t.not(bounded.sha256, policyOf(`allow: [{to: "https://a.test/**", up: 11MB}]`).sha256)
  t.not(bounded.sha256, policyOf(`allow: ["https://a.test/**"]`).sha256)
  t.equal(policyOf(`allow: [{to: 192.0.2.1, up: 1KiB}]`).rules[0]?.up, 1024)
})

void t.test("parsePolicy() expands variables without letting them bring syntax", async (t) => {
  const first = (text: string): string => {
    const [rule] = policyOf(`allow: ['${text}']`).rules
    return rule === undefined ? "" : printTarget(rule.target)
  }
  t.equal(first("${GITHUB_HOST}"), "github.example.com")
  t.equal(first("*.${GITHUB_HOST}:22"), "*.github.example.com:22")
  t.equal(
    first("https://${GITHUB_HOST}/${GITHUB_REPOSITORY}/**"),
    "https://github.example.com/owner/repository/**",
  )
  const bad: [string, RegExp][] = [
    ["${GITHUB_NOT_SET}.example.com", /not set/],
    ["${CI_EMPTY}example.com", /not set/],
    ["${HOME}", /must be one of/],
    ["${GITHUB_TOKEN}.example.com", /secret/],
    ["${github_host}", /must be one of/],
    ["${GITHUB_HOST", /without an end/],
    ["${CI_STAR}.example.com", /without wildcards/],
    ["${CI_SPACE}.example.com", /without wildcards/],
    ["${CI_NEWLINE}", /without wildcards/],
    ["${CI_PORTS}", /without wildcards/],
    ["${CI_SLASH}", /without wildcards/],
    ["https://example.com/${CI_STAR}", /without wildcards/],
    ["https://example.com/${CI_DOTS}", /without wildcards/],
    ["https://${GITHUB_REPOSITORY}/**", /part of a host name/],
    ["${__proto__}", /must be one of/],
  ]
  for (const [text, wanted] of bad) t.match(problemsOf(`allow: ['${text}']`), [wanted], text)
})

void t.test("parsePolicy() refuses to look inside an opaque host", async (t) => {
  const text = (opaque: string, rule: string): string => `opaque: ["${opaque}"]\nallow: [${rule}]`
  t.match(problemsOf(text("a.test", `"https://a.test/**"`)), [/sluice.yml:2:9: .*opaque/])
  t.match(problemsOf(text("*.a.test", `"https://b.a.test/**"`)), [/opaque/])
  t.match(problemsOf(text("b.a.test", `"https://*.a.test/**"`)), [/opaque/])
  t.match(problemsOf(text("b*.a.test", `"https://*.a.test/**"`)), [/opaque/])
  t.match(problemsOf(text("**.test", `{to: a.test, token: job}`)), [/opaque/])
  t.match(problemsOf(`opaque: [a.test]\ndeny: ["PUT https://a.test/**"]`), [/opaque/])
  t.same(problemsOf(text("a.test", `"http://a.test/**", a.test, "https://b.test/**"`)), [])
})

void t.test("extendPolicy() adds rules and changes the digest", async (t) => {
  const policy = policyOf("allow: [a.test, b.test]\nopaque: [c.test]")
  const same = policyOf("# other\nallow:\n - B.test\n - a.test:443\nopaque: [c.test]")
  t.equal(policy.sha256, same.sha256, "the digest is of the meaning")
  const rule = parseRuleLine("deny", "b.test", {})
  if (Array.isArray(rule)) throw new Error("rule")
  const { policy: more } = extendPolicy(policy, [rule], "audit")
  t.equal(more?.rules.length, 3)
  t.equal(more?.mode, "audit")
  t.not(more?.sha256, policy.sha256)
  t.same(rule.origin, { source: "--deny", line: 0, column: 0, text: "b.test" })
  const inside = parseRuleLine("allow", "https://c.test/**", {})
  if (Array.isArray(inside)) throw new Error("rule")
  t.match(extendPolicy(policy, [inside]).problems, [{ message: /opaque/ }])
})

void t.test("parsePolicy() refuses conditions that the kernel cannot see", async (t) => {
  for (const to of ["a.test:53/udp", "10.0.0.1:53/udp", "icmp://a.test", "icmp://10.0.0.1"]) {
    for (const condition of ["by: dig", "step: build", "token: job"]) {
      for (const effect of ["allow", "deny"]) {
        const problems = problemsOf(`${effect}: [{to: "${to}", ${condition}}]`)
        t.ok(problems.length > 0, `${effect} ${to} ${condition}`)
      }
    }
  }
})
