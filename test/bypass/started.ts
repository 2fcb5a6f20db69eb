/** A guarded command that goes on while the test does things to its guard and its gate processes. */
import { mkdtempSync, readFileSync, readdirSync, writeFileSync, existsSync } from "node:fs"
import { execFileSync, type ChildProcess } from "node:child_process"
import { join } from "node:path"
import type { Lab } from "../../lab/internet.ts"
import type { Event } from "../../events/event.ts"
import { readEvents } from "./harness.ts"

export interface StartOptions {
  /** The whole policy, YAML. */
  readonly policy: string
  readonly options?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

export interface GateProcess {
  readonly role: "worker" | "resolver"
  readonly pid: number
}

export interface Started {
  /** The guard's own. */
  readonly pid: number
  readonly child: ChildProcess
  readonly policyFile: string
  readonly eventsFile: string
  readonly stdout: () => string
  readonly stderr: () => string
  readonly gates: () => GateProcess[]
  readonly events: () => Event[]
  /** Resolves when it has ended: its status, 128+N for signal N. */
  readonly end: Promise<number>
}

const numbers: Readonly<Record<string, number>> = { SIGKILL: 9, SIGTERM: 15, SIGINT: 2, SIGHUP: 1 }

/** Starts `sluice run` on the lab's machine. */
export function startGuarded(lab: Lab, given: StartOptions, command: readonly string[]): Started {
  const directory = mkdtempSync(join(lab.directory, "started-"))
  const policyFile = join(directory, "policy.yml")
  const eventsFile = join(directory, "events.jsonl")
  writeFileSync(policyFile, given.policy)
  const options = ["--policy", policyFile, "--events", eventsFile, ...(given.options ?? [])]
  const settings = given.environment === undefined ? {} : { environment: given.environment }
  const child = lab.start(lab.guarded(options, command), settings)
  let [stdout, stderr] = ["", ""]
  child.stdout?.on("data", (bytes: Buffer) => (stdout += bytes.toString()))
  child.stderr?.on("data", (bytes: Buffer) => (stderr += bytes.toString()))
  const pid = child.pid ?? 0
  return {
    pid,
    child,
    policyFile,
    eventsFile,
    stdout: () => stdout,
    stderr: () => stderr,
    gates: () => gatesOf(pid),
    events: () => (existsSync(eventsFile) ? readEvents(eventsFile) : []),
    end: new Promise((resolve) => {
      child.once("close", (code, signal) => resolve(code ?? 128 + (numbers[signal ?? ""] ?? 0)))
    }),
  }
}

/** Waits until something is so. @throws Error when it is not so in time */
export async function until(what: string, test: () => boolean, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!test()) {
    if (Date.now() > deadline) throw new Error(`Cannot go on: waited in vain until ${what}`)
    await sleep(10)
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Sends a signal; a process that has gone already is as good as one that got it. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // Why: gone.
  }
}

/** Children of all threads of a process. */
export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").trim().split(" ").map(Number),
    )
  } catch {
    return []
  }
}

export function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")
  } catch {
    return []
  }
}

function gatesOf(pid: number): GateProcess[] {
  return childrenOf(pid).flatMap((child): GateProcess[] => {
    const argv = commandLine(child)
    const entry = argv.findIndex((each) => each.endsWith("/guard/gate.js"))
    const role = entry < 0 ? undefined : argv[entry + 1]
    return role === "worker" || role === "resolver" ? [{ role, pid: child }] : []
  })
}

/** Directories of /run/sluice that this guard has made. */
export function runDirectories(pid: number): string[] {
  if (!existsSync("/run/sluice")) return []
  return readdirSync("/run/sluice").filter((name) => {
    try {
      const record: unknown = JSON.parse(readFileSync(`/run/sluice/${name}/record.json`, "utf8"))
      return (record as { pid: number }).pid === pid
    } catch {
      return false
    }
  })
}

function inside(lab: Lab, argv: readonly string[]): string {
  const enter = [`--net=/run/netns/${lab.bed.host}`, "--", ...argv]
  return execFileSync("nsenter", enter, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
}

/** All of the lab's machine that a run could have changed, as text. */
export function machineState(lab: Lab): string {
  return [
    inside(lab, ["nft", "list", "ruleset"]),
    inside(lab, ["ip", "-o", "link"]),
    inside(lab, ["ip", "rule"]),
    inside(lab, ["ip", "route", "show", "table", "all"]),
    // Why by a shell: /proc/sys/net is that of the namespace of whoever reads it.
    inside(lab, [
      "sh",
      "-c",
      "cd /proc/sys/net && find . -type f -readable ! -name flush ! -name '*stat*' ! -name nf_conntrack_count ! -path '*/neigh/*' | LC_ALL=C sort | xargs grep -H . 2>/dev/null; true",
    ]),
    execFileSync("ip", ["netns"], { encoding: "utf8" })
      .split("\n")
      // Why: labs and benches of others may come and go meanwhile.
      .filter((name) => !/^(slab|sluice-bench)-/.test(name))
      .join("\n"),
    execFileSync("sh", ["-c", "grep ' /run/sluice' /proc/mounts; true"], { encoding: "utf8" }),
  ].join("\n---\n")
}

/** Waits until the lab's link is up: what it says of itself changes until then. */
export async function settled(lab: Lab): Promise<void> {
  await until("the link is up", () => {
    const state = machineState(lab)
    return !state.includes("NO-CARRIER") && /^local fe80::\S+ dev eth0/m.test(state)
  })
}

/** Every process that descends from this one, itself excluded. */
export function descendants(pid: number): number[] {
  const found: number[] = []
  const waiting = childrenOf(pid)
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (next === 0) continue
    found.push(next)
    waiting.push(...childrenOf(next))
  }
  return found
}

/** Those of them that still live; what only waits to be buried does not. */
export function alive(pids: readonly number[]): number[] {
  return pids.filter((pid) => {
    try {
      return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
    } catch {
      return false
    }
  })
}
