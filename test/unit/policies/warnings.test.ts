import t from "tap"
import { parsePolicy } from "../../../policies/parse.ts"
import { printProblem } from "../../../policies/rule.ts"
import { warnings } from "../../../policies/warnings.ts"

function warned(text: string): string[] {
  const { policy, problems } = parsePolicy(text, {
    source: "p",
    environment: {},
    presets: new Map([
      ["github", { lines: [{ text: "github.com", source: "preset github", line: 1 }] }],
    ]),
  })
  return policy === null ? problems.map(printProblem) : warnings(policy).map(printProblem)
}

void t.test("warnings() says which rules allow more than they seem to", async (t) => {
  const table: [string, RegExp][] = [
    ["allow: [github.com]", /^p:1:9: Beware of rule "github.com": .*many share/],
    ["allow: ['github.com:22']", /many share: every owner's repositories$/],
    ["allow: [a.test, 'https://a.test/x']", /narrows nothing: a.test \(p:1\)/],
    ["allow: ['*.a.test:*', {to: b.a.test, token: job}]", /"b.a.test.*narrows nothing/],
    ["allow: [a.test, {to: 'https://a.test/x', up: 1MB}]", /bounds nothing: a.test \(p:1\)/],
    ["allow: ['*.test:*', {to: a.test, up: 1MB}]", /"a.test \(up.*bounds nothing/],
    ["allow: [{to: '*.github.io', wide: true}]", /github.io/],
    ["allow: ['**.amazonaws.com']", /reaches into s3.amazonaws.com/],
    ["allow: ['productionresults*.blob.core.windows.net']", /begins the same/],
    ["allow: ['http://a.test/**']", /plain HTTP/],
    ["allow: ['a.test:*']", /all ports/],
    ["allow: ['a.test:1-2000']", /2000 ports/],
    ["allow: [203.0.0.0/8]", /covers a \/8/],
    ["allow: ['169.254.0.0/16']", /metadata/],
    ["allow: ['a.test/udp']", /QUIC/],
    ["allow: ['a.test:53/udp']", /changes nothing/],
    ["intercept: never\nallow: ['https://a.test/**']", /never allows anything/],
    ["intercept: never\nallow: [{to: a.test, token: job}]", /never allows anything/],
    ["intercept: never\nallow: [a.test]\ndeny: ['PUT https://a.test/**']", /refused as a whole/],
    ["allow: [a.b.test]\ndeny: ['*.b.test']", /never allows anything: \*\.b\.test \(p:2\)/],
    ["allow: ['*.b.test']\ndeny: ['**.test:*']", /never allows anything/],
    ["allow: [a.test]\nresolve-private: ['**']", /resolve to private/],
    ["allow: [d1.cloudfront.net]", /serves many \(Amazon CloudFront\).*`https:\/\/d1.cloudfront/],
    ["allow: ['a.map.fastly.net:*']", /serves many \(Fastly\)/],
    ["", /allows nothing/],
  ]
  for (const [text, wanted] of table) {
    t.ok(
      warned(text).some((line) => wanted.test(line)),
      `${text} ${warned(text).join()}`,
    )
  }
})

void t.test("warnings() is silent about a narrow policy", async (t) => {
  const narrow = `
use: [github]
allow:
  - registry.example.com
  - GET https://gitlab.com/owner/repository/**
  - 10.1.2.0/24:5432
  - "*.sub.example.com"
  - "**.deep.test"
deny: ["*.deep.test", "registry.example.com:22", "PUT https://registry.example.com/**"]
`
  t.same(warned(narrow), [])
})
