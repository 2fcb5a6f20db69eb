import t from "tap"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Io } from "../../../cli/io.ts"
import { reportCommand } from "../../../cli/report.ts"
import { lines } from "../../../events/line.ts"
import type { Report } from "../../../report/report.ts"
import { flow, name } from "../events/samples.ts"

const io = (): Io & { said: string[]; complained: string[] } => {
  const said: string[] = []
  const complained: string[] = []
  const out = (text: string): void => void said.push(text)
  const err = (text: string): void => void complained.push(text)
  return { out, err, said, complained, environment: {}, isTerminal: true, columns: 80 }
}

const log = (directory: string, run: string): string => {
  const path = join(directory, `${run}.jsonl`)
  const { line } = lines(run)
  writeFileSync(path, line(name, 1, 0) + line(flow, 2, 1000))
  return path
}

void t.test("sluice report shows several logs together, with colours on a terminal", async (t) => {
  const directory = t.testdir()
  const seen = io()
  t.equal(await reportCommand([log(directory, "one"), log(directory, "two")], seen), 0)
  t.match(seen.said.join(""), "evil.test")
  t.match(seen.said.join(""), "\u001b[31m")
  t.match(seen.said.join(""), "2 connections, 2 lookups")
})

void t.test("sluice report writes JSON where it is asked to", async (t) => {
  const directory = t.testdir()
  const path = join(directory, "report.json")
  t.equal(await reportCommand([log(directory, "one"), "-o", path], io()), 0)
  const report = JSON.parse(readFileSync(path, "utf8")) as Report
  t.match(report, { v: 1, denied: [{ target: "evil.test", suggestion: "evil.test" }] })
  const seen = io()
  t.equal(await reportCommand([log(directory, "one"), "--format", "json"], seen), 0)
  t.same(JSON.parse(seen.said.join("")), report)
})

void t.test("sluice report says what is wrong with its input, and ends with 2", async (t) => {
  const directory = t.testdir({ empty: "", other: "hello\n" })
  const table: readonly (readonly [string[], RegExp])[] = [
    [[], /name at least one event log/],
    [[join(directory, "absent")], /no such file or directory/],
    [[directory], /Cannot read/],
    [[join(directory, "empty")], /holds no event/],
    [[join(directory, "other")], /holds no event/],
    [[log(directory, "a"), "--format", "sarif"], /the formats are text and json/],
    [[log(directory, "a"), "--nonsense"], /nonsense/],
    [[log(directory, "a"), "-o", join(directory, "no", "x")], /Cannot write/],
  ]
  for (const [argv, wanted] of table) {
    const seen = io()
    t.equal(await reportCommand(argv, seen), 2)
    t.match(seen.complained.join(""), wanted)
    t.match(seen.complained.join(""), /^(?:sluice: .*\n)+$/)
  }
})

void t.test("sluice report --help teaches", async (t) => {
  const seen = io()
  t.equal(await reportCommand(["--help"], seen), 0)
  t.match(seen.said.join(""), /Usage: sluice report/)
})
