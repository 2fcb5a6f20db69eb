/** `sluice run`: a command behind the firewall. */
import { accessSync, constants, existsSync, realpathSync, statSync } from "node:fs"
import { availableParallelism } from "node:os"
import { delimiter, isAbsolute, join, resolve } from "node:path"
import { isatty } from "node:tty"
import { parseArgs } from "node:util"
import { certificatesIn } from "../certs/trust/pem.ts"
import { parseEndpoint } from "../net/endpoint.ts"
import type { Endpoint } from "../net/endpoint.ts"
import { openDefaultLogFile, openLogFile, runsDirectory, type Owner } from "../events/log-file.ts"
import { caller, jobEnvironment, jobUser, type User } from "../guard/identity.ts"
import { environmentTokens, fileToken, jobTokens } from "../guard/job-tokens.ts"
import { loadPolicy, type Loaded } from "../guard/load-policy.ts"
import { readFileAs } from "../guard/read-file.ts"
import { machineResolvers } from "../guard/resolvers.ts"
import { run, type RunOptions } from "../guard/run.ts"
import { specialRangesText } from "../guard/special-ranges.ts"
import { version } from "../guard/version.ts"
import type { Policy } from "../policies/policy.ts"
import { printProblem } from "../policies/rule.ts"
import type { Io } from "./io.ts"
import { finishRun, openReport } from "./finish-run.ts"

/** Sluice itself failed; the command was not started. */
const notStarted = 125
const notExecutable = 126
const notFound = 127

const options = {
  policy: { type: "string" },
  mode: { type: "string" },
  allow: { type: "string", multiple: true },
  deny: { type: "string", multiple: true },
  events: { type: "string" },
  report: { type: "string" },
  "upstream-dns": { type: "string", multiple: true },
  "upstream-ca": { type: "string", multiple: true },
  "job-token-file": { type: "string", multiple: true },
  "allow-socket": { type: "string", multiple: true },
  "fail-on-deny": { type: "boolean" },
  workers: { type: "string" },
  user: { type: "string" },
  quiet: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const

export const runHelp = `Usage: sluice run [options] -- COMMAND [ARGUMENT…]

Runs COMMAND in namespaces of its own; everything it sends passes the firewall.
Needs root. COMMAND runs as the user who called sudo, in the same directory.

  sudo sluice run --mode audit -- npm ci        watch: what does this build reach?
  sudo sluice run --policy sluice.yml -- npm ci block: only what the policy allows

Options:
  --policy FILE          the policy; else $SLUICE_POLICY, ./sluice.yml,
                         ./.github/sluice.yml, else nothing is allowed
  --mode audit|block     overrides the policy's mode
  --allow LINE           one more rule in the short form; may be repeated
  --deny LINE            likewise
  --events FILE          where the event log goes (JSON Lines); else under
                         $XDG_STATE_HOME/sluice/runs/
  --report FILE          also write a report at the end: .txt or .json
  --upstream-dns ADDRESS[:PORT]
                         resolver that the firewall asks; may be repeated
  --upstream-ca FILE     further authorities (PEM) for servers behind the firewall
  --job-token-file FILE  a token of the job's own, for rules with \`token: job\`, beside
                         $GITHUB_TOKEN and $ACTIONS_RUNTIME_TOKEN; may be repeated
  --allow-socket PATH    leave a daemon's socket visible to COMMAND; may be repeated
  --user NAME            run COMMAND as this user
  --workers N            data-plane processes, 1 to 64 (default: one per core, at most 4)
  --fail-on-deny         exit 3 when something was denied although COMMAND succeeded
  --quiet                write nothing during the run

Exit status: COMMAND's own; 3 see --fail-on-deny; 125 when Sluice could not
enforce, and COMMAND was not started; 126 and 127 when COMMAND cannot be started
or found; 128+N when COMMAND died of signal N.
`

type Values = ReturnType<typeof parse>["values"]

function parse(argv: readonly string[]) {
  const args = [...argv]
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new NotStarted(`Cannot read the options: ${reasonOf(error)}\nSee: sluice run --help`)
  }
}

/** The first sentence of parseArgs() is for the user of a program, the rest for its author. */
function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  const [first = message] = message.split(". ")
  return code === "ERR_PARSE_ARGS_UNKNOWN_OPTION"
    ? `${first}, must be one of run's own; COMMAND's stand behind "--"`
    : first
}

/** The error that ends a run before it began, and its exit status. */
class NotStarted extends Error {
  readonly status: number
  constructor(message: string, status = notStarted) {
    super(message)
    this.status = status
  }
}

/** @returns the exit status of `sluice run` */
export async function runCommand(argv: readonly string[], io: Io): Promise<number> {
  const say = (text: string): void => {
    for (const line of text.split("\n")) io.err(`sluice: ${line}\n`)
  }
  try {
    const { values, positionals } = parse(argv)
    if (values.help === true) {
      io.out(runHelp)
      return 0
    }
    const order = runOrder(values, positionals, io, say)
    const { uid, gid } = order.user
    const report = values.report === undefined ? null : openReport(values.report, { uid, gid })
    const sealed = report === null ? [] : [report.file]
    const result = await run({ ...order, sealed })
    return await finishRun(result, {
      quiet: values.quiet === true,
      failOnDeny: values["fail-on-deny"] === true,
      report,
      io,
    })
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
    return error instanceof NotStarted ? error.status : notStarted
  }
}

function runOrder(
  values: Values,
  command: readonly string[],
  io: Io,
  say: (text: string) => void,
): Omit<RunOptions, "sealed"> {
  if (command.length === 0) {
    throw new NotStarted(
      "Cannot run: no command is given, must be: sluice run [options] -- COMMAND",
    )
  }
  if (process.getuid?.() !== 0) {
    throw new NotStarted("Cannot enforce: this is not root, must be; try: sudo sluice run …")
  }
  const user = jobUser(values.user ?? null, io.environment)
  const environment = jobEnvironment(io.environment, user)
  const directory = process.cwd()
  const loaded = policyOf(values, user, environment, directory)
  const policy = policyOrThrow(loaded)
  if (values.quiet !== true) for (const note of loaded.notes) say(note)
  const [name = "", ...argument] = command
  const upstreams = (values["upstream-dns"] ?? []).map(upstream)
  const owner = { uid: user.uid, gid: user.gid }
  const reader = caller(io.environment)
  const events = values.events ?? null
  return {
    policy,
    specialRanges: specialRangesText(io.environment, reader),
    user,
    command: [findCommand(name, environment, directory), ...argument],
    directory,
    environment,
    upstreams: upstreams.length > 0 ? upstreams : machineResolvers(),
    allowedSockets: (values["allow-socket"] ?? []).map(socketPath),
    upstreamAuthorities: authorities(values["upstream-ca"] ?? [], reader),
    workers: workerCount(values.workers),
    jobTokens: jobTokens(
      environmentTokens(io.environment),
      (values["job-token-file"] ?? []).map((file) =>
        fileToken(file, readFileAs(reader, file, "the job's token")),
      ),
      policy,
    ),
    step: io.environment["SLUICE_STEP"] ?? io.environment["GITHUB_ACTION"] ?? null,
    version: version(),
    context: contextOf(io.environment),
    openLog: (id) =>
      events === null
        ? openDefaultLogFile(runsOf(user, environment), id, owner)
        : openLogFile(events, owner),
    // Why not process.stdin: it would make the pipes that the command shares non-blocking.
    atTerminal: [0, 1, 2].some((descriptor) => isatty(descriptor)),
  }
}

function policyOf(
  values: Values,
  user: User,
  environment: Readonly<Record<string, string>>,
  directory: string,
): Loaded {
  const { mode = null } = values
  if (mode !== null && mode !== "audit" && mode !== "block") {
    throw new NotStarted(`Cannot read --mode "${mode}": must be audit or block`)
  }
  const { policy: file = null, allow = [], deny = [] } = values
  const home = user.home ?? "/"
  const asked = user.uid === 0 ? null : { uid: user.uid, groups: [user.gid, ...user.groups] }
  const asker = { environment, directory, home, user: asked }
  return loadPolicy({ file, mode, allow, deny }, asker, caller(environment))
}

function policyOrThrow({ policy, problems }: Loaded): Policy {
  if (policy !== null) return policy
  const lines = problems.map(printProblem)
  throw new NotStarted(
    ["Cannot enforce: the policy has errors; nothing was started.", ...lines].join("\n"),
  )
}

function upstream(text: string): Endpoint {
  const endpoint = parseEndpoint(text, 53)
  if (endpoint !== null) return endpoint
  throw new NotStarted(`Cannot read --upstream-dns "${text}": must be ADDRESS or ADDRESS:PORT`)
}

function authorities(files: readonly string[], reader: Owner): string | null {
  if (files.length === 0) return null
  const bundles = files.map((file) => {
    const found = certificatesIn(readFileAs(reader, file, "the authorities"))
    if (found !== null) return found
    throw new NotStarted(`Cannot read the authorities "${file}": has no certificate, must be PEM`)
  })
  return bundles.join("")
}

/** Where the user's logs go; some users' home is a path where nothing is, and stays so. */
function runsOf({ home }: User, environment: Readonly<Record<string, string>>): string {
  const there = home !== null && existsSync(home)
  return there ? runsDirectory(home, environment) : "/var/lib/sluice/runs"
}

/** Where a socket really lies: what is hidden is known by that path (/var/run is a link to /run). */
function socketPath(path: string): string {
  const absolute = resolve(path)
  return existsSync(absolute) ? realpathSync(absolute) : absolute
}

const workersMax = 64
const workersByDefault = 4

function workerCount(text: string | undefined): number {
  if (text === undefined) return Math.min(availableParallelism(), workersByDefault)
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= workersMax) return count
  throw new NotStarted(`Cannot read --workers "${text}": must be a number from 1 to ${workersMax}`)
}

/** What a shell would start for this name. */
function findCommand(
  name: string,
  environment: Readonly<Record<string, string>>,
  directory: string,
): string {
  const folders = (environment["PATH"] ?? "/usr/bin:/bin").split(delimiter)
  const places = name.includes("/")
    ? [isAbsolute(name) ? name : join(directory, name)]
    : folders.map((folder) => join(folder === "" ? directory : resolve(directory, folder), name))
  let present: string | null = null
  for (const path of places) {
    const facts = statSync(path, { throwIfNoEntry: false })
    if (facts === undefined || facts.isDirectory()) {
      if (facts?.isDirectory() === true && name.includes("/")) present ??= path
      continue
    }
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      present ??= path
    }
  }
  if (present === null) {
    throw new NotStarted(`Cannot run "${name}": there is no such command in PATH`, notFound)
  }
  throw new NotStarted(`Cannot run "${name}": ${present} is not executable`, notExecutable)
}

/** What is known of where this runs: GitHub's names, else none. */
function contextOf(environment: Io["environment"]): Record<string, string> {
  const names = {
    repository: "GITHUB_REPOSITORY",
    workflow: "GITHUB_WORKFLOW",
    job: "GITHUB_JOB",
    runId: "GITHUB_RUN_ID",
  }
  return Object.fromEntries(
    Object.entries(names).flatMap(([key, name]) => {
      const value = environment[name]
      return value === undefined ? [] : [[key, value]]
    }),
  )
}
