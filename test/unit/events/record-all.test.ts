/** Many events at a time: recordAll() is beside record(), its slow, obvious twin. */
import { mkdirSync, readFileSync, type write } from "node:fs"
import { join } from "node:path"
import t from "tap"
import { fc } from "../../property.ts"
import type { Event, EventBody } from "../../../events/event.ts"
import { waitingBytesMax } from "../../../events/appender.ts"
import { lineBytesMax, lines } from "../../../events/line.ts"
import { Log, type LogOptions } from "../../../events/log.ts"
import { openLogFile } from "../../../events/log-file.ts"
import { drop, flow, name, request } from "./samples.ts"

const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
const now = Date.parse("2026-11-23T03:00:00.123Z")
let round = 0

interface Logged {
  readonly text: string
  readonly told: Event[]
  readonly end: unknown
}

/** The same events, one at a time and all at once. */
async function both(
  directory: string,
  bodies: readonly EventBody[],
  options: LogOptions = {},
): Promise<readonly [Logged, Logged]> {
  const logged = async (all: boolean): Promise<Logged> => {
    const folder = join(directory, String(round++))
    mkdirSync(folder)
    const path = join(folder, "a.jsonl")
    const told: Event[] = []
    const onEvent = (event: Event): void => void told.push(event)
    const log = new Log(openLogFile(path, me), "r", { ...options, onEvent })
    const events = bodies.map((body, index) => ({ body, atMs: now + (index >> 1) }))
    if (all) log.recordAll(events)
    else for (const { body, atMs } of events) log.record(body, atMs)
    const { path: _path, ...end } = await log.end(0, now)
    return { text: readFileSync(path, "latin1"), told, end }
  }
  return [await logged(false), await logged(true)]
}

t.test("recordAll() writes, counts and tells what record() does, whatever goes in", async (t) => {
  const directory = t.testdir()
  const hostile = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.constantFrom(
      `},{"v":1,"time":"`,
      `"},{"v":1,"time":"`,
      `\\"},{"v":1,"time":"`,
      "\n",
      "\x7f",
      "\ud800",
      "ä",
      "x".repeat(70_000),
    ),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(hostile, fc.nat(4)), { maxLength: 12 }), async (all) => {
      const bodies = all.map(([text, kind]): EventBody => {
        const program = { pid: 1, executable: text, arguments: [text, text] }
        const made: EventBody[] = [
          { ...flow, names: [text], process: { ...program, ancestors: [program, program] } },
          { ...name, name: text, addresses: [text, text] },
          { ...request, path: text, repeated: 3 },
          { ...drop, user: text },
          { ...flow, detail: text, opening: null, process: null },
        ]
        return made[kind] ?? drop
      })
      const [one, other] = await both(directory, bodies)
      t.strictSame(other, one)
      t.equal(one.text.split("\n").length - 1, bodies.length + 1)
    }),
    { numRuns: 60 },
  )
})

t.test("recordAll() loses what record() loses when the log is long enough", async (t) => {
  const bodies = Array.from({ length: 100 }, (_, index) => ({ ...name, name: `${index}.test` }))
  const [one, other] = await both(t.testdir(), bodies, { bytesMax: 10_000 })
  t.strictSame(other, one)
  t.match(one.end, { counts: { names: 100 } })
  t.not((one.end as { lost: number }).lost, 0)
})

t.test("recordAll() loses what record() loses when the disk is full", async (t) => {
  const full = (...parameters: unknown[]): void => {
    const done = parameters.at(-1) as (error: Error, bytes: number) => void
    setImmediate(() => done(Object.assign(new Error("no space"), { code: "ENOSPC" }), 0))
  }
  const detail = "x y ".repeat(10_000)
  const bodies = Array.from({ length: 500 }, () => ({ ...flow, detail }))
  const options = { write: full as unknown as typeof write }
  const [one, other] = await both(t.testdir(), bodies, options)
  t.strictSame(other, one)
  const taken = one.told.filter(({ seq }) => seq > 0).length
  t.ok(taken > 0 && taken < 500 && taken * detail.length < waitingBytesMax)
})

t.test("lines().many() shortens what is too long and nothing beside it", (t) => {
  const long = { ...flow, detail: "x".repeat(lineBytesMax) }
  const events = [flow, long, name].map((body) => ({ body, atMs: now }))
  const { line, many } = lines("r")
  const made = many(events, 7)
  t.strictSame(
    made,
    events.map(({ body, atMs }, index) => line(body, 7 + index, atMs)),
  )
  t.ok(made.every((text) => text.length <= lineBytesMax && text.endsWith("}\n")))
  t.end()
})
