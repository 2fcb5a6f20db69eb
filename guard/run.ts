/**
 * One guarded command, from the first check to the last line of the log: introduces the rooms to each
 * other in the order in which things start.
 *
 * The command starts only when the drop stands, the gate serves and both have been looked at again.
 */
import { randomBytes } from "node:crypto"
import { chownSync, fstatSync, mkdirSync, readdirSync, statSync } from "node:fs"
import { hostname } from "node:os"
import { dirname, join } from "node:path"
import { authority, runLifeMs, type Authority } from "../certs/authority.ts"
import type { Endpoint } from "../net/endpoint.ts"
import type { Hostname } from "../net/hostname.ts"
import { Log, type LogEnd } from "../events/log.ts"
import type { LogFile } from "../events/log-file.ts"
import type { Finding, RunStarted } from "../events/event.ts"
import { leaf, leafKey } from "../certs/leaf.ts"
import type { LeafKey } from "../certs/leaf.ts"
import { keepDescriptors } from "../kernel/descriptors.ts"
import { hiddenPaths } from "../kernel/doors.ts"
import type { Policy } from "../policies/policy.ts"
import { answers } from "./answers.ts"
import { watchDrops } from "./drops.ts"
import { startGates, type GateOrder } from "./gates.ts"
import { gateUid, type User } from "./identity.ts"
import { hashed } from "./job-tokens.ts"
import { forwardSignals, prepareJob } from "./job.ts"
import type { LaunchOrder } from "./launch.ts"
import { makeNetwork, type RunNetwork } from "./network.ts"
import { jobResolverText } from "./resolvers.ts"
import { cleanDeadRuns, openRunDirectory } from "./run-directory.ts"
import { jobTrust, upstreamRoots } from "./trust.ts"
import { undo } from "./undo.ts"
import { buildUplink } from "./uplink.ts"

export interface RunOptions {
  readonly policy: Policy
  /** Text of `$SLUICE_SPECIAL_RANGES`; null: the built-in table. */
  readonly specialRanges: string | null
  readonly user: User
  /** An absolute path, and its arguments. */
  readonly command: readonly string[]
  readonly directory: string
  readonly environment: Readonly<Record<string, string>>
  readonly upstreams: readonly Endpoint[]
  /** Sockets that stay visible to the job. */
  readonly allowedSockets: readonly string[]
  /** PEM of further authorities; null: none. */
  readonly upstreamAuthorities: string | null
  readonly workers: number
  /** The job's own tokens: see job-tokens.ts. */
  readonly jobTokens: readonly string[]
  /** The step that events and rules speak of; null: unknown. */
  readonly step: string | null
  readonly version: string
  readonly context: Readonly<Record<string, string>>
  readonly openLog: (run: string) => LogFile
  /** Further files that we write and the job must not: the report's. */
  readonly sealed: readonly LogFile[]
  /** The command shares a terminal with us. */
  readonly atTerminal: boolean
}

export interface RunResult {
  readonly id: string
  /** The command's own exit status. */
  readonly status: number
  readonly log: LogEnd
}

/** A run's id: time first, so that a directory of logs is in order. */
export function newRunId(nowMs: number): string {
  const time = new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")
  return `${time}-${randomBytes(4).toString("hex")}`
}

/** User numbers that some process has right now. */
function takenUids(): Set<number> {
  const taken = new Set<number>()
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue
    const facts = statSync(`/proc/${name}`, { throwIfNoEntry: false })
    if (facts !== undefined) taken.add(facts.uid)
  }
  return taken
}

function gateOrders(
  options: RunOptions,
  network: RunNetwork,
  directory: string,
  key: LeafKey,
): GateOrder[] {
  const taken = takenUids()
  const shared = {
    policy: options.policy,
    specialRanges: options.specialRanges,
    uid: gateUid(process.pid, (uid) => taken.has(uid)),
    leafKey: null,
    upstreamRoots: "",
    resolverPath: join(directory, "resolver", "socket"),
    upstreams: options.upstreams,
    ours: network.ours,
    job: {
      addresses: [network.scope.job.inner.four, network.scope.job.inner.six],
      hostname: hostname(),
    },
    jobTokens: hashed(options.jobTokens),
  }
  const meeting = dirname(shared.resolverPath)
  mkdirSync(meeting, { mode: 0o700 })
  chownSync(meeting, shared.uid, shared.uid)
  const { tcp, udp } = network.resolver
  return [
    { ...shared, role: "resolver", tcp, udp },
    ...network.listeners.map((fd) => ({
      ...shared,
      role: "worker" as const,
      leafKey: key.pem,
      upstreamRoots: upstreamRoots(options.upstreamAuthorities),
      tcp: [fd],
      udp: [],
    })),
  ]
}

/** Why: the log lies where the job's user may write, and is to be evidence against it. */
function sealed(files: readonly LogFile[]): LaunchOrder["view"]["sealed"] {
  return files
    .filter(({ isRegular }) => isRegular)
    .map(({ fd, path }) => {
      const { dev, ino } = fstatSync(fd)
      return { path, dev, ino }
    })
}

function launchOrder(
  options: RunOptions,
  network: RunNetwork,
  directory: string,
  log: LogFile,
  signer: Authority,
): LaunchOrder {
  const { user, command, environment } = options
  const trust = jobTrust({
    environment,
    user,
    directory: options.directory,
    upstream: options.upstreamAuthorities,
    authority: signer.pem,
  })
  const stage = join(directory, "stage")
  mkdirSync(stage, { mode: 0o700 })
  return {
    network: network.job,
    identity: user,
    command,
    environment: { ...environment, ...trust.variables },
    directory: options.directory,
    view: {
      stage,
      resolverText: jobResolverText(network.scope.job.outer.four),
      own: trust.own,
      hidden: hiddenPaths(user.home),
      kept: options.allowedSockets,
      sealed: sealed([log, ...options.sealed]),
    },
  }
}

function runStarted({ policy, version, context }: RunOptions): RunStarted {
  const { source, sha256, rules, mode } = policy
  const facts = { source, sha256, rules: rules.length }
  return { kind: "run-started", mode, scope: "run", policy: facts, version, context }
}

function gateDied(role: string, words: string): Finding {
  return {
    kind: "finding",
    finding: "gate-ended",
    severity: "high",
    summary: `The ${role} of the gate ended and was started anew; its connections were cut. ${words}`,
    because: [],
    process: null,
    step: null,
  }
}

/** What must be undone, last first; each is undone whatever became of the others. */
class Undoing {
  readonly #steps: (() => void | Promise<void>)[] = []

  add(step: () => void | Promise<void>): void {
    this.#steps.push(step)
  }

  async all(): Promise<void> {
    for (const step of this.#steps.splice(0).toReversed()) {
      try {
        await step()
      } catch {
        // Why: what cannot be undone now is left to the next start; the rest must not wait for it.
      }
    }
  }
}

/**
 * Runs a command behind the firewall to its end.
 *
 * @throws Error when the machine cannot enforce; the command was then never started
 */
export async function run(options: RunOptions): Promise<RunResult> {
  keepDescriptors()
  cleanDeadRuns(undo)
  const id = newRunId(Date.now())
  const file = options.openLog(id)
  const log = new Log(file, id, { tokens: options.jobTokens })
  const undoing = new Undoing()
  let status = 125
  try {
    const start = await prepare(options, id, { file, log }, undoing)
    status = await start()
  } finally {
    await undoing.all()
  }
  return { id, status, log: await log.end(status, Date.now()) }
}

/** Builds all that enforces; gives what starts the command. */
async function prepare(
  options: RunOptions,
  id: string,
  { file, log }: { readonly file: LogFile; readonly log: Log },
  undoing: Undoing,
): Promise<() => Promise<number>> {
  const { policy } = options
  const directory = openRunDirectory(id, undo)
  undoing.add(directory.close)
  const network = makeNetwork(policy, id, options.workers)
  undoing.add(network.close)
  log.record(runStarted(options), Date.now())

  // Its key stays in this process: the gates get leaves, the job gets the certificate.
  const signer = authority(`Sluice ${id}`, Date.now(), runLifeMs)
  const key = leafKey()
  const sign = (host: Hostname): string => leaf(signer, key, [host], Date.now()).pem
  const orders = gateOrders(options, network, directory.path, key)
  const { answer, know } = answers(policy, options.step, network, log, sign)
  const gates = startGates(orders, answer, (role, words) => {
    log.record(gateDied(role, words), Date.now())
  })
  undoing.add(gates.stop)
  const drops = watchDrops(network, policy.mode, (body) => void log.record(body, Date.now()))
  undoing.add(drops.end)
  const preparing = prepareJob(launchOrder(options, network, directory.path, file, signer))
  undoing.add(async () => (await preparing).kill())
  // Why now and not first: the processes start meanwhile, and that takes longer.
  network.build()
  const { uplink } = network.scope
  if (uplink !== null) buildUplink(network.gate, network.machine, uplink, id, directory)
  const [job] = await Promise.all([preparing, gates.ready])
  know(job.initPid)
  if (!network.stands()) throw new Error("Cannot enforce: the firewall's tables do not stand")
  return async () => {
    const giveUp = (): void => void job.kill()
    const release = forwardSignals(job, options.atTerminal, giveUp)
    undoing.add(release)
    return job.go()
  }
}
