import { chownSync, mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync } from "node:fs"
import { symlinkSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import t, { type Test } from "tap"
import { hiddenPaths } from "../../../kernel/doors.ts"

function folder(t: Test, prefix = join(tmpdir(), "sluice-doors-")): string {
  const path = realpathSync(mkdtempSync(prefix))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

async function listen(t: Test, path: string): Promise<void> {
  const server = createServer()
  await new Promise<void>((listening) => server.listen(path, listening))
  t.teardown(() => server.close())
}

t.test("hiddenPaths() finds sockets on which something listens, wherever they are", async (t) => {
  const root = folder(t)
  await listen(t, join(root, "daemon.sock"))
  t.ok(hiddenPaths(null).includes(join(root, "daemon.sock")))
})

t.test("hiddenPaths() leaves databases of tests alone", async (t) => {
  const root = folder(t)
  await listen(t, join(root, ".s.PGSQL.5432"))
  t.notOk(hiddenPaths(null).includes(join(root, ".s.PGSQL.5432")))
})

t.test("hiddenPaths() does not follow a link that took a socket's place", async (t) => {
  const root = folder(t)
  mkdirSync(join(root, "was"))
  await listen(t, join(root, "was", "here"))
  renameSync(join(root, "was"), join(root, "moved"))
  mkdirSync(join(root, "was"))
  symlinkSync("/etc/passwd", join(root, "was", "here"))
  t.notOk(hiddenPaths(null).includes("/etc/passwd"))
})

t.test("hiddenPaths() does not follow a link under /tmp", (t) => {
  const decoy = folder(t)
  const name = `/tmp/tmux-${process.pid}-sluice`
  symlinkSync(decoy, name)
  t.teardown(() => rmSync(name, { force: true }))
  const real = folder(t, "/tmp/tmux-sluice-")
  const hidden = hiddenPaths(null)
  t.notOk(hidden.includes(decoy))
  t.notOk(hidden.includes(name))
  t.ok(hidden.includes(real), "a directory is hidden")
  t.end()
})

const skip = process.getuid?.() === 0 ? false : "needs root"

t.test("hiddenPaths() follows a link in a home only to what its owner has", { skip }, (t) => {
  const home = folder(t)
  const disk = folder(t)
  chownSync(home, 61_000, 61_000)
  mkdirSync(join(disk, "own"))
  chownSync(join(disk, "own"), 61_000, 61_000)
  mkdirSync(join(home, ".local", "share", "containers"), { recursive: true })
  symlinkSync("/etc", join(home, ".colima"))
  symlinkSync(join(disk, "own"), join(home, ".lima"))
  const hidden = hiddenPaths(home)
  t.notOk(hidden.includes("/etc"))
  t.ok(hidden.includes(join(disk, "own")))
  t.ok(hidden.includes(join(home, ".rd")), "what is not there yet")
  t.end()
})
