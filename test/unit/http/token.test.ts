import t from "tap"
import type { Test } from "tap"
import { fc } from "../../property.ts"
import type { Token } from "../../../flows/flow.ts"
import { tokenOf } from "../../../http/token.ts"

/** The job's own: one as GitHub makes them, a JWT longer than 520 bytes, and one without a shape. */
const own = "ghs_16C7e42F292c6912E7710c838347Ae178B4a"
const jwt = `eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.${"aB3x".repeat(300)}.${"Zz09".repeat(80)}`
const plain = "correct-horse-battery-staple"
const isJob = (text: string): boolean => text === own || text === jwt || text === plain

/** A stranger's. */
const foreign = "ghp_0123456789abcdefABCDEF0123456789abcd"
const base64 = (text: string): string => Buffer.from(text).toString("base64")

type Case = readonly [token: Token, target: string, ...fields: string[]]

function token([, target, ...fields]: Case): Token {
  const read = fields.map((field) => {
    const colon = field.indexOf(":")
    return { name: field.slice(0, colon), value: field.slice(colon + 1).trim() }
  })
  return tokenOf(read, target, isJob)
}

function all(t: Test, table: readonly Case[]): void {
  for (const row of table) t.equal(token(row), row[0], row.slice(1).join(" | ").slice(0, 150))
}

void t.test("tokenOf() sees no credential in what programs send", async (t) => {
  all(t, [
    ["none", "/"],
    ["none", "/left-pad/-/left-pad-1.3.0.tgz", "Host: registry.example.com", "Accept: */*"],
    [
      ...(["none", "/left-pad", "user-agent: npm/10.8.2 node/v20.20.0 linux x64"] as const),
      ...["npm-session: a1b2c3d4e5f60718", "npm-auth-type: web", "npm-command: install"],
      "accept: application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*",
    ],
    ["none", "/o/r/info/refs?service=git-upload-pack", "git-protocol: version=2"],
    ["none", "/repos/o/r/commits?sha=2fd4e1c67a2d28fced849ee1bb76e7391b93eb12&author=octocat"],
    ["none", "/v2/x/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    ["none", "/", "x-request-id: 123e4567-e89b-12d3-a456-426614174000"],
    ["none", "/", `x-amz-content-sha256: ${"0f".repeat(32)}`],
    ["none", "/ws", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-protocol: chat"],
    ["none", "/", "Authorization:", "Cookie:", 'If-None-Match: W/"33a64df551425fcc55e4d42a1487"'],
    ["none", "/a%20b?q=%C3%BC&page=2", "content-type: application/x-www-form-urlencoded"],
    ["none", "/", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
  ])
})

void t.test("tokenOf() knows the job's own token wherever a credential stands", async (t) => {
  all(t, [
    ["job", "/", `Authorization: Bearer ${own}`],
    ["job", "/", `authorization: bearer ${own}`],
    ["job", "/", `authorization: token ${own}`],
    ["job", "/", `authorization: Bearer ${jwt}`],
    ["job", "/", `authorization: Bearer ${plain}`],
    ["job", "/", `proxy-authorization: Bearer ${own}`],
    ["job", "/", `authorization: Basic ${base64(`x-access-token:${own}`)}`],
    ["job", "/", `authorization: basic ${base64(`octo-cat:${own}`)}`],
    ["job", "/", `authorization: basic ${base64(`github-actions[bot]:${own}`)}`],
    ["job", "/", `authorization: basic ${base64(`:${own}`)}`],
    ["job", "/", `authorization: basic ${base64(`${own}:x-oauth-basic`)}`],
    ["job", "/", `authorization: basic ${base64(`${own}:`)}`],
    ["job", "/", `authorization: basic ${base64(own)}`],
    ["job", "/", `authorization: basic ${base64(`${own}:${own}`)}`],
    ["job", "/", `authorization: basic ${base64(`x:${plain}`).replace(/=+$/, "")}`],
    ["job", "/", `PRIVATE-TOKEN: ${plain}`],
    ["job", "/", `x-auth-token: Bearer ${plain}`],
    ["job", "/", `cookie: session=${plain}`],
    ["job", "/", `cookie: a=${plain}; b="${own}"`],
    ["job", `/?access_token=${plain}`],
    ["job", `/?a=1&${encodeURIComponent("private_token")}=${encodeURIComponent(own)}`],
    ["job", `/?x=${own}`],
    ["job", `/a/${own}/b`],
    ["job", "/", `x-anything: ${own}`],
    ["job", "/", `accept: x ${own}, y`],
    ["job", "/", `referer: https://x-access-token:${own}@example.com`],
    ["job", `/?t=${plain}`, `authorization: Bearer ${own}`, `cookie: a=${plain}`],
  ])
})

void t.test("tokenOf() takes every other credential for a stranger's", async (t) => {
  all(t, [
    ["other", "/", `authorization: Bearer ${foreign}`],
    ["other", "/", `authorization: Bearer ${own}x`],
    ["other", "/", `authorization: Bearer ${own.toLowerCase()}`],
    ["other", "/", `authorization: ${own}`],
    ["other", "/", `authorization: Bearer ${own} ${foreign}`],
    ["other", "/", `authorization: Bearer ${own}, Basic ${base64(`a:${foreign}`)}`],
    ["other", "/", 'authorization: Digest username="Mufasa"'],
    ["other", "/", "authorization: Negotiate YIIB"],
    ["other", "/", "authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830"],
    ["other", "/", `authorization: basic ${base64(`x-access-token:${foreign}`)}`],
    ["other", "/", `authorization: basic ${base64(`${foreign}:${own}`)}`],
    ["other", "/", `authorization: basic ${base64(`${own}:${foreign}`)}`],
    ["other", "/", `authorization: basic ${base64(`${own}:hunter2`)}`],
    ["other", "/", `authorization: basic ${base64(`user:hunter2`)}`],
    ["other", "/", `authorization: basic ${base64(`${"k".repeat(40)}:${own}`)}`],
    ["other", "/", `authorization: basic ${base64(`aB3${"x".repeat(30)}:${own}`)}`],
    ["other", "/", `authorization: basic ${base64(`x:${own}`)}!`],
    ["other", "/", `authorization: basic ${base64(`x:${own}`).replace("=", "")}===`],
    ["other", "/", `proxy-authorization: basic ${base64("a:b")}`],
    ["other", "/", `authorization: Bearer ${own}`, `authorization: Bearer ${foreign}`],
    ["other", "/", `authorization: Bearer ${own}`, "cookie: session=abc"],
    ["other", "/", `authorization: Bearer ${own}`, "X-Api-Key: 1"],
    ["other", "/", "fastly-key: 1"],
    ["other", "/", "Ocp-Apim-Subscription-Key: 1"],
    ["other", "/", "npm-otp: 123456"],
    ["other", "/", `cookie: a=${own}; b=1`],
    ["other", "/", "cookie: justavalue"],
    ["other", "/?token=1"],
    ["other", "/?%74oken=1"],
    ["other", "/?a=1;token=1"],
    ["other", "/?X-Amz-Signature=fe5f80"],
    ["other", "/?sig=abc&sv=1"],
    ["other", "/?code=1"],
    ["other", `/?${"a=1&".repeat(1_001)}`],
    ["other", `/?x=${foreign}`],
    ["other", `/?x=gh%70_${foreign.slice(4)}`],
    ["other", "/?x=%ff"],
    ["other", `/?x=${"aZ09".repeat(8)}`],
    ["other", `/?access_token=${own}&private_token=${foreign}`],
    ["other", `/?t=${own}`, `authorization: Bearer ${foreign}`],
    ["other", `/a/${foreign}`],
    ["other", `/a/gh%70_${foreign.slice(4)}`],
    ["other", `/a/${own}x`],
    ["other", "/", `user-agent: ${foreign}`],
    ["other", "/", `user-agent: ${own}.${foreign}`],
    ["other", "/", "x-stuff: aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF"],
    ["other", "/", "referer: https://user:password@example.com/"],
    ["other", "/", `referer: https://${own}:${foreign}@example.com/`],
    ["other", "/", `sec-websocket-protocol: base64url.bearer.authorization.k8s.io.${base64(own)}`],
    ["other", "/", "dd-api-key: 0123456789abcdef0123456789abcdef"],
  ])
})

void t.test("tokenOf() without the job's tokens takes all for a stranger's", async (t) => {
  const value = `Bearer ${own}`
  t.equal(tokenOf([{ name: "Authorization", value }], "/"), "other")
})

void t.test("tokenOf() finds a stranger's token among any other fields", async (t) => {
  const harmless = fc.constantFrom(
    { name: "accept", value: "*/*" },
    { name: "Authorization", value: `Bearer ${own}` },
    { name: "x-request-id", value: "123e4567-e89b-12d3-a456-426614174000" },
    { name: "user-agent", value: "curl/8" },
  )
  const bad = fc.constantFrom(
    { name: "x-thing", value: foreign },
    { name: "authorization", value: `token ${foreign}` },
    { name: "Cookie", value: `a=${own}; s=1` },
  )
  fc.assert(
    fc.property(fc.array(harmless), bad, fc.array(harmless), (before, one, after) => {
      const found = tokenOf([...before, one, ...after], "/", isJob)
      return found === "other" && tokenOf([...before, ...after], "/", isJob) !== "other"
    }),
    { numRuns: 200, seed: 1 },
  )
  t.pass()
})

void t.test("tokenOf() compares no further once a stranger's credential is found", async (t) => {
  let asked = 0
  const slow = (text: string): boolean => {
    asked++
    return isJob(text)
  }
  const cookies = Array.from({ length: 5_000 }, (_, index) => `c${index}=v`).join("; ")
  const keys = Array.from({ length: 900 }, (_, index) => `key=${index}`).join("&")
  const shapes = `${foreign} `.repeat(1_000)
  t.equal(tokenOf([{ name: "cookie", value: cookies }], "/", slow), "other")
  t.equal(tokenOf([], `/?${keys}`, slow), "other")
  t.equal(tokenOf([{ name: "accept", value: shapes }], "/", slow), "other")
  t.equal(tokenOf([], `/${`${foreign}/`.repeat(1_000)}`, slow), "other")
  t.equal(asked, 4)
})

void t.test("tokenOf() is quick about long fields of any kind", async (t) => {
  const long = ["a", "-", "_a-", "://", "@", "eyJ", "ghs_", "a b", "%41", "=", ";", "://a@"]
  for (const piece of long) {
    const value = piece.repeat(60_000 / piece.length)
    const begun = performance.now()
    for (const name of ["accept", "x-a", "cookie", "authorization", "x-token"]) {
      tokenOf([{ name, value }], `/${value}?${value}&a=${value}`, isJob)
    }
    const tookMs = performance.now() - begun
    t.ok(tookMs < 500, `${piece}: ${tookMs.toFixed()} ms`)
  }
})
