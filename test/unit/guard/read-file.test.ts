import { chmodSync, chownSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { truncateSync } from "node:fs"
import { execFileSync } from "node:child_process"
import { tmpdir } from "node:os"
import { join } from "node:path"
import t, { type Test } from "tap"
import { fileBytesMax, readFileAs } from "../../../guard/read-file.ts"

const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
const stranger = { uid: 61_000, gid: 61_000 }
const skip = self.uid === 0 ? false : "needs root"

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), "sluice-read-"))
  chmodSync(path, 0o755)
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

t.test("readFileAs() gives the text of a file", (t) => {
  const path = join(folder(t), "sluice.yml")
  writeFileSync(path, "mode: audit # ä\n")
  t.equal(readFileAs(self, path, "the policy"), "mode: audit # ä\n")
  writeFileSync(path, "")
  t.equal(readFileAs(self, path, "the policy"), "")
  t.end()
})

t.test(
  "readFileAs() shows a user nothing through a link that they could not see",
  { skip },
  (t) => {
    const root = folder(t)
    const secret = join(root, "secret")
    writeFileSync(secret, "the secret\n", { mode: 0o600 })
    const link = join(root, "sluice.yml")
    symlinkSync(secret, link)
    t.throws(() => readFileAs(stranger, link, "the policy"), {
      message: `Cannot read the policy "${link}": the user who called may not read it, must be allowed to`,
    })
    t.equal(process.geteuid?.(), 0, "our own rights are back")
    chownSync(secret, stranger.uid, stranger.gid)
    t.equal(readFileAs(stranger, link, "the policy"), "the secret\n", "their own they may")
    t.end()
  },
)

t.test("readFileAs() neither waits for a pipe nor reads a device, folder or giant", (t) => {
  const root = folder(t)
  const pipe = join(root, "pipe")
  execFileSync("mkfifo", [pipe])
  for (const path of [pipe, "/dev/zero", root]) {
    t.throws(() => readFileAs(self, path, "the policy"), /it is no regular file, must be one/)
  }
  const giant = join(root, "giant")
  writeFileSync(giant, "")
  truncateSync(giant, fileBytesMax + 1)
  t.throws(() => readFileAs(self, giant, "the authorities"), /must have at most/)
  t.throws(() => readFileAs(self, join(root, "none"), "the policy"), /there is no such file/)
  t.end()
})
