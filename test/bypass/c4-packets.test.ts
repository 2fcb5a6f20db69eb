/** Rows 54–66: packets that are no questions and no ordinary connections. */
import t from "tap"
import { guarded, labFor, threeTimes, whyNoLab, canary } from "./harness.ts"

t.setTimeout(400_000)
const skip = whyNoLab() ?? false
const evil = "198.51.100.66"
const evilSix = "2001:db8::66"

const python = (...lines: string[]): string[] => ["python3", "-c", lines.join("\n")]

/** Sends a datagram of some protocol and waits a moment. */
const datagram = (family: string, protocol: number, to: string, word: string): string[] =>
  python(
    "import socket,time",
    `s=socket.socket(socket.${family},socket.SOCK_DGRAM,${protocol})`,
    "try:",
    `  s.sendto(b"${word}",("${to}",4444)); time.sleep(.2)`,
    "except OSError as e: print(e)",
  )

/** Sends an IP packet of a protocol number with the word as its payload; needs CAP_NET_RAW. */
const raw = (protocol: number, to: string, word: string, six = false): string[] =>
  python(
    "import socket,time",
    `s=socket.socket(socket.${six ? "AF_INET6" : "AF_INET"},socket.SOCK_RAW,${protocol})`,
    "try:",
    `  s.sendto(b"${word}"*2,("${to}",0)); time.sleep(.2)`,
    "except OSError as e: print(e)",
  )

const tcp = (to: string, port: number, word: string): string[] =>
  python(
    "import socket",
    "try:",
    `  s=socket.create_connection(("${to}",${port}),3); s.sendall(b"${word}"); s.settimeout(2); s.recv(100)`,
    "except OSError as e: print(e)",
  )

t.test("packets", { skip, timeout: 400_000 }, async (t) => {
  const lab = await labFor(t)
  const allow = ["allowed.test"]
  const drop = { allow, record: "drop" as const }
  const refused = ["address-not-allowed", "not-allowed", "private-address"] as const

  await threeTimes(t, lab, {
    name: "row 54: a literal address over TCP, any port",
    command: (word) => tcp(evil, 4444, word),
    allow,
    reasons: ["address-not-allowed"],
  })
  await threeTimes(t, lab, {
    name: "row 54: a literal address over TCP and IPv6",
    command: (word) => tcp(evilSix, 8081, word),
    allow,
    reasons: ["address-not-allowed"],
  })
  await threeTimes(t, lab, {
    name: "row 54: a literal address over UDP",
    command: (word) => datagram("AF_INET", 17, evil, word),
    ...drop,
    reasons: refused,
  })
  await threeTimes(t, lab, {
    name: "row 38: QUIC's port, UDP 443",
    command: (word) =>
      python(
        "import socket,time",
        "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)",
        `\ntry: s.sendto(b"${word}",("198.51.100.10",443)); time.sleep(.2)\nexcept OSError: pass`,
      ),
    ...drop,
    reasons: refused,
  })
  await threeTimes(t, lab, {
    name: "row 55: the payload of an ICMP echo",
    command: (word) =>
      python(
        "import socket,struct,time",
        "s=socket.socket(socket.AF_INET,socket.SOCK_RAW,1)",
        `p=b"${word}"`,
        "h=struct.pack('>BBHHH',8,0,0,1,1)",
        "d=h+p+(b'' if len(p)%2==0 else b'\\0')",
        "c=sum(struct.unpack('>%dH'%(len(d)//2),d)); c=(c>>16)+(c&0xffff); c=~(c+(c>>16))&0xffff",
        `\ntry: s.sendto(struct.pack('>BBHHH',8,0,c,1,1)+p,("${evil}",0)); time.sleep(.2)\nexcept OSError: pass`,
      ),
    ...drop,
    reasons: refused,
  })
  for (const [protocol, name] of [
    [136, "UDP-Lite"],
    [47, "GRE"],
    [4, "IP in IP"],
    [50, "ESP"],
    [132, "SCTP"],
    [253, "a protocol for experiments"],
  ] as const) {
    await threeTimes(t, lab, {
      name: `row 56: ${name}, protocol ${protocol}`,
      command: (word) => raw(protocol, evil, word),
      ...drop,
      reasons: refused,
    })
  }
  await threeTimes(t, lab, {
    name: "row 57: UDP over IPv6",
    command: (word) => datagram("AF_INET6", 17, evilSix, word),
    ...drop,
    reasons: refused,
  })
  await threeTimes(t, lab, {
    name: "row 58: an IPv4 address written as IPv6",
    command: (word) =>
      python(
        "import socket",
        "s=socket.socket(socket.AF_INET6,socket.SOCK_STREAM); s.settimeout(3)",
        `\ntry: s.connect(("::ffff:${evil}",4444)); s.sendall(b"${word}"); s.recv(9)\nexcept OSError: pass`,
      ),
    allow,
    reasons: ["address-not-allowed"],
  })
  for (const [address, port, what] of [
    ["10.99.0.10", 80, "row 59: a private address"],
    ["169.254.169.254", 80, "row 60: the metadata service"],
    ["168.63.129.16", 80, "row 60: the wire server"],
  ] as const) {
    await threeTimes(t, lab, {
      name: what,
      command: (word) => ["curl", "-sS", "-m", "3", `http://${address}:${port}/${word}`],
      allow,
      reasons: ["private-address", "address-not-allowed"],
    })
  }
  await threeTimes(t, lab, {
    name: "row 61: another spelling of an address",
    command: (word) => ["curl", "-sS", "-m", "3", `http://3325256770:8080/${word}`],
    allow,
    reasons: ["address-not-allowed", "name-not-allowed"],
  })
  await t.test("row 62: junk behind a question, on the same five-tuple", async (t) => {
    const word = canary()
    const { events } = await guarded(
      lab,
      { mode: "block", allow },
      python(
        "import socket,struct,time",
        'q=struct.pack(">HHHHHH",7,256,1,0,0,0)+b"\\7allowed\\4test\\0"+struct.pack(">HH",1,1)',
        's=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(3); s.connect(("203.0.113.53",53))',
        "s.send(q); s.recv(512)",
        `s.send(b"${word}"); time.sleep(.3)`,
      ),
    )
    t.strictSame(await lab.seen(word), [])
    t.ok(events.some((event) => event.kind === "name" && event.verdict === "allow"))
  })
  await t.test("row 67: raw frames with CAP_NET_RAW end at the gate", async (t) => {
    const word = canary()
    const { events } = await guarded(lab, { mode: "block", allow }, [
      "python3",
      "-c",
      `import socket,struct,time,subprocess
s=socket.socket(socket.AF_PACKET,socket.SOCK_DGRAM,0x0800)
p=b"${word}"
ip=subprocess.check_output("ip -4 -o addr show net0 | awk '{print $4}'",shell=True,text=True).split("/")[0]
h=struct.pack(">BBHHHBBH4s4s",0x45,0,28+len(p),1,0,64,17,0,socket.inet_aton(ip),socket.inet_aton("${evil}"))
w=struct.unpack(">10H",h); c=sum(w); c=(c>>16)+(c&0xffff); c=~c&0xffff
h=h[:10]+struct.pack(">H",c)+h[12:]
u=struct.pack(">HHHH",999,4444,8+len(p),0)
mac=bytes.fromhex(subprocess.check_output("ping -c1 -W1 $(ip -4 route show default | awk '{print $3}') >/dev/null 2>&1; ip neigh show dev net0 | awk '/lladdr/{print $3; exit}'",shell=True,text=True).strip().replace(":","") or "ffffffffffff")
s.sendto(h+u+p,("net0",0x0800,0,0,mac)); time.sleep(.3)`,
    ])
    t.strictSame(await lab.seen(word), [])
    t.ok(events.length >= 2)
  })
})
