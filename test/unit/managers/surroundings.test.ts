import { execFileSync } from "node:child_process"
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import t from "tap"
import { fileBytesMax, realSurroundings } from "../../../managers/surroundings.ts"

t.test("realSurroundings() reads plain files only, small ones, and never waits", async (t) => {
  const folder = t.testdir({ plain: "a=b\n", empty: "", folder: {}, strict: "secret" })
  writeFileSync(join(folder, "large"), "x".repeat(fileBytesMax + 1))
  execFileSync("mkfifo", [join(folder, "pipe")])
  symlinkSync("/dev/zero", join(folder, "zero"))
  symlinkSync("/proc/kmsg", join(folder, "proc"))
  symlinkSync("plain", join(folder, "link"))
  symlinkSync("ring", join(folder, "ring"))
  const real = realSurroundings({ environment: {}, directory: folder, home: folder, user: null })
  t.equal(real.read(join(folder, "plain")), "a=b\n")
  t.equal(real.read(join(folder, "link")), "a=b\n")
  t.equal(real.read(join(folder, "empty")), "")
  t.equal(real.read(join(folder, "none")), null)
  t.equal(real.read(join(folder, "plain/x")), null)
  t.equal(real.read(join(folder, "folder")), null)
  t.equal(real.read(`${folder}/nul\0`), null)
  t.match(real.read(join(folder, "large")), { problem: /larger than/ })
  t.match(real.read(join(folder, "pipe")), { problem: "it is no plain file" })
  t.match(real.read(join(folder, "zero")), { problem: "it is no plain file" })
  t.match(real.read(join(folder, "ring")), { problem: "the system says ELOOP" })
  t.not(typeof real.read(join(folder, "proc")) === "string" && real.read(join(folder, "proc")), "x")
  t.ok(real.list(folder).includes("plain"))
  t.same(real.list(join(folder, "none")), [])
  t.same(real.list(join(folder, "plain")), [])
})

t.test("realSurroundings() reads for root only what the command's user may read", async (t) => {
  const folder = t.testdir({ own: "x", world: "x", none: "x" })
  const { uid, gid } = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
  chmodSync(join(folder, "own"), 0o600)
  chmodSync(join(folder, "world"), 0o644)
  chmodSync(join(folder, "none"), 0o060)
  const as = (user: { uid: number; groups: number[] }) =>
    realSurroundings({ environment: {}, directory: folder, home: folder, user })
  const stranger = as({ uid: 4242, groups: [4242] })
  t.match(stranger.read(join(folder, "own")), { problem: /may not read it/ })
  t.equal(stranger.read(join(folder, "world")), "x")
  t.equal(as({ uid: 0, groups: [] }).read(join(folder, "own")), "x")
  if (uid === 0) t.equal(as({ uid: 4242, groups: [gid] }).read(join(folder, "none")), "x")
  rmSync(folder, { recursive: true })
  mkdirSync(folder)
})
