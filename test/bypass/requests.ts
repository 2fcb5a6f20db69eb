/**
 * Many ways past in one run each, at once: what a client says to a host whose requests are judged.
 * Shown four times: without a firewall, in block mode, in audit mode, and in block mode under a rule
 * that lets the whole host through, so that a case that something else stops is found out.
 */
import type { Test } from "tap"
import type { Event } from "../../events/event.ts"
import type { Reason } from "../../flows/reason.ts"
import type { Lab } from "../../lab/internet.ts"
import { withCanary } from "../../lab/evidence.ts"
import { canary, guarded, type Guarded, type Policy } from "./harness.ts"
import { script, shown } from "./ways.ts"

export interface Try {
  /** Begins with the row. */
  readonly name: string
  /** Lines of Python: see `words`. `word` is the canary, as bytes. An exception ends only this try. */
  readonly lines: string
  /** Of the event that tells of it; null: what must not pass is left out of what may. */
  readonly reason: Reason | readonly Reason[] | null
  /** What the client is told: part of what `lines` leave in `reply`. */
  readonly reply?: RegExp
  /** Why nothing arrives without a firewall; then not under the whole host either. */
  readonly vacuous?: string
  /** Why nothing arrives in audit mode. */
  readonly noAudit?: string
  /** Why nothing arrives under a rule for the whole host. */
  readonly noWhole?: string
}

/** What the lines may use, beside what ways.ts has. All of it trusts any certificate, as a thief would. */
export const words = `
import errno, itertools, random, threading
from concurrent.futures import ThreadPoolExecutor
def trusting(alpn=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn: context.set_alpn_protocols(alpn)
    return context
def rest(s, wait=0.6):
    s.settimeout(wait); data = b""
    try:
        while len(data) < 65536:
            part = s.recv(65535)
            if not part: break
            data += part
    except OSError: pass
    return data
local = threading.local()
# No port twice in a run: by it a connection's events are known.
sources = itertools.count(random.randrange(10000, 28000))
def dial(to, port):
    while True:
        try: return socket.create_connection((to, port), 5, ("", next(sources)))
        except OSError as error:
            if error.errno != errno.EADDRINUSE: raise
def note(s): local.ports = getattr(local, "ports", []) + [str(s.getsockname()[1])]
def plain(bytes_, port=7080, to="198.51.100.10", wait=0.6, then=()):
    with dial(to, port) as s:
        note(s)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.sendall(bytes_)
        data = b""
        for more in then:
            data += rest(s, 0.3); s.sendall(more)
        return data + rest(s, wait)
def secure(bytes_, port=7443, name="allowed.test", to="198.51.100.10", wait=0.6, then=(), alpn=("http/1.1",)):
    with dial(to, port) as raw:
        note(raw)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with trusting(alpn).wrap_socket(raw, server_hostname=name) as s:
            s.sendall(bytes_)
            data = b""
            for more in then:
                data += rest(s, 0.3); s.sendall(more)
            return data + rest(s, wait)
def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
def literal(text):
    text = text if isinstance(text, bytes) else text.encode("latin1")
    n = len(text)
    if n < 127: return bytes([n]) + text
    n -= 127; out = b"\\x7f"
    while n > 127: out += bytes([n % 128 + 128]); n //= 128
    return out + bytes([n]) + text
def block(*fields):
    return b"".join(b"\\0" + literal(name) + literal(value) for name, value in fields)
def get(path, authority="allowed.test", *more, method="GET", scheme="https"):
    return block((":method", method), (":scheme", scheme), (":authority", authority), (":path", path), *more)
preface = b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + frame(4, 0, 0) + frame(8, 0, 0, (1 << 24).to_bytes(4, "big"))
def streams(*frames, port=7444, name="allowed.test", **more):
    return secure(preface + b"".join(frames), port, name, alpn=("h2",), **more)
`

/** Bytes as Python writes them; {w} is the canary. */
export function inline(text: string): string {
  const escaped = text.replaceAll(/[^ !#-[\]-~]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`
  })
  return `b"${escaped}"${text.includes("{w}") ? `.replace(b"{w}", word)` : ""}`
}
/** All tries, some at a time; each prints its number, its own ports, and what it was told. */
function scriptOf(tries: readonly Try[], canaries: readonly string[]): string[] {
  const bodies = tries.map(({ lines }, at) => {
    const body = lines.trim().replaceAll(/^/gm, "        ")
    return `def try${at}(word):\n    reply = b""\n    local.ports = []\n    try:\n${body}\n    except (OSError, ValueError) as error: reply += repr(error).encode()\n    os.write(1, ('${at} ' + ",".join(local.ports) + ' ' + repr(reply[:400]) + '\\n').encode())`
  })
  const all = canaries.map((word, at) => `pool.submit(try${at}, b"${word}")`)
  return script(words, ...bodies, `with ThreadPoolExecutor(8) as pool: ${all.join("; ")}`)
}

const settleMs = 400
const timeoutMs = 90_000

/** For each canary, whether it came to the far end. */
async function came(lab: Lab, canaries: readonly string[]): Promise<boolean[]> {
  await new Promise((resolve) => setTimeout(resolve, settleMs))
  const evidence = lab.evidence()
  return canaries.map((word) => withCanary(evidence, word).length > 0)
}

/** The events of a try's own connections. */
function ownEvents(at: number, { stdout, events }: Guarded): Event[] {
  const ports = portsAt(stdout, at)
  const flows = new Set(
    events.flatMap((event) =>
      event.kind === "flow" && ports.has(event.source.port) ? [event.flow] : [],
    ),
  )
  return events.filter(
    (event) => (event.kind === "request" || event.kind === "flow") && flows.has(event.flow),
  )
}

/** Those of them that tell of its denial. */
function denials({ reason }: Try, at: number, run: Guarded): Event[] {
  const wanted: readonly Reason[] =
    reason === null ? [] : typeof reason === "string" ? [reason] : reason
  return ownEvents(at, run).filter(
    (event) => "verdict" in event && event.verdict === "deny" && wanted.includes(event.reason),
  )
}

export interface Rules extends Omit<Policy, "mode"> {
  /** Rules that let the same hosts through as a whole; null: there is nothing to compare with. */
  readonly whole: readonly string[] | null
  /** What stands in place of `more` then; default: the same. */
  readonly wholeMore?: string
}

type Run = Guarded & { readonly came: readonly boolean[] }

/** What the four runs said; `open` is null where there is no rule to compare with. */
interface Runs {
  readonly without: { readonly stdout: string; readonly came: readonly boolean[] }
  readonly block: Run
  readonly audit: Run
  readonly open: Run | null
}

function holds(t: Test, is: boolean | undefined, what: string, otherwise: string): void {
  if (!t.ok(is, what)) t.comment(otherwise)
}

/** Whether one try was stopped by what is to stop it, and by nothing else. */
function isStopped(t: Test, given: Try, at: number, { without, block, audit, open }: Runs): void {
  const said = ({ stdout }: { readonly stdout: string }): string => saidAt(stdout, at)
  if (given.vacuous === undefined) {
    holds(t, without.came[at], "arrives without a firewall", said(without))
  }
  holds(t, block.came[at] === false, "does not arrive in block mode", said(block))
  if (given.reason !== null) {
    const told = denials(given, at, block).length > 0
    holds(
      t,
      told,
      `is told as ${given.reason.toString()}`,
      shown({ ...block, stdout: said(block), events: ownEvents(at, block) }),
    )
  }
  t.not(said(block), "", "the try was made")
  if (given.reply !== undefined) t.match(said(block), given.reply, "what the client is told")
  if (given.vacuous !== undefined) return
  if (open !== null && given.noWhole === undefined) {
    holds(t, open.came[at], "arrives under a rule for the whole host", said(open))
  }
  if (given.noAudit !== undefined) {
    t.notOk(audit.came[at], `nor in audit mode: ${given.noAudit}`)
    return
  }
  holds(t, audit.came[at], "arrives in audit mode", said(audit))
  if (given.reason === null) return
  const rehearsed = denials(given, at, audit)
  const otherwise = shown({ ...audit, stdout: said(audit), events: ownEvents(at, audit) })
  holds(t, rehearsed.length > 0, "audit says the same", otherwise)
  t.ok(
    rehearsed.every((event) => "enforced" in event && !(event.enforced ?? true)),
    "audit says that it was not enforced",
  )
}

/** Makes all tries four times. Gives the run in block mode. */
export async function allTries(
  t: Test,
  lab: Lab,
  { whole, wholeMore, ...policy }: Rules,
  tries: readonly Try[],
): Promise<Guarded> {
  const run = async (given: Policy): Promise<Run> => {
    const canaries = tries.map(() => canary())
    const result = await guarded(lab, { timeoutMs, ...given }, scriptOf(tries, canaries))
    return { ...result, came: await came(lab, canaries) }
  }
  const free = tries.map(() => canary())
  const { stdout } = await lab.run(scriptOf(tries, free), { timeoutMs })
  const without = { stdout, came: await came(lab, free) }
  const block = await run({ ...policy, mode: "block" })
  const audit = await run({ ...policy, mode: "audit" })
  const { deny: _, ...others } = policy
  const more = wholeMore ?? policy.more ?? ""
  const open = whole === null ? null : await run({ ...others, more, allow: whole, mode: "block" })

  for (const [at, given] of tries.entries()) {
    await t.test(given.name, (t) => {
      isStopped(t, given, at, { without, block, audit, open })
      t.end()
    })
  }
  t.match(block.events.at(-1), { kind: "run-ended", lost: 0 }, "the log is whole")
  return block
}

/** The ports from which a try spoke. */
function portsAt(stdout: string, at: number): Set<number> {
  return new Set((saidAt(stdout, at).split(" ")[1] ?? "").split(",").map(Number))
}

function saidAt(stdout: string, at: number): string {
  return stdout.split("\n").find((line) => line.startsWith(`${at} `)) ?? ""
}
