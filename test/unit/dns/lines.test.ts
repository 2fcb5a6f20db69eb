import t from "tap"
import { Lines } from "../../../dns/lines.ts"
import type { NameLine, RecordName } from "../../../dns/lines.ts"
import type { Drop, NameEvent } from "../../../events/event.ts"
import { nobody } from "../../../dns/owners.ts"

const body: NameLine = {
  kind: "name",
  name: "evil.test",
  type: "A",
  transport: "udp",
  rcode: "NXDOMAIN",
  addresses: [],
  verdict: "deny",
  enforced: true,
  reason: "name-not-allowed",
  rule: null,
}

interface Recorded {
  readonly events: (NameEvent | Drop)[]
  readonly record: RecordName
}

function recorder(): Recorded {
  const events: (NameEvent | Drop)[] = []
  return {
    events,
    record: (event) => {
      events.push(event)
      return null
    },
  }
}

/** Questions that the lines speak of. */
const counted = (events: readonly (NameEvent | Drop)[]): number =>
  events.reduce((sum, event) => sum + (event.kind === "name" ? (event.repeated ?? 1) : 0), 0)

void t.test("Lines records a question at once and its repetitions in one line", async (t) => {
  const { events, record } = recorder()
  const lines = new Lines(record, Date.now)
  const line = lines.open("key", body, nobody)
  t.equal(events.length, 1)
  t.notOk("repeated" in (events[0] ?? {}))
  line.repeated += 41
  lines.close()
  t.equal(events.length, 2)
  t.match(events[1], { name: "evil.test", repeated: 41 })
  t.equal(line.open, false)
})

void t.test("Lines writes one repetition without a count", async (t) => {
  const { events, record } = recorder()
  const lines = new Lines(record, Date.now)
  lines.open("key", body, nobody).repeated++
  lines.close()
  t.equal(counted(events), 2)
  t.notOk("repeated" in (events[1] ?? {}))
})

void t.test("Lines records repetitions within about a second", async (t) => {
  const { events, record } = recorder()
  const lines = new Lines(record, Date.now)
  const line = lines.open("key", body, nobody)
  line.repeated = 7
  await new Promise((resolve) => setTimeout(resolve, 1_400))
  t.equal(counted(events), 8)
  t.equal(lines.find("key"), line, "goes on while it is used")
  await new Promise((resolve) => setTimeout(resolve, 1_400))
  t.equal(lines.find("key"), null)
  t.equal(line.open, false)
  lines.close()
  t.equal(counted(events), 8)
})

void t.test("Lines waits for the owner and is bounded by it", async (t) => {
  const { events, record } = recorder()
  const lines = new Lines(record, Date.now)
  let found: (step: string) => void = () => {}
  const owner = new Promise<{ process: null; step: string }>((resolve) => {
    found = (step) => resolve({ process: null, step })
  })
  for (let n = 0; n < 8_192; n++) lines.open(`key ${n}`, body, owner)
  t.equal(events.length, 0)
  t.equal(lines.saturated, true)
  found("build")
  await lines.ready()
  t.equal(lines.saturated, false)
  t.ok(events.length > 0)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(events.length, 8_192)
  t.match(events[0], { step: "build" })
  lines.close()
})

void t.test("Lines keeps count of 100,000 askers with bounded memory", async (t) => {
  const { events, record } = recorder()
  const lines = new Lines(record, Date.now)
  for (let n = 0; n < 100_000; n++) lines.open(`key ${n}`, body, nobody).repeated++
  lines.close()
  t.equal(counted(events), 200_000)
})

void t.test(
  "Lines is saturated until the recorder has room, and counts what was lost",
  async (t) => {
    const events: (NameEvent | Drop)[] = []
    let room: () => void = () => {}
    const lines = new Lines((event) => {
      events.push(event)
      return events.length === 1 ? new Promise((resolve) => (room = resolve)) : null
    }, Date.now)
    lines.open("key", body, nobody)
    t.equal(lines.saturated, true)
    for (let n = 0; n < 5; n++) lines.overlooked()
    let ready = false
    const waiting = lines.ready().then(() => (ready = true))
    await new Promise((resolve) => setImmediate(resolve))
    t.equal(ready, false)
    room()
    await waiting
    t.equal(lines.saturated, false)
    lines.close()
    t.match(events.at(-1), { kind: "drop", packets: 5, reason: "limit-exceeded" })
  },
)
