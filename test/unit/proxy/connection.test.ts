import t from "tap"
import type { Flow } from "../../../flows/flow.ts"
import type { Permit, Verdict } from "../../../policies/policy.ts"
import {
  graceMs,
  greetingTimeoutMs,
  opened,
  openingTimeoutMs,
  silenceMs,
  wordlessMs,
  step,
  wantsBytes,
} from "../../../proxy/connection.ts"
import type { Connection, Input, Judge, Output } from "../../../proxy/turn.ts"
import * as make from "./bytes.ts"
import { address, name, rule, world } from "./world.ts"
import type { Wanted } from "./world.ts"

const target = { address: address("198.51.100.10"), port: 443 }

function flow(port: number): Flow {
  return {
    id: "f1",
    openedAtMs: 0,
    transport: "tcp",
    source: { address: address("192.0.2.1"), port: 40_000 },
    target: { ...target, port },
    names: [],
    process: null,
    step: null,
    opening: null,
    request: null,
  }
}

const stops = ["stop opening", "stop silence", "stop grace", "stop greeting"]

function shown(output: Output): string {
  switch (output.do) {
    case "start-timer":
      return `start ${output.timer} ${output.afterMs}`
    case "stop-timer":
      return `stop ${output.timer}`
    case "dial":
      return `dial ${output.permit.host ?? output.permit.target.address}`
    case "carry":
      return output.requests ? "carry requests" : "carry"
    case "refuse":
      return `refuse ${output.by}`
    case "hang-up":
    case "listen":
    case "secure":
    case "open":
    case "forget":
      return output.do
  }
}

interface Played {
  readonly connection: Connection
  readonly said: readonly string[]
}

/** Plays events; gives what was said, the stopping of timers left out. */
function play(judge: Judge, port: number, inputs: readonly Input[]): Played {
  let [connection, outputs] = opened(flow(port))
  const said = outputs.map(shown)
  for (const input of inputs) {
    ;[connection, outputs] = step(judge, connection, input)
    said.push(...outputs.map(shown))
  }
  return { connection, said: said.filter((line) => !stops.includes(line)).slice(1) }
}

function judge(wanted: Wanted): Judge {
  return world(wanted).surroundings
}

const names = (...list: string[]): Input => ({ kind: "names", names: list.map(name) })
const bytes = (text: string | Buffer): Input => ({ kind: "bytes", bytes: Buffer.from(text) })
const timer = (timer: "opening" | "silence" | "grace" | "greeting"): Input => ({
  kind: "timer",
  timer,
})
const dialled: Input = { kind: "dialled", despite: null }
const spoken: Input = { kind: "spoken" }
const ended: Input = { kind: "ended" }
const closed: Input = { kind: "closed" }
const get = (host: string, path = "/"): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`

const hostRule = judge({ rules: [rule("allowed.test")] })

t.test("opened() gives an opening its time", async (t) => {
  const [, outputs] = opened(flow(443))
  t.same(outputs.map(shown), [`start opening ${openingTimeoutMs}`])
})

t.test("step() splices an allowed server name, whatever comes first", async (t) => {
  const hello = bytes(make.helloFor("allowed.test"))
  const played = ["dial allowed.test", "carry"]
  t.same(play(hostRule, 443, [names("allowed.test"), hello, dialled]).said, played)
  t.same(play(hostRule, 443, [hello, names("allowed.test"), dialled]).said, played)
  t.same(play(hostRule, 443, [hello, names(), dialled]).said, played, "also at another address")
})

t.test("step() says the same byte by byte as whole", async (t) => {
  const openings: readonly (string | Buffer)[] = [
    make.helloFor("allowed.test", 40),
    make.helloFor("evil.test"),
    make.hello({}),
    get("allowed.test:80"),
    get("evil.test"),
    get("allowed.test", "/%2e%2e/"),
    "GET / HTTP/1.1\n\n",
    "SSH-2.0-x\r\n",
    "EHLO\r\n",
    Buffer.from([22, 3, 1, 0, 0]),
    Buffer.from([0, 1, 2]),
  ]
  const rules = [
    [rule("allowed.test"), rule("allowed.test:80"), rule("allowed.test:22")],
    [rule("GET http://allowed.test/public/**"), rule("GET https://allowed.test/**")],
    [rule("198.51.100.10:22")],
  ]
  for (const mode of ["block", "audit"] as const) {
    for (const some of rules) {
      for (const port of [22, 80, 443]) {
        for (const opening of openings) {
          const judging = judge({ rules: some, mode })
          const whole = play(judging, port, [names("allowed.test"), bytes(opening), dialled])
          const single = [...Buffer.from(opening)].map((byte) => bytes(Buffer.from([byte])))
          const bytewise = play(judging, port, [names("allowed.test"), ...single, dialled])
          const early = play(judging, port, [...single, names("allowed.test"), dialled])
          for (const other of [bytewise, early]) {
            t.same(other.connection.final?.reason, whole.connection.final?.reason)
            t.same(last(other), last(whole), `${mode} ${port} ${String(opening).slice(0, 20)}`)
          }
        }
      }
    }
  }
})

/** The last thing that was done: how it ended. */
function last({ said }: Played): string | undefined {
  return said.at(-1)
}

t.test("step() refuses in the words of the client's protocol", async (t) => {
  const table: readonly (readonly [number, string | Buffer, string, string])[] = [
    [443, make.helloFor("evil.test"), "refuse alert", "name-not-allowed"],
    [443, make.hello({}), "refuse alert", "missing-server-name"],
    [443, Buffer.from([22, 3, 1, 0, 0]), "refuse alert", "malformed"],
    [443, "SSH-2.0-x\r\n", "refuse reset", "not-tls"],
    [443, "canary\r\n", "refuse reset", "not-tls"],
    [443, get("allowed.test"), "refuse page", "not-tls"],
  ]
  for (const [port, opening, how, reason] of table) {
    const played = play(hostRule, port, [names("allowed.test"), bytes(opening)])
    t.same(played.said, [how], reason)
    t.equal(played.connection.final?.reason, reason)
    t.equal(played.connection.final?.permit, null)
  }
})

t.test("step() carries one request of plain HTTP on an allowed host", async (t) => {
  const judging = judge({ rules: [rule("allowed.test:80")] })
  const opening = bytes(get("allowed.test", "/@scope%2fname"))
  t.same(play(judging, 80, [names("allowed.test"), opening, dialled]).said, [
    "dial allowed.test",
    "carry requests",
  ])
  const other = play(judging, 80, [names("allowed.test"), bytes(get("evil.test"))])
  t.same(other.said, ["refuse page"])
  t.equal(other.connection.final?.reason, "name-not-allowed")
})

t.test("step() says of an address in place of a host that addresses are not allowed", async (t) => {
  const judging = judge({ rules: [rule("allowed.test:80")] })
  const played = play(judging, 80, [names(), bytes(get("198.51.100.10"))])
  t.same(played.said, ["refuse page"])
  t.equal(played.connection.final?.reason, "address-not-allowed")
})

t.test("step() asks request rules about the request", async (t) => {
  const judging = judge({ rules: [rule("GET http://allowed.test/public/**")] })
  const table: readonly (readonly [string, string])[] = [
    [get("allowed.test", "/public/a"), "allowed-by-rule"],
    [get("allowed.test", "/private"), "path-not-allowed"],
    [get("allowed.test", "/public/%2e%2e/private"), "malformed"],
    [get("allowed.test", "/public/../private"), "malformed"],
    [get("allowed.test:81", "/public/a"), "host-mismatch"],
    [get("198.51.100.11", "/public/a"), "host-mismatch"],
    [`POST /public/a HTTP/1.1\r\nHost: allowed.test\r\n\r\n`, "method-not-allowed"],
  ]
  for (const [opening, reason] of table) {
    const played = play(judging, 80, [names("allowed.test"), bytes(opening)])
    t.equal(played.connection.final?.reason, reason, opening)
  }
})

const asking: Wanted = { rules: [rule("GET https://allowed.test/**")] }
const asked = [names("allowed.test"), bytes(make.helloFor("allowed.test"))]

t.test("step() opens a host whose rules ask for requests, once its certificate is good", (t) => {
  for (const mode of ["block", "audit"] as const) {
    const played = play(judge({ ...asking, mode }), 443, [...asked, dialled, { kind: "secured" }])
    t.same(played.said, ["dial allowed.test", "secure", "open"])
    t.match(played.connection, { phase: "carrying", opens: true, final: { decision: "allow" } })
  }
  t.end()
})

const expired: Input = {
  kind: "unsecured",
  reason: "certificate-invalid",
  detail: "It has expired.",
}

t.test(
  "step() answers a bad certificate inside, and in audit mode lets the client judge it",
  (t) => {
    const refused = play(judge(asking), 443, [...asked, dialled, expired])
    t.same(refused.said, ["dial allowed.test", "secure", "refuse inside"])
    t.match(refused.connection.final, {
      decision: "deny",
      reason: "certificate-invalid",
      permit: null,
    })
    const told = play(judge({ ...asking, mode: "audit" }), 443, [
      ...asked,
      dialled,
      expired,
      dialled,
    ])
    t.same(told.said, ["dial allowed.test", "secure", "dial allowed.test", "carry"])
    t.match(told.connection.final, { decision: "deny", reason: "certificate-invalid" })
    const failed: Input = { kind: "unsecured", reason: "upstream-failed", detail: "It hung up." }
    for (const mode of ["block", "audit"] as const) {
      const gone = play(judge({ ...asking, mode }), 443, [...asked, dialled, failed])
      t.same(gone.said.at(-1), "refuse inside", mode)
    }
    t.end()
  },
)

t.test("step() tells inside why a host that is opened leads nowhere", (t) => {
  const failed: Input = {
    kind: "dial-failed",
    reason: "upstream-failed",
    detail: "Nobody is there.",
  }
  t.same(play(judge(asking), 443, [...asked, failed]).said, ["dial allowed.test", "refuse inside"])
  const whole: Wanted = { rules: [rule("allowed.test")] }
  t.same(play(judge(whole), 443, [...asked, failed]).said, ["dial allowed.test", "refuse alert"])
  t.end()
})

t.test("step() lets a host pass unopened in audit mode once a client refused our leaf", (t) => {
  for (const mode of ["block", "audit"] as const) {
    const pinned = { ...judge({ ...asking, mode }), pinned: () => true }
    const played = play(pinned, 443, [...asked, dialled])
    const opened = mode === "block"
    t.same(played.said, ["dial allowed.test", opened ? "secure" : "carry"])
    if (!opened)
      t.match(played.connection.final, { decision: "deny", reason: "certificate-invalid" })
  }
  t.end()
})

t.test("step() dials at once where an address rule allows, and reads nothing", async (t) => {
  const judging = judge({ rules: [rule("198.51.100.10:25")] })
  const played = play(judging, 25, [names()])
  t.same(played.said, ["dial 198.51.100.10"])
  t.notOk(wantsBytes(played.connection))
  t.same(play(judging, 25, [names(), dialled]).said, ["dial 198.51.100.10", "carry"])
})

t.test("step() reads on for a moment what is denied already", async (t) => {
  const nothing = judge({ rules: [] })
  t.same(play(nothing, 443, [names(), timer("grace")]).said, [
    `start grace ${graceMs}`,
    "refuse reset",
  ])
  const named = play(nothing, 443, [names(), bytes(make.helloFor("evil.test"))])
  t.same(named.said, [`start grace ${graceMs}`, "refuse alert"])
  t.match(named.connection.classified?.opening, { serverName: "evil.test" })
  const half = play(nothing, 443, [names(), bytes(Buffer.from([22, 3])), timer("grace")])
  t.equal(half.said.at(-1), "refuse alert")
})

t.test("step() lets a denied flow pass in audit mode, with the reason of block mode", async (t) => {
  const audit = judge({ rules: [], mode: "audit" })
  const block = judge({ rules: [] })
  for (const inputs of [
    [names(), bytes(make.helloFor("evil.test"))],
    [bytes("canary\r\n"), names()],
    [names(), timer("grace")],
    [names(), bytes(get("evil.test"))],
  ]) {
    const told = play(audit, 443, [...inputs, dialled])
    t.match(told.said.at(-1), /^carry/)
    t.equal(told.connection.final?.reason, play(block, 443, inputs).connection.final?.reason)
  }
})

const ssh = judge({ rules: [rule("allowed.test:22")] })

t.test("step() dials for a silent client where a server may speak first", async (t) => {
  const silent = [names("allowed.test"), timer("silence"), dialled]
  const begin = [
    `start silence ${silenceMs}`,
    "dial allowed.test",
    "listen",
    `start greeting ${greetingTimeoutMs}`,
  ]
  t.same(play(ssh, 22, silent).said, begin)
  const served = play(ssh, 22, [...silent, spoken])
  t.same(served.said, [...begin, "carry"])
  t.match(served.connection.classified?.opening, { kind: "opaque", serverFirst: true })
  t.same(play(ssh, 22, [...silent, timer("greeting")]).said.slice(-2), ["hang-up", "refuse reset"])
})

t.test("step() tells whom a client meant that waited in vain for a server to speak", async (t) => {
  const silent = [names(), timer("silence")]
  for (const last of [timer("opening"), ended, closed]) {
    const { connection, said } = play(ssh, 22, [...silent, last])
    t.same(said.slice(1), [`start opening ${wordlessMs}`, "refuse reset"])
    t.equal(connection.final?.reason, "address-not-allowed")
  }
  t.same(play(ssh, 22, [names(), closed]).said.slice(1), ["forget"], "not one that left at once")
  const late = play(ssh, 22, [...silent, bytes(make.helloFor("allowed.test"))])
  t.same(late.said.slice(-2), [`start opening ${openingTimeoutMs}`, "dial allowed.test"])
})

t.test("step() judges a client that breaks its silence by what it says", async (t) => {
  const silent = [names("allowed.test"), timer("silence"), dialled]
  const evil = play(ssh, 22, [...silent, bytes(make.helloFor("evil.test"))])
  t.same(evil.said.slice(-2), ["hang-up", "refuse alert"])
  t.equal(evil.connection.final?.reason, "name-not-allowed")
  const good = play(ssh, 22, [...silent, bytes(make.helloFor("allowed.test"))])
  t.equal(good.said.at(-1), "carry")
  t.match(good.connection.classified?.opening, { kind: "tls" })
  const half = [...silent, bytes(make.helloFor("evil.test").subarray(0, 9)), spoken]
  t.equal(play(ssh, 22, half).connection.phase, "listening", "the upstream does not decide then")
  t.equal(
    play(ssh, 22, [...half, bytes(make.helloFor("evil.test").subarray(9))]).said.at(-1),
    "refuse alert",
  )
  const while_ = [names("allowed.test"), timer("silence"), bytes("SSH-2.0-x\r\n")]
  t.equal(play(ssh, 22, while_).connection.phase, "dialling", "while it is being dialled")
  t.equal(play(ssh, 22, [...while_, dialled]).said.at(-1), "carry")
})

t.test("step() dials anew where the opening leads elsewhere", async (t) => {
  const both = judge({ rules: [rule("allowed.test:8443"), rule("other.test:8443")] })
  const silent = [names("allowed.test"), timer("silence"), dialled]
  const said = play(both, 8443, [...silent, bytes(make.helloFor("other.test")), dialled]).said
  t.same(said.slice(-3), ["hang-up", "dial other.test", "carry"])
})

t.test("step() does not dial for a silent client of TLS or HTTP", async (t) => {
  for (const port of [80, 443]) {
    const judging = judge({ rules: [rule(`allowed.test:${port}`)] })
    t.same(play(judging, port, [names("allowed.test")]).said, [])
    t.same(play(judging, port, [names("allowed.test"), timer("opening")]).said, ["refuse reset"])
  }
})

t.test("step() ends an opening that takes too long", async (t) => {
  for (const [opening, how] of [
    [make.helloFor("allowed.test").subarray(0, 30), "refuse alert"],
    [Buffer.from("GET / HTT"), "refuse page"],
  ] as const) {
    const late = play(hostRule, 443, [names("allowed.test"), bytes(opening), timer("opening")])
    t.same(late.said, [how])
    t.equal(late.connection.final?.reason, "limit-exceeded")
  }
  t.same(play(hostRule, 443, [timer("opening")]).said, ["refuse reset"], "names never came")
})

t.test("step() does not take a request line that is late for something else", async (t) => {
  const judging = judge({ rules: [rule("allowed.test:8080")] })
  for (const opening of ["PUR", "PURGE / ", "PURGE / HTTP/1.1\r\nHost: al"]) {
    const late = play(judging, 8080, [names("allowed.test"), bytes(opening), timer("opening")])
    t.match(late.said.at(-1), /^refuse/)
    t.equal(late.connection.final?.reason, "limit-exceeded")
  }
})

t.test("step() forgets who came and went without a byte", async (t) => {
  t.same(play(hostRule, 443, [names("allowed.test"), closed]).said, ["forget"])
  t.same(play(hostRule, 443, [closed]).said, ["forget"])
  t.same(play(hostRule, 443, [names("allowed.test"), ended]).said, ["forget"])
  t.same(play(hostRule, 443, [ended, names("allowed.test")]).said, ["forget"])
  const half = play(hostRule, 443, [names("allowed.test"), bytes(Buffer.from([22, 3])), closed])
  t.same(half.said, ["refuse reset"])
  t.equal(half.connection.final?.reason, "malformed")
  t.same(play(judge({ rules: [] }), 443, [names(), closed]).said.at(-1), "refuse reset")
})

t.test("step() judges what was said before the end of one side", async (t) => {
  const judging = judge({ rules: [rule("allowed.test:9")] })
  const said = play(judging, 9, [names("allowed.test"), bytes("no line end"), ended, dialled]).said
  t.same(said.slice(-2), ["dial allowed.test", "carry"])
})

t.test("step() waits for the owner only where the policy asks who", async (t) => {
  const owner: Input = { kind: "owner", process: null, step: null }
  const asking = { ...hostRule, needsProcess: true }
  const hello = bytes(make.helloFor("allowed.test"))
  t.same(play(asking, 443, [names("allowed.test"), hello]).said, [])
  t.same(play(asking, 443, [names("allowed.test"), hello, owner]).said, ["dial allowed.test"])
})

t.test("step() tells why dialling failed", async (t) => {
  const hello = [names("allowed.test"), bytes(make.helloFor("allowed.test"))]
  const failed = (reason: "upstream-failed" | "name-address-mismatch"): Input => ({
    kind: "dial-failed",
    reason,
    detail: "because",
  })
  const upstream = play(hostRule, 443, [...hello, failed("upstream-failed")])
  t.same(upstream.said, ["dial allowed.test", "refuse alert"])
  t.match(upstream.connection.final, { decision: "allow", reason: "upstream-failed" })
  const mismatch = play(hostRule, 443, [...hello, failed("name-address-mismatch")])
  t.match(mismatch.connection.final, {
    decision: "deny",
    reason: "name-address-mismatch",
    permit: null,
    detail: "because",
  })
  const silent = play(ssh, 22, [names("allowed.test"), timer("silence"), failed("upstream-failed")])
  t.equal(silent.said.at(-1), "refuse reset")
  const despite: Input = { kind: "dialled", despite: "name-address-mismatch" }
  t.match(play(hostRule, 443, [...hello, despite]).connection.final, {
    decision: "deny",
    reason: "name-address-mismatch",
  })
})

t.test("step() changes nothing once all is decided", async (t) => {
  const inputs: readonly Input[] = [
    names("evil.test"),
    bytes("x"),
    ended,
    closed,
    dialled,
    spoken,
    timer("opening"),
    timer("grace"),
    timer("silence"),
    timer("greeting"),
    { kind: "dial-failed", reason: "loop", detail: "" },
    { kind: "owner", process: null, step: null },
  ]
  const ends = [
    [names("allowed.test"), bytes(make.helloFor("evil.test"))],
    [names("allowed.test"), bytes(make.helloFor("allowed.test")), dialled],
  ]
  for (const end of ends) {
    const { connection } = play(hostRule, 443, end)
    for (const input of inputs) t.same(step(hostRule, connection, input), [connection, []])
  }
})

t.test("step() never dials without a permit of decide()'s, in any order of things", async (t) => {
  let seed = 1
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff
    return (seed >>> 8) % below
  }
  const moves: readonly (() => Input)[] = [
    () => names("allowed.test"),
    () => bytes(make.helloFor("allowed.test").subarray(0, 1 + random(90))),
    () => bytes(make.helloFor("evil.test")),
    () => bytes(get("allowed.test")),
    () => bytes(Buffer.from([random(256)])),
    () => ended,
    () => closed,
    () => dialled,
    () => spoken,
    () => timer("opening"),
    () => timer("silence"),
    () => timer("grace"),
    () => timer("greeting"),
    () => ({ kind: "dial-failed", reason: "upstream-failed", detail: "x" }),
    () => ({ kind: "owner", process: null, step: null }),
  ]
  for (let round = 0; round < 3_000; round++) {
    const permits = new Set<Permit>()
    const judging: Judge = {
      ...ssh,
      needsProcess: round % 2 === 0,
      decide: (asked): Verdict => {
        const verdict = ssh.decide(asked)
        if (verdict.decision !== "wait" && verdict.permit !== null) permits.add(verdict.permit)
        return verdict
      },
    }
    let [connection] = opened(flow([22, 80, 443][round % 3] ?? 22))
    let out = 0
    for (let count = 0; count < 12; count++) {
      const [next, outputs] = step(judging, connection, moves[random(moves.length)]?.() ?? ended)
      connection = next
      for (const output of outputs) {
        if (output.do === "dial") t.ok(permits.has(output.permit))
        if (output.do === "carry" || output.do === "refuse" || output.do === "forget") out++
      }
    }
    if (out > 1) t.fail("ended twice")
    if (connection.phase === "carrying" && connection.final?.permit == null) t.fail("no permit")
  }
})
