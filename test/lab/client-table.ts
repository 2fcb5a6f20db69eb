/**
 * How a table of clients is tried. Each client reaches what its rules allow and is refused what they
 * do not, with no flag of its own: neither for the firewall nor for its authority.
 *
 * Each row runs twice. In audit mode what is denied must arrive at the far end, else the row shows
 * nothing; in block mode what is allowed must work, and no byte of the rest may arrive.
 */
import { execFileSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import type { Test } from "tap"
import type { Event, RequestEvent } from "../../events/event.ts"
import type { Reason } from "../../flows/reason.ts"
import type { Record_ } from "../../lab/evidence.ts"
import type { Lab } from "../../lab/internet.ts"
import { arrives, canary, guarded, type Guarded } from "../bypass/harness.ts"
import { shown } from "../bypass/ways.ts"

/** A request as its event tells it. */
export type Told = Partial<Pick<RequestEvent, "method" | "host" | "path" | "status" | "protocol">>

export interface Client {
  readonly name: string
  /** Programs, or paths of files, that must be there, else the client is skipped by name. */
  readonly needs: readonly string[]
  /** Project files, by path from the client's own directory: where it runs, and its HOME. */
  readonly files?: Readonly<Record<string, string>>
  readonly environment?: Readonly<Record<string, string>>
  /** Request rules. */
  readonly rules: readonly string[]
  /** Shell, once before the firewall is there: fetches nothing. */
  readonly prepare?: string
  /** Shell: reaches what is allowed, and prints what it got. */
  readonly allowed: string
  readonly prints: RegExp
  /** Requests that the events must tell as allowed. */
  readonly requests: readonly Told[]
  /** Shell: tries what is not allowed, and carries $WORD there. */
  readonly denied: string
  readonly reasons: readonly Reason[]
  /** What the client says of the denial, on either stream. */
  readonly refused: RegExp
  /** The end of the path of the program that made the connections. */
  readonly executable: RegExp
}

const clientTimeoutMs = 90_000

/** Whether a program is there, or a file; the path of a file may be a pattern. */
export function has(needed: string): boolean {
  const look = needed.startsWith("/") ? `ls ${needed}` : `command -v ${needed}`
  try {
    execFileSync("sh", ["-c", look], { stdio: "ignore", env: { PATH: path } })
    return true
  } catch {
    return false
  }
}

/** Why the system's programs come first: those are the ones that everybody has. */
const path = ["/usr/bin", "/usr/sbin", "/bin", "/sbin", dirname(process.execPath)].join(":")

/** What a client runs in: nothing of the environment in which the tests were started. */
export function environmentOf(home: string): Record<string, string> {
  return { PATH: path, HOME: home, LANG: "C.UTF-8", TERM: "dumb" }
}

/** Runs a command behind the firewall as a client would be run: in a directory that is its HOME. */
export function runClient(
  lab: Lab,
  mode: "audit" | "block",
  client: Pick<Client, "rules" | "environment">,
  home: string,
  script: string,
  word: string,
): Promise<Guarded> {
  const environment = { ...environmentOf(home), WORD: word, ...client.environment }
  const policy = {
    mode,
    allow: client.rules,
    environment,
    bare: true,
    timeoutMs: clientTimeoutMs,
  }
  return guarded(lab, policy, ["sh", "-c", `cd '${home}'\n${script}\n`])
}

function directoryOf(lab: Lab, client: Client): string {
  const home = mkdtempSync(join(lab.directory, "home-"))
  for (const [name, text] of Object.entries(client.files ?? {})) {
    mkdirSync(dirname(join(home, name)), { recursive: true })
    writeFileSync(join(home, name), text)
  }
  if (client.prepare !== undefined) {
    const environment = { ...environmentOf(home), ...client.environment }
    execFileSync("sh", ["-ec", client.prepare], { cwd: home, env: environment, stdio: "ignore" })
  }
  return home
}

/** Without connections that their client left before it said a word: Go opens two, and keeps one. */
export const flowsOf = (events: readonly Event[]): Extract<Event, { kind: "flow" }>[] =>
  events
    .filter((event) => event.kind === "flow")
    .filter(
      ({ action, verdict, bytesSent, bytesReceived }) =>
        action !== "refuse" || verdict !== "allow" || bytesSent + bytesReceived > 0,
    )

type Requests = Extract<Event, { kind: "request" }>[]
export const requestsOf = (events: readonly Event[]): Requests =>
  events.filter((event) => event.kind === "request")

/** What came to the far end since then; names that were asked are nobody's secret here. */
function arrivedSince(lab: Lab, count: number): Record_[] {
  return lab
    .evidence()
    .slice(count)
    .filter(({ kind }) => kind !== "name")
}

function said(t: Test, run: Guarded, client: Client, words: string): void {
  const denied = requestsOf(run.events).filter(({ verdict }) => verdict === "deny")
  const told = client.reasons.every((reason) => denied.some((event) => event.reason === reason))
  if (!t.ok(told, `${words}: ${client.reasons.join(", ")}`)) t.comment(shown(run))
}

async function checkAudit(t: Test, lab: Lab, client: Client, home: string): Promise<void> {
  const word = canary()
  const run = await runClient(lab, "audit", client, home, client.denied, word)
  if (!t.ok(await arrives(lab, word), "what is denied arrives in audit mode")) t.comment(shown(run))
  said(t, run, client, "audit tells")
  t.ok(
    requestsOf(run.events).every(({ verdict, enforced }) => enforced === (verdict === "allow")),
    "audit says what was not enforced",
  )
}

async function checkBlock(t: Test, lab: Lab, client: Client, home: string): Promise<void> {
  const word = canary()
  const before = lab.evidence().length
  const script = `${client.allowed}\necho; echo "allowed ended with $?"\n${client.denied}`
  const run = await runClient(lab, "block", client, home, script, word)
  const printed = t.match(run.stdout, client.prints, "it got what it asked for")
  const refused = t.match(`${run.stdout}${run.stderr}`, client.refused, "it says why it did not")
  if (!printed || !refused) t.comment(shown(run))
  t.strictSame(await lab.seen(word), [], "nothing that is denied arrives")
  const requests = requestsOf(run.events)
  for (const wanted of client.requests) {
    const found = requests.some(
      (event) =>
        event.verdict === "allow" &&
        Object.entries(wanted).every(([key, value]) => event[key as keyof Told] === value),
    )
    if (!t.ok(found, `is told: ${JSON.stringify(wanted)}`)) t.comment(shown(run))
  }
  said(t, run, client, "block tells")
  t.ok(
    requests.every(({ enforced }) => enforced),
    "all of it is enforced",
  )
  const flows = flowsOf(run.events)
  const opened = flows.length > 0 && flows.every(({ action }) => action === "intercept")
  const owned = flows.every(({ process }) => client.executable.test(process?.executable ?? ""))
  t.ok(opened, "every connection is opened")
  t.ok(owned, "every connection is somebody's")
  if (!opened || !owned) t.comment(shown(run))
  t.ok(arrivedSince(lab, before).length > 0, "the far end saw the client")
  t.match(run.events.at(-1), { kind: "run-ended", lost: 0 }, "the log is whole")
}

/** Tries each client; those that are not installed are skipped by name. */
export async function tryClients(t: Test, lab: Lab, clients: readonly Client[]): Promise<void> {
  for (const client of clients) {
    const missing = client.needs.filter((needed) => !has(needed))
    const skip = missing.length === 0 ? {} : { skip: `needs ${missing.join(" and ")}` }
    await t.test(`${client.name} works under a request rule, and no further`, skip, async (t) => {
      const home = directoryOf(lab, client)
      const twin = `${home}-2`
      cpSync(home, twin, { recursive: true })
      await checkAudit(t, lab, client, home)
      await checkBlock(t, lab, client, twin)
    })
  }
}
