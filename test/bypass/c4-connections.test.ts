/** Rows 57, 63, 65, 66 and 72–75: connections and packets that are odd, related, ours or somebody else's. */
import { existsSync } from "node:fs"
import t from "tap"
import { gateRuleset, jobRuleset } from "../../firewall/ruleset.ts"
import { link } from "../../firewall/scope.ts"
import { canary, denials, guarded, labFor, threeTimes, whyNoLab } from "./harness.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false
const evil = "198.51.100.66"

const python = (...lines: string[]): string[] => ["python3", "-c", lines.join("\n")]

/** Lines of Python in which an error of the network is no error of the test. */
const tried = (...lines: string[]): string[] =>
  python(
    "import socket,struct,time",
    "try:",
    ...lines.map((line) => `  ${line}`),
    "except OSError as e: print(e)",
  )

t.test("connections", { skip, timeout: 280_000 }, async (t) => {
  const lab = await labFor(t)
  const allow = ["allowed.test"]
  const drop = { allow, record: "drop" as const }
  const refused = ["address-not-allowed", "not-allowed", "private-address"] as const

  await t.test("row 57: link-local addresses of the gate lead nowhere", async (t) => {
    const word = canary()
    const { stdout, stderr, events } = await guarded(
      lab,
      { mode: "block", allow },
      python(
        "import socket,subprocess",
        "sh=lambda c: subprocess.run(c,shell=True,capture_output=True,text=True).stdout.strip()",
        // Its hardware address is known once something was sent; the rest is RFC 4291, appendix A.
        "sh('curl -s -m 1 http://198.51.100.10/; sleep 2')",
        `mac=sh("ip neigh show dev net0 | awk '/lladdr/{print $3; exit}'").split(":")`,
        "first=format(int(mac[0],16)^2,'02x')",
        "own=f'fe80::{first}{mac[1]}:{mac[2]}ff:fe{mac[3]}:{mac[4]}{mac[5]}'",
        "to=lambda port: socket.getaddrinfo(own+'%net0',port)[0][4]",
        "for port in (22,80,15001,15053):",
        "  try:",
        "    s=socket.socket(socket.AF_INET6); s.settimeout(2); s.connect(to(port))",
        `    s.sendall(b"GET /${word} HTTP/1.0\\r\\n\\r\\n"); print(port,"answer",s.recv(99))`,
        '  except OSError as e: print(port,"error",e)',
        "u=socket.socket(socket.AF_INET6,socket.SOCK_DGRAM); u.settimeout(1)",
        "try:",
        `  u.sendto(b"${word}",to(4444)); print("udp answer",u.recv(99))`,
        'except OSError as e: print("udp error",e)',
        // The same as the sender: to the resolver, and to everybody.
        "mine=sh('ip -6 -o a show dev net0 scope link').split()[3].split('/')[0]",
        'for kind,to in ((2,("::1",53)),(1,("::1",53)),(2,("::1",15053)),(1,("::1",15053)),(1,("2001:db8::66",80))):',
        "  try:",
        "    s=socket.socket(socket.AF_INET6,kind); s.settimeout(1)",
        "    s.bind(socket.getaddrinfo(mine+'%net0',0)[0][4]); s.connect(to)",
        `    s.send(b"\\0\\7\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\7allowed\\4test\\0\\0\\1\\0\\1${word}"); print("own answer",s.recv(99))`,
        '  except OSError as e: print("own error",e)',
      ),
    )
    t.match(stdout, /^22 error/m, stderr)
    t.notMatch(stdout, /answer b'(?!'|HTTP\/1\.\d 403 )/, "nothing but a refusal comes back")
    t.match(stdout, /udp error/)
    t.equal(stdout.match(/own error/g)?.length, 5, stdout)
    t.notOk(
      events.some((event) => event.kind === "finding"),
      "and does no harm to the gate",
    )
    const drops = events.filter((event) => event.kind === "drop" && event.transport === "tcp")
    t.ok(drops.length >= 4, "it is told")
  })

  await threeTimes(t, lab, {
    name: "row 63: data in the first packet (TCP Fast Open)",
    command: (word) =>
      tried(
        "s=socket.socket()",
        // Without a time-out: else what finds no cookie for its target is not sent at all.
        `s.sendto(b"${word}",0x20000000,("${evil}",4444))`,
        "s.settimeout(2); s.recv(9)",
      ),
    allow,
    reasons: ["address-not-allowed"],
  })
  if (!existsSync("/proc/sys/net/mptcp")) {
    t.test("row 63: MPTCP", { skip: "needs a kernel with MPTCP" }, () => {})
  } else {
    await threeTimes(t, lab, {
      name: "row 63: a connection of many paths (MPTCP)",
      command: (word) =>
        tried(
          "s=socket.socket(socket.AF_INET,socket.SOCK_STREAM,262)",
          "s.settimeout(3)",
          `s.connect(("${evil}",4444)); s.sendall(b"${word}"); s.recv(9)`,
        ),
      allow,
      reasons: ["address-not-allowed"],
    })
  }

  await t.test("row 65: what is related to a connection is an ICMP error or nothing", (t) => {
    const job = link(["net0", "job0"], new Uint8Array(8), [])
    const uplink = link(["up0", "slu0"], new Uint8Array(8).fill(1), [])
    const scope = { job, uplink, gatePort: 1, resolverPort: 2 }
    for (const mode of ["block", "audit"] as const) {
      const share = { mode, rules: [], doors: [] }
      const lines = `${gateRuleset(scope, share)}${jobRuleset(scope, share)}`.split("\n")
      t.notOk(
        lines.some((line) => /\bhelper\b/.test(line)),
        "no helper",
      )
      const related = lines.filter((line) => line.includes("related"))
      t.ok(related.every((line) => line.includes("{ icmp, icmpv6 }")))
    }
    t.end()
  })

  for (const [family, to] of [
    ["AF_INET", evil],
    ["AF_INET6", "2001:db8::66"],
  ] as const) {
    await threeTimes(t, lab, {
      name: `row 66: a datagram in fragments, ${family}`,
      command: (word) =>
        tried(
          `s=socket.socket(socket.${family},socket.SOCK_DGRAM)`,
          `s.sendto(b"x"*4000+b"${word}",("${to}",4444)); time.sleep(.3)`,
        ),
      ...drop,
      reasons: refused,
    })
  }
  await threeTimes(t, lab, {
    name: "row 66: a datagram with options in its IPv4 header",
    command: (word) =>
      tried(
        "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)",
        // Record route (RFC 791), with room for three addresses.
        "s.setsockopt(0,4,bytes([7,15,4])+bytes(12)+b'\\0')",
        `s.sendto(b"${word}",("${evil}",4444)); time.sleep(.3)`,
      ),
    ...drop,
    reasons: refused,
  })
  await threeTimes(t, lab, {
    name: "row 66: a datagram behind an IPv6 extension header",
    command: (word) =>
      tried(
        "s=socket.socket(socket.AF_INET6,socket.SOCK_DGRAM)",
        // Destination options with padding alone (RFC 8200 §4.6).
        "s.setsockopt(41,59,bytes([0,0,1,4,0,0,0,0]))",
        `s.sendto(b"${word}",("2001:db8::66",4444)); time.sleep(.3)`,
      ),
    ...drop,
    reasons: refused,
  })

  await t.test("row 72: the firewall's own ports carry nothing", async (t) => {
    const word = canary()
    const own = `[l.split()[1] for l in open("/etc/resolv.conf") if l.startswith("nameserver")][0]`
    const { stdout, events } = await guarded(
      lab,
      { mode: "block", allow: ["allowed.test", "0.0.0.0/0:1-65535"], deny: [`${evil}:*`] },
      python(
        "import socket",
        `own=${own}`,
        `for to in [(own,15001),(own,15053),(own,80),("127.0.0.1",15001),("${evil}",15001)]:`,
        "  try:",
        `    s=socket.create_connection(to,2); s.settimeout(2); s.sendall(b"GET /${word} HTTP/1.0\\r\\n\\r\\n")`,
        '    print(to[1], "answer", s.recv(99))',
        "  except OSError as e: print(to[1], e)",
      ),
    )
    t.strictSame(await lab.seen(word), [])
    t.match(stdout, /^15001 /m)
    t.notMatch(stdout, /answer b'(?!'|HTTP\/1\.1 403 )/, "nothing but a refusal comes back")
    t.ok(denials(events, ["loop"]).length >= 2, "our own addresses are never dialled")
  })

  await threeTimes(t, lab, {
    name: "row 73: a neighbour at an address that was learned for an allowed name",
    command: (word) => [
      "sh",
      "-c",
      `curl -s -m 3 -o /dev/null https://allowed-cdn.test/ --cacert ${lab.authorityFile} --resolve allowed-cdn.test:443:198.51.100.20
       curl -sk -m 3 --resolve evil-tenant.test:443:198.51.100.20 https://evil-tenant.test/${word}`,
    ],
    allow: ["allowed-cdn.test"],
    reasons: ["name-not-allowed"],
  })

  await threeTimes(t, lab, {
    name: "row 75: SSH to a host that is allowed for TLS",
    command: (word) =>
      tried(
        "s=socket.create_connection(('198.51.100.10',22),3)",
        "s.settimeout(2)",
        `s.recv(99); s.sendall(b"SSH-2.0-${word}\\r\\n"); s.recv(99)`,
      ),
    allow,
    reasons: ["port-not-allowed", "address-not-allowed"],
  })
})
