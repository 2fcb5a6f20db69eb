/** `sluice run` as a user meets it: status, directory, environment, user, streams. */
import { randomBytes } from "node:crypto"
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import t from "tap"
import type { RunResult, RunSettings } from "../../lab/internet.ts"
import { labFor, whyNoLab } from "../bypass/harness.ts"
import { machineState, runDirectories, settled, startGuarded } from "../bypass/started.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false
const log = ["--events", "/dev/null"]

t.test("sluice run", { skip, timeout: 280_000 }, async (t) => {
  const lab = await labFor(t, {})
  await settled(lab)
  chmodSync(lab.directory, 0o755)
  const before = machineState(lab)
  const run = (
    command: readonly string[],
    options: readonly string[] = [],
    settings: RunSettings = {},
  ): Promise<RunResult> => lab.run(lab.guarded([...log, ...options], command), settings)
  const file = (name: string, text: string, mode: number): string => {
    const path = join(lab.directory, name)
    writeFileSync(path, text)
    chmodSync(path, mode)
    return path
  }

  await t.test("gives the command's own exit status", async (t) => {
    const plain = file("plain", "exit 9\n", 0o644)
    const noShebang = file("no-shebang", "exit 9\n", 0o755)
    const noInterpreter = file("no-interpreter", "#!/nowhere/sh\n", 0o755)
    for (const [command, status] of [
      [["true"], 0],
      [["sh", "-c", "exit 7"], 7],
      [["sh", "-c", "exit 125"], 125],
      [["sh", "-c", "kill -9 $$"], 137],
      [["sh", "-c", "kill -TERM $$"], 143],
      [["sh", "-c", "kill -SEGV $$"], 139],
      [["sh", "-c", "kill -PIPE $$"], 141],
      [["sluice-no-such-command"], 127],
      [["./no-such-file"], 127],
      [[plain], 126],
      [[lab.directory], 126],
      [[noShebang], 9],
      [[noInterpreter], 127],
    ] as const) {
      const result = await run(command)
      t.equal(result.status, status, `${command.join(" ")}: ${result.stderr}`)
      t.equal(result.stdout, "")
    }
  })

  await t.test("starts nothing when it cannot enforce, and says why", async (t) => {
    const mark = join(lab.directory, "mark")
    const command = ["touch", mark]
    const bad = file("bad.yml", "mode: block\nallow:\n  - evil.test/x y\n", 0o644)
    for (const options of [
      ["--policy", bad],
      ["--policy", join(lab.directory, "none.yml")],
      ["--no-such-option"],
      ["--mode", "lenient"],
      ["--workers", "0"],
      ["--user", "no-such-user"],
      ["--allow", "*.com"],
      ["--upstream-dns", "somewhere"],
      ["--upstream-ca", join(lab.directory, "none.pem")],
      ["--events", join(lab.directory, "plain", "under-a-file")],
      ["--report", join(lab.directory, "report.docx")],
    ]) {
      const { status, stdout, stderr } = await run(command, options)
      t.equal(status, 125, `${options.join(" ")}: ${stderr}`)
      t.match(stderr, /^sluice: /)
      t.equal(stdout, "")
      t.notOk(existsSync(mark), "nothing was started")
    }
    const bare = await lab.run(lab.guarded(log, []))
    t.equal(bare.status, 125, "no command")
  })

  await t.test("keeps the directory", async (t) => {
    const directory = join(lab.directory, "a b é")
    mkdirSync(directory)
    t.equal((await run(["pwd"], [], { directory })).stdout, `${directory}\n`)
    const text = file("here.sh", "#!/bin/sh\necho here\n", 0o755)
    t.ok(text)
    t.equal((await run(["./here.sh"])).stdout, "here\n", "a relative command")
  })

  await t.test("keeps the environment, odd names too", async (t) => {
    const environment = {
      "a.b": "c",
      "npm_config_//registry.example.com/:_authToken": "xyz",
      EMPTY: "",
      LINES2: "one\ntwo",
      PATH: process.env["PATH"] ?? "",
      "with space": "é ☃",
    }
    const { stdout } = await run(["cat", "/proc/self/environ"], [], { environment })
    const seen = new Set(stdout.split("\0"))
    for (const [name, value] of Object.entries(environment)) {
      t.ok(seen.has(`${name}=${value}`), name)
    }
    const ours = [...seen].filter((line) => /^(SLUICE|NODE_)/.test(line))
    t.strictSame(
      ours.filter((line) => !(line.split("=")[0] ?? "" in process.env)),
      [],
      "nothing of ours is added",
    )
  })

  await t.test("runs as the user who called sudo, or the one named", async (t) => {
    const id = ["sh", "-c", 'echo "$(id -u) $(id -g) $(id -G) $HOME $USER $LOGNAME"']
    const nobody = "65534 65534 65534 /nonexistent nobody nobody\n"
    const environment = { SUDO_UID: "65534", SUDO_GID: "65534", SUDO_USER: "nobody" }
    t.equal((await run(id, [], { environment })).stdout, nobody)
    t.equal((await run(id, ["--user", "nobody"])).stdout, nobody)
    t.equal((await run(id, ["--user", "65534"])).stdout, nobody)
    t.match((await run(id, ["--user", "root"], { environment })).stdout, /^0 0 /)
    t.match((await run(id)).stdout, /^0 0 /, "root where nobody called sudo")
    const strange = { SUDO_UID: "54321", SUDO_GID: "54322", SUDO_USER: "gone" }
    t.match((await run(["id", "-u"], [], { environment: strange })).stdout, "54321\n")
    t.match((await run(["id", "-g"], [], { environment: strange })).stdout, "54322\n")
  })

  await t.test("cuts capabilities to Docker's default set", async (t) => {
    const show = ["grep", "-E", "^(Cap|NoNewPrivs|Seccomp:)", "/proc/self/status"]
    const root = (await run(show)).stdout
    t.match(root, /CapBnd:\s+00000000a80425fb/)
    t.match(root, /CapEff:\s+00000000a80425fb/)
    t.match(root, /CapInh:\s+0000000000000000/)
    t.match(root, /CapAmb:\s+0000000000000000/)
    t.match(root, /NoNewPrivs:\s+0/, "sudo inside still works")
    t.match(root, /Seccomp:\s+2/)
    const other = (await run(show, ["--user", "nobody"])).stdout
    t.match(other, /CapBnd:\s+00000000a80425fb/)
    t.match(other, /CapEff:\s+0000000000000000/)
  })

  await t.test("leaves standard input and output to the command", async (t) => {
    const input = join(lab.directory, "input")
    const output = join(lab.directory, "output")
    writeFileSync(input, randomBytes(3_000_000))
    const argv = lab.guarded(log, ["cat"]).map((each) => `'${each}'`)
    const pipe = `cat ${input} | ${argv.join(" ")} | cat > ${output}`
    await lab.run(["sh", "-c", pipe])
    t.ok(readFileSync(input).equals(readFileSync(output)), "three million bytes through pipes")
    const quiet = await run(["sh", "-c", "echo out; echo err >&2"], ["--quiet"])
    t.match(quiet, { stdout: "out\n", stderr: "err\n" })
    const spoken = await run(["sh", "-c", "echo out; echo err >&2"])
    t.equal(spoken.stdout, "out\n")
    const lines = spoken.stderr.trimEnd().split("\n")
    t.ok(
      lines.every((line) => line === "err" || line.startsWith("sluice: ")),
      spoken.stderr,
    )
    const closed = `${argv.join(" ").replace("'cat'", "'sh' '-c' 'echo x 2>/dev/null; exit 4'")} >&- <&-`
    t.equal((await lab.run(["sh", "-c", closed])).status, 4, "closed streams")
    const early = `${argv.join(" ").replace("'cat'", "'yes'")} | head -1`
    t.equal((await lab.run(["sh", "-c", early])).stdout, "y\n", "a reader that leaves")
  })

  await t.test("--fail-on-deny gives 3 where the command itself succeeded", async (t) => {
    const denied = "curl -s -m 3 http://198.51.100.66/"
    const fail = ["--fail-on-deny"]
    t.equal((await run(["sh", "-c", `${denied}; exit 0`], fail)).status, 3)
    t.equal((await run(["sh", "-c", `${denied}; exit 7`], fail)).status, 7)
    t.equal((await run(["sh", "-c", `${denied}; exit 0`])).status, 0)
    t.equal((await run(["true"], fail)).status, 0)
    const name = "import socket\ntry: socket.getaddrinfo('evil.test', 80)\nexcept OSError: pass"
    t.equal((await run(["python3", "-c", name], fail)).status, 3, "a name alone")
    t.equal(
      (await run(["python3", "-c", name], [...fail, "--mode", "audit"])).status,
      3,
      "in audit",
    )
  })

  await t.test("has namespaces of its own", async (t) => {
    const names = ["net", "mnt", "pid", "ipc", "uts"]
    const look = ["sh", "-c", `for n in ${names.join(" ")}; do readlink /proc/self/ns/$n; done`]
    const inside = (await run(look)).stdout.trim().split("\n")
    const outside = (await lab.run(look)).stdout.trim().split("\n")
    t.equal(inside.length, names.length)
    for (const [index, name] of names.entries()) t.not(inside[index], outside[index], name)
    const host = await run(["sh", "-c", "hostname; uname -n; ls /proc | grep -c '^[0-9]'"])
    t.ok(Number(host.stdout.trim().split("\n").at(-1)) < 10, "its own /proc")
  })

  await t.test("leaves nothing behind", async (t) => {
    t.equal(machineState(lab), before, "the machine is as it was")
    const policy = "mode: block\nallow: ['time.test:123/udp', 'allowed.test']\n"
    const gone = startGuarded(lab, { policy }, ["true"])
    t.equal(await gone.end, 0, gone.stderr())
    t.equal(machineState(lab), before, "with an uplink")
    t.strictSame(runDirectories(gone.pid), [])
  })
})
