import { fc } from "../../property.ts"
import t from "tap"
import {
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  type write,
} from "node:fs"
import { join } from "node:path"
import { counted, noCounts } from "../../../events/count.ts"
import { replaceEnd } from "../../../events/last-line.ts"
import { lineBytesMax, lines } from "../../../events/line.ts"
import { Log } from "../../../events/log.ts"
import {
  LogFileError,
  openDefaultLogFile,
  openLogFile,
  runsDirectory,
} from "../../../events/log-file.ts"
import { parseEvent } from "../../../events/parse.ts"
import { redactEvent } from "../../../events/redact.ts"
import { follow, readLog } from "../../../events/read.ts"
import type { Event, EventBody } from "../../../events/event.ts"
import { drop, flow, name, request } from "./samples.ts"

const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
const now = Date.parse("2026-11-23T03:00:00.123Z")

const read = (path: string): string[] => readFileSync(path, "latin1").split("\n").slice(0, -1)
const seqs = (path: string): number[] => read(path).map((line) => (JSON.parse(line) as Event).seq)

/** A disk with room for `bytes`, which then says ENOSPC; more room can be made. */
function smallDisk(bytes: number): {
  disk: typeof write
  text: () => string
  grow: (bytes: number) => void
} {
  let room = bytes
  let text = ""
  const disk = (
    _fd: number,
    batch: Buffer,
    from: number,
    length: number,
    _position: null,
    done: (error: Error | null, bytes: number) => void,
  ): void => {
    const taken = Math.min(room, length)
    room -= taken
    text += batch.toString("latin1", from, from + taken)
    const error = taken > 0 ? null : Object.assign(new Error("no space"), { code: "ENOSPC" })
    setImmediate(() => done(error, taken))
  }
  return { disk: disk as unknown as typeof write, text: () => text, grow: (more) => (room += more) }
}

void t.test("no line holds a token of the job's own, whatever its shape", async (t) => {
  const path = join(t.testdir(), "own.jsonl")
  const token = "correct-horse-battery-staple"
  const log = new Log(openLogFile(path, me), "r", { tokens: [token] })
  log.record({ ...request, path: `/a/${token}/b` }, now)
  log.record({ ...flow, detail: `said ${Buffer.from(`x:${token}`).toString("base64")}` }, now)
  const end = await log.end(0, now)
  t.equal(end.recorded, 3)
  t.equal(end.altered, false)
  const text = read(path).join("\n")
  t.notMatch(text, token)
  t.notMatch(text, Buffer.from(token).toString("base64").slice(4, 20))
  t.match(text, "/a/***/b")
})

void t.test(
  "a line has the contract's fields, in order, and nothing of the logger's own",
  async (t) => {
    const path = join(t.testdir(), "a.jsonl")
    const log = new Log(openLogFile(path, me), "run-1")
    t.equal(log.record(name, now), 1)
    t.equal(log.record(drop, now), 2)
    const end = await log.end(7, now)
    const [first, second, third] = read(path)
    t.ok(
      first?.startsWith(
        '{"v":1,"time":"2026-11-23T03:00:00.123Z","run":"run-1","seq":1,"kind":"name",',
      ),
    )
    t.same(JSON.parse(second ?? ""), {
      v: 1,
      time: "2026-11-23T03:00:00.123Z",
      run: "run-1",
      seq: 2,
      ...drop,
    })
    t.match(JSON.parse(third ?? ""), {
      kind: "run-ended",
      status: 7,
      lost: 0,
      counts: { allowed: 0, denied: 4, names: 1, requests: 0, findings: 0 },
    })
    t.match(end, { recorded: 3, lost: 0, altered: false, path })
    t.equal(statSync(path).mode & 0o777, 0o600)
  },
)

void t.test("every line parses, and the count matches, whatever strings go in", async (t) => {
  const directory = t.testdir()
  const hostile = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.constantFrom(
      '\n{"v":1}',
      '","verdict":"allow',
      "\r\n",
      "\u2028",
      "\ud800",
      "\u202e",
      "\u0000",
      "\x7f",
      "\\",
      "x".repeat(70_000),
    ),
  )
  let round = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(hostile, hostile, hostile), { maxLength: 8 }),
      async (all) => {
        const path = join(directory, `${round++}.jsonl`)
        const log = new Log(openLogFile(path, me), "r")
        for (const [host, argument, detail] of all) {
          const process = {
            pid: 1,
            executable: argument,
            arguments: [argument, host],
            ancestors: [],
          }
          log.record({ ...flow, names: [host], process, detail }, now)
          log.record({ ...name, name: host, process }, now)
        }
        await log.end(0, now)
        const text = readFileSync(path, "latin1")
        t.match(text, /^[\n\x20-\x7e]*$/)
        const lines = text.split("\n").slice(0, -1)
        t.equal(lines.length, all.length * 2 + 1)
        t.ok(lines.every((line) => line.length < lineBytesMax))
        t.same(
          lines.map((line) => (parseEvent(line) as Event).seq),
          lines.map((_, index) => index + 1),
        )
      },
    ),
    { numRuns: 60 },
  )
})

void t.test("a line is never longer than 64 KiB: arguments are cut before anything else", (t) => {
  const arguments_ = Array.from({ length: 300 }, () => "\u0001".repeat(3000))
  const program = { pid: 1, executable: "/bin/sh", arguments: arguments_ }
  const process = { ...program, ancestors: Array.from({ length: 40 }, () => program) }
  const line = lines("r").line(redactEvent({ ...flow, process }), 1, now)
  t.ok(line.length <= lineBytesMax)
  const event = JSON.parse(line) as Event & { names: string[]; process: { executable: string } }
  t.same(event.names, flow.names)
  t.equal(event.process.executable, "/bin/sh")
  const names = Array.from({ length: 9000 }, (_, index) => `${"n".repeat(200)}${index}.test`)
  t.ok(lines("r").line({ ...flow, names }, 1, now).length <= lineBytesMax)
  const context = Object.fromEntries(names.map((each) => [each.repeat(30), each.repeat(30)]))
  const started: EventBody = {
    kind: "run-started",
    mode: "block",
    scope: "run",
    version: "0",
    context,
    policy: { source: "x".repeat(200_000), sha256: "", rules: 0 },
  }
  t.ok(lines("r").line(started, 1, Number.NaN).length <= lineBytesMax)
  t.end()
})

void t.test(
  "a full disk loses events and counts them, and logging goes on when there is room",
  async (t) => {
    const path = join(t.testdir(), "a.jsonl")
    const troubles: (string | null)[] = []
    const small = smallDisk(100_000)
    const log = new Log(openLogFile(path, me), "r", {
      write: small.disk,
      onTrouble: (error) => troubles.push(error?.code ?? null),
    })
    const long = { ...name, name: "n".repeat(60_000) }
    for (let index = 0; index < 400; index++) log.record(long, now)
    t.ok(log.lost > 100)
    await new Promise((done) => setTimeout(done, 100))
    t.same(troubles, ["ENOSPC"])
    t.equal(log.full, false, "a disk that fails is no reason to hold the job's flows")
    small.grow(1e9)
    await new Promise((done) => setTimeout(done, 400))
    t.same(troubles, ["ENOSPC", null])
    t.not(log.record(name, now), null)
    const { lost, recorded } = await log.end(0, now)
    const written = small
      .text()
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Event)
    t.same(
      written.map(({ seq }) => seq),
      written.map((_, index) => index + 1),
      "no gap, no broken line",
    )
    t.match(written.at(-1), { kind: "run-ended", lost, counts: { names: 401, denied: 401 } })
    t.equal(recorded, written.length)
    t.equal(lost + recorded, 402)
  },
)

void t.test(
  "a disk that stays full until the end is told in the result",
  { timeout: 20_000 },
  async (t) => {
    const path = join(t.testdir(), "a.jsonl")
    const small = smallDisk(1000)
    const log = new Log(openLogFile(path, me), "r", { write: small.disk })
    for (let index = 0; index < 10; index++) log.record(name, now)
    const { lost, recorded } = await log.end(0, now)
    t.equal(recorded, small.text().split("\n").length - 1)
    t.equal(lost + recorded, 11)
  },
)

void t.test("on a full disk the last lines give their place to run-ended", (t) => {
  const path = join(t.testdir(), "a.jsonl")
  const line = (dropped: number): string => `END ${dropped}\n`
  const table: readonly (readonly [string, number])[] = [
    ["one\ntwo\nthr", 0],
    ["one\ntwo\nthree", 0],
    ["one\ntwo\nthreeee", 0],
    ["one\ntwo\n", 0],
    ["other\none\ntwo\n", 6],
    ["one", 0],
    ["", 0],
  ]
  for (const [text, from] of table) {
    writeFileSync(path, text)
    const fd = openSync(path, "a+")
    const dropped = replaceEnd(fd, from, text.length, line)
    closeSync(fd)
    const now = readFileSync(path, "utf8")
    if (dropped === null) t.equal(now, text)
    else {
      t.ok(now.length <= text.length && now.startsWith(text.slice(0, from)), now)
      t.ok(now.endsWith(line(dropped)), now)
      const kept = now.slice(0, now.length - line(dropped).length)
      t.ok(text.startsWith(kept) && (kept === "" || kept.endsWith("\n")), now)
      t.equal(text.split("\n").length - kept.split("\n").length, dropped)
    }
  }
  const fd = openSync("/dev/null", "a+")
  t.equal(replaceEnd(fd, 0, 10, line), null)
  closeSync(fd)
  t.end()
})

void t.test("a log has an end, even where a job floods it", async (t) => {
  const path = join(t.testdir(), "a.jsonl")
  const log = new Log(openLogFile(path, me), "r", { bytesMax: 10_000 })
  for (let index = 0; index < 100; index++) log.record(name, now)
  const finding = { kind: "finding", finding: "x", severity: "low", summary: "" } as const
  t.not(log.record({ ...finding, because: [], process: null, step: null }, now), null)
  const { lost, recorded } = await log.end(0, now)
  t.equal(lost + recorded, 102)
  t.ok(statSync(path).size < 12_000)
  t.same(
    seqs(path),
    Array.from({ length: recorded }, (_, index) => index + 1),
  )
})

void t.test("the log asks for a pause while much is waiting, and resumes", async (t) => {
  const path = join(t.testdir(), "a.jsonl")
  const log = new Log(openLogFile(path, me), "r")
  const long = { ...name, name: "n".repeat(60_000) }
  while (!log.full) log.record(long, now)
  t.equal(log.lost, 0)
  await log.drained()
  t.equal(log.full, false)
  t.equal((await log.end(0, now)).lost, 0)
})

void t.test("a log that somebody changed is called altered", async (t) => {
  const directory = t.testdir()
  const changes: Readonly<Record<string, (path: string) => void>> = {
    shorter: (path) => writeFileSync(path, ""),
    replaced: (path) => {
      rmSync(path)
      writeFileSync(path, "")
    },
    removed: (path) => rmSync(path),
    rewritten: (path) => writeFileSync(path, readFileSync(path, "utf8").replace("deny", "ally")),
    forged: (path) => appendFileSync(path, `${read(path)[0]}\n`),
  }
  for (const [kind, change] of Object.entries(changes)) {
    const path = join(directory, kind)
    const log = new Log(openLogFile(path, me), "r")
    log.record(name, now)
    // Why: what is changed before it was written is not changed at all.
    while (!read(path)[0]?.endsWith("}")) await new Promise((done) => setTimeout(done, 5))
    change(path)
    t.equal((await log.end(0, now)).altered, true, kind)
  }
})

void t.test("two runs may append to one file, even after an unfinished line", async (t) => {
  const path = join(t.testdir(), "a.jsonl")
  writeFileSync(path, '{"v":1,"time"')
  const one = new Log(openLogFile(path, me), "one")
  const two = new Log(openLogFile(path, me), "two")
  one.record(name, now)
  two.record(name, now)
  t.equal((await one.end(0, now)).altered, false)
  two.record(name, now)
  t.equal((await two.end(0, now)).altered, false)
  t.equal(read(path)[0], '{"v":1,"time"')
  const events: Event[] = []
  t.same(await readLog(path, (event) => events.push(event as Event)), { events: 5, broken: 1 })
})

void t.test("openLogFile() follows no link, and takes no file that cannot be a log", (t) => {
  const directory = t.testdir({ target: "", directory: {} })
  symlinkSync("target", join(directory, "link"))
  t.throws(() => openLogFile(join(directory, "link"), me), LogFileError)
  t.throws(() => openLogFile(join(directory, "link"), me), /symbolic link, must be a regular file/)
  t.throws(() => openLogFile(join(directory, "directory"), me), /is a directory/)
  t.throws(() => openLogFile(join(directory, "target", "x"), me), /no directory/)
  t.throws(() => openLogFile("/dev/tty0/x", me), LogFileError)
  t.equal(openLogFile("/dev/null", me).isRegular, false)
  t.end()
})

const asRoot = me.uid === 0 ? false : "only root can take the rights of others"
void t.test("openLogFile() goes no further than the user may", { skip: asRoot }, (t) => {
  const directory = mkdtempSync("/tmp/sluice-test-")
  t.teardown(() => rmSync(directory, { recursive: true }))
  chmodSync(directory, 0o755)
  mkdirSync(join(directory, "roots"))
  mkdirSync(join(directory, "theirs"))
  const nobody = { uid: 65534, gid: 65534 }
  chmodSync(join(directory, "roots"), 0o755)
  chownSync(join(directory, "theirs"), 65534, 65534)
  symlinkSync(join(directory, "roots"), join(directory, "theirs", "out"))
  t.throws(() => openLogFile(join(directory, "theirs", "out", "x"), nobody), /may not write there/)
  const path = join(directory, "theirs", "deep", "er", "x")
  openLogFile(path, nobody)
  t.match(statSync(path), { uid: 65534, gid: 65534 })
  t.match(statSync(join(directory, "theirs", "deep")), { uid: 65534, mode: 0o40700 })
  t.equal(process.geteuid?.(), 0)
  t.equal(process.getegid?.(), me.gid)
  t.end()
})

void t.test("the default log lies under XDG_STATE_HOME of the user", (t) => {
  t.equal(runsDirectory("/home/me", {}), "/home/me/.local/state/sluice/runs")
  t.equal(runsDirectory("/home/me", { XDG_STATE_HOME: "/s" }), "/s/sluice/runs")
  t.equal(runsDirectory("/home/me", { XDG_STATE_HOME: "s" }), "/home/me/.local/state/sluice/runs")
  const directory = join(t.testdir(), "state", "sluice", "runs")
  t.equal(openDefaultLogFile(directory, "r1", me).path, join(directory, "r1.jsonl"))
  t.end()
})

void t.test("readLog() counts broken lines, endless ones included, and reads on", async (t) => {
  const path = join(t.testdir(), "a.jsonl")
  const good = lines("r").line(name, 1, now)
  writeFileSync(
    path,
    `${good}nonsense\n\n${"x".repeat(2_000_000)}\n${good}{"v":1,"time":"2026-11-23T03:00:00.123Z","run":"r","seq":3,"kind":"process"}\n${good.slice(0, 50)}`,
  )
  let count = 0
  t.same(await readLog(path, () => count++), { events: 3, broken: 3 })
  t.equal(count, 3)
  await t.rejects(
    readLog(join(t.testdir(), "absent"), () => undefined),
    { code: "ENOENT" },
  )
})

void t.test("follow() gives what is there and what comes", async (t) => {
  const path = join(t.testdir(), "a.jsonl")
  const print = lines("r")
  writeFileSync(path, print.line(name, 1, now))
  const stop = new AbortController()
  const seen: number[] = []
  for await (const event of follow(path, stop.signal)) {
    seen.push(event.seq)
    if (event.seq === 1) {
      const next = print.line(name, 2, now)
      appendFileSync(path, next.slice(0, 30))
      setTimeout(() => appendFileSync(path, next.slice(30)), 50)
    } else stop.abort()
  }
  t.same(seen, [1, 2])
})

void t.test(
  "counted() counts flows, names and requests by verdict, and each dropped packet",
  (t) => {
    const all: readonly EventBody[] = [
      flow,
      { ...flow, verdict: "allow" },
      { ...name, repeated: 5 },
      drop,
      request,
      { ...request, repeated: 40 },
      {
        kind: "finding",
        finding: "x",
        severity: "low",
        summary: "",
        because: [],
        process: null,
        step: null,
      },
    ]
    t.same(all.reduce(counted, noCounts), {
      allowed: 42,
      denied: 9,
      names: 5,
      requests: 41,
      findings: 1,
    })
    t.end()
  },
)

void t.test("seq has no gap over many batches", async (t) => {
  const directory = t.testdir()
  mkdirSync(join(directory, "x"))
  const path = join(directory, "x", "a.jsonl")
  const log = new Log(openLogFile(path, me), "r")
  for (let index = 0; index < 5000; index++) {
    log.record(flow, now)
    if (index % 1000 === 0) await new Promise((done) => setTimeout(done, 5))
  }
  await log.end(0, now)
  t.same(
    seqs(path),
    Array.from({ length: 5001 }, (_, index) => index + 1),
  )
})
