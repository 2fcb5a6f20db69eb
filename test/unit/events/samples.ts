/** Events for tests. */
import type { Drop, FlowEvent, NameEvent, RequestEvent } from "../../../events/event.ts"
import type { Process } from "../../../flows/flow.ts"
import type { Address } from "../../../net/address.ts"

export const node: Process = {
  pid: 4242,
  executable: "/usr/bin/node",
  arguments: ["node", "install.js"],
  ancestors: [
    { pid: 4240, executable: "/usr/bin/npm", arguments: ["npm", "ci"] },
    { pid: 4000, executable: "/usr/bin/dash", arguments: ["sh", "-c", "npm ci"] },
  ],
}

export const flow: FlowEvent = {
  kind: "flow",
  flow: "1",
  transport: "tcp",
  source: { address: "192.0.2.2" as Address, port: 40000 },
  target: { address: "203.0.113.9" as Address, port: 443 },
  names: ["evil.test"],
  opening: { kind: "tls", serverName: "evil.test" },
  action: "refuse",
  verdict: "deny",
  enforced: true,
  reason: "name-not-allowed",
  rule: null,
  bytesSent: 0,
  bytesReceived: 0,
  durationMs: 1,
  process: node,
  step: null,
}

export const name: NameEvent = {
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
  process: node,
  step: null,
}

export const drop: Drop = {
  kind: "drop",
  transport: "udp",
  target: { address: "203.0.113.9", port: 123 },
  packets: 3,
  reason: "not-allowed",
  user: "nobody",
}

export const request: RequestEvent = {
  kind: "request",
  flow: "1",
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
