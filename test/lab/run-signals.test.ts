/** `sluice run`, its terminal and its neighbours: signals, full-screen programs, several at once. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import t from "tap"
import { labFor, whyNoLab } from "../bypass/harness.ts"
import { alive, descendants, machineState, runDirectories } from "../bypass/started.ts"
import { settled, signal, sleep, startGuarded, until } from "../bypass/started.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false
const log = ["--events", "/dev/null"]
const driver = join(import.meta.dirname, "terminal.py")

type Step =
  | readonly ["expect" | "send", string]
  | readonly ["sleep", number]
  | readonly ["size", number, number]

t.test("sluice run", { skip, timeout: 280_000 }, async (t) => {
  const lab = await labFor(t, {})
  await settled(lab)
  type Typed = Promise<{ output: string; status: number | null }>
  const inTerminal = async (argv: readonly string[], steps: readonly Step[]): Typed => {
    const order = JSON.stringify({ argv, steps, rows: 33, columns: 101 })
    const { stdout, stderr } = await lab.run(["python3", driver, order], { timeoutMs: 40_000 })
    if (stdout === "") throw new Error(stderr)
    return JSON.parse(stdout) as Awaited<Typed>
  }
  const typed = (command: readonly string[], steps: readonly Step[]): Typed =>
    inTerminal(lab.guarded([...log, "--quiet"], command), steps)
  const counting = `
import signal, sys, time
counts = {}
def count(number, _): counts[number] = counts.get(number, 0) + 1
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH, signal.SIGQUIT): signal.signal(number, count)
print("ready", flush=True)
end = time.time() + 1.5
while time.time() < end: time.sleep(0.02)
print("counted", sorted((int(k), v) for k, v in counts.items()), flush=True)
sys.exit(9)
`

  await t.test("Ctrl-C reaches the command exactly once", async (t) => {
    const { output, status } = await typed(
      ["python3", "-c", counting],
      [
        ["expect", "ready"],
        ["send", "\x03"],
      ],
    )
    t.match(output, "counted [(2, 1)]")
    t.equal(status, 9, output)
    const died = await typed(
      ["sh", "-c", "echo ready; exec sleep 20"],
      [
        ["expect", "ready"],
        ["send", "\x03"],
      ],
    )
    t.equal(died.status, 130)
  })
  await t.test("Ctrl-backslash and a new window size reach it once, too", async (t) => {
    const { output, status } = await typed(
      ["python3", "-c", counting],
      [
        ["expect", "ready"],
        ["send", "\x1c"],
        ["size", 40, 111],
      ],
    )
    t.match(output, "counted [(3, 1), (28, 1)]")
    t.equal(status, 9)
  })
  await t.test("Ctrl-Z stops it, and it goes on", async (t) => {
    const argv = lab.guarded(
      [...log, "--quiet"],
      ["sh", "-c", "echo rea''dy; sleep 1; echo o''n; exit 6"],
    )
    const line = argv.map((each) => `"${each}"`).join(" ")
    const { output, status } = await inTerminal(
      ["bash", "--norc", "-i"],
      [
        ["send", `PS1=; ${line}\n`],
        ["expect", "ready"],
        ["send", "\x1a"],
        ["expect", "Stopped"],
        ["sleep", 1.2],
        ["send", "fg\n"],
        ["expect", "\non"],
        ["send", "echo status-$?\n"],
        ["expect", "status-6"],
        ["send", "exit 5\n"],
      ],
    )
    t.match(output, /ready[^]*Stopped[^]*status-6/)
    t.equal(status, 5)
  })
  await t.test("a full-screen program works", async (t) => {
    const { output, status } = await typed(
      [
        "python3",
        "-c",
        `
import curses
def main(screen):
    screen.addstr(0, 0, "size %d %d" % screen.getmaxyx()); screen.refresh()
    while True:
        key = screen.getch()
        if key == curses.KEY_RESIZE: screen.addstr(1, 0, "now %d %d" % screen.getmaxyx())
        if key == ord("x"): screen.addstr(2, 0, "key x")
        if key == ord("q"): return
        screen.refresh()
curses.wrapper(main)
`,
      ],
      [
        ["expect", "size 33 101"],
        ["send", "x"],
        ["expect", "key x"],
        // ncurses may miss what comes just before it begins to wait.
        ["sleep", 0.3],
        ["size", 50, 120],
        ["expect", "now 50 120"],
        ["send", "q"],
      ],
    )
    t.match(output, /size 33 101[^]*key x[^]*now 50 120/)
    t.equal(status, 0)
  })
  await t.test("a shell inside has job control and the terminal", async (t) => {
    const { output, status } = await typed(
      ["bash", "--norc", "-i"],
      [
        ["send", "tty && test -t 0 && echo is-$((40+2))\n"],
        ["expect", "is-42"],
        ["send", "sleep 30\n"],
        ["sleep", 0.3],
        ["send", "\x1a"],
        ["expect", "Stopped"],
        ["send", "kill %1; exit 5\n"],
        ["sleep", 0.3],
        ["send", "exit 5\n"],
      ],
    )
    t.match(output, /is-42/)
    t.match(output, /Stopped/)
    t.notMatch(output, /no job control|cannot set terminal/)
    t.equal(status, 5)
  })

  const policy = "mode: block\nallow: ['time.test:123/udp', 'allowed.test:80']\n"
  for (const name of ["SIGTERM", "SIGHUP", "SIGINT"] as const) {
    await t.test(`${name} ends the job, and leaves nothing behind`, async (t) => {
      const before = machineState(lab)
      const run = startGuarded(lab, { policy }, ["sh", "-c", "echo ready; exec sleep 20"])
      await until("the job runs", () => run.stdout().includes("ready"))
      const tree = descendants(run.pid)
      t.not(machineState(lab), before, "there is an uplink")
      signal(run.pid, name)
      t.equal(await run.end, { SIGTERM: 143, SIGHUP: 129, SIGINT: 130 }[name])
      await until("all are gone", () => alive(tree).length === 0, 6_000).catch(() => {})
      t.strictSame(alive(tree), [], "no process is left")
      t.strictSame(runDirectories(run.pid), [], "no directory is left")
      t.equal(machineState(lab), before, "the machine is as it was")
    })
  }
  await t.test("the next start cleans up after a kill -9", async (t) => {
    const before = machineState(lab)
    const run = startGuarded(lab, { policy }, ["sh", "-c", "echo ready; exec sleep 20"])
    await until("the job runs", () => run.stdout().includes("ready"))
    const tree = descendants(run.pid)
    const [id = ""] = runDirectories(run.pid)
    signal(run.pid, "SIGKILL")
    await run.end
    await until("all are gone", () => alive(tree).length === 0, 6_000).catch(() => {})
    t.strictSame(alive(tree), [], "no process is left")
    t.not(machineState(lab), before, "it could not clean up")
    const next = startGuarded(lab, { policy: "mode: block\n" }, ["true"])
    t.equal(await next.end, 0, next.stderr())
    t.equal(machineState(lab), before, "the machine is as it was")
    t.notOk(readdirSync("/run/sluice").includes(id), "no directory is left")
  })

  await t.test("a start on another machine that shares /run touches neither", async (t) => {
    const other = await labFor(t, {})
    await settled(other)
    const [here, there] = [machineState(lab), machineState(other)]
    const run = startGuarded(lab, { policy }, ["sh", "-c", "echo ready; exec sleep 20"])
    await until("the job runs", () => run.stdout().includes("ready"))
    signal(run.pid, "SIGKILL")
    await run.end
    const beside = startGuarded(other, { policy }, ["true"])
    t.equal(await beside.end, 0, beside.stderr())
    t.equal(machineState(other), there, "the other machine is as it was")
    t.not(machineState(lab), here, "what was left here waits")
    await startGuarded(lab, { policy }, ["true"]).end
    t.equal(machineState(lab), here, "until the next start here")
  })

  await t.test("two runs at once do not meet", async (t) => {
    const before = machineState(lab)
    const serve = `
import socket, sys, time
s = socket.socket(); s.bind(("0.0.0.0", 7777)); s.listen(); s.settimeout(2.5)
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); probe.connect(("198.51.100.10", 123))
print("at", probe.getsockname()[0], flush=True)
try: print("met", s.accept()[1], flush=True)
except OSError: print("alone", flush=True)
good = socket.create_connection(("allowed.test", 80), 3)
good.sendall(b"GET / HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n"); print(good.recv(12).decode(), flush=True)
`
    const open = "mode: audit\nallow: ['time.test:123/udp', 'allowed.test:80']\n"
    const first = startGuarded(lab, { policy: open }, ["python3", "-c", serve])
    await until("the first runs", () => first.stdout().includes("at "))
    const address = /at (\S+)/.exec(first.stdout())?.[1] ?? ""
    const meet = `
import socket, time
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("${address}", 7777))
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); probe.connect(("198.51.100.10", 123))
print("at", probe.getsockname()[0], flush=True)
try: s = socket.create_connection(("${address}", 7777), 2); s.sendall(b"x")
except OSError as error: print(error, flush=True)
good = socket.create_connection(("allowed.test", 80), 3)
good.sendall(b"GET / HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n"); print(good.recv(12).decode(), flush=True)
`
    const second = startGuarded(lab, { policy: open }, ["python3", "-c", meet])
    t.equal(await second.end, 0, second.stderr())
    t.not(machineState(lab), before, "what the first needs stays")
    t.equal(await first.end, 0, first.stderr())
    t.match(first.stdout(), /alone\nHTTP\/1.1 200/)
    t.match(second.stdout(), /HTTP\/1.1 200/)
    t.not(/at (\S+)/.exec(second.stdout())?.[1], address, "addresses of their own")
    t.equal(machineState(lab), before, "the last one puts all back")
    await sleep(10)
    t.notMatch(readFileSync(first.eventsFile, "utf8"), /"lost":[1-9]/)
  })
})
