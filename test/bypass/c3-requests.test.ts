/** Rows 36, 41–47, 51 and 53: what a client can do with the words of HTTP/1.1, with TLS and without. */
import t from "tap"
import { recorderPorts } from "../../lab/recorder-ports.ts"
import { whyNoLab } from "./harness.ts"
import { oddRules, oddTries } from "./odd-requests.ts"
import { recordedLab } from "./recorded.ts"
import { allTries } from "./requests.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false

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
})
