import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { readlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import t, { type Test } from "tap"
import { cleanDeadRuns, openRunDirectory, type Undo } from "../../../guard/run-directory.ts"

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), "sluice-runs-"))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

const table: Undo = { kind: "table", table: "sluice-one" }
const forward = (before: string): Undo => ({ kind: "setting", name: "ipv4/ip_forward", before })

/** Leaves what a run that was killed leaves. */
function dead(root: string, id: string, undo: readonly Undo[], network?: string): void {
  mkdirSync(join(root, id))
  const record = {
    pid: process.pid,
    startedTicks: "1",
    network: network ?? readlinkSync("/proc/self/ns/net"),
    undo,
  }
  writeFileSync(join(root, id, "record.json"), JSON.stringify(record))
}

t.test("openRunDirectory() notes changes before they are made, for root alone", (t) => {
  const root = folder(t)
  const undone: Undo[] = []
  const run = openRunDirectory("one", (change) => undone.push(change), root)
  const file = join(run.path, "record.json")
  t.equal(statSync(file).mode & 0o777, 0o600)
  run.note(table)
  run.note(forward("0"))
  const record = JSON.parse(readFileSync(file, "utf8")) as { undo: Undo[] }
  t.strictSame(record.undo, [table, forward("0")])
  t.strictSame(
    cleanDeadRuns(() => t.fail("lives"), root),
    [],
  )
  run.close()
  t.strictSame(undone, [forward("0"), table], "backwards")
  t.notOk(existsSync(run.path))
  t.end()
})

t.test("openRunDirectory() refuses an id that is taken", (t) => {
  const root = folder(t)
  openRunDirectory("one", () => {}, root)
  t.throws(() => openRunDirectory("one", () => {}, root), { code: "EEXIST" })
  t.end()
})

t.test("cleanDeadRuns() undoes what a killed run left, a reused pid notwithstanding", (t) => {
  const root = folder(t)
  dead(root, "killed", [table, forward("0")])
  const undone: Undo[] = []
  t.strictSame(
    cleanDeadRuns((change) => undone.push(change), root),
    ["killed"],
  )
  t.strictSame(undone, [forward("0"), table])
  t.notOk(existsSync(join(root, "killed")))
  t.strictSame(
    cleanDeadRuns(() => t.fail("once"), root),
    [],
  )
  t.end()
})

t.test("cleanDeadRuns() leaves another network's changes to the next start there", (t) => {
  const root = folder(t)
  dead(root, "elsewhere", [table], "net:[1]")
  dead(root, "nothing", [], "net:[1]")
  t.strictSame(
    cleanDeadRuns(() => t.fail("not here"), root),
    ["nothing"],
  )
  t.ok(existsSync(join(root, "elsewhere")))
  t.end()
})

t.test("cleanDeadRuns() leaves a run alone that is just starting beside it", (t) => {
  const root = folder(t)
  mkdirSync(join(root, "starting"))
  t.strictSame(
    cleanDeadRuns(() => {}, root),
    [],
  )
  t.ok(existsSync(join(root, "starting")))
  t.end()
})

t.test("a setting is put back by the last of the runs that share it, to what was first", (t) => {
  const root = folder(t)
  const undone: string[] = []
  const undo = (change: Undo): void => void undone.push(JSON.stringify(change))
  const first = openRunDirectory("first", undo, root)
  first.note(forward("0"))
  const second = openRunDirectory("second", undo, root)
  second.note(forward("1"))
  first.close()
  t.strictSame(undone, [], "the second still needs it")
  second.close()
  t.strictSame(undone, [JSON.stringify(forward("0"))])
  t.end()
})

t.test("cleanDeadRuns() gives no error where there never was a run", (t) => {
  t.strictSame(
    cleanDeadRuns(() => {}, join(folder(t), "none")),
    [],
  )
  t.end()
})
