/** Row 110: an address may be used in the very millisecond in which its name was answered. */
import t from "tap"
import { canary, guarded, labFor, whyNoLab } from "./harness.ts"
import { machineState, settled } from "./started.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false
const count = 40

t.test("first packets", { skip, timeout: 120_000 }, async (t) => {
  const zone = Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `n${index}.time.test`,
      { a: [`198.51.100.${100 + index}`], ttl: 1 },
    ]),
  )
  const lab = await labFor(t, { zone })
  await settled(lab)
  /** Asks for each name and sends to its address at once; prints how many packets were answered. */
  const job = (word: string, resolver: string): string[] => [
    "python3",
    "-c",
    `
import socket, struct
ask = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); ask.settimeout(3); ask.connect(("${resolver}", 53))
sent = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(${count})]
for n in range(${count}):
    labels = b"".join(bytes([len(l)]) + l for l in (b"n%d" % n, b"time", b"test"))
    ask.send(struct.pack(">HHHHHH", n, 256, 1, 0, 0, 0) + labels + b"\\0" + struct.pack(">HH", 1, 1))
    answer = ask.recv(999)
    try: sent[n].sendto(b"${word}", (socket.inet_ntoa(answer[-4:]), 123))
    except OSError as error: print(error)
answered = 0
for s in sent:
    s.settimeout(2)
    try: answered += s.recv(99).startswith(b"taken")
    except OSError as error: print(error)
print("answered", answered)
for port in (123, 124):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("198.51.100.%d" % (159 if port == 123 else 100), port)); s.settimeout(1)
        try: s.send(b"other-${word}"); s.recv(99)
        except OSError as error: print("refused", port, error.errno)
`,
  ]

  await t.test("row 110: the answer waits until the door is open", async (t) => {
    const free = canary()
    const open = await lab.run(job(free, "203.0.113.53"))
    t.match(open.stdout, new RegExp(`answered ${count}`), open.stderr)
    const before = machineState(lab)
    const allow = ["*.time.test:123/udp"]
    for (const mode of ["block", "audit"] as const) {
      const word = canary()
      const run = await guarded(lab, { mode, allow }, job(word, "203.0.113.53"))
      t.match(run.stdout, new RegExp(`answered ${count}\\n`), `${mode} ${run.stderr}`)
      const arrived = await lab.seen(`other-${word}`)
      if (mode === "block") {
        t.match(run.stdout, /refused 123[^]*refused 124/, "no door for what was not asked for")
        t.strictSame(arrived, [])
      } else t.equal(arrived.length, 2)
      t.ok((await lab.seen(word)).length >= count)
      t.equal(machineState(lab), before, "the machine is as it was")
    }
  })
})
