/** A denied request and its flow are one attempt. */
import t from "tap"
import type { Event } from "../../../events/event.ts"
import { Reporter } from "../../../report/report.ts"

const stamp = { v: 1, time: "2026-11-23T05:00:00.000Z", run: "r" } as const
const denied = { verdict: "deny", enforced: true, rule: null } as const
const counts = { bytesSent: 0, bytesReceived: 0 }

function request(
  seq: number,
  flow: string,
  reason: "path-not-allowed" | "name-not-allowed",
): Event {
  const what = { method: "GET", host: "a.test", path: "/x", status: 403, token: "none" } as const
  const kind = { kind: "request", flow, protocol: "http/1.1", scheme: "http" } as const
  return { ...stamp, seq, ...kind, ...what, ...denied, ...counts, reason }
}

function flow(seq: number, id: string, reason: "path-not-allowed" | "name-not-allowed"): Event {
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
