/** Row 85: every process of ours ended or stopped by every signal, while the job tries to get out. */
import t, { type Test } from "tap"
import type { Lab } from "../../lab/internet.ts"
import { canary, labFor, whyNoLab } from "./harness.ts"
import { canaryLoop, loopPolicy } from "./loop.ts"
import { alive, descendants, machineState, runDirectories, settled } from "./started.ts"
import { signal, sleep, startGuarded, until, type Started } from "./started.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false
const options = ["--workers", "2"]

function begin(lab: Lab, word: string, seconds: number): Started {
  return startGuarded(lab, { policy: loopPolicy, options }, canaryLoop(word, seconds))
}

const oks = (run: Started): number => run.stdout().split("ok\n").length - 1

/** Waits for the next answer from what is allowed. */
async function nextOk(run: Started, timeoutMs: number): Promise<void> {
  const before = oks(run)
  await until("what is allowed answers", () => oks(run) > before, timeoutMs)
}

/** What every run leaves behind: nothing. */
async function leavesNothing(
  t: Test,
  lab: Lab,
  before: string,
  pid: number,
  processes: readonly number[],
): Promise<void> {
  await until("its processes are gone", () => alive(processes).length === 0, 8_000).catch(() => {})
  t.strictSame(alive(processes), [], "no process is left")
  t.equal(machineState(lab), before, "the machine is as it was")
  t.strictSame(runDirectories(pid), [], "no directory is left")
}

t.test("row 85: signals", { skip, timeout: 290_000 }, async (t) => {
  const lab = await labFor(t)
  await settled(lab)

  await t.test("row 85: without a firewall the loop's canary arrives", async (t) => {
    const word = canary()
    await lab.run(canaryLoop(word, 1), { timeoutMs: 3_000 })
    const kinds = new Set((await lab.seen(word)).map(({ kind }) => kind))
    t.ok(kinds.has("tcp") && kinds.has("http") && kinds.has("datagram") && kinds.has("name"))
  })

  for (const name of ["SIGKILL", "SIGTERM"] as const) {
    await t.test(`row 85: ${name} of each gate process`, async (t) => {
      const before = machineState(lab)
      const word = canary()
      const run = begin(lab, word, 20)
      await until("the job runs", () => oks(run) > 0)
      const tree = descendants(run.pid)
      for (const index of [0, 1, 2]) {
        const gate = run.gates()[index]
        if (gate === undefined) throw new Error("Cannot find the gate's processes")
        signal(gate.pid, name)
        const since = Date.now()
        await until("it is started anew", () => {
          const now = run.gates()
          return now.length === 3 && now.every(({ pid }) => pid !== gate.pid)
        })
        await nextOk(run, 6_000)
        t.comment(`${gate.role}: ${Date.now() - since} ms`)
        t.ok(Date.now() - since < 2_500, `${gate.role} is back at once`)
      }
      signal(run.pid, "SIGTERM")
      t.equal(await run.end, 143, "SIGTERM ends the job")
      t.strictSame(await lab.seen(word), [], "the canary never left")
      const ended = run.events().at(-1)
      t.match(ended, { kind: "run-ended", lost: 0 })
      const found = run.events().filter((event) => event.kind === "finding")
      t.ok(found.length >= 3, "each death is told")
      await leavesNothing(t, lab, before, run.pid, tree)
    })
  }

  await t.test("row 85: each gate process stopped", async (t) => {
    const word = canary()
    const run = begin(lab, word, 30)
    await until("the job runs", () => oks(run) > 0)
    for (const { pid } of run.gates()) {
      signal(pid, "SIGSTOP")
      await sleep(700)
      signal(pid, "SIGCONT")
      await nextOk(run, 8_000)
    }
    for (const { pid } of run.gates()) signal(pid, "SIGSTOP")
    await sleep(1_000)
    t.strictSame(await lab.seen(word), [], "the canary never left")
    signal(run.pid, "SIGTERM")
    const since = Date.now()
    await run.end
    t.ok(Date.now() - since < 10_000, "the run ends although they are stopped")
    t.strictSame(await lab.seen(word), [], "the canary never left")
  })

  await t.test("row 85: the guard stopped, and let go on", async (t) => {
    const before = machineState(lab)
    const word = canary()
    const run = begin(lab, word, 6)
    await until("the job runs", () => oks(run) > 0)
    const tree = descendants(run.pid)
    signal(run.pid, "SIGSTOP")
    await sleep(2_000)
    t.strictSame(await lab.seen(word), [], "the canary never left")
    signal(run.pid, "SIGCONT")
    await nextOk(run, 4_000)
    t.equal(await run.end, 0)
    t.strictSame(await lab.seen(word), [], "the canary never left")
    await leavesNothing(t, lab, before, run.pid, tree)
  })

  for (const afterMs of [0, 100, 200, 300, 450, 600, 1_000]) {
    await t.test(`row 85: kill -9 of the guard after ${afterMs} ms`, async (t) => {
      const before = machineState(lab)
      const word = canary()
      const run = begin(lab, word, 15)
      await sleep(afterMs)
      const tree = descendants(run.pid)
      signal(run.pid, "SIGKILL")
      t.equal(await run.end, 137)
      await until("all are gone", () => alive(tree).length === 0, 5_000).catch(() => {})
      t.strictSame(alive(tree), [], "no process is left")
      await sleep(200)
      t.strictSame(await lab.seen(word), [], "the canary never left")
      const next = startGuarded(lab, { policy: loopPolicy, options }, ["true"])
      t.equal(await next.end, 0)
      t.strictSame(runDirectories(run.pid), [], "the next start cleans up")
      t.equal(machineState(lab), before, "the machine is as it was")
    })
  }
})
