import t from "tap"
import { fc } from "../../property.ts"
import { parseAddress } from "../../../net/address.ts"
import { parseHostname } from "../../../net/hostname.ts"
import type { Address } from "../../../net/address.ts"
import type { Hostname } from "../../../net/hostname.ts"
import type { Flow, Opening, Process, Request, Token } from "../../../flows/flow.ts"
import { compile } from "../../../policies/compile.ts"
import type { Compiled } from "../../../policies/compile.ts"
import { decide } from "../../../policies/decide.ts"
import { nameIndex } from "../../../policies/name-index.ts"
import { parsePolicy } from "../../../policies/parse.ts"
import { printProblem } from "../../../policies/rule.ts"
import { hostOf } from "../../../policies/target.ts"
import type { Policy } from "../../../policies/policy.ts"

const policyOf = (text: string): Policy => {
  const { policy, problems } = parsePolicy(text, {
    source: "sluice.yml",
    environment: {},
    presets: new Map(),
  })
  if (policy === null) throw new Error(problems.map(printProblem).join("\n"))
  return policy
}

const compiled = (text: string): Compiled => compile(policyOf(text))
const at = (text: string): Address => parseAddress(text) ?? ("" as Address)
const name = (text: string): Hostname => parseHostname(text) ?? ("" as Hostname)

const program = (executable: string): Process => ({
  pid: 7,
  executable,
  arguments: [],
  ancestors: [],
})

/** `203.0.113.5:443` and what else is known. */
function flow(target: string, facts: Partial<Flow> = {}): Flow {
  const colon = target.lastIndexOf(":")
  return {
    id: "f1",
    openedAtMs: 0,
    transport: "tcp",
    source: { address: at("192.0.2.7"), port: 40_000 },
    target: { address: at(target.slice(0, colon)), port: Number(target.slice(colon + 1)) },
    names: [],
    process: null,
    step: null,
    opening: null,
    request: null,
    ...facts,
  }
}

const tls = (serverName: string | null): Opening => ({
  kind: "tls",
  serverName: serverName === null ? null : name(serverName),
  protocols: [],
  encryptedHello: false,
})
const http = (host: string | null, port: number | null = null): Opening => ({
  kind: "http",
  host: host === null ? null : name(host),
  port,
})
const opaque: Opening = { kind: "opaque", serverFirst: false }
const ssh: Opening = { kind: "ssh" }
const broken: Opening = { kind: "broken", of: "tls", reason: "bad-server-name" }

const ask = (
  method: string,
  host: string,
  path: string,
  token: Token = "none",
  scheme: "http" | "https" = "https",
): Request => ({
  scheme,
  method,
  host: name(host),
  port: scheme === "https" ? 443 : 80,
  path,
  token,
})

/** `allow allowed-by-rule`, and the host that is dialled. */
function said(policy: Compiled, one: Flow): string {
  const verdict = decide(policy, one)
  if (verdict.decision === "wait") return "wait"
  const host = verdict.permit === null ? "" : ` → ${verdict.permit.host ?? "target"}`
  return verdict.decision === "allow" ? `allow${host}` : `deny ${verdict.reason}${host}`
}

const example = `
allow:
  - allowed.test
  - "*.wild.test"
  - ssh.test:22
  - alt.test:8443
  - web.test:80
  - 10.1.2.0/24:5432
  - 203.0.113.128/25:9000-9999
  - GET,HEAD https://registry.test/**
  - PUT https://registry.test/pkg/*
  - http://plain.test/pub/**
  - {to: scoped.test, by: /usr/bin/rsync}
  - {to: step.test, step: deploy}
  - {to: https://token.test/**, token: job}
  - {to: whole-token.test, token: job}
deny:
  - gist.wild.test
  - POST https://registry.test/**
  - 203.0.113.200:9000
`

void t.test("decide() judges by target where no opening could change it", async (t) => {
  const policy = compiled(example)
  const table: [string, Partial<Flow>, string][] = [
    ["203.0.113.5:443", {}, "wait"],
    ["203.0.113.5:443", { names: [name("allowed.test")] }, "wait"],
    ["203.0.113.5:25", {}, "deny address-not-allowed"],
    ["203.0.113.5:25", { names: [name("evil.test")] }, "deny name-not-allowed"],
    ["203.0.113.5:25", { names: [name("allowed.test")] }, "deny port-not-allowed"],
    ["203.0.113.150:80", {}, "wait"],
    ["203.0.113.150:25", {}, "deny port-not-allowed"],
    ["203.0.113.150:9000", {}, "allow → target"],
    ["203.0.113.200:9000", {}, "deny denied-by-rule"],
    ["10.1.2.3:5432", {}, "allow → target"],
    ["10.1.2.3:443", {}, "deny port-not-allowed"],
    ["10.9.9.9:443", {}, "deny private-address"],
    ["169.254.169.254:80", {}, "deny private-address"],
    ["169.254.169.254:80", { names: [name("web.test")] }, "wait"],
    ["64:ff9b::a00:1:443", {}, "deny private-address"],
    ["10.9.9.9:443", { names: [name("allowed.test")] }, "wait"],
  ]
  for (const [target, facts, wanted] of table)
    t.equal(said(policy, flow(target, facts)), wanted, target)
  t.equal(said(compiled(""), flow("203.0.113.5:443")), "deny address-not-allowed")
  t.equal(
    said(
      compiled("deny: ['10.0.0.0/8:*']\nallow: ['[64:ff9b::/96]:*']"),
      flow("64:ff9b::a00:1:443"),
    ),
    "deny denied-by-rule",
    "an address that carries a denied one",
  )
  t.equal(
    said(compiled("allow: ['203.0.113.0/24:22', a.test]\ndeny: [b.test]"), flow("203.0.113.1:22")),
    "allow → target",
    "a server that speaks first is not kept waiting",
  )
  t.equal(
    said(compiled("allow: ['203.0.113.0/24:443']\ndeny: [b.test]"), flow("203.0.113.1:443")),
    "wait",
  )
})

void t.test("decide() judges TLS by its server name", async (t) => {
  const policy = compiled(example)
  const table: [string, string | null, string][] = [
    ["203.0.113.5:443", "allowed.test", "allow → allowed.test"],
    ["203.0.113.5:443", null, "deny missing-server-name"],
    ["203.0.113.5:443", "evil.test", "deny name-not-allowed"],
    ["203.0.113.5:443", "ssh.test", "deny port-not-allowed"],
    ["203.0.113.5:8443", "alt.test", "allow → alt.test"],
    ["203.0.113.5:8443", "allowed.test", "deny port-not-allowed"],
    ["203.0.113.5:443", "a.wild.test", "allow → a.wild.test"],
    ["203.0.113.5:443", "a.b.wild.test", "deny name-not-allowed"],
    ["203.0.113.5:443", "wild.test", "deny name-not-allowed"],
    ["203.0.113.5:443", "gist.wild.test", "deny denied-by-rule"],
    ["203.0.113.5:443", "registry.test", "wait"],
    ["203.0.113.5:443", "whole-token.test", "wait"],
    ["203.0.113.5:443", "scoped.test", "deny process-not-allowed"],
    ["203.0.113.5:443", "step.test", "deny step-not-allowed"],
    ["203.0.113.5:80", "plain.test", "deny unsupported-protocol"],
  ]
  for (const [target, server, wanted] of table) {
    t.equal(said(policy, flow(target, { opening: tls(server) })), wanted, `${target} ${server}`)
  }
  t.equal(said(policy, flow("203.0.113.5:443", { opening: broken })), "deny bad-server-name")
  const never = compiled(`intercept: never\n${example}`)
  t.equal(
    said(never, flow("203.0.113.5:443", { opening: tls("registry.test") })),
    "deny unsupported-protocol",
  )
  const always = compiled("intercept: always\nopaque: [pinned.test]\nallow: [a.test, pinned.test]")
  t.equal(said(always, flow("203.0.113.5:443", { opening: tls("a.test") })), "wait")
  t.equal(
    said(always, flow("203.0.113.5:443", { opening: tls("pinned.test") })),
    "allow → pinned.test",
  )
  const watched = "allow: [a.test]\ndeny: ['PUT https://a.test/**']"
  t.equal(said(compiled(watched), flow("203.0.113.5:443", { opening: tls("a.test") })), "wait")
  t.equal(
    said(
      compiled(`intercept: never\n${watched}`),
      flow("203.0.113.5:443", { opening: tls("a.test") }),
    ),
    "deny unsupported-protocol",
  )
})

void t.test("decide() holds a rule to its program and step", async (t) => {
  const policy = compiled(`
allow:
  - {to: scoped.test, by: /usr/bin/rsync}
  - {to: base.test, by: curl}
  - {to: step.test, step: deploy}
  - open.test
deny:
  - {to: open.test, by: nc}
`)
  const table: [string, string | null, string | null, string][] = [
    ["scoped.test", "/usr/bin/rsync", null, "allow → scoped.test"],
    ["scoped.test", "/tmp/rsync", null, "deny process-not-allowed"],
    ["scoped.test", "", null, "deny process-not-allowed"],
    ["base.test", "/opt/curl", null, "allow → base.test"],
    ["base.test", "/opt/not-curl", null, "deny process-not-allowed"],
    ["step.test", null, "deploy", "allow → step.test"],
    ["step.test", null, "build", "deny step-not-allowed"],
    ["open.test", "/bin/curl", null, "allow → open.test"],
    ["open.test", "/bin/nc", null, "deny denied-by-rule"],
    ["open.test", null, null, "deny denied-by-rule"],
  ]
  for (const [server, executable, step, wanted] of table) {
    const process = executable === null ? null : program(executable)
    const one = flow("203.0.113.5:443", { opening: tls(server), process, step })
    t.equal(said(policy, one), wanted, `${server} ${executable} ${step}`)
  }
})

void t.test("decide() judges plain HTTP by its host", async (t) => {
  const policy = compiled(example)
  const table: [string, Opening, string][] = [
    ["203.0.113.5:80", http("web.test"), "allow → web.test"],
    ["203.0.113.5:80", http("web.test", 80), "allow → web.test"],
    ["203.0.113.5:80", http("web.test", 8080), "deny host-mismatch"],
    ["203.0.113.5:80", http(null), "deny malformed"],
    ["203.0.113.5:80", http("evil.test"), "deny name-not-allowed"],
    ["203.0.113.5:80", http("allowed.test"), "deny port-not-allowed"],
    ["203.0.113.5:80", http("plain.test"), "wait"],
    ["203.0.113.5:443", http("allowed.test"), "deny not-tls"],
    ["203.0.113.5:443", http("registry.test"), "deny not-tls"],
    ["203.0.113.150:9001", http(null), "allow → target"],
  ]
  for (const [target, opening, wanted] of table) {
    t.equal(said(policy, flow(target, { opening })), wanted, `${target} ${JSON.stringify(opening)}`)
  }
})

void t.test(
  "decide() judges bytes that name nobody by the names given for the address",
  async (t) => {
    const policy = compiled(`${example}  - denied.test:22\n`)
    const table: [string, string[], Opening, string][] = [
      ["203.0.113.5:22", ["ssh.test"], ssh, "allow → ssh.test"],
      ["203.0.113.5:22", ["evil.test", "ssh.test"], opaque, "allow → ssh.test"],
      ["203.0.113.5:22", ["denied.test", "ssh.test"], ssh, "deny denied-by-rule"],
      ["203.0.113.5:22", ["evil.test"], ssh, "deny name-not-allowed"],
      ["203.0.113.5:22", [], ssh, "deny address-not-allowed"],
      ["203.0.113.5:443", ["allowed.test"], opaque, "deny not-tls"],
      ["203.0.113.5:443", ["registry.test"], opaque, "deny not-tls"],
      ["203.0.113.5:80", ["web.test"], opaque, "deny unsupported-protocol"],
      ["203.0.113.5:80", ["plain.test"], ssh, "deny unsupported-protocol"],
      ["203.0.113.5:443", ["ssh.test"], opaque, "deny port-not-allowed"],
    ]
    for (const [target, names, opening, wanted] of table) {
      const one = flow(target, { names: names.map(name), opening })
      t.equal(said(policy, one), wanted, `${target} ${names.join()} ${opening.kind}`)
    }
  },
)

void t.test("decide() judges a request by method, path and token", async (t) => {
  const policy = compiled(example)
  const table: [string, Request, string][] = [
    ["registry.test", ask("GET", "registry.test", "/a/b"), "allow → registry.test"],
    ["registry.test", ask("PUT", "registry.test", "/pkg/a"), "allow → registry.test"],
    ["registry.test", ask("PUT", "registry.test", "/pkg/a/b"), "deny method-not-allowed"],
    ["registry.test", ask("POST", "registry.test", "/a"), "deny denied-by-rule"],
    ["registry.test", ask("GET", "evil.test", "/a"), "deny host-mismatch"],
    ["allowed.test", ask("GET", "evil.test", "/a"), "allow → allowed.test"],
    ["token.test", ask("GET", "token.test", "/a", "job"), "allow → token.test"],
    ["token.test", ask("GET", "token.test", "/a", "none"), "allow → token.test"],
    ["token.test", ask("GET", "token.test", "/a", "other"), "deny token-not-allowed"],
    ["whole-token.test", ask("GET", "whole-token.test", "/a", "other"), "deny token-not-allowed"],
    ["whole-token.test", ask("GET", "whole-token.test", "/a", "job"), "allow → whole-token.test"],
  ]
  for (const [server, request, wanted] of table) {
    const one = flow("203.0.113.5:443", { opening: tls(server), request })
    t.equal(said(policy, one), wanted, `${request.method} ${request.host}${request.path}`)
  }
  const plain: [string, string][] = [
    ["/pub/a", "allow → plain.test"],
    ["/priv/a", "deny path-not-allowed"],
  ]
  for (const [path, wanted] of plain) {
    const request = ask("GET", "plain.test", path, "none", "http")
    t.equal(said(policy, flow("203.0.113.5:80", { opening: http("plain.test"), request })), wanted)
  }
})

void t.test("decide() takes WEBSOCKET for a method that GET does not cover", async (t) => {
  const table: [string, string[], string[], string][] = [
    ["named", ["WEBSOCKET https://ws.test/**"], [], "allow → ws.test"],
    ["no methods", ["https://ws.test/**"], [], "allow → ws.test"],
    ["only GET", ["GET https://ws.test/**"], [], "deny method-not-allowed"],
    ["all but it", ["GET,POST,PUT https://ws.test/**"], [], "deny method-not-allowed"],
    ["another path", ["WEBSOCKET https://ws.test/b"], [], "deny path-not-allowed"],
    ["denied GET", ["https://ws.test/**"], ["GET https://ws.test/**"], "deny denied-by-rule"],
    ["denied", ["https://ws.test/**"], ["WEBSOCKET https://ws.test/**"], "deny denied-by-rule"],
    ["any denied", ["https://ws.test/**"], ["https://ws.test/a"], "deny denied-by-rule"],
    ["denied POST", ["https://ws.test/**"], ["POST https://ws.test/**"], "deny denied-by-rule"],
    [
      "denied GET, named",
      ["WEBSOCKET https://ws.test/**"],
      ["GET https://ws.test/a"],
      "deny denied-by-rule",
    ],
    ["denied elsewhere", ["https://ws.test/**"], ["GET https://ws.test/b"], "allow → ws.test"],
    ["a host, denied POST", ["ws.test"], ["POST https://ws.test/**"], "deny denied-by-rule"],
  ]
  for (const [title, allow, deny, wanted] of table) {
    const policy = compiled(JSON.stringify({ allow, deny }))
    const request = ask("WEBSOCKET", "ws.test", "/a")
    t.equal(
      said(policy, flow("203.0.113.5:443", { opening: tls("ws.test"), request })),
      wanted,
      title,
    )
  }
  const policy = compiled("allow: [WEBSOCKET https://ws.test/**]")
  const request = ask("GET", "ws.test", "/a")
  t.equal(
    said(policy, flow("203.0.113.5:443", { opening: tls("ws.test"), request })),
    "deny method-not-allowed",
    "WEBSOCKET does not cover GET",
  )
})

void t.test("decide() prefers of several rules the one that bounds least", async (t) => {
  const upOf = (text: string, facts: Partial<Flow>): number | null | undefined => {
    const verdict = decide(compiled(text), flow("203.0.113.5:443", facts))
    return verdict.decision === "allow" ? verdict.rule?.up : undefined
  }
  const request = ask("PUT", "a.test", "/a/b")
  const table: [string, Partial<Flow>, number | null][] = [
    ["[{to: a.test, up: 1MB}]", { opening: tls("a.test") }, 1e6],
    ["[{to: a.test, up: 1MB}, '*.test']", { opening: tls("a.test") }, null],
    ["[{to: a.test, up: 1MB}, a.test]", { opening: tls("a.test") }, null],
    ["[{to: '*.test', up: 3MB}, {to: a.test, up: 2MB}]", { opening: tls("a.test") }, 3e6],
    [
      "[{to: 'https://a.test/**', up: 1MB}, 'https://a.test/a/*']",
      { opening: tls("a.test"), request },
      null,
    ],
    [
      "[{to: 'https://a.test/**', up: 1MB}, {to: 'https://a.test/a/*', up: 2MB}]",
      { opening: tls("a.test"), request },
      2e6,
    ],
    ["[{to: 203.0.113.5, up: 1MB}, {to: 203.0.113.0/24, up: 2MB}]", {}, 2e6],
    ["[{to: 203.0.113.5, up: 1MB}, 203.0.113.0/24]", {}, null],
    ["[{to: '203.0.113.5', up: 1MB}]", {}, 1e6],
  ]
  for (const [rules, facts, wanted] of table) t.equal(upOf(`allow: ${rules}`, facts), wanted, rules)
})

void t.test("decide() judges datagrams by address and name", async (t) => {
  const policy = compiled(`
allow: ["time.test:123/udp", "203.0.113.0/24:53/udp", "tcp.test:123"]
deny: ["203.0.113.66:53/udp"]`)
  const table: [string, string[], string][] = [
    ["198.51.100.1:123", ["time.test"], "allow → time.test"],
    ["198.51.100.1:124", ["time.test"], "deny port-not-allowed"],
    ["198.51.100.1:123", ["tcp.test"], "deny port-not-allowed"],
    ["198.51.100.1:123", ["evil.test"], "deny name-not-allowed"],
    ["198.51.100.1:123", [], "deny address-not-allowed"],
    ["203.0.113.1:53", [], "allow → target"],
    ["203.0.113.66:53", [], "deny denied-by-rule"],
    ["10.0.0.1:53", [], "deny private-address"],
  ]
  for (const [target, names, wanted] of table) {
    const one = flow(target, { transport: "udp", names: names.map(name) })
    t.equal(said(policy, one), wanted, `${target} ${names.join()}`)
  }
})

void t.test("decide() names the rule and its line", async (t) => {
  const verdict = decide(
    compiled("allow:\n  - allowed.test\n"),
    flow("203.0.113.5:443", { opening: tls("allowed.test") }),
  )
  t.match(verdict, {
    decision: "allow",
    reason: "allowed-by-rule",
    rule: { origin: { source: "sluice.yml", line: 2, column: 5, text: "allowed.test" } },
    permit: { flow: "f1", target: { address: "203.0.113.5", port: 443 } },
  })
})

const hosts = ["a.test", "b.test", "c.b.test", "d.c.b.test"]
const patterns = [...hosts, "*.b.test", "**.test", "**.b.test", "c*.b.test"]
const addresses = ["203.0.113.1", "203.0.113.2", "10.0.0.1", "169.254.169.254", "64:ff9b::a00:1"]
const paths = ["/", "/a", "/a/b", "/a;x/b", "/a//b", "/c/b"]

const lineOf = fc.oneof(
  fc
    .tuple(fc.constantFrom(...patterns), fc.constantFrom("", ":22", ":80", ":*", ":53/udp"))
    .map(([host, port]) => ({ to: host + port })),
  fc
    .tuple(
      fc.constantFrom("203.0.113.0/24", "203.0.113.1", "10.0.0.0/8", "0.0.0.0/0", "64:ff9b::/96"),
      fc.constantFrom("", ":22", ":80", ":*"),
    )
    .map(([place, port]) => ({
      to: place.includes(":") && port !== "" ? `[${place}]${port}` : place + port,
    })),
  fc
    .tuple(
      fc.constantFrom("", "GET ", "GET,PUT ", "WEBSOCKET "),
      fc.constantFrom("https", "http"),
      fc.constantFrom(...patterns),
      fc.constantFrom("/**", "/a/*", "/a/**", "/a/b"),
    )
    .map(([methods, scheme, host, path]) => ({ to: `${methods}${scheme}://${host}${path}` })),
)

const ruleOf = fc.record(
  {
    effect: fc.constantFrom("allow", "allow", "deny"),
    line: lineOf,
    by: fc.constantFrom("curl", "/usr/bin/rsync"),
    step: fc.constantFrom("build", "deploy"),
    token: fc.constant("job"),
  },
  { requiredKeys: ["effect", "line"] },
)

const written = fc.record({
  mode: fc.constantFrom("block", "audit"),
  intercept: fc.constantFrom("when-needed", "when-needed", "always", "never"),
  opaque: fc.constantFrom([], ["d.c.b.test"]),
  rules: fc.array(ruleOf, { maxLength: 8 }),
})

/** The policy, or null where the rules contradict the language. */
function policyFrom(
  { intercept, opaque, rules }: typeof written extends fc.Arbitrary<infer T> ? T : never,
  mode: string,
): Policy | null {
  const list = (effect: string): unknown[] =>
    rules
      .filter((rule) => rule.effect === effect)
      .map(({ line, by, step, token }) => {
        const udp = line.to.endsWith("/udp")
        const tokens = effect === "allow" && !udp && !/^[0-9]/.test(line.to) ? token : undefined
        return { ...line, wide: true, ...(udp ? {} : { by, step }), token: tokens }
      })
  const text = JSON.stringify({ mode, intercept, opaque, allow: list("allow"), deny: list("deny") })
  return parsePolicy(text, { source: "p", environment: {}, presets: new Map() }).policy
}

const facts = fc.record({
  target: fc.tuple(fc.constantFrom(...addresses), fc.constantFrom(22, 53, 80, 443)),
  names: fc.uniqueArray(fc.constantFrom(...hosts), { maxLength: 2 }),
  process: fc.constantFrom(null, "/usr/bin/curl", "/usr/bin/rsync", "/bin/sh"),
  step: fc.constantFrom(null, "build", "deploy"),
  kind: fc.constantFrom("tls", "tls", "http", "ssh", "opaque", "broken", "tls-without"),
  server: fc.constantFrom(...hosts),
  host: fc.constantFrom(null, ...hosts),
  method: fc.constantFrom("GET", "PUT", "POST", "WEBSOCKET"),
  path: fc.constantFrom(...paths),
  token: fc.constantFrom<Token>("none", "job", "other"),
  same: fc.boolean(),
})

type Facts = typeof facts extends fc.Arbitrary<infer T> ? T : never

function openingOf({ kind, server }: Facts): Opening {
  if (kind === "tls") return tls(server)
  if (kind === "tls-without") return tls(null)
  if (kind === "http") return http(server)
  return kind === "ssh" ? ssh : kind === "opaque" ? opaque : broken
}

/** One flow as it becomes known: before the opening, before the request, whole. */
function stages(one: Facts): [Flow, Flow, Flow] {
  const [address, port] = one.target
  const first = flow(`${address}:${port}`, {
    names: one.names.map(name),
    process: one.process === null ? null : program(one.process),
    step: one.step,
  })
  const second = { ...first, opening: openingOf(one) }
  const request: Request = {
    scheme: one.kind.startsWith("tls") ? "https" : "http",
    method: one.method,
    host: name(one.same || one.host === null ? one.server : one.host),
    port,
    path: one.path,
    token: one.token,
  }
  return [first, second, { ...second, request }]
}

void t.test(
  "decide() never waits once the request is known, and never changes its mind",
  async (t) => {
    fc.assert(
      fc.property(written, facts, (rules, one) => {
        const policy = policyFrom(rules, rules.mode)
        if (policy === null) return true
        const index = compile(policy)
        const verdicts = stages(one).map((stage) => decide(index, stage))
        if (verdicts[2]?.decision === "wait") return false
        const decided = verdicts.filter(({ decision }) => decision !== "wait")
        return decided.every(({ decision, reason }) => {
          return decision === decided[0]?.decision && reason === decided[0].reason
        })
      }),
      { numRuns: 1000, seed: 1 },
    )
    t.pass()
  },
)

void t.test("decide() in audit mode says what block mode says, with a permit", async (t) => {
  fc.assert(
    fc.property(written, facts, (rules, one) => {
      const [block, audit] = [policyFrom(rules, "block"), policyFrom(rules, "audit")]
      if (block === null || audit === null) return block === audit
      const [strict, lenient] = [compile(block), compile(audit)]
      return stages(one).every((stage) => {
        const [a, b] = [decide(strict, stage), decide(lenient, stage)]
        if (a.decision === "wait" || b.decision === "wait") return a.decision === b.decision
        const permits = a.decision === "allow" ? a.permit !== null : a.permit === null
        return permits && b.permit !== null && a.decision === b.decision && a.reason === b.reason
      })
    }),
    { numRuns: 500, seed: 2 },
  )
  t.pass()
})

void t.test("decide() does not depend on the order of rules", async (t) => {
  fc.assert(
    fc.property(written, facts, fc.integer(), (rules, one, seed) => {
      const policy = policyFrom(rules, "block")
      if (policy === null) return true
      const shuffled = policy.rules.toSorted((a, b) => hash(a, seed) - hash(b, seed))
      const [a, b] = [compile(policy), compile({ ...policy, rules: shuffled })]
      return stages(one).every((stage) => {
        return JSON.stringify(decide(a, stage)) === JSON.stringify(decide(b, stage))
      })
    }),
    { numRuns: 500, seed: 3 },
  )
  t.pass()
})

void t.test("decide() judges requests over HTTP and over HTTPS alike", async (t) => {
  const line = fc
    .tuple(
      fc.constantFrom("", "GET ", "GET,PUT ", "WEBSOCKET "),
      fc.constantFrom("a.test", "*.test", "b.test"),
      fc.constantFrom("/**", "/a/*", "/a/b"),
    )
    .map(([methods, host, path]) => `${methods}SCHEME://${host}${path}`)
  const ask = fc.record({
    method: fc.constantFrom("GET", "PUT", "POST", "WEBSOCKET"),
    path: fc.constantFrom(...paths),
    token: fc.constantFrom<Token>("none", "job", "other"),
  })
  const lists = fc.record({
    allow: fc.array(
      fc.oneof(
        line,
        line.map((to) => ({ to, token: "job" })),
      ),
      { maxLength: 4 },
    ),
    deny: fc.array(line, { maxLength: 2 }),
  })
  fc.assert(
    fc.property(lists, ask, (rules, one) => {
      const answers = (["http", "https"] as const).map((scheme) => {
        const policy = compiled(JSON.stringify(rules).replaceAll("SCHEME", scheme))
        const port = scheme === "http" ? 80 : 443
        const opening = scheme === "http" ? http("a.test") : tls("a.test")
        const base = flow(`203.0.113.5:${port}`, { opening })
        const request: Request = { ...one, scheme, host: name("a.test"), port }
        return [base, { ...base, request }].map((stage) => {
          const { decision, reason } = decide(policy, stage)
          return `${decision} ${reason}`
        })
      })
      return JSON.stringify(answers[0]) === JSON.stringify(answers[1])
    }),
    { numRuns: 500, seed: 5 },
  )
  t.pass()
})

/** Every rule a group of its own, so that each is looked at. */
function slow(policy: Policy): Compiled {
  const groups = policy.rules.flatMap((rule) => {
    const host = hostOf(rule.target)
    return host === null ? [] : [[host, { rule, rules: [rule], paths: null }] as const]
  })
  return { ...compile(policy), names: nameIndex(groups) }
}

void t.test("decide() says the same when it looks at every rule", async (t) => {
  fc.assert(
    fc.property(written, facts, (rules, one) => {
      const policy = policyFrom(rules, "block")
      if (policy === null) return true
      const [fast, twin] = [compile(policy), slow(policy)]
      return stages(one).every((stage) => {
        const [a, b] = [decide(fast, stage), decide(twin, stage)]
        return a.decision === b.decision && a.reason === b.reason
      })
    }),
    { numRuns: 1000, seed: 4 },
  )
  t.pass()
})

const hash = (value: unknown, seed: number): number => {
  let sum = seed | 0
  for (const character of JSON.stringify(value)) sum = (sum * 31 + character.charCodeAt(0)) | 0
  return sum
}
