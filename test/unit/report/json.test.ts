import t from "tap"
import { json } from "../../../report/json.ts"
import { Reporter } from "../../../report/report.ts"
import { flow, node } from "../events/samples.ts"

void t.test("json() is of plain characters and holds no command of a runner", (t) => {
  const reporter = new Reporter()
  const odd = "\u202e\u2066\u009b31m ##[command] \ud83d\ude00"
  const process = { ...node, arguments: ["x", odd] }
  const body = { ...flow, process, verdict: "deny", reason: "address-not-allowed" } as const
  reporter.add({ v: 1, time: "2026-11-23T03:00:00.000Z", run: "r", seq: 1, ...body })
  const text = json(reporter.report())
  t.match(text, /^[\x20-\x7e\n]+$/)
  t.notMatch(text, /##\[/)
  t.strictSame(JSON.parse(text), JSON.parse(JSON.stringify(reporter.report())), "nothing is lost")
  t.end()
})
