import t from "tap"
import { readFileSync } from "node:fs"
import { Ajv } from "ajv"
import { parse } from "yaml"
import { parsePolicy } from "../../../policies/parse.ts"

const file = new URL("../../../policies/sluice.schema.json", import.meta.url)
const schema = JSON.parse(readFileSync(file, "utf8")) as object
const validate = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(schema)

const surroundings = {
  source: "p",
  environment: { GITHUB_REPOSITORY: "o/r", CI_HOST: "a.test" },
  presets: new Map([["npm", { lines: [] }]]),
}

const reads = (text: string): boolean => parsePolicy(text, surroundings).policy !== null

void t.test("the JSON Schema takes what the parser takes", async (t) => {
  const good = [
    "",
    "mode: audit",
    "allow:\ndeny: []",
    "use: [npm]",
    "intercept: never\nopaque: ['*.a.test']\nresolve-private: [db.internal]",
    "allow: [{to: a.test, by: /usr/bin/x, step: s, token: job, wide: true}]",
    "allow: [{to: a.test, up: 10MB}, {to: 'https://a.test/', up: 512 KiB}, {to: 10.0.0.1, up: 1B}]",
    "allow: [WEBSOCKET https://a.test/**]",
    "deny: [{to: a.test, by: curl, step: s, wide: false}]",
    ...[
      "a.test",
      "A.test.",
      "bücher.example",
      "*.a.test:*",
      "a.test:1-2/udp",
      "a.test/TCP",
      "${CI_HOST}:22",
      "10.0.0.0/8",
      "10.0.0.0/8:53/udp",
      "10.0.0.1:1",
      "2001:db8::/32",
      "2001:db8::1/udp",
      "::ffff:10.0.0.1",
      "[2001:db8::/32]:443/tcp",
      "[2001:db8::1]",
      "icmp://a.test",
      "icmp://10.0.0.0/8",
      "https://a.test/",
      "HTTP://a.test:8080/**",
      "GET, HEAD https://a.test/${GITHUB_REPOSITORY}/*",
    ].map((rule) => `allow: [${JSON.stringify(rule)}]`),
  ]
  for (const text of good) {
    t.ok(reads(text), `parser: ${text}`)
    t.ok(validate(parse(text) ?? null), `schema: ${text}`)
  }
})

void t.test("the JSON Schema refuses what the parser refuses by shape", async (t) => {
  const bad = [
    "mode: enforce",
    "mode:",
    "modes: audit",
    "allow: a.test",
    "allow: [443]",
    "allow: [null]",
    "allow: [[a.test]]",
    "allow: ['']",
    "allow: [{by: curl}]",
    "allow: [{to: a.test, bye: curl}]",
    "allow: [{to: a.test, by: bin/curl}]",
    "allow: [{to: a.test, by: 3}]",
    "allow: [{to: a.test, step: 3}]",
    "allow: [{to: a.test, token: other}]",
    "allow: [{to: a.test, wide: 'yes'}]",
    "deny: [{to: a.test, token: job}]",
    "deny: [{to: a.test, up: 1MB}]",
    "allow: [{to: a.test, up: 1000}]",
    "allow: [{to: a.test, up: 10mb}]",
    "allow: [{to: a.test, up: 0MB}]",
    "allow: [{to: a.test, up: 1.5MB}]",
    "use: npm",
    "use: [3]",
    "opaque: [a.test/x]",
    "intercept: sometimes",
    "[a.test]",
    ...[
      "https://a.test",
      "a.test/path",
      "get https://a.test/",
      "https://u@a.test/",
      "https://a.test/?q",
      "ssh://a.test",
      "a b",
      "a.test:x",
      "a.test:1:2",
      "a.test/sctp",
      "10.0.0.0/999",
    ].map((rule) => `allow: [${JSON.stringify(rule)}]`),
  ]
  for (const text of bad) {
    t.notOk(reads(text), `parser: ${text}`)
    t.notOk(validate(parse(text)), `schema: ${text}`)
  }
})
