/** Rows 22 to 24 and 32 to 39 for hosts whose requests are judged: what goes on inside TLS. */
import { X509Certificate } from "node:crypto"
import t from "tap"
import { faults, faultyPort, recorderPorts } from "../../lab/recorder-ports.ts"
import { canary, guarded, whyNoLab } from "./harness.ts"
import { oddStreams } from "./odd-streams.ts"
import { connections, recordedLab } from "./recorded.ts"
import { allTries, inline, words, type Try } from "./requests.ts"
import { script } from "./ways.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false
const evil = "198.51.100.66"
const cdn = "198.51.100.20"
const { secure, streams } = recorderPorts

/** A request over HTTP/1.1 to the shared address of two tenants, under the name of the allowed one. */
const fronting = (what: string, says: string, more: Partial<Try> = {}): Try => ({
  name: `row 23: ${what}`,
  lines: `reply = secure(${inline(says)}, 443, "allowed-cdn.test", "${cdn}")`,
  reason: "host-mismatch",
  reply: /HTTP\/1\.1 421 /,
  ...more,
})

const frontings: readonly Try[] = [
  fronting("the Host of another tenant", "GET /{w} HTTP/1.1\r\nHost: evil-tenant.test\r\n\r\n"),
  fronting(
    "the Host of a host that is allowed too",
    "GET /{w} HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
  ),
  fronting(
    "an absolute target of another tenant",
    "GET https://evil-tenant.test/{w} HTTP/1.1\r\nHost: evil-tenant.test\r\n\r\n",
  ),
  fronting("the Host of another port", "GET /{w} HTTP/1.1\r\nHost: allowed-cdn.test:8443\r\n\r\n"),
  fronting("an address for Host", `GET /{w} HTTP/1.1\r\nHost: ${cdn}\r\n\r\n`),
  fronting(
    "another tenant in the second request",
    "GET /x HTTP/1.1\r\nHost: allowed-cdn.test\r\n\r\nGET /{w} HTTP/1.1\r\nHost: evil-tenant.test\r\n\r\n",
  ),
  {
    name: "row 24: a denied server name, an allowed Host inside",
    lines: `reply = secure(${inline("GET /{w} HTTP/1.1\r\nHost: allowed-cdn.test\r\n\r\n")}, 443, "evil-tenant.test", "${cdn}")`,
    reason: "name-not-allowed",
  },
  {
    name: "row 34: a stream for another tenant, on the connection of the allowed one",
    lines: `reply = streams(frame(1, 5, 1, get("/x", "allowed-cdn.test")), frame(1, 5, 3, get("/%s" % word.decode(), "evil-tenant.test")), port=443, name="allowed-cdn.test", to="${cdn}")`,
    reason: "host-mismatch",
    reply: /421/,
  },
  {
    name: "row 34: two authorities that are allowed, on one connection",
    lines: `reply = streams(frame(1, 5, 1, get("/x", "allowed-cdn.test")), frame(1, 5, 3, get("/%s" % word.decode(), "allowed.test")), port=443, name="allowed-cdn.test", to="${cdn}")`,
    reason: "host-mismatch",
  },
  {
    name: "row 39: TLS at a port that no request rule names",
    lines: `reply = secure(${inline("GET /{w} HTTP/1.1\r\nHost: allowed-cdn.test:8443\r\n\r\n")}, 8443, "allowed-cdn.test", "${cdn}")`,
    reason: "port-not-allowed",
    noWhole: "the whole host is allowed at 443 only",
  },
]

/** A WebSocket: what it says after it was opened is the canary, masked with zeros (RFC 6455 §5.3). */
const webSocket = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: allowed.test:${secure}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`
const saysThen = `b"\\x82" + bytes([128 + len(word)]) + b"\\0\\0\\0\\0" + word`

const tunnels: readonly Try[] = [
  {
    name: "row 37: a WebSocket where GET is allowed",
    lines: `reply = secure(${inline(webSocket("/ok/x"))}, then=[${saysThen}])`,
    reason: "method-not-allowed",
    reply: /HTTP\/1\.1 403 /,
  },
  {
    name: "row 37: words of a WebSocket without waiting for its answer",
    lines: `reply = secure(${inline(webSocket("/ok/x"))} + ${saysThen})`,
    reason: "method-not-allowed",
  },
  {
    name: "row 37: a method of gRPC that no rule names",
    lines: `reply = streams(frame(1, 4, 1, get("/drop.Box/Put-x", "allowed.test:${streams}", ("content-type", "application/grpc"), ("te", "trailers"), method="POST")), frame(0, 0, 1, b"\\0" + len(word).to_bytes(4, "big") + word), wait=1)`,
    reason: "path-not-allowed",
  },
]

t.test("inside TLS", { skip, timeout: 290_000 }, async (t) => {
  const lab = await recordedLab(t)

  await t.test("rows 23, 24, 34 and 39: who is meant", (t) =>
    allTries(
      t,
      lab,
      {
        allow: ["https://allowed-cdn.test/**", "https://allowed.test/**"],
        whole: ["allowed-cdn.test", "evil-tenant.test"],
      },
      frontings,
    ),
  )

  await t.test("rows 34 and 35: HTTP/2 that has two meanings", (t) =>
    allTries(
      t,
      lab,
      {
        allow: [`GET,POST https://allowed.test:${streams}/ok/**`],
        whole: [`allowed.test:${streams}`],
      },
      oddStreams(streams),
    ),
  )

  await t.test("row 37: ways both ways", (t) =>
    allTries(
      t,
      lab,
      {
        allow: [
          `GET https://allowed.test:${secure}/ok/**`,
          `POST https://allowed.test:${streams}/good.Service/*`,
        ],
        whole: [`allowed.test:${secure}`, `allowed.test:${streams}`],
      },
      tunnels,
    ),
  )

  await t.test("row 37: a WebSocket that a rule allows is counted both ways", async (t) => {
    const word = canary()
    const { stdout, events } = await guarded(
      lab,
      { mode: "block", allow: [`WEBSOCKET https://allowed.test:${secure}/ok/**`] },
      script(
        words,
        `word = b"${word}"`,
        `print(secure(${inline(webSocket("/ok/ws"))}, then=[${saysThen}])[:12])`,
        `print(secure(${inline(`GET /ok/plain HTTP/1.1\r\nHost: allowed.test:${secure}\r\n\r\n`)})[:12])`,
      ),
    )
    t.equal(stdout, "b'HTTP/1.1 101'\nb'HTTP/1.1 403'\n")
    t.ok((await lab.seen(word)).length > 0, "what it says arrives")
    const told = events.filter((event) => event.kind === "request")
    const opened = told.find(({ protocol }) => protocol === "websocket")
    t.match(opened, { verdict: "allow", method: "GET", status: 101 })
    t.ok((opened?.bytesSent ?? 0) > word.length, "sent")
    t.ok((opened?.bytesReceived ?? 0) > 0, "received")
    t.match(
      told.find(({ protocol }) => protocol === "http/1.1"),
      { verdict: "deny", reason: "method-not-allowed" },
    )
  })

  await t.test("row 32: certificates that are wrong", (t) =>
    allTries(
      t,
      lab,
      {
        allow: faults.map((fault) => `https://allowed.test:${faultyPort(fault)}/**`),
        whole: faults.map((fault) => `allowed.test:${faultyPort(fault)}`),
      },
      faults.map((fault) => ({
        name: `row 32: ${fault}`,
        lines: `reply = secure(${inline(`GET /${fault}/{w} HTTP/1.1\r\nHost: allowed.test:${faultyPort(fault)}\r\n\r\n`)}, ${faultyPort(fault)})`,
        reason: "certificate-invalid",
        reply: /HTTP\/1\.1 502 /,
      })),
    ),
  )

  await t.test("row 32: a client that verifies meets the wrong certificate itself", async (t) => {
    for (const mode of ["audit", "block"] as const) {
      const word = canary()
      const ports = faults.map((fault) => faultyPort(fault))
      const { stdout } = await guarded(
        lab,
        { mode, allow: ports.map((port) => `https://allowed.test:${port}/**`), timeoutMs: 60_000 },
        [
          ...["sh", "-c"],
          `for port in ${ports.join(" ")}; do curl -s -m 5 -o /dev/null -w '%{http_code}\\n' https://allowed.test:$port/${word}; done`,
        ],
      )
      const seen = stdout.trimEnd().split("\n")
      const wanted = mode === "audit" ? "000" : "502"
      t.strictSame(seen, Array<string>(faults.length).fill(wanted), mode)
      t.strictSame(await lab.seen(word), [], `${mode}: and says nothing to it`)
    }
  })

  await t.test("row 38: no other way to the host is told to the client", async (t) => {
    const lines = script(
      words,
      `print(b"lt-svc" in secure(${inline(`GET /ok/x HTTP/1.1\r\nHost: allowed.test:${secure}\r\n\r\n`)}))`,
      `print(b"alt-svc" in streams(frame(1, 5, 1, get("/ok/x", "allowed.test:${streams}"))))`,
      `print(b"lt-svc" in plain(${inline(`GET /ok/x HTTP/1.1\r\nHost: allowed.test:${recorderPorts.plain}\r\n\r\n`)}))`,
    )
    const free = await lab.run(lines)
    t.equal(free.stdout, "True\nTrue\nTrue\n", "the server tells of one")
    const allow = [
      `https://allowed.test:${secure}/**`,
      `https://allowed.test:${streams}/**`,
      `http://allowed.test:${recorderPorts.plain}/**`,
    ]
    const { stdout, events } = await guarded(lab, { mode: "block", allow }, lines)
    t.equal(stdout, "False\nFalse\nFalse\n")
    const replied = events.filter((event) => event.kind === "request")
    t.strictSame(
      replied.map(({ status }) => status),
      [200, 200, 200],
      "although its answers came",
    )
  })

  await t.test("row 22: an allowed name at the attacker's address", async (t) => {
    const word = canary()
    const { stdout, events } = await guarded(
      lab,
      { mode: "block", allow: ["https://allowed.test/**"] },
      [
        ...["curl", "-s", "-m", "5", "--resolve", `allowed.test:443:${evil}`],
        `https://allowed.test/${word}`,
      ],
    )
    t.match(stdout, /hello from allowed\.test/)
    const came = await lab.seen(word)
    t.ok(came.length > 0, "a server answers")
    t.ok(
      came.every(({ at }) => !at.includes("::66") && !at.includes(evil)),
      "and it is not the attacker's",
    )
    const flow = events.find((event) => event.kind === "flow")
    t.match(flow, { action: "intercept", verdict: "allow", target: { address: evil } })
    t.match(flow?.dialled?.address, /^(198\.51\.100\.10|2001:db8::10)$/)
  })

  await t.test("row 36: an offer of another protocol goes no further", async (t) => {
    const word = canary()
    const before = connections(lab).length
    const port = recorderPorts.plain
    const offers = ["h2c", "TLS/1.2", "tunnel"]
    const { stdout } = await guarded(
      lab,
      { mode: "block", allow: [`http://allowed.test:${port}/ok/**`] },
      script(
        words,
        ...offers.map((offer) => {
          const fields = `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${offer}\r\nHTTP2-Settings: AAMAAABk\r\n`
          return `print(plain(${inline(`GET /ok/${word} HTTP/1.1\r\nHost: allowed.test:${port}\r\n${fields}\r\n`)})[:12])`
        }),
      ),
    )
    t.equal(stdout, "b'HTTP/1.1 200'\n".repeat(offers.length))
    const said = connections(lab).slice(before)
    t.equal(said.length, offers.length)
    for (const { text } of said) {
      t.match(text, word)
      t.notMatch(text, /upgrade|http2-settings/i)
    }
  })

  await t.test("row 40: a leaf is for its name, for some days, and for nothing else", async (t) => {
    const leaves: X509Certificate[] = []
    for (const _ of [1, 2]) {
      const { stdout } = await guarded(
        lab,
        { mode: "block", allow: ["https://allowed.test/**"] },
        script(
          words,
          `import base64`,
          `with socket.create_connection(("198.51.100.10", 443), 5) as raw:`,
          `    with trusting().wrap_socket(raw, server_hostname="allowed.test") as s:`,
          `        print(base64.b64encode(s.getpeercert(True)).decode())`,
          `print(open("/run/sluice/authority.pem").read())`,
        ),
      )
      const [der = "", ...pem] = stdout.split("\n")
      const [leaf, authority] = [
        new X509Certificate(Buffer.from(der, "base64")),
        new X509Certificate(pem.join("\n")),
      ]
      leaves.push(leaf)
      t.ok(leaf.verify(authority.publicKey), "signed by the authority of the run")
      t.equal(leaf.subjectAltName, "DNS:allowed.test")
      t.equal(leaf.ca, false)
      t.strictSame(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1"], "a server's")
      t.ok(!leaf.publicKey.equals(authority.publicKey), "its key is not the authority's")
      t.ok(Date.parse(leaf.validFrom) < Date.now() - 24 * 60 * 60 * 1000, "clocks may be wrong")
      t.ok(Date.parse(leaf.validTo) < Date.now() + 100 * 24 * 60 * 60 * 1000)
    }
    const [one, other] = leaves
    if (one === undefined || other === undefined) throw new Error("unreachable")
    t.notOk(one.publicKey.equals(other.publicKey), "each run has its own")
    t.not(one.serialNumber, other.serialNumber)
  })
})
