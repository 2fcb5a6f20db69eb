/**
 * Runs test files, each in a process of its own, and counts what they assert.
 *
 *   node --import ./scripts/compiled.mjs test/suite.ts [--quiet] [--failed=WHAT,…] [PATH…]
 *
 * Unit tests run a few at a time; what builds networks or measures time runs alone. A file that
 * crashes, hangs or says nothing has failed; one that failed is tried once more. The last line is
 * `N passed, M failed, K skipped`; what was skipped is listed before it, with its reason.
 */
import { spawn } from "node:child_process"
import { readdirSync, statSync } from "node:fs"
import { join, relative, resolve } from "node:path"
import { parseArgs } from "node:util"
import { Parser, type Result } from "tap-parser"
import { stringify } from "yaml"

const root = resolve(import.meta.dirname, "..")
const loader = "./scripts/compiled.mjs"

/** Everything, in the order in which it is most telling. */
const everything = [
  "test/tidy.test.ts",
  "test/unit",
  "test/lab",
  "test/bypass",
  "test/fuzz",
] as const

/** Files that neither build networks nor measure time. */
const together = /^test\/(unit\/|tidy)/
/** One more than a small machine has cores: some of these files mostly wait. */
const jobsTogether = 3

/** Many times what the slowest unit test takes, for machines that do other things too. */
const unitTimeoutMs = 240_000
/** A lab is built, used by real programs and taken down, several times over. */
const labTimeoutMs = 300_000
/** A long fuzz is asked for in seconds per test; a file holds about ten. */
const fuzzSecondsShare = 20
/** What `npm test` may take as a whole; what has not begun by then has failed. */
const wholeTimeoutMs = 50 * 60_000
/** Time to clean up after being told to end. */
const endTimeoutMs = 5_000
/** What a file says on standard error is shown if it fails: the end of it. */
const errorCharactersMax = 4_000

interface Outcome {
  readonly file: string
  readonly passed: number
  /** One text for each failure, over several lines. */
  readonly failures: readonly string[]
  /** `name: reason` for each. */
  readonly skips: readonly string[]
  readonly tookMs: number
}

/** Processes that run now: ended when we are told to end. */
const running = new Set<number>()

function timeoutMsOf(file: string): number {
  if (together.test(file)) return unitTimeoutMs
  const seconds = Number(process.env["FUZZ_SECONDS"] ?? 0)
  return file.startsWith("test/fuzz/") && seconds > 0
    ? labTimeoutMs + seconds * 1_000 * fuzzSecondsShare
    : labTimeoutMs
}

/** Ends a process with all that it started in its group. */
function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // Why: the group may have ended by itself just now.
  }
}

function words({ fullname, diag }: Result): string {
  const facts = diag === null || diag === undefined ? "" : stringify(diag as unknown)
  return `${fullname}\n${facts.replaceAll(/^/gm, "    ").trimEnd()}`.trimEnd()
}

/** Runs one file to its end. */
function run(file: string): Promise<Outcome> {
  const beganMs = performance.now()
  const timeoutMs = timeoutMsOf(file)
  const child = spawn(
    process.execPath,
    ["--no-warnings", "--enable-source-maps", "--import", loader, file],
    {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      env: { ...process.env, TAP_TIMEOUT: String(timeoutMs / 1_000), NO_COLOR: "1" },
    },
  )
  const { pid } = child
  if (pid !== undefined) running.add(pid)
  const failures: string[] = []
  const skips: string[] = []
  let passed = 0
  let late = false
  let errors = ""
  const parser = new Parser()
  parser.on("result", (result: Result) => {
    const { ok, skip, todo, name } = result
    if (skip !== false || todo !== false) {
      const why = skip === false ? `to do: ${String(todo)}` : String(skip)
      skips.push(`${name}: ${why === "true" ? "no reason is given" : why}`)
    } else if (ok) passed += 1
    else failures.push(words(result))
  })
  child.stdout.on("data", (bytes: Buffer) => parser.write(bytes))
  child.stderr.on("data", (bytes: Buffer) => {
    errors = (errors + bytes.toString()).slice(-errorCharactersMax)
  })
  const timers = [
    setTimeout(() => {
      late = true
      if (pid !== undefined) end(pid, "SIGTERM")
    }, timeoutMs + endTimeoutMs),
    setTimeout(() => pid !== undefined && end(pid, "SIGKILL"), timeoutMs + 2 * endTimeoutMs),
  ]
  // Why: a process that the file left behind would hold the pipes open for ever.
  child.once("exit", () => {
    timers.push(setTimeout(() => pid !== undefined && end(pid, "SIGKILL"), endTimeoutMs))
  })
  return new Promise((done) => {
    const finish = (state: string | null): void => {
      for (const timer of timers) clearTimeout(timer)
      if (pid !== undefined) running.delete(pid)
      const finished = (): void => {
        const { ok, planReason, planSkipAll } = planOf(parser)
        if (planSkipAll) skips.push(`the whole file: ${planReason || "no reason is given"}`)
        else if (passed + failures.length + skips.length === 0) failures.push("asserts nothing")
        if (late) failures.push(`takes longer than ${timeoutMs / 1_000} s`)
        if (failures.length === 0 && (state !== null || !ok)) {
          failures.push(state ?? "its output is cut short")
        }
        const last = failures.pop()
        if (last !== undefined) {
          failures.push(errors === "" ? last : `${last}\n  standard error:\n${errors}`)
        }
        done({ file, passed, failures, skips, tookMs: performance.now() - beganMs })
      }
      parser.once("complete", finished)
      parser.end()
    }
    child.once("error", (error) => finish(`does not start: ${error.message}`))
    child.once("close", (status, signal) => {
      finish(status === 0 ? null : `ends with ${signal ?? `status ${String(status)}`}`)
    })
  })
}

function planOf(parser: Parser): { ok: boolean; planReason: string; planSkipAll: boolean } {
  const { ok, results } = parser
  const plan = results?.plan
  const skipAll = plan?.skipAll === true
  return { ok: ok && results !== null, planReason: plan?.skipReason ?? "", planSkipAll: skipAll }
}

/** The test files at or below a path, sorted; none where there is no such path. */
function filesAt(path: string): string[] {
  const facts = statSync(path, { throwIfNoEntry: false })
  if (facts === undefined) return []
  if (facts.isFile()) return [relative(root, path)]
  return readdirSync(path, { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) =>
      entry.isDirectory() || entry.name.endsWith(".test.ts") ? filesAt(join(path, entry.name)) : [],
    )
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

function sayOutcome({ file, passed, failures, skips, tookMs }: Outcome, quiet: boolean): void {
  const counts = [
    `${passed} passed`,
    ...(failures.length > 0 ? [`${failures.length} FAILED`] : []),
    ...(skips.length > 0 ? [`${skips.length} skipped`] : []),
  ]
  const mark = failures.length > 0 ? "not ok" : "ok"
  if (!quiet || failures.length > 0) {
    say(`${mark.padEnd(6)}  ${file}  ${counts.join(", ")}  (${(tookMs / 1_000).toFixed(1)} s)`)
  }
  for (const failure of failures) say(`  ${failure.replaceAll("\n", "\n  ")}`)
}

/** Takes files off the list until it is empty. */
async function work(files: string[], quiet: boolean, outcomes: Outcome[]): Promise<void> {
  for (let file = files.shift(); file !== undefined; file = files.shift()) {
    const late = performance.now() > wholeTimeoutMs && process.env["FUZZ_SECONDS"] === undefined
    const failures = [`did not begin within ${wholeTimeoutMs / 60_000} minutes`]
    const outcome = late ? { file, passed: 0, failures, skips: [], tookMs: 0 } : await run(file)
    outcomes.push(outcome)
    sayOutcome(outcome, quiet)
  }
}

/**
 * Tries what failed once more, each file alone: many hold times against the clock, on a machine that
 * may be busy. What passes then is told, so that nobody takes it for steady.
 */
async function again(outcomes: Outcome[], quiet: boolean): Promise<string[]> {
  const unsteady: string[] = []
  for (const [index, { file, failures }] of outcomes.entries()) {
    if (failures.length === 0) continue
    const second = await run(file)
    sayOutcome(second, quiet)
    outcomes[index] = second
    if (second.failures.length === 0) unsteady.push(file)
  }
  return unsteady
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quiet: { type: "boolean" }, failed: { type: "string" } },
  })
  const quiet = values.quiet === true
  const paths = positionals.length > 0 ? positionals : everything
  const files = [...new Set(paths.flatMap((path) => filesAt(resolve(root, path))))]
  const outcomes: Outcome[] = []
  const parallel = files.filter((file) => together.test(file))
  const alone = files.filter((file) => !together.test(file))
  await Promise.all(Array.from({ length: jobsTogether }, () => work(parallel, quiet, outcomes)))
  await work(alone, quiet, outcomes)

  const unsteady = await again(outcomes, quiet)
  if (unsteady.length > 0) {
    say(["passed only when tried again:", ...unsteady.map((file) => `  ${file}`)].join("\n"))
  }

  const failedBefore = (values.failed ?? "").split(",").filter((name) => name !== "")
  for (const name of failedBefore) say(`not ok  ${name}`)
  const skips = outcomes.flatMap(({ file, skips: each }) => each.map((skip) => `${file}: ${skip}`))
  if (skips.length > 0) say(["skipped:", ...skips.map((skip) => `  ${skip}`)].join("\n"))
  const failed = outcomes.filter(({ failures }) => failures.length > 0)
  if (failed.length > 0 && !quiet) {
    say(["failed:", ...failed.map(({ file }) => `  ${file}`)].join("\n"))
  }
  const passedCount = outcomes.reduce((sum, { passed }) => sum + passed, 0)
  const failedCount =
    failedBefore.length + outcomes.reduce((sum, { failures }) => sum + failures.length, 0)
  if (files.length === 0) say("Cannot test: there is no such test file")
  say(`${passedCount} passed, ${failedCount} failed, ${skips.length} skipped`)
  return failedCount === 0 && files.length > 0 ? 0 : 1
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    for (const pid of running) end(pid, "SIGTERM")
    setTimeout(() => process.exit(1), endTimeoutMs)
  })
}
process.exitCode = await main()
