/** `sluice run` as far as nothing is started: options, messages, exit statuses. */
import t from "tap"
import { runCommand, runHelp } from "../../../cli/run.ts"

async function said(argv: readonly string[], environment: Record<string, string> = {}) {
  let out = ""
  let err = ""
  const status = await runCommand(argv, {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    environment: { PATH: "/usr/bin:/bin", ...environment },
    isTerminal: false,
    columns: 80,
  })
  return { status, out, err }
}

t.test("run --help names every option, on standard output", async (t) => {
  t.strictSame(await said(["--help"]), { status: 0, out: runHelp, err: "" })
  for (const option of [
    ...["--policy", "--mode", "--allow", "--deny", "--events", "--report", "--upstream-dns"],
    ...["--upstream-ca", "--fail-on-deny", "--workers", "--user", "--quiet", "--allow-socket"],
    "--job-token-file",
  ]) {
    t.match(runHelp, `\n  ${option}`)
  }
})

t.test("run starts nothing for options that it does not know", async (t) => {
  const { status, out, err } = await said(["--frobnicate", "--", "true"])
  t.equal(status, 125)
  t.equal(out, "")
  t.match(err, /^sluice: Cannot read the options: Unknown option '--frobnicate', must be one of/)
  for (const argv of [["--quiet=no", "--", "true"], ["--policy"], ["ls", "-l"]]) {
    const wrong = await said(argv)
    t.equal(wrong.status, 125, argv.join(" "))
    for (const line of wrong.err.trimEnd().split("\n")) t.match(line, /^sluice: /)
  }
})

t.test("run without a command says how it is called", async (t) => {
  const { status, err } = await said(["--mode", "audit"])
  t.equal(status, 125)
  t.match(err, /^sluice: Cannot run: no command is given, must be: sluice run \[options\] --/)
})

const skip = process.getuid?.() === 0 ? false : "needs root"

t.test("run says what is wrong with a value, and starts nothing", { skip }, async (t) => {
  for (const [argv, status, words] of [
    [["--mode", "watch", "--", "true"], 125, /Cannot read --mode "watch": must be audit or block/],
    [["--workers", "0", "--", "true"], 125, /Cannot read --workers "0": must be a number from 1/],
    [["--upstream-dns", "dns.test", "--", "true"], 125, /Cannot read --upstream-dns "dns.test"/],
    [["--upstream-ca", "/etc/hostname", "--", "true"], 125, /has no certificate, must be PEM/],
    [["--policy", "/none/such", "--", "true"], 125, /Cannot read the policy "\/none\/such"/],
    [["--allow", "a..b", "--", "true"], 125, /the policy has errors; nothing was started/],
    [["--user", "no-such-user", "--", "true"], 125, /there is no such user/],
    [["--", "no-such-command"], 127, /there is no such command in PATH/],
    [["--", "/none/such"], 127, /there is no such/],
    [["--", "/etc"], 126, /is not executable/],
    [["--", "/proc/version"], 126, /is not executable/],
  ] as const) {
    const { err, ...ended } = await said([...argv])
    t.strictSame(ended, { status, out: "" }, argv.join(" "))
    t.match(err, words)
    for (const line of err.trimEnd().split("\n")) t.match(line, /^sluice: /)
  }
})

t.test("run takes the policy of $SLUICE_POLICY where none is named", { skip }, async (t) => {
  const { status, err } = await said(["--", "true"], { SLUICE_POLICY: "/none/such" })
  t.equal(status, 125)
  t.match(err, /Cannot read the policy "\/none\/such": there is no such file/)
})
