/**
 * Row 52, and what a crash costs: clients that flood, stall, never read, and the end of a worker. Each
 * of ours stays within its memory, somebody else is served meanwhile, and no denied byte leaves.
 */
import { readFileSync } from "node:fs"
import t, { type Test } from "tap"
import { recorderPorts } from "../../lab/recorder-ports.ts"
import { canary, readEvents, whyNoLab } from "./harness.ts"
import { recordedLab, type RecordedLab } from "./recorded.ts"
import { words } from "./requests.ts"
import { commandLine, descendants, signal, sleep, startGuarded, until } from "./started.ts"
import type { Started } from "./started.ts"
import { script } from "./ways.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false

/** Each load lasts so long, whatever it has reached. */
const loadSeconds = 7
/** Resident memory of one of our processes. Node's own, with TLS, is about 90 MiB. */
const residentKibMax = 320 * 1024
/** What the kernel's buffers on the way may take of a client that nobody reads any more, in bytes. */
const takenUnreadMax = 16_000_000
/** For somebody else's request, on a machine that floods itself. */
const slowestMs = 6_000

const { secure, streams } = recorderPorts
const policy = `mode: block
allow:
  - GET,POST https://allowed.test/**
  - GET,POST https://allowed.test:${secure}/ok/**
  - GET,POST https://allowed.test:${streams}/ok/**
`

interface Load {
  readonly name: string
  /** Python: runs until `over()`; prints `sent N` where each connection must be ended before that. */
  readonly lines: string
  /** Most that `sent` may say; null: it says nothing. */
  readonly sentMax: number | null
}

/** What the lines may use beside the words of requests.ts. */
const loading = `
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
end = time.time() + ${loadSeconds}
def over(): return time.time() > end
def opened(port=443, alpn=("http/1.1",)):
    raw = socket.create_connection(("198.51.100.10", port), 8)
    return trusting(alpn).wrap_socket(raw, server_hostname="allowed.test")
def crowd(size, each):
    with ThreadPoolExecutor(size) as pool: return list(pool.map(each, range(size)))
def pour(s, make, most=100_000_000):
    sent = 0
    s.settimeout(2)
    try:
        while sent < most:
            if over(): return most
            part = make(); s.sendall(part); sent += len(part)
    except (OSError, ssl.SSLError): pass
    return sent
`

const loads: readonly Load[] = [
  {
    name: "heads of 100 MB",
    sentMax: takenUnreadMax,
    lines: `
def each(n):
    s = opened(); s.sendall(b"GET / HTTP/1.1\\r\\nHost: allowed.test\\r\\n")
    return pour(s, lambda: b"X-More: " + b"x" * 60000 + b"\\r\\n")
print("sent", max(crowd(20, each)))`,
  },
  {
    name: "heads of 100 MB over HTTP/2, in CONTINUATION frames",
    sentMax: takenUnreadMax,
    lines: `
def each(n):
    s = opened(${streams}, ("h2",)); s.sendall(preface + frame(1, 1, 1, get("/ok/x", "allowed.test:${streams}")))
    return pour(s, lambda: frame(9, 0, 1, block(("x", "y" * 16000))))
print("sent", max(crowd(20, each)))`,
  },
  {
    name: "a head that grows when it is unpacked",
    sentMax: takenUnreadMax,
    lines: `
def each(n):
    s = opened(${streams}, ("h2",)); s.sendall(preface)
    # One field of 4,000 bytes is put into the table, then named 10,000 times in each head.
    big = b"\\x40" + literal("x") + literal("y" * 4000)
    stream = [1]
    def bomb():
        stream[0] += 2
        return frame(1, 1, stream[0], get("/ok/x", "allowed.test:${streams}") + big + b"\\xbe" * 9000) + frame(9, 4, stream[0], b"\\xbe" * 9000)
    return pour(s, bomb)
print("sent", max(crowd(20, each)))`,
  },
  {
    name: "streams that are begun and reset",
    sentMax: takenUnreadMax,
    lines: `
def each(n):
    s = opened(443, ("h2",)); s.sendall(preface)
    stream = [-1]
    def reset():
        out = []
        for _ in range(100):
            stream[0] += 2
            out += [frame(1, 5, stream[0], get("/x")), frame(3, 0, stream[0], b"\\0\\0\\0\\x08")]
        return b"".join(out)
    return pour(s, reset)
print("sent", max(crowd(4, each)))`,
  },
  {
    name: "frames that say nothing",
    sentMax: takenUnreadMax,
    lines: `
nothing = frame(6, 0, 0, b"12345678") * 50 + frame(4, 0, 0) * 50 + frame(2, 0, 1, b"\\0" * 5) * 50
def each(n):
    s = opened(443, ("h2",)); s.sendall(preface)
    return pour(s, lambda: nothing)
print("sent", max(crowd(10, each)))`,
  },
  {
    name: "heads and requests, a byte a second",
    sentMax: null,
    lines: `
def each(n):
    try:
        s = opened(443, ("h2",) if n % 3 == 0 else ("http/1.1",)); s.settimeout(0.9)
        slow = preface if n % 3 == 0 else b"GET /" + b"x" * 99
        for byte in slow:
            if over(): break
            s.sendall(bytes([byte])); time.sleep(1)
    except OSError: pass
crowd(200, each)`,
  },
  {
    name: "nobody who reads what was asked for",
    sentMax: null,
    lines: `
def each(n):
    try:
        if n % 2:
            s = opened(); s.sendall(b"GET /bytes/1000000000 HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n")
        else:
            wide = preface + frame(4, 0, 0, b"\\0\\4\\x7f\\xff\\xff\\xff") + frame(8, 0, 0, b"\\x7f\\xfe\\0\\0")
            s = opened(443, ("h2",)); s.sendall(wide + b"".join(frame(1, 5, 2 * k + 1, get("/bytes/1000000000")) for k in range(8)))
        while not over(): time.sleep(0.2)
    except OSError: pass
crowd(40, each)`,
  },
  {
    name: "requests that are not answered for, one behind the other",
    sentMax: takenUnreadMax,
    lines: `
many = b"GET /x HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n" * 1000
denied = b"DELETE /x HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n" * 1000
def each(n):
    s = opened()
    return pour(s, lambda: denied if n % 2 else many)
print("sent", max(crowd(20, each)))`,
  },
  {
    name: "a server whose reply has a head without end",
    sentMax: null,
    lines: `
def each(n):
    try:
        s = opened(${secure}); s.sendall(b"GET /ok/endless-head HTTP/1.1\\r\\nHost: allowed.test:${secure}\\r\\n\\r\\n")
        while not over() and s.recv(65536): pass
    except OSError: pass
crowd(20, each)`,
  },
  {
    name: "bodies without end",
    sentMax: null,
    lines: `
part = b"10000\\r\\n" + b"x" * 65536 + b"\\r\\n"
def each(n):
    s = opened(); s.sendall(b"POST /x HTTP/1.1\\r\\nHost: allowed.test\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")
    return pour(s, lambda: part, 10_000_000_000)
crowd(4, each)`,
  },
]

/** Somebody else: a request on a new connection, again and again; how long each took, in milliseconds. */
const serving = `
end = time.time() + ${loadSeconds}
while time.time() < end:
    began = time.time()
    try:
        told = secure(b"GET /other HTTP/1.1\\r\\nHost: allowed.test\\r\\nConnection: close\\r\\n\\r\\n", 443, wait=8)
        os.write(1, (("ok" if b" 200 " in told else "no") + " %d\\n" % ((time.time() - began) * 1000)).encode())
    except OSError as error: os.write(1, ("no %r\\n" % error).encode())
    time.sleep(0.2)
`

/** Kibibytes; 0 for a process that has gone. */
function residentKib(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** The most that each of our processes held until the run has ended. */
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
    await sleep(100)
  }
  return most
}

const quote = (argv: readonly string[]): string =>
  argv.map((text) => `'${text.replaceAll("'", `'"'"'`)}'`).join(" ")

async function bears(t: Test, lab: RecordedLab, load: Load): Promise<void> {
  const attack = script(words, loading, load.lines)
  const job = `${quote(script(words, serving))} & ${quote(attack)}; wait`
  const options = ["--workers", "1", "--quiet"]
  const run = startGuarded(lab, { policy, options }, ["sh", "-c", job])
  const most = await peaks(run)
  t.equal(await run.end, 0, run.stderr())
  const said = run.stdout()
  t.notMatch(run.stderr(), /Traceback/, "the load is one")
  const served = said.match(/^ok \d+/gm) ?? []
  const refused = said.match(/^no .*/gm) ?? []
  const slowest = Math.max(...served.map((line) => Number(line.slice(3))))
  const sent = /^sent (\d+)/m.exec(said)?.[1]
  const memory = JSON.stringify(Object.fromEntries(most))
  t.comment(`${memory}; served ${served.length}, slowest ${slowest} ms; sent ${sent ?? "?"}`)
  for (const [role, kib] of most) t.ok(kib < residentKibMax, `${role}: ${kib} KiB`)
  t.ok(served.length >= 3, "somebody else is served")
  t.strictSame(refused, [], "always")
  t.ok(slowest < slowestMs, `within ${slowest} ms`)
  if (load.sentMax !== null) {
    t.ok(Number(sent ?? Infinity) < load.sentMax, `${sent ?? "?"} bytes were taken`)
  }
  const events = readEvents(run.eventsFile)
  t.match(events.at(-1), { kind: "run-ended", lost: 0 })
  t.notOk(
    events.some(({ kind }) => kind === "finding"),
    "nothing of ours died",
  )
}

/** Keeps connections open and asks on each, and tries without end to get the canary out. */
const holding = (word: string): string => `
end = time.time() + 9
def held(n):
    state = "none"
    while time.time() < end:
        try:
            with opened() as s:
                s.settimeout(8)
                while time.time() < end:
                    s.sendall(b"GET /held HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n")
                    told = s.recv(9999)
                    if b" 200 " not in told: raise OSError("no answer")
                    os.write(1, b"held %d %s\\n" % (n, b"%d" % s.fileno()))
                    time.sleep(0.1)
        except OSError as error: os.write(1, b"broken %d\\n" % n)
        time.sleep(0.05)
def thief(n):
    while time.time() < end:
        try:
            for method in (b"DELETE", b"PUT"):
                with opened() as s:
                    s.settimeout(2)
                    s.sendall(method + b" /${word} HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n"); s.recv(99)
            with opened(443, ("h2",)) as s:
                s.settimeout(2); s.sendall(preface + frame(1, 5, 1, get("/${word}", method="DELETE"))); s.recv(99)
        except OSError: pass
        time.sleep(0.02)
with ThreadPoolExecutor(20) as pool:
    for n in range(16): pool.submit(held, n)
    for n in range(4): pool.submit(thief, n)
`

t.test("loads", { skip, timeout: 290_000 }, async (t) => {
  const lab = await recordedLab(t)
  for (const load of loads) await t.test(`row 52: ${load.name}`, (t) => bears(t, lab, load))

  await t.test("a worker that ends takes its connections along, and nothing else", async (t) => {
    const free = canary()
    await lab.run(script(words, loading, holding(free).replace("+ 9", "+ 1")), { timeoutMs: 9_000 })
    t.ok((await lab.seen(free)).length > 0, "the canary arrives without a firewall")

    const word = canary()
    const options = ["--workers", "2", "--quiet"]
    const run = startGuarded(lab, { policy, options }, script(words, loading, holding(word)))
    const held = (): number => run.stdout().match(/^held/gm)?.length ?? 0
    await until(
      "all connections are held",
      () => new Set(run.stdout().match(/^held \d+/gm)).size === 16,
    )
    const worker = run.gates().find(({ role }) => role === "worker")
    if (worker === undefined) throw new Error("Cannot find a worker")
    t.notMatch(run.stdout(), /^broken/m, "none is broken before")
    const before = held()
    signal(worker.pid, "SIGKILL")
    const since = Date.now()
    await until("there is a new worker", () => {
      const workers = run.gates().filter(({ role }) => role === "worker")
      return workers.length === 2 && workers.every(({ pid }) => pid !== worker.pid)
    })
    t.ok(Date.now() - since < 1_000, `after ${Date.now() - since} ms`)
    await sleep(2_500)
    const broken = new Set(run.stdout().match(/^broken \d+/gm))
    t.comment(`broken: ${broken.size} of 16`)
    t.ok(broken.size > 0, "its own connections are broken")
    t.ok(broken.size < 16, "those of the other go on")
    t.ok(held() > before + 16, "and new ones are served")
    t.equal(await run.end, 0)
    const twice = (run.stdout().match(/^broken \d+/gm) ?? []).length
    t.equal(twice, broken.size, "none is broken later")
    t.strictSame(await lab.seen(word), [], "the canary never left")
    const events = readEvents(run.eventsFile)
    t.ok(
      events.some(({ kind }) => kind === "finding"),
      "the death is told",
    )
    t.match(events.at(-1), { kind: "run-ended" })
  })
})
