import t from "tap"
import type { Event, EventBody } from "../../../events/event.ts"
import { Reporter, type Report } from "../../../report/report.ts"
import { text } from "../../../report/text.ts"
import { flow, name } from "../events/samples.ts"

function reportOn(bodies: readonly EventBody[]): Report {
  const reporter = new Reporter()
  for (const [index, body] of bodies.entries()) {
    const event: Event = {
      v: 1,
      time: "2026-11-23T05:00:00.000Z",
      run: "r",
      seq: index + 1,
      ...body,
    }
    reporter.add(event)
  }
  return reporter.report()
}

const allow = { verdict: "allow", reason: "allowed-by-rule" } as const
const lookup = {
  ...name,
  ...allow,
  name: "files.example.com",
  aliases: ["example.map.fastly.net"],
}
const spliced = {
  ...flow,
  ...allow,
  names: ["files.example.com"],
  opening: { kind: "tls", serverName: "files.example.com" },
  action: "splice",
} as const

t.test("a host on a shared network that was reached unopened is told, and what closes it", (t) => {
  const report = reportOn([lookup, spliced, spliced])
  t.strictSame(report.fronts, [
    {
      host: "files.example.com",
      operator: "Fastly",
      alias: "example.map.fastly.net",
      connections: 2,
      suggestion: "https://files.example.com/**",
    },
  ])
  const page = text(report, { columns: 100, colour: false })
  t.match(page, "SHARED NETWORKS")
  t.match(page, "by Fastly, as example.map.fastly.net")
  t.match(page, 'to close it:  - "https://files.example.com/**"')
  t.match(page, /`intercept: always`/)
  t.end()
})

t.test("a host whose own name lies on one needs no lookup to be told", (t) => {
  const host = "d111111abcdef8.cloudfront.net"
  const own = { ...spliced, opening: { kind: "tls", serverName: host } } as const
  t.match(reportOn([own]).fronts, [{ host, alias: host, operator: "Amazon CloudFront" }])
  t.end()
})

t.test(
  "nothing is told of hosts that were opened, denied, looked up only, or lie elsewhere",
  (t) => {
    for (const bodies of [
      [lookup],
      [lookup, { ...spliced, action: "intercept" as const }],
      [lookup, { ...spliced, verdict: "deny" as const, action: "refuse" as const }],
      [lookup, { ...spliced, opening: { kind: "http", serverName: "files.example.com" } as const }],
      [{ ...lookup, aliases: ["www.example.net"] }, spliced],
      [{ ...lookup, verdict: "deny" as const }, spliced],
      [name, spliced],
    ]) {
      t.strictSame(reportOn(bodies).fronts, [])
    }
    t.notMatch(text(reportOn([name]), { columns: 80, colour: false }), "SHARED NETWORKS")
    t.end()
  },
)

t.test("a flood of names keeps the list small", (t) => {
  const many = Array.from({ length: 3_000 }, (_, index) => `h${index}.example.com`)
  const report = reportOn(
    many.flatMap((host) => [
      { ...lookup, name: host },
      { ...spliced, opening: { kind: "tls", serverName: host } as const },
    ]),
  )
  t.equal(report.fronts.length, 1_000)
  t.end()
})
