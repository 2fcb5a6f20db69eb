/** `sluice demo`, as a person starts it. Needs root, nftables, iproute2, npm and dist/. */
import { spawn } from "node:child_process"
import { readdirSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import t from "tap"

const program = join(import.meta.dirname, "..", "..", "dist", "cli", "main.js")
const skip = process.getuid?.() === 0 ? false : "needs root"

interface Ended {
  readonly status: number | null
  readonly out: string
  readonly err: string
  readonly pid: number
}

/** @param seen called with all output so far, and the process id */
function demo(seen: (out: string, pid: number) => void = () => {}): Promise<Ended> {
  const child = spawn(process.execPath, [program, "demo"], { stdio: ["ignore", "pipe", "pipe"] })
  let [out, err] = ["", ""]
  const pid = child.pid ?? 0
  child.stderr.on("data", (bytes: Buffer) => (err += bytes.toString()))
  child.stdout.on("data", (bytes: Buffer) => {
    out += bytes.toString()
    seen(out, pid)
  })
  return new Promise((resolve, reject) => {
    child.once("error", reject)
    child.once("close", (status) => resolve({ status, out, err, pid }))
  })
}

const namespacesOf = (pid: number): string[] =>
  readdirSync("/run/netns").filter((name) => name.startsWith(`slab-${pid}-`))

const directoriesOf = (pid: number): string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith(`sluice-demo-${pid}-`))

void t.test(
  "the demo shows the theft in audit mode and its end in block mode",
  { skip },
  async (t) => {
    const before = Date.now()
    const { status, out, err, pid } = await demo()
    t.equal(status, 0, err)
    t.equal(err, "")
    t.ok(Date.now() - before < 60_000, "within a minute")
    const [audit = "", block = ""] = out.split("2. BLOCK")
    t.match(
      audit,
      "The attacker received the token 4 times: by name, by address, in DNS labels and by UDP.",
    )
    t.match(audit, "WOULD BE DENIED")
    t.match(block, "The attacker received nothing.")
    t.match(block, "DENIED")
    t.match(block, /under the registry's name +\S+ +registry\* +registry\*/)
    t.match(block, "Both builds succeeded.")
    t.notMatch(out, "\u001b", "no colour without a terminal")
    t.same(namespacesOf(pid), [])
  },
)

void t.test("Ctrl-C during a build takes everything down", { skip }, async (t) => {
  let stopped = false
  const { status, err, pid } = await demo((out, pid) => {
    if (stopped || !out.includes("-- npm install")) return
    stopped = true
    setTimeout(() => process.kill(pid, "SIGINT"), 700)
  })
  t.equal(status, 130)
  t.match(err, "sluice: stopped by SIGINT")
  t.same(namespacesOf(pid), [])
  t.same(directoriesOf(pid), [])
})
