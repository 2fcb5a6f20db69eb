import t from "tap"
import {
  environmentTokens,
  fileToken,
  hashed,
  isJobToken,
  jobTokens,
} from "../../../guard/job-tokens.ts"
import { rule } from "../proxy/world.ts"

const own = "ghs_16C7e42F292c6912E7710c838347Ae178B4a"
const asked = { rules: [{ ...rule("allowed.test"), token: "job" as const }] }
const unasked = { rules: [rule("allowed.test")] }

t.test("environmentTokens() takes the tokens of a job of GitHub Actions", (t) => {
  t.same(environmentTokens({}), [])
  t.same(environmentTokens({ GITHUB_TOKEN: "", NPM_TOKEN: own }), [], "an empty one is none")
  t.same(environmentTokens({ GITHUB_TOKEN: own, ACTIONS_RUNTIME_TOKEN: "x" }), [
    { source: "$GITHUB_TOKEN", text: own },
    { source: "$ACTIONS_RUNTIME_TOKEN", text: "x" },
  ])
  t.end()
})

t.test("fileToken() cuts one line end", (t) => {
  for (const [text, wanted] of [
    ["a", "a"],
    ["a\n", "a"],
    ["a\r\n", "a"],
    ["a\n\n", "a\n"],
    ["\n", ""],
  ] as const) {
    t.equal(fileToken("f", text).text, wanted)
  }
  t.end()
})

t.test("jobTokens() refuses what is no token, and does not show it", (t) => {
  for (const [text, fault] of [
    ["", /it is empty/],
    ["short-secret", /it has 12 characters, must have 20 to 16384/],
    ["x".repeat(16_385), /it has 16385 characters/],
    [`${own} ${own}`, /has a space/],
    [`${own}\n${own}`, /has a space, a line break/],
    [`${own}ü`, /odd character/],
  ] as const) {
    const read = (): unknown => jobTokens([], [fileToken("/t", text)], unasked)
    t.throws(read, { message: /^Cannot take the job's token from --job-token-file "\/t": / })
    t.throws(read, { message: fault })
  }
  try {
    jobTokens([], [fileToken("/t", "short-secret")], unasked)
  } catch (error) {
    t.notMatch(String(error), "short-secret")
  }
  t.end()
})

t.test("jobTokens() minds a variable only where a rule asks for the job's token", (t) => {
  const written = [
    { source: "$GITHUB_TOKEN", text: "dummy" },
    { source: "$ACTIONS_RUNTIME_TOKEN", text: own },
  ]
  t.same(jobTokens(written, [], unasked), [own], "good ones are taken all the same: see the log")
  t.throws(() => jobTokens(written, [], asked), { message: /from \$GITHUB_TOKEN: it has 5/ })
  t.same(jobTokens(written.slice(1), [fileToken("f", `${own}\n`)], asked), [own], "each once")
  t.end()
})

t.test("isJobToken() knows the tokens by their hashes, whatever their length", (t) => {
  const long = `eyJ${"aB3x".repeat(600)}`
  const tokens = hashed([own, long])
  t.notMatch(JSON.stringify(tokens), own)
  const known = isJobToken(tokens)
  t.equal(known(own), true)
  t.equal(known(long), true)
  for (const text of [
    "",
    `${own} `,
    own.toLowerCase(),
    long.slice(0, -1),
    tokens.digests[0] ?? "",
  ]) {
    t.equal(known(text), false, text.slice(0, 50))
  }
  t.equal(isJobToken(hashed([]))(own), false)
  t.not(hashed([own]).key, tokens.key, "each run has a key of its own")
  t.not(hashed([own]).digests[0], tokens.digests[0])
  t.end()
})
