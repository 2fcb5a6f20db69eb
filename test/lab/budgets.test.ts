/** `up`: what is sent under a rule in a run, by all workers together, and what is not. */
import t from "tap"
import { arrives, canary, guarded, labFor, whyNoLab } from "../bypass/harness.ts"

t.setTimeout(120_000)
const skip = whyNoLab() ?? false

/** Sends so many bytes and a word after them, on a connection of its own; says how it went. */
const sends = (parts: readonly (readonly [bytes: number, word: string])[]): string[] => [
  "python3",
  "-c",
  [
    "import socket,time",
    ...parts.flatMap(([bytes, word]) => [
      "try:",
      '  s=socket.create_connection(("allowed.test",4444),5)',
      `  s.sendall(b"\\1"*${bytes}+b"${word}")`,
      "  s.shutdown(socket.SHUT_WR); s.settimeout(8)",
      "  while s.recv(999): pass",
      '  print("ended")',
      "except OSError as e: print(type(e).__name__)",
    ]),
  ].join("\n"),
]

t.test("a budget", { skip, timeout: 110_000 }, async (t) => {
  const lab = await labFor(t, {})
  const more = 'allow: [{to: "allowed.test:4444", up: 100kB}]\n'

  await t.test("lets out what it has, in several connections, and no more", async (t) => {
    const [first, second, third] = [canary(), canary(), canary()]
    const parts = [
      [60_000, first],
      [60_000, second],
      [10_000, third],
    ] as const
    const options = ["--workers", "2"]
    const { stdout, events } = await guarded(lab, { mode: "block", more, options }, sends(parts))
    t.equal(stdout, "ended\nConnectionResetError\nended\n")
    t.equal(await arrives(lab, first), true)
    t.equal(await arrives(lab, third), true, "what still fits goes out")
    t.equal((await lab.seen(second)).length, 0)
    const flows = events.filter((event) => event.kind === "flow")
    t.match(
      flows.map(({ verdict, enforced, reason }) => [verdict, enforced, reason]),
      [
        ["allow", true, "allowed-by-rule"],
        ["deny", true, "upload-budget-exceeded"],
        ["allow", true, "allowed-by-rule"],
      ],
    )
    const sent = flows.reduce((sum, { bytesSent }) => sum + bytesSent, 0)
    t.ok(sent <= 100_000, `${sent} bytes`)
    t.notOk(events.some((event) => event.kind === "finding"))
  })

  await t.test("is told and not held in audit mode", async (t) => {
    const word = canary()
    const { stdout, events } = await guarded(lab, { mode: "audit", more }, sends([[150_000, word]]))
    t.equal(stdout, "ended\n")
    t.equal(await arrives(lab, word), true)
    t.match(
      events.filter((event) => event.kind === "flow"),
      [{ verdict: "deny", enforced: false, reason: "upload-budget-exceeded" }],
    )
  })
})
