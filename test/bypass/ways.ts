/**
 * Several ways past in one run each: a script tries them one after the other, each with a canary of
 * its own. Shown as in harness.ts: without a firewall, in block mode, in audit mode.
 */
import { existsSync } from "node:fs"
import type { Test } from "tap"
import type { Event } from "../../events/event.ts"
import type { Lab } from "../../lab/internet.ts"
import { arrives, canary, guarded, type Guarded, type Policy } from "./harness.ts"

/** Debian's own: what stands earlier in a search path may be a slow script. */
const interpreter = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3"

/** What every script may use. */
const prelude = `
import os, select, socket, ssl, struct, sys, time
def name(text):
    return b"".join(bytes([len(l)]) + l.encode("latin1") for l in text.split(".")) + b"\\0"
def question(text, kind=1, id=7, flags=0x100, counts=(1, 0, 0, 0), tail=b""):
    return struct.pack(">HH4H", id, flags, *counts) + name(text) + struct.pack(">HH", kind, 1) + tail
def udp(message, to="203.0.113.53", port=53, wait=2):
    with socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(wait)
        try:
            s.sendto(message, (to, port))
            return s.recv(65535)
        except OSError:
            return b""
def rcode(message):
    return message[3] & 15 if len(message) > 11 else None
def tcp(to, port, *parts, wait=3, pause=0):
    try:
        with socket.create_connection((to, port), wait) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in parts:
                s.sendall(part)
                time.sleep(pause)
            s.settimeout(wait)
            return s.recv(65535)
    except OSError as error:
        return None
def vector(size, data):
    return len(data).to_bytes(size, "big") + data
def extension(kind, data):
    return struct.pack(">H", kind) + vector(2, data)
def server_name(*names, kind=0):
    return extension(0, vector(2, b"".join(bytes([kind]) + vector(2, n) for n in names)))
def hello(*extensions, word=b"", split=None):
    usual = extension(10, vector(2, b"\\0\\x1d\\0\\x17")) + extension(11, b"\\1\\0") + extension(13, vector(2, bytes.fromhex("040308040401")))
    body = b"\\3\\3" + os.urandom(32) + vector(1, word.ljust(32, b"-")[:32]) + vector(2, bytes.fromhex("c02bc02f")) + b"\\1\\0" + vector(2, b"".join(extensions) + usual)
    message = b"\\1" + vector(3, body)
    step = split or len(message)
    return b"".join(b"\\x16\\3\\1" + vector(2, message[at:at + step]) for at in range(0, len(message), step))
`

/** The argv of a script; for the words it may use see the head of this file. */
export function script(...lines: string[]): string[] {
  return [interpreter, "-c", `${prelude}\n${lines.join("\n")}`]
}

export interface Way {
  /** Begins with the row: `row 66: a fragment`. */
  readonly name: string
  /** Lines of Python; the canary is in `word`, as bytes. An exception ends only this way. */
  readonly lines: string
  /** Whether an event tells of this way's denial; null: not all of them can be told. */
  readonly told: ((event: Event) => boolean) | null
  /** Why nothing arrives without a firewall, or in audit mode. */
  readonly vacuous?: string
  readonly noAudit?: string
}

/** Whether a flow's event tells of a denial at a port. */
export function flowTo(port: number, ...reasons: string[]): (event: Event) => boolean {
  return (event) =>
    event.kind === "flow" &&
    event.verdict === "deny" &&
    event.target.port === port &&
    (reasons.length === 0 || reasons.includes(event.reason))
}

/** Whether the kernel's count tells of a packet to an address, or to a port of it. */
export function dropTo(address: string, port: number | null): (event: Event) => boolean {
  return (event) =>
    event.kind === "drop" && event.target.address === address && event.target.port === port
}

function scriptOf(ways: readonly Way[], words: readonly string[]): string[] {
  const tries = ways.map(({ lines }, at) => {
    const body = lines.trim().replaceAll(/^/gm, "    ")
    return `word = b"${words[at]}"\ntry:\n${body}\nexcept OSError as error: print(${at}, error)`
  })
  return script(...tries, "time.sleep(0.3)")
}

/** Tries all ways three times. Gives the run in block mode. */
export async function allTimes(
  t: Test,
  lab: Lab,
  policy: Omit<Policy, "mode">,
  ways: readonly Way[],
): Promise<Guarded> {
  const words = (): string[] => ways.map(() => canary())
  const free = words()
  const without = await lab.run(scriptOf(ways, free), { timeoutMs: 60_000 })
  const caught = words()
  const block = await guarded(lab, { timeoutMs: 60_000, ...policy, mode: "block" }, [
    ...scriptOf(ways, caught),
  ])
  const watched = words()
  const audit = await guarded(lab, { timeoutMs: 60_000, ...policy, mode: "audit" }, [
    ...scriptOf(ways, watched),
  ])
  for (const [at, way] of ways.entries()) {
    await t.test(way.name, async (t) => {
      if (way.vacuous === undefined) {
        const arrived = await arrives(lab, free[at] ?? "")
        if (!t.ok(arrived, "arrives without a firewall")) t.comment(without.stdout, without.stderr)
      }
      t.strictSame(await lab.seen(caught[at] ?? ""), [], "does not arrive in block mode")
      const { told } = way
      if (told !== null && !t.ok(block.events.some(told), "is told")) t.comment(shown(block))
      if (way.noAudit !== undefined || way.vacuous !== undefined) return
      const passed = await arrives(lab, watched[at] ?? "")
      if (!t.ok(passed, "arrives in audit mode")) t.comment(shown(audit))
      const rehearsed = audit.events.filter((event) => told?.(event) === true)
      if (told !== null && !t.ok(rehearsed.length > 0, "audit says the same")) {
        t.comment(shown(audit))
      }
      t.ok(
        rehearsed.every((event) => "enforced" in event && !(event.enforced ?? true)),
        "audit says that it was not enforced",
      )
    })
  }
  t.match(block.events.at(-1), { kind: "run-ended", lost: 0 }, "the log is whole")
  return block
}

/** A run, short enough for a failure's text. */
export function shown({ stdout, stderr, events }: Guarded): string {
  const lines = events.map((event) => JSON.stringify(event).slice(0, 400))
  return [stdout, stderr, ...lines].join("\n")
}
