/**
 * One meaning for each request: what Sluice forwards of odd requests, and what nginx, Node's server and
 * Python's each read of exactly those bytes. All must read what Sluice's own event says, and as many
 * requests. What Sluice refuses is refused whole, and listed with its reason; what it refuses over HTTP/2
 * is in test/bypass/odd-streams.ts.
 */
import t, { type Test } from "tap"
import type { Event, RequestEvent } from "../../events/event.ts"
import { recorderPorts } from "../../lab/recorder-ports.ts"
import { canonicalPath } from "../../policies/path.ts"
import { canary, guarded, whyNoLab, type Guarded } from "../bypass/harness.ts"
import { oddRequests } from "../bypass/odd-requests.ts"
import { connections, recordedLab, type RecordedLab } from "../bypass/recorded.ts"
import { inline, words } from "../bypass/requests.ts"
import { script } from "../bypass/ways.ts"
import { accepted, type Read } from "./odd-accepted.ts"
import { readers, streamReaders, type ReadFor, type Reader } from "./readers.ts"
import { tool } from "../../kernel/tool.ts"

t.setTimeout(300_000)

function whyNot(): string | null {
  try {
    tool("nginx")
  } catch {
    return "needs nginx"
  }
  return whyNoLab()
}
const skip = whyNot() ?? false

interface Said {
  readonly what: string
  /** Latin-1. */
  readonly says: string
  /** null: it is refused, or nobody says what is to be read. */
  readonly reads: readonly Read[] | null
  readonly refused: boolean
  readonly refusedBy: readonly string[]
}

/** Not refused where every path and method is allowed. */
const policyReasons = ["path-not-allowed", "method-not-allowed", null]

/** Every odd request there is, as it is said over a scheme. */
function casesOf(scheme: "http" | "https", port: number, word: string): Said[] {
  const filled = (text: string, at: number): string =>
    text
      .replaceAll("{h}", `allowed.test:${port}`)
      .replaceAll("{H}", `ALLOWED.Test:${port}`)
      .replaceAll("{d}", `allowed.test.:${port}`)
      .replaceAll("{e}", `evil.test:${port}`)
      .replaceAll("{s}", scheme)
      .replaceAll("{S}", scheme.toUpperCase())
      .replaceAll("{w}", word)
      .replaceAll("{x}", `X-Case: ${scheme}-${at}\r\n`)
  const honest = accepted.map(({ what, says, reads, refusedBy = [] }, at): Said => ({
    ...{ what, says: filled(says, at), reads, refusedBy, refused: false },
  }))
  const spoken = oddRequests.filter(({ only = scheme }) => only === scheme)
  const odd = spoken.map(({ row, what, says, reason }, index): Said => {
    const at = accepted.length + index
    // Why after the first line: the mark must not change what is odd.
    const marked = says.replace("\r\n", "\r\n{x}")
    const tunnel = /^(?:CONNECT|TRACE) /.test(says)
    const refused = tunnel || !policyReasons.includes(typeof reason === "object" ? null : reason)
    return {
      ...{
        what: `row ${row}: ${what}`,
        says: filled(marked, at),
        reads: null,
        refusedBy: ["node"],
      },
      refused: Array.isArray(reason) || refused,
    }
  })
  return [...honest, ...odd]
}

/** What the client said, from which port, and what became of it. */
interface Outcome {
  readonly forwarded: readonly string[]
  readonly events: readonly Event[]
}

function portsOf(stdout: string): Map<string, number> {
  return new Map(
    [...stdout.matchAll(/^port (\S+) (\d+)$/gm)].map(([, name = "", port]) => [name, Number(port)]),
  )
}

/** Events of the flow that came from a port, and of its requests. */
function eventsFrom(run: Guarded, port: number): Event[] {
  const flow = run.events.find(
    (event) => event.kind === "flow" && event.transport === "tcp" && event.source.port === port,
  )
  if (flow?.kind !== "flow") return []
  return run.events.filter(
    (event) => (event.kind === "flow" || event.kind === "request") && event.flow === flow.flow,
  )
}

function outcomes(lab: RecordedLab, run: Guarded, names: readonly string[]): Map<string, Outcome> {
  const said = connections(lab)
  const ports = portsOf(run.stdout)
  return new Map(
    names.map((name) => [
      name,
      {
        forwarded: said.flatMap(({ text }) => (text.includes(`X-Case: ${name}\r\n`) ? [text] : [])),
        events: eventsFrom(run, ports.get(name) ?? 0),
      },
    ]),
  )
}

const isRequest = (event: Event): event is Event & RequestEvent => event.kind === "request"

const pathOf = (target: string): string =>
  target === "*" ? "*" : (canonicalPath(target.split("?")[0] ?? "") ?? `no path: ${target}`)

/** Python's makes one of several slashes at the start (gh-87389). */
const targetFor = (reader: Reader["name"], target: string): string =>
  reader === "python" ? target.replace(/^\/+/, "/") : target

type Found = readonly (readonly [name: Reader["name"], read: readonly ReadFor[]])[]

async function readBy(all: readonly Reader[], { forwarded }: Outcome): Promise<Found> {
  const bytes = Buffer.from(forwarded[0] ?? "", "latin1")
  if (bytes.length === 0) return []
  return Promise.all(all.map(async ({ name, read }) => [name, await read(bytes)] as const))
}

function agrees(
  t: Test,
  all: Found,
  { reads, refusedBy }: Said,
  { forwarded, events }: Outcome,
  host: string,
): void {
  if (!t.equal(forwarded.length, 1, "goes on over one connection")) return
  const told = events.filter(isRequest)
  t.ok(told.length > 0 && told.every(({ verdict }) => verdict === "allow"), "Sluice read it")
  if (reads !== null) {
    t.strictSame(
      told.map(({ method, path }) => `${method} ${pathOf(path)}`),
      reads.map(({ method, target }) => `${method} ${pathOf(target)}`),
      "as it was meant",
    )
  }
  const found = all.filter(([name, read]) => read.length > 0 || !refusedBy.includes(name))
  for (const [name, read] of found) {
    t.strictSame(
      read.map(({ method, target }) => `${method} ${targetFor("python", pathOf(target))}`),
      told.map(({ method, path }) => `${method} ${targetFor("python", pathOf(path))}`),
      `${name} reads what the event says`,
    )
    t.ok(
      read.every((one) => one.host === host),
      `${name}: for ${host}`,
    )
    if (reads === null) continue
    t.strictSame(
      read.map(({ method, target, body }) => ({ method, target, body })),
      reads.map(({ target, ...one }) => ({ ...one, target: targetFor(name, target) })),
      `${name} reads what was meant`,
    )
  }
  t.ok(found.length >= 2, "two others read it at least")
  const bodies = found.map(([, read]) => read.map(({ body }) => body))
  for (const body of bodies) t.strictSame(body, bodies[0], "with the same bodies")
}

function isRefused(t: Test, { what }: Said, { forwarded, events }: Outcome, word: string): void {
  t.notOk(
    forwarded.some((text) => text.includes(word)),
    "nothing of it goes on",
  )
  const told = events.flatMap((event) =>
    "verdict" in event && event.verdict === "deny" ? [event.reason] : [],
  )
  if (t.ok(told.length > 0, "is told")) t.comment(`${what.replaceAll(/[^ -~]/g, "?")}: ${told[0]}`)
}

/** What is refused is refused for a reason: left to themselves, these three read it in several ways. */
async function readsDiffer(t: Test, all: readonly Reader[], cases: readonly Said[]): Promise<void> {
  const differing: string[] = []
  await inAll(
    cases.filter(({ refused }) => refused),
    async ({ what, says }) => {
      const found = await readBy(all, { forwarded: [says], events: [] })
      const readings = new Set(
        found.map(([, read]) =>
          JSON.stringify(read.map(({ method, target, body }) => [method, target, body])),
        ),
      )
      if (readings.size > 1) differing.push(what.replaceAll(/[^ -~]/g, "?"))
    },
  )
  t.comment(`read in several ways: ${differing.toSorted().join("; ")}`)
  t.ok(differing.length >= 10, `${differing.length} are read in several ways without Sluice`)
}

async function inAll<Item>(
  items: readonly Item[],
  each: (item: Item) => Promise<void>,
): Promise<void> {
  const waiting = [...items]
  const work = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await each(item)
  }
  await Promise.all(Array.from({ length: 12 }, work))
}

t.test("one meaning", { skip, timeout: 290_000 }, async (t) => {
  const lab = await recordedLab(t)
  const all = await readers(t, lab.directory)

  for (const scheme of ["http", "https"] as const) {
    await t.test(`requests in HTTP/1.1, ${scheme}`, async (t) => {
      const port = scheme === "http" ? recorderPorts.plain : recorderPorts.secure
      const word = canary()
      const cases = casesOf(scheme, port, word)
      const names = cases.map((_, at) => `${scheme}-${at}`)
      const connected =
        scheme === "http"
          ? ""
          : `s = trusting(("http/1.1",)).wrap_socket(s, server_hostname="allowed.test")`
      const lines = cases.map(({ says }, at) => `each("${names[at]}", ${inline(says)})`)
      const run = await guarded(
        lab,
        { mode: "block", allow: [`${scheme}://allowed.test:${port}/**`], timeoutMs: 90_000 },
        script(
          words,
          `def say(name, bytes_):`,
          `    try:`,
          `        s = dial("198.51.100.10", ${port}); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)`,
          `        os.write(1, ("port %s %d\\n" % (name, s.getsockname()[1])).encode())`,
          ...(connected === "" ? [] : [`        ${connected}`]),
          `        s.sendall(bytes_); rest(s, 1); s.close()`,
          `    except OSError: pass`,
          `pool = ThreadPoolExecutor(12)`,
          `def each(name, bytes_): pool.submit(say, name, bytes_)`,
          ...lines,
          `pool.shutdown()`,
        ),
      )
      const found = outcomes(lab, run, names)
      t.equal(portsOf(run.stdout).size, cases.length, "all were said")
      const read = new Map<string, Found>()
      await inAll(names, async (name) => {
        const outcome = found.get(name)
        if (outcome !== undefined) read.set(name, await readBy(all, outcome))
      })
      if (scheme === "http") await readsDiffer(t, all, cases)
      for (const [at, each] of cases.entries()) {
        const name = names[at] ?? ""
        const outcome = found.get(name) ?? { forwarded: [], events: [] }
        await t.test(`${scheme}: ${each.what.replaceAll(/[^ -~]/g, "?")}`, (t) => {
          if (each.refused) isRefused(t, each, outcome, word)
          else agrees(t, read.get(name) ?? [], each, outcome, `allowed.test:${port}`)
          t.end()
        })
      }
    })
  }

  await t.test("requests in HTTP/2", async (t) => {
    const port = recorderPorts.streams
    const host = `allowed.test:${port}`
    const servers = await streamReaders(t, lab.directory)
    const word = canary()
    const targets = accepted.flatMap(({ reads, says }) => {
      const [first] = reads
      return reads.length === 1 && first?.method === "GET" && says.startsWith("GET /")
        ? [first.target]
        : []
    })
    const honest = [...new Set(targets)].map((target) => `/h${word}${target}`)
    const run = await guarded(
      lab,
      { mode: "block", allow: [`https://${host}/**`], timeoutMs: 90_000 },
      script(
        words,
        `pool = ThreadPoolExecutor(12)`,
        ...honest.map(
          (target, at) =>
            `pool.submit(streams, frame(1, 4, 1, get(${JSON.stringify(`/c${at}c${target}`)}, "${host}", ("x-case", "h2-${at}"), method="POST")), frame(0, 1, 1, b"body-${at}"))`,
        ),
        `pool.shutdown()`,
      ),
    )
    const said = connections(lab)
    const told = run.events.filter(isRequest)
    const forwardedOf = (at: number): string[] =>
      said.flatMap(({ text }) => (text.includes(`/c${at}c/h${word}`) ? [text] : []))
    const read = new Map<string, readonly ReadFor[]>()
    await inAll([...honest.keys()], async (at) => {
      const bytes = Buffer.from(forwardedOf(at)[0] ?? "", "latin1")
      for (const server of servers) {
        read.set(`${server.name} ${at}`, await server.read(bytes, `/c${at}c`))
      }
    })
    for (const [at, target] of honest.entries()) {
      await t.test(`h2: ${target.replace(word, "")}`, (t) => {
        const mark = `/c${at}c`
        t.equal(forwardedOf(at).length, 1, "goes on once")
        const [event, second] = told.filter(({ path }) => path.startsWith(`${mark}/`))
        t.equal(second, undefined)
        const whole = `${mark}${target}`
        t.match(event, { verdict: "allow", method: "POST", protocol: "h2" })
        t.equal(pathOf(event?.path ?? ""), pathOf(whole))
        const wanted = { method: "POST", target: whole, host, body: `body-${at}` }
        for (const { name } of servers) t.strictSame(read.get(`${name} ${at}`), [wanted], name)
        t.end()
      })
    }
  })
})
