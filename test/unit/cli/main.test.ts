import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import t from "tap"

const program = fileURLToPath(new URL("../../../cli/main.ts", import.meta.url))

function sluice(...argv: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import=tsx", program, ...argv],
    { encoding: "utf8", timeout: 30_000 },
  )
  return { status, stdout, stderr }
}

t.test("sluice without a command shows its usage as an error", (t) => {
  const { status, stdout, stderr } = sluice()
  t.equal(status, 2)
  t.equal(stdout, "")
  t.match(stderr, /^Usage: sluice COMMAND/)
  t.end()
})

t.test("sluice help COMMAND shows the help of the command", (t) => {
  const { status, stdout, stderr } = sluice("help", "report")
  t.same({ status, stderr }, { status: 0, stderr: "" })
  t.match(stdout, /^Usage: sluice report/)
  t.end()
})

t.test("sluice refuses a word that is no command, and says which one was meant", (t) => {
  const { status, stdout, stderr } = sluice("polcy", "check")
  t.same({ status, stdout }, { status: 2, stdout: "" })
  t.match(stderr, /^sluice: Cannot find command "polcy"/)
  t.match(stderr, /^sluice: Did you mean: sluice policy$/m)
  t.end()
})

t.test("sluice ends quietly when nobody reads what it says", (t) => {
  const script = '"$0" --import=tsx "$1" --help | true; echo "${PIPESTATUS[0]}"'
  const { stdout, stderr } = spawnSync("bash", ["-c", script, process.execPath, program], {
    encoding: "utf8",
    timeout: 30_000,
  })
  t.same({ stdout, stderr }, { stdout: "0\n", stderr: "" })
  t.end()
})
