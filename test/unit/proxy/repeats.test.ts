import t from "tap"
import { fc } from "../../property.ts"
import type { RequestEvent } from "../../../events/event.ts"
import { ownLinesMax, Repeats, windowMs } from "../../../proxy/repeats.ts"

const page: RequestEvent = {
  kind: "request",
  flow: "w-1",
  protocol: "h2",
  scheme: "https",
  method: "GET",
  host: "registry.example.com",
  path: "/left-pad",
  status: 200,
  verdict: "allow",
  enforced: true,
  reason: "allowed-by-rule",
  rule: { source: "sluice.yml", line: 3, text: "GET https://registry.example.com/**" },
  token: "none",
  bytesSent: 3,
  bytesReceived: 1_000,
}

/** Pushes the same again and again, each an object of its own, as a carrier does. */
function pushed(repeats: Repeats, event: RequestEvent, times: number, nowMs: number) {
  const lines: RequestEvent[] = []
  for (let n = 0; n < times; n++) {
    const rule = event.rule === null ? null : { ...event.rule }
    lines.push(...repeats.push({ ...event, rule }, nowMs))
  }
  return lines
}

t.test("Repeats gives the first requests of a second lines of their own", (t) => {
  const repeats = new Repeats()
  const lines = pushed(repeats, page, ownLinesMax + 10, 5)
  t.strictSame(
    lines,
    Array.from({ length: ownLinesMax }, () => page),
  )
  t.strictSame(repeats.due(5 + windowMs - 1), [], "their second is not over")
  t.strictSame(repeats.due(5 + windowMs), [
    { ...page, repeated: 10, bytesSent: 30, bytesReceived: 10_000 },
  ])
  t.strictSame(repeats.due(5 + 2 * windowMs), [], "told once")
  t.end()
})

t.test("Repeats gives what was counted when the next second begins", (t) => {
  const repeats = new Repeats()
  pushed(repeats, page, ownLinesMax + 2, 0)
  const lines = pushed(repeats, page, 1, windowMs)
  t.match(lines, [{ repeated: 2 }, page])
  t.equal(lines.length, 2)
  t.equal(pushed(repeats, page, ownLinesMax, windowMs).length, ownLinesMax - 1)
  t.end()
})

t.test("Repeats gives what was counted at the end of its flow, and of no other", (t) => {
  const repeats = new Repeats()
  pushed(repeats, page, ownLinesMax + 1, 0)
  pushed(repeats, { ...page, flow: "w-2" }, ownLinesMax + 3, 0)
  t.strictSame(repeats.end("w-3"), [])
  const [line, ...more] = repeats.end("w-1")
  t.strictSame(line, page, "one more is a line like the others")
  t.strictSame(more, [])
  t.match(repeats.end("w-2"), [{ flow: "w-2", repeated: 3 }])
  t.strictSame(repeats.due(10 * windowMs), [])
  t.end()
})

t.test("Repeats counts only what is alike in all that a line says", (t) => {
  const rule = { source: "sluice.yml", line: 3, text: "x" }
  for (const other of [
    { flow: "w-2" },
    { method: "HEAD" },
    { host: "other.example.com" },
    { path: "/right-pad" },
    { status: 404 },
    { status: null },
    { verdict: "deny" },
    { enforced: false },
    { reason: "denied-by-rule" },
    { token: "job" },
    { protocol: "http/1.1" },
    { scheme: "http" },
    { detail: "The certificate has expired." },
    { rule: null },
    { rule },
    { rule: { ...page.rule, line: 4 } },
    { rule: { ...page.rule, source: "command line" } },
  ] as readonly Partial<RequestEvent>[]) {
    const repeats = new Repeats()
    pushed(repeats, page, ownLinesMax, 0)
    const event = { ...page, ...other }
    t.strictSame(repeats.push(event, 0), [event], JSON.stringify(other))
    t.strictSame(repeats.push(page, 0), [], "the first goes on being counted")
  }
  t.end()
})

t.test("Repeats takes no line break in one field for the end of another", (t) => {
  const repeats = new Repeats()
  pushed(repeats, { ...page, host: "a", path: "/b\n/c" }, ownLinesMax, 0)
  const other = { ...page, host: "a\n/b", path: "/c" }
  t.strictSame(repeats.push(page, 0), [page])
  t.strictSame(repeats.push(other, 0), [other])
  t.end()
})

t.test("Repeats counts under no long path, and for ever under no clock that was set back", (t) => {
  const repeats = new Repeats()
  const long = { ...page, path: `/${"x".repeat(2_000)}` }
  t.equal(pushed(repeats, long, 200, 0).length, 200)
  const late = 1_000_000
  pushed(repeats, page, ownLinesMax + 5, late)
  t.match(repeats.due(7), [{ repeated: 5 }])
  pushed(repeats, page, ownLinesMax + 5, late)
  t.match(pushed(repeats, page, 1, 7), [{ repeated: 5 }, page])
  t.end()
})

t.test("Repeats keeps few kinds of a flow, and loses none of those that make room", (t) => {
  const repeats = new Repeats()
  let lines = 0
  let told = 0
  const count = (given: readonly RequestEvent[]): void => {
    lines += given.length
    for (const { repeated } of given) told += repeated ?? 1
  }
  count(pushed(repeats, page, ownLinesMax + 7, 0))
  for (let n = 0; n < 20_000; n++) count(repeats.push({ ...page, path: `/${n}` }, 0))
  t.equal(lines, ownLinesMax + 1 + 20_000, "the first of all had to make room")
  t.equal(told, ownLinesMax + 7 + 20_000)
  t.end()
})

t.test("Repeats keeps few kinds of all flows, and writes what it does not keep", (t) => {
  const repeats = new Repeats()
  for (let n = 0; n < 4_096; n++) repeats.push({ ...page, flow: `w-${n}` }, 0)
  const late = { ...page, flow: "late" }
  t.equal(pushed(repeats, late, 200, 0).length, 200, "none is counted")
  t.equal(pushed(repeats, { ...page, flow: "w-7" }, 200, 0).length, ownLinesMax - 1)
  repeats.end("w-9")
  t.equal(pushed(repeats, late, 200, 0).length, ownLinesMax, "there is room again")
  t.strictSame(
    repeats
      .due(windowMs)
      .map(({ flow }) => flow)
      .toSorted(),
    ["late", "w-7"],
  )
  t.end()
})

t.test("Repeats says what the slow, obvious count says", (t) => {
  const request = fc.record({
    flow: fc.constantFrom("a", "b"),
    path: fc.constantFrom("/", "/x"),
    bytesSent: fc.nat(9),
    afterMs: fc.nat(40),
    times: fc.nat(200),
    ends: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(request, { maxLength: 60 }), (requests) => {
      const repeats = new Repeats()
      const asked = new Map<string, number>()
      const told = new Map<string, number>()
      const add = (to: Map<string, number>, key: string, more: number): void =>
        void to.set(key, (to.get(key) ?? 0) + more)
      const tell = (lines: readonly RequestEvent[]): void => {
        for (const { flow, path, repeated, bytesSent } of lines) {
          add(told, `${flow}${path}`, repeated ?? 1)
          add(told, `${flow}${path} bytes`, bytesSent)
        }
      }
      let nowMs = 0
      for (const { flow, path, bytesSent, afterMs, times, ends } of requests) {
        nowMs += afterMs
        tell(repeats.due(nowMs))
        const event = { ...page, flow, path, bytesSent }
        tell(pushed(repeats, event, times, nowMs))
        add(asked, `${flow}${path}`, times)
        add(asked, `${flow}${path} bytes`, times * bytesSent)
        if (ends) tell(repeats.end(flow))
      }
      tell(repeats.due(nowMs + windowMs))
      const sums = (map: Map<string, number>) => new Map([...map].filter(([, sum]) => sum > 0))
      t.strictSame(sums(told), sums(asked))
    }),
    { numRuns: 50 },
  )
  t.end()
})
