import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import t, { type Test } from "tap"
import { listingFreshMs, members } from "../../../processes/members.ts"
import { parentOf, processOf } from "../../../processes/program.ts"

const probe = spawnSync("unshare", ["--pid", "--fork", "true"])
const skip = probe.status === 0 ? false : "needs the right to make PID namespaces"

/** Starts a shell as first process of a new PID namespace; it prints `up` when all of it runs. */
async function start(t: Test, script: string): Promise<ChildProcess> {
  const child = spawn("unshare", ["--pid", "--fork", "--kill-child", "sh", "-c", script], {
    stdio: ["pipe", "pipe", "inherit"],
  })
  t.teardown(() => child.kill("SIGKILL"))
  if (child.stdout !== null) await once(child.stdout, "data")
  return child
}

/** Children of a process, as the machine numbers them. */
function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim()
  return text === "" ? [] : text.split(" ").map(Number)
}

function all(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(all)]
}

t.test("members() are the processes of one PID namespace", { skip }, async (t) => {
  const child = await start(t, "sleep 30 & echo up; cat")
  const [init = 0] = childrenOf(child.pid ?? 0)
  const job = members(init)
  t.strictSame(job.list(), [], "nobody was listed yet")
  t.ok(job.refresh(1_000))
  const inside = all(init)
  t.ok(inside.length >= 2)
  t.strictSame(
    job.list(),
    inside.toSorted((a, b) => b - a),
  )
  for (const pid of inside) t.ok(job.has(pid))
  for (const pid of [process.pid, child.pid ?? 0, 1, 0]) t.notOk(job.has(pid), String(pid))
})

t.test("members() has those in namespaces that the job made itself", { skip }, async (t) => {
  const child = await start(
    t,
    "unshare --pid --fork --kill-child unshare --pid --fork --kill-child sh -c 'sleep 30 & echo up; cat'",
  )
  const [init = 0] = childrenOf(child.pid ?? 0)
  const job = members(init)
  job.refresh(0)
  const inside = all(init)
  t.ok(inside.length >= 4)
  t.strictSame(
    job.list(),
    inside.toSorted((a, b) => b - a),
  )
  const deepest = inside.at(-1) ?? 0
  t.ok(members(init).has(deepest), "without a listing too")
  const found = processOf(deepest, job.has, (argv) => argv)
  t.ok((found?.ancestors.length ?? 0) >= 3, "its ancestors reach up to the job's first")
  t.equal(found?.ancestors.at(-1)?.pid, init)
})

t.test("members() lists anew only when the last list is old", { skip }, async (t) => {
  const child = await start(t, "echo up; cat")
  const job = members(childrenOf(child.pid ?? 0)[0] ?? 0)
  t.ok(job.refresh(1_000))
  t.notOk(job.refresh(1_000 + listingFreshMs - 1))
  t.ok(job.refresh(1_000 + listingFreshMs))
})

t.test("members() of a job that has ended are nobody", (t) => {
  const job = members(2 ** 22 + 1)
  t.ok(job.refresh(0))
  t.strictSame(job.list(), [])
  t.notOk(job.has(process.pid))
  t.end()
})

t.test("parentOf() is 0 for who has gone", (t) => {
  t.equal(parentOf(process.pid), process.ppid)
  t.equal(parentOf(2 ** 22 + 1), 0)
  t.equal(
    processOf(
      2 ** 22 + 1,
      () => true,
      (argv) => argv,
    ),
    null,
  )
  t.end()
})
