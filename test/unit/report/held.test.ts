/** A denied request and its flow are one attempt. */
import t from "tap"
import type { Event, FlowEvent, RequestEvent } from "../../../events/event.ts"
import type { Reason } from "../../../flows/reason.ts"
import { Reporter } from "../../../report/report.ts"
import { text } from "../../../report/text.ts"

const stamp = { v: 1, time: "2026-11-23T05:00:00.000Z", run: "r" } as const
const denied = { verdict: "deny", enforced: true, rule: null } as const
const counts = { bytesSent: 0, bytesReceived: 0 }

function request(
  seq: number,
  flow: string,
  reason: Reason,
  more: Partial<RequestEvent> = {},
): Event {
  const what = { method: "GET", host: "a.test", path: "/x", status: 403, token: "none" } as const
  const kind = { kind: "request", flow, protocol: "http/1.1", scheme: "http" } as const
  return { ...stamp, seq, ...kind, ...what, ...denied, ...counts, reason, ...more }
}

function flow(seq: number, id: string, reason: Reason, more: Partial<FlowEvent> = {}): Event {
  const target = { address: "198.51.100.1" as never, port: 80 }
  const process = { pid: 7, executable: "/usr/bin/curl", arguments: ["curl"], ancestors: [] }
  return {
    ...stamp,
    seq,
    ...denied,
    ...counts,
    kind: "flow",
    flow: id,
    transport: "tcp",
    source: target,
    target,
    names: [],
    opening: { kind: "http", serverName: "a.test" },
    action: "refuse",
    reason,
    durationMs: 1,
    process,
    step: null,
    ...more,
  }
}

t.test("a denied request is told once, with its flow's program and its own scheme", async (t) => {
  const reporter = new Reporter()
  reporter.add(request(1, "f1", "path-not-allowed"))
  reporter.add(flow(2, "f1", "path-not-allowed"))
  const { denied } = reporter.report()
  t.match(denied, [{ target: "GET http://a.test/x", programs: [{ executable: "/usr/bin/curl" }] }])
  t.equal(denied.length, 1)
})

t.test("a host that is not allowed is told as a host", async (t) => {
  const reporter = new Reporter()
  reporter.add(request(1, "f1", "name-not-allowed"))
  reporter.add(flow(2, "f1", "name-not-allowed"))
  t.match(reporter.report().denied, [{ target: "a.test:80", suggestion: "a.test:80" }])
})

t.test("a denied request without its flow is told all the same", async (t) => {
  const reporter = new Reporter()
  reporter.add(request(1, "f1", "path-not-allowed"))
  t.match(reporter.report().denied, [{ target: "GET http://a.test/x", programs: [] }])
})

const allow = { verdict: "allow", reason: "allowed-by-rule" } as const
const opened = {
  ...allow,
  opening: { kind: "tls", serverName: "a.test" },
  action: "intercept",
  target: { address: "198.51.100.1" as never, port: 443 },
} as const

t.test("a flow with many requests is one connection, and each denied one is told", async (t) => {
  const reporter = new Reporter()
  let seq = 0
  const add = (more: Partial<RequestEvent>, reason: Reason = "path-not-allowed"): void => {
    reporter.add(request(++seq, "f1", reason, { scheme: "https", ...more }))
  }
  for (let n = 0; n < 50; n++) add({ ...allow, path: `/${n}` })
  add({ path: "/a?x=*" })
  add({ path: "/a?y=*" })
  add({ path: "/b", method: "PUT", repeated: 4 }, "method-not-allowed")
  add({ path: "/c", protocol: "websocket" }, "method-not-allowed")
  add({ path: "/d" }, "denied-by-rule")
  reporter.add(flow(++seq, "f1", "allowed-by-rule", opened))
  const report = reporter.report()
  t.match(report.allowed, [{ host: "a.test", connections: 1, requests: 50 }])
  t.strictSame(
    report.denied.map(({ target, requests, connections, suggestion }) => {
      return [target, requests, connections, suggestion]
    }),
    [
      ["PUT https://a.test/b", 4, 0, "PUT https://a.test/b"],
      ["GET https://a.test/a", 2, 0, "GET https://a.test/a"],
      ["WEBSOCKET https://a.test/c", 1, 0, "WEBSOCKET https://a.test/c"],
      ["GET https://a.test/d", 1, 0, null],
    ],
  )
  for (const { programs } of report.denied) t.match(programs, [{ executable: "/usr/bin/curl" }])
})

t.test("a request on another port is told and suggested with it", async (t) => {
  const reporter = new Reporter()
  reporter.add(request(1, "f1", "path-not-allowed", { scheme: "https" }))
  const target = { address: "198.51.100.1" as never, port: 8443 }
  reporter.add(flow(2, "f1", "allowed-by-rule", { ...opened, target }))
  t.match(reporter.report().denied, [
    { target: "GET https://a.test:8443/x", suggestion: "GET https://a.test:8443/x" },
  ])
})

t.test(
  "a flow that was denied for something else than its requests is told beside them",
  async (t) => {
    const reporter = new Reporter()
    reporter.add(request(1, "f1", "path-not-allowed", { scheme: "https" }))
    const spent = { ...opened, verdict: "deny", reason: "upload-budget-exceeded" } as const
    reporter.add(flow(2, "f1", "upload-budget-exceeded", spent))
    t.match(
      reporter
        .report()
        .denied.map(({ reason }) => reason)
        .toSorted(),
      ["path-not-allowed", "upload-budget-exceeded"],
    )
  },
)

t.test("many denied requests below one path are told as one", async (t) => {
  const reporter = new Reporter()
  let seq = 0
  for (let n = 0; n < 30; n++) {
    const path = `/v2/${n % 3}/blobs/${n}`
    reporter.add(request(++seq, "f1", "path-not-allowed", { scheme: "https", path }))
  }
  reporter.add(request(++seq, "f1", "path-not-allowed", { scheme: "https", path: "/other" }))
  reporter.add(flow(++seq, "f1", "allowed-by-rule", opened))
  t.match(reporter.report().denied, [
    { target: "GET https://a.test/v2/**", targets: 30, requests: 30, suggestion: null },
    { target: "GET https://a.test/other", targets: 1, requests: 1 },
  ])
})

t.test("requests that wait for their flows are bounded, and none is lost", async (t) => {
  const reporter = new Reporter()
  for (let seq = 1; seq <= 12_000; seq++) {
    reporter.add(request(seq, `f${seq}`, "path-not-allowed", { scheme: "https" }))
  }
  t.match(reporter.report().denied, [{ target: "GET https://a.test/x", requests: 12_000 }])
})

t.test("a host whose clients refuse our certificate is to be left alone, told once", async (t) => {
  const reporter = new Reporter()
  const refused = {
    ...opened,
    verdict: "deny",
    reason: "certificate-invalid",
    certificateRefused: true,
  } as const
  const of = (executable: string): Partial<FlowEvent> => ({
    ...refused,
    process: { pid: 8, executable, arguments: [], ancestors: [] },
  })
  reporter.add(flow(1, "f1", "certificate-invalid", of("/usr/bin/pinned")))
  reporter.add(flow(2, "f2", "certificate-invalid", of("/usr/bin/pinned")))
  reporter.add(flow(3, "f3", "certificate-invalid", of("/usr/bin/other")))
  reporter.add(
    flow(4, "f4", "certificate-invalid", {
      ...of("/usr/bin/x"),
      certificateRefused: undefined,
    } as never),
  )
  const report = reporter.report()
  t.same(
    report.denied.map(({ suggestion }) => suggestion).filter((each) => each !== null),
    ["opaque: [a.test]"],
  )
  const page = text(report, { columns: 100, colour: false })
  t.match(page, "to allow it:  opaque: [a.test]")
  t.match(page, "the client did not accept Sluice's certificate")
  t.match(page, "the server's certificate does not verify")
})
