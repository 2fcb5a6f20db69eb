import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync } from "node:fs"
import { readdirSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import t, { type Test } from "tap"
import { atPlace } from "../../../kernel/place.ts"

function folder(t: Test): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "sluice-place-")))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

t.test("atPlace() holds on to the place, whatever becomes of its name", (t) => {
  const root = folder(t)
  mkdirSync(join(root, "door"))
  writeFileSync(join(root, "door", "inside"), "")
  const answer = atPlace(join(root, "door"), (place, facts) => {
    t.ok(facts.isDirectory())
    renameSync(join(root, "door"), join(root, "elsewhere"))
    symlinkSync("/etc", join(root, "door"))
    t.strictSame(readdirSync(place), ["inside"])
  })
  t.equal(answer, "done")
  t.end()
})

t.test("atPlace() does nothing behind a link, be it the last part or one before", (t) => {
  const root = folder(t)
  mkdirSync(join(root, "real", "inner"), { recursive: true })
  symlinkSync(join(root, "real"), join(root, "link"))
  const never = (): void => void t.fail("must not be called")
  t.equal(atPlace(join(root, "link"), never), "moved")
  t.equal(atPlace(join(root, "link", "inner"), never), "moved")
  t.equal(atPlace(join(root, "none"), never), "absent")
  t.equal(atPlace(join(root, "none", "deeper"), never), "absent")
  t.end()
})
