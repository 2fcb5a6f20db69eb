import { fc } from "../../property.ts"
import t from "tap"
import type { Event, EventBody, RunStarted } from "../../../events/event.ts"
import { suggest } from "../../../events/suggest.ts"
import { elided, shown } from "../../../report/escape.ts"
import { Reporter, type Report } from "../../../report/report.ts"
import { summary } from "../../../report/summary.ts"
import { text } from "../../../report/text.ts"
import { asListItem, bytes, chain, duration } from "../../../report/words.ts"
import type { Address } from "../../../net/address.ts"
import { drop, flow, name, node, request } from "../events/samples.ts"

const start = Date.parse("2026-11-23T03:00:00.000Z")

const started: RunStarted = {
  kind: "run-started",
  mode: "block",
  scope: "run",
  policy: { source: "sluice.yml", sha256: "00", rules: 3 },
  version: "0.1.0",
  context: {},
}

/** Events a second apart, of one run. */
function stamped(bodies: readonly EventBody[], run = "r"): Event[] {
  return bodies.map((body, index) => ({
    v: 1,
    time: new Date(start + index * 1000).toISOString(),
    run,
    seq: index + 1,
    ...body,
  }))
}

function reportOn(bodies: readonly EventBody[]): Report {
  const reporter = new Reporter()
  for (const event of stamped(bodies)) reporter.add(event)
  return reporter.report()
}

const page = (report: Report, columns = 100): string => text(report, { columns, colour: false })

void t.test("a denied lookup and the connection after it are one target", (t) => {
  const report = reportOn([started, name, { ...name, type: "AAAA", repeated: 3 }, flow, flow])
  t.equal(report.denied.length, 1)
  t.match(report.denied[0], {
    target: "evil.test",
    reason: "name-not-allowed",
    connections: 2,
    lookups: 4,
    enforced: true,
    firstAfterMs: 1000,
    suggestion: "evil.test",
    addresses: ["203.0.113.9"],
  })
  t.match(report.counts, { denied: 6, names: 4 })
  t.end()
})

void t.test("requests that one line tells of many times count as often", (t) => {
  const denied = { ...request, verdict: "deny", reason: "path-not-allowed" } as const
  const host = { ...request, host: "other.example.com" }
  const report = reportOn([started, host, { ...host, repeated: 9 }, { ...denied, repeated: 4 }])
  t.match(report.allowed, [{ host: "other.example.com", requests: 10 }])
  t.match(report.denied, [{ requests: 4 }])
  t.match(report.counts, { allowed: 10, denied: 4, requests: 14 })
  t.end()
})

void t.test("lookups stay with the connections that were denied for the same reason", (t) => {
  const nameless = { ...flow, opening: null, reason: "missing-server-name" as const }
  const report = reportOn([started, name, flow, nameless])
  t.same(
    report.denied.map(({ reason, connections, lookups }) => [reason, connections, lookups]),
    [
      ["name-not-allowed", 1, 1],
      ["missing-server-name", 1, 0],
    ],
  )
  t.end()
})

void t.test("other programs, ports and reasons are told apart", (t) => {
  const curl = { ...node, executable: "/usr/bin/curl" }
  const report = reportOn([
    started,
    flow,
    { ...flow, process: curl },
    { ...flow, target: { ...flow.target, port: 8443 } },
    { ...flow, reason: "denied-by-rule" },
  ])
  t.equal(report.denied.length, 4)
  t.same(
    report.denied.map(({ suggestion }) => suggestion),
    ["evil.test", "evil.test", "evil.test:8443", null],
  )
  t.end()
})

void t.test(
  "a tunnel is told in one line, and a single name below the same domain is not called one",
  (t) => {
    const names = Array.from({ length: 500 }, (_, index) => `x${index}.y${index}.t.evil.test`)
    const report = reportOn([
      started,
      ...names.map((each) => ({ ...name, name: each })),
      { ...name, name: "www.other.test" },
      { ...name, name: "www.evil.test" },
    ])
    t.same(
      report.denied.map(({ target, targets, suggestion }) => [target, targets, suggestion]),
      [
        ["**.t.evil.test", 500, null],
        ["www.other.test", 1, "www.other.test"],
        ["www.evil.test", 1, "www.evil.test"],
      ],
    )
    t.match(page(report), /500 names, 500 lookups/)
    t.end()
  },
)

void t.test("a scan of ports is told in one line", (t) => {
  const scan = Array.from({ length: 100 }, (_, index) => ({
    ...flow,
    names: [],
    opening: null,
    reason: "address-not-allowed" as const,
    target: { ...flow.target, port: index + 1 },
  }))
  t.match(reportOn([started, ...scan]).denied, [
    { target: "203.0.113.9:*", targets: 100, suggestion: null },
  ])
  t.end()
})

void t.test("packets to neighbours are set apart, and nothing is suggested for them", (t) => {
  const report = reportOn([
    started,
    drop,
    { ...drop, target: { address: "224.0.0.251", port: 5353 } },
  ])
  t.same(
    report.denied.map(({ target, noise, suggestion }) => [target, noise, suggestion]),
    [
      ["203.0.113.9:123/udp", false, "203.0.113.9:123/udp"],
      ["224.0.0.251:5353/udp", true, null],
    ],
  )
  t.match(page(report), /1 target denied/)
  t.match(page(report), /Also refused: 3 packets to neighbours/)
  t.end()
})

void t.test("logs that overlap count once, and what is missing is told", (t) => {
  const reporter = new Reporter()
  const events = stamped([started, name, flow, flow, name])
  for (const event of [...events.slice(0, 2), ...events.slice(3), ...events]) reporter.add(event)
  const report = reporter.report()
  t.equal(report.missing, 1)
  t.match(page(report), /1 recorded event is missing/)
  t.match(page(report), /1 run has no end/)
  for (const event of stamped([started], "other")) reporter.add(event)
  t.equal(reporter.report().runs.length, 2)
  t.end()
})

void t.test("the report says what audit mode let through", (t) => {
  const report = reportOn([
    { ...started, mode: "audit" },
    { ...name, enforced: false },
  ])
  t.equal(report.enforced, false)
  t.match(page(report), /WOULD BE DENIED/)
  t.match(summary(report, null)[0], /audit let through what block would deny: 1 target/)
  t.end()
})

void t.test("the summary is one line and a path when nothing was denied", (t) => {
  const allowed = {
    ...flow,
    verdict: "allow",
    reason: "allowed-by-rule",
    bytesReceived: 1500,
  } as const
  t.same(summary(reportOn([started, allowed]), "/a b/x.jsonl"), [
    "nothing denied; 1 host reached (1.5 kB received, 0 B sent)",
    "full report: sluice report '/a b/x.jsonl'",
  ])
  t.end()
})

void t.test("the summary tells target, reason, program with parents, and the line to add", (t) => {
  t.same(summary(reportOn([started, name, flow]), null), [
    "denied 1 target (2 attempts); no host was reached",
    "  evil.test (2 times)",
    "    name-not-allowed: no rule allows this name, by dash > npm > node",
    "    to allow it:  - evil.test",
  ])
  t.end()
})

void t.test("suggest() gives the smallest line, and none where no line is right", (t) => {
  const base = {
    reason: "name-not-allowed",
    host: "a.test",
    address: "2001:db8::1",
    port: 443,
    transport: "tcp",
    request: null,
  } as const
  const request = { scheme: "https", method: "POST", path: "/x?y=*" }
  const table: readonly (readonly [Parameters<typeof suggest>[0], string | null])[] = [
    [base, "a.test"],
    [{ ...base, port: null }, "a.test"],
    [{ ...base, port: 22 }, "a.test:22"],
    [{ ...base, transport: "udp" }, "a.test:443/udp"],
    [{ ...base, transport: "icmp" }, "icmp://a.test"],
    [{ ...base, host: null }, "2001:db8::1"],
    [{ ...base, host: null, port: 22 }, "[2001:db8::1]:22"],
    [{ ...base, host: null, port: 53, transport: "udp" }, "[2001:db8::1]:53/udp"],
    [{ ...base, host: null, port: null, transport: "icmpv6" }, "icmp://2001:db8::1"],
    [{ ...base, host: null, port: null, transport: "47" }, null],
    [{ ...base, host: null, reason: "missing-server-name" }, "2001:db8::1"],
    [{ ...base, reason: "private-address" }, "resolve-private: [a.test]"],
    [{ ...base, host: null, port: 22, reason: "private-address" }, "[2001:db8::1]:22"],
    [{ ...base, host: "ghp_***.evil.test" }, null],
    [{ ...base, host: "A.test" }, null],
    [{ ...base, request, reason: "path-not-allowed" }, "POST https://a.test/x"],
    [{ ...base, request: { ...request, path: "/***" }, reason: "path-not-allowed" }, null],
    [{ ...base, reason: "denied-by-rule" }, null],
    [{ ...base, reason: "name-budget-exceeded" }, null],
    [{ ...base, reason: "loop" }, null],
    [{ ...base, reason: "malformed" }, null],
    [{ ...base, reason: "upstream-failed" }, null],
    [{ ...base, reason: "name-address-mismatch" }, null],
  ]
  for (const [denied, wanted] of table) t.equal(suggest(denied), wanted)
  t.equal(asListItem("[2001:db8::1]:22"), '- "[2001:db8::1]:22"')
  t.equal(asListItem("POST https://a.test/x"), "- POST https://a.test/x")
  t.equal(asListItem("resolve-private: [a.test]"), "resolve-private: [a.test]")
  t.equal(asListItem("icmp://a.test"), "- icmp://a.test")
  t.end()
})

void t.test("hostile text is shown, and does nothing", (t) => {
  const table: readonly (readonly [string, string])[] = [
    ["\u001b[31mred", "\\x1b[31mred"],
    ["a\nb\r\tc\u0000", "a\\x0ab\\x0d\\x09c\\x00"],
    ["\u0085\u009b", "\\x85\\x9b"],
    ["\u202egpj.exe", "\\u{202e}gpj.exe"],
    ["a\u200bb\ufeff\u2028\u00a0", "a\\u{200b}b\\u{feff}\\u{2028}\\xa0"],
    ["\u{e0041}", "\\u{e0041}"],
    ["\ud800", "\\u{d800}"],
    ["::error::x", "\\x3a:error\\x3a:x"],
    ["x ::debug y", "x \\x3a:debug y"],
    ["x::error::y", "x\\x3a:error\\x3a:y"],
    ["x ##[error]y", "x #\\x23[error]y"],
    ["[2001:db8::1]:443", "[2001:db8::1]:443"],
    ["grün", "grün"],
  ]
  for (const [raw, wanted] of table) t.equal(shown(raw), wanted)
  t.equal(elided("a".repeat(10_000_000), 11), "aaaaa…aaaaa")
  t.equal(elided("short", 11), "short")
  t.end()
})

const hostile = fc.oneof(
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.constantFrom(
    "::set-env name=x::y",
    "\u001b]0;x\u0007",
    "\u202e",
    "\n::error::",
    "##[group]",
    "x".repeat(5000),
  ),
)

void t.test(
  "no line of a report is a command, a control or wider than it may, whatever goes in",
  (t) => {
    const body = fc.tuple(hostile, hostile, hostile).map(([one, two, three]): EventBody[] => {
      const process = {
        pid: 1,
        executable: one,
        arguments: [two, three],
        ancestors: [{ ...node, executable: three }],
      }
      return [
        { ...name, name: one, process },
        {
          ...flow,
          names: [two],
          opening: { kind: "tls", serverName: three },
          detail: one,
          process,
          step: two,
        },
        { ...flow, verdict: "allow", opening: null, names: [one], process },
        { ...drop, target: { address: three, port: 1 }, user: one },
        {
          kind: "finding",
          finding: one,
          severity: "high",
          summary: two,
          because: [],
          process,
          step: null,
        },
      ]
    })
    fc.assert(
      fc.property(
        fc.array(body, { maxLength: 4 }),
        fc.integer({ min: 20, max: 200 }),
        (all, columns) => {
          const report = reportOn([started, ...all.flat()])
          const lines = [...page(report, columns).split("\n"), ...summary(report, "/x")]
          for (const line of lines) {
            if (/[\p{Cc}\p{Cf}\p{Cs}]/u.test(line) || /^\s*::\S/.test(line) || line.includes("##["))
              return false
            const free = /to allow it:|full report:/.test(line)
            if (!free && Array.from(line).length > Math.max(100, Math.min(columns, 100)))
              return false
          }
          return true
        },
      ),
      { numRuns: 200 },
    )
    t.end()
  },
)

void t.test("a report of a flood stays small", (t) => {
  const reporter = new Reporter()
  reporter.add(stamped([started])[0] as Event)
  for (let index = 0; index < 60_000; index++) {
    const event: EventBody = { ...name, name: `h${index}.d${index}.test` }
    reporter.add({ v: 1, time: "2026-11-23T03:00:00.000Z", run: "r", seq: index + 2, ...event })
  }
  const report = reporter.report()
  t.equal(report.denied.length + report.deniedBeyond, 60_000)
  t.ok(page(report).length < 10_000)
  t.ok(summary(report, null).length < 40)
  t.end()
})

void t.test("numbers, times and programs read well", (t) => {
  t.same([0, 512, 1500, 48_123_456, 999_999, 2.5e12].map(bytes), [
    "0 B",
    "512 B",
    "1.5 kB",
    "48.1 MB",
    "1.0 MB",
    "2.5 TB",
  ])
  t.same([40, 9960, 41_000, 200_000, 7_500_000].map(duration), [
    "0.0 s",
    "10 s",
    "41 s",
    "3 min 20 s",
    "2 h 5 min",
  ])
  t.equal(chain([node, ...node.ancestors]), "dash > npm > node")
  t.equal(chain(Array.from({ length: 9 }, () => node)), "… > node > node > node > node")
  t.equal(chain([{ ...node, executable: "" }]), "pid 4242")
  t.end()
})

void t.test("a target without a name is told by its address", (t) => {
  const bare = { ...flow, names: [], opening: null, reason: "address-not-allowed" as const }
  const v6 = { address: "2001:db8::1" as Address, port: 443 }
  const report = reportOn([started, bare, { ...bare, target: v6, transport: "udp" }])
  t.same(
    report.denied.map(({ target, suggestion }) => [target, suggestion]),
    [
      ["203.0.113.9:443", "203.0.113.9"],
      ["[2001:db8::1]:443/udp", "[2001:db8::1]:443/udp"],
    ],
  )
  t.end()
})
