import { type ChildProcess, spawn } from "node:child_process"
import { copyFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import t from "tap"
import { processOf } from "../../../processes/program.ts"

const plain = (argv: readonly string[]): readonly string[] => argv

async function started(file: string, argv: readonly string[] = ["30"]): Promise<ChildProcess> {
  const child = spawn(file, argv, { stdio: ["ignore", "pipe", "ignore"], argv0: "/usr/bin/other" })
  await new Promise((resolve) => setTimeout(resolve, 50))
  return child
}

void t.test("processOf() shows the program, not what it calls itself", async (t) => {
  const sleep = await started("/bin/sleep")
  t.teardown(() => sleep.kill("SIGKILL"))
  const found = processOf(sleep.pid ?? 0, () => false, plain)
  t.match(found?.executable, /\/sleep$|\/coreutils$/)
  t.equal(found?.arguments[0], "/usr/bin/other")
  t.strictSame(found?.ancestors, [])
})

void t.test(
  "processOf() says that a program was deleted, or that another lies there",
  async (t) => {
    const path = join(t.testdir(), "program")
    copyFileSync("/bin/sleep", path)
    const child = await started(path)
    t.teardown(() => child.kill("SIGKILL"))
    const shown = (): string => processOf(child.pid ?? 0, () => false, plain)?.executable ?? ""
    t.equal(shown(), path)
    rmSync(path)
    t.equal(shown(), `${path} (deleted)`)
    copyFileSync("/bin/sleep", `${path} (deleted)`)
    t.equal(shown(), `(unreachable)${path} (deleted)`)
  },
)

void t.test("processOf() gives null for a process that has gone", (t) => {
  t.equal(
    processOf(0x7fffffff, () => true, plain),
    null,
  )
  t.end()
})
