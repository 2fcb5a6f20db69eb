/**
 * A small Internet in network namespaces, and a machine that is joined to it: for the demonstration,
 * for the tests, for the bench. Sends nothing anywhere else. Needs root, iproute2 and nftables.
 */
import { spawn, type ChildProcess } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { tool } from "../kernel/tool.ts"
import { readEvidence, withCanary, type Record_ } from "./evidence.ts"
import { makeBed, removeBed, removeDeadBeds, type Bed } from "./namespaces.ts"
import { defaultZone, places, type Zone } from "./places.ts"
import type { FarEnd } from "./servers.ts"

export interface LabOptions {
  /** Names beside the usual ones, or in their place. */
  readonly zone?: Zone
  /** Directory to serve at git.example.com. */
  readonly repositories?: string
  /** Also look for canaries in every packet on the wire (needs tcpdump). */
  readonly capture?: boolean
}

export interface RunResult {
  /** 128+N when it died of a signal. */
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunSettings {
  readonly environment?: Readonly<Record<string, string>>
  readonly directory?: string
  readonly input?: string
  /** Nothing of this process's own environment but `environment`. */
  readonly bare?: boolean
  /** Default 30 s; then the program is killed. */
  readonly timeoutMs?: number
  /** Ends the program: by SIGTERM, and by SIGKILL where that is not enough. */
  readonly abort?: AbortSignal
}

export interface Lab {
  readonly bed: Bed
  /** A directory of the lab's own, removed at the end. */
  readonly directory: string
  /** PEM of the authority that signed all servers of the far end. */
  readonly authorityFile: string
  /** Runs a program on the machine, without a firewall. */
  readonly run: (argv: readonly string[], settings?: RunSettings) => Promise<RunResult>
  /** Starts a program on the machine. */
  readonly start: (argv: readonly string[], settings?: RunSettings) => ChildProcess
  /** The argv of `sluice run` with the lab's resolver and authority. */
  readonly guarded: (options: readonly string[], command: readonly string[]) => string[]
  readonly evidence: () => Record_[]
  /** Evidence of a canary, after what is under way has arrived. */
  readonly seen: (canary: string) => Promise<Record_[]>
  readonly close: () => Promise<void>
}

/** Long enough for what was sent to be written down. */
const settleMs = 200
const startTimeoutMs = 15_000
/** For `sluice run` to take its namespaces down. */
const graceMs = 5_000
let opened = 0

/** Where package.json is: of the sources as of dist/. */
function packageRoot(): string {
  let folder = import.meta.dirname
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder)
  return folder
}

function collect(child: ChildProcess, settings: RunSettings): Promise<RunResult> {
  let [stdout, stderr] = ["", ""]
  child.stdout?.on("data", (bytes: Buffer) => (stdout += bytes.toString()))
  child.stderr?.on("data", (bytes: Buffer) => (stderr += bytes.toString()))
  const timer = setTimeout(() => child.kill("SIGKILL"), settings.timeoutMs ?? 30_000)
  return new Promise((resolve, reject) => {
    child.once("error", reject)
    child.once("close", (code, signal) => {
      clearTimeout(timer)
      resolve({ status: code ?? (signal === "SIGKILL" ? 137 : 128), stdout, stderr })
    })
  })
}

function endSoon(child: ChildProcess): void {
  child.kill("SIGTERM")
  setTimeout(() => child.kill("SIGKILL"), graceMs).unref()
}

async function startFarEnd(bed: Bed, order: FarEnd): Promise<ChildProcess> {
  const source = import.meta.filename.endsWith(".ts")
  const entry = join(import.meta.dirname, source ? "servers.ts" : "servers.js")
  const node = [process.execPath, ...(source ? ["--import=tsx"] : []), entry]
  const child = spawn(
    tool("nsenter"),
    [`--net=/run/netns/${bed.net}`, "--", ...node, JSON.stringify(order)],
    { stdio: ["pipe", "pipe", "inherit"], cwd: packageRoot() },
  )
  await new Promise<void>((ready, failed) => {
    const timer = setTimeout(
      () => failed(new Error("Cannot start the lab's servers")),
      startTimeoutMs,
    )
    child.once("exit", () => failed(new Error("Cannot start the lab's servers: they ended")))
    child.stdout.once("data", () => {
      clearTimeout(timer)
      ready()
    })
  })
  return child
}

async function startCapture(bed: Bed, file: string): Promise<ChildProcess> {
  // Why: else a packet may be written a second after it was sent.
  const argv = [
    "tcpdump",
    "--immediate-mode",
    "-i",
    bed.wire,
    "-U",
    "-w",
    file,
    "-s",
    "0",
    "-Z",
    "root",
  ]
  const child = spawn(tool("nsenter"), [`--net=/run/netns/${bed.net}`, "--", ...argv], {
    stdio: ["ignore", "ignore", "pipe"],
  })
  await new Promise<void>((ready, failed) => {
    child.once("exit", () => failed(new Error("Cannot capture: is tcpdump installed?")))
    child.stderr.once("data", () => ready())
  })
  return child
}

/** What a capture holds of a canary, whatever the protocol. */
function captured(file: string, canary: string): Record_[] {
  if (!existsSync(file)) return []
  const text = readFileSync(file, "latin1")
  return withCanary([{ kind: "tcp", at: "wire", text }], canary).map((record) => ({
    ...record,
    text: canary,
  }))
}

/** Opens a lab. Several may be open at once. */
export async function openLab(options: LabOptions = {}): Promise<Lab> {
  removeDeadBeds()
  const directory = mkdtempSync(join(tmpdir(), "sluice-lab-"))
  const bed = makeBed(`${process.pid}-${++opened}`)
  const evidenceFile = join(directory, "evidence.jsonl")
  const authorityFile = join(directory, "authority.pem")
  const captureFile = join(directory, "wire.pcap")
  writeFileSync(evidenceFile, "")
  const children: ChildProcess[] = []
  const cleanUp = (): void => {
    for (const child of children) child.kill("SIGKILL")
    removeBed(bed)
    rmSync(directory, { recursive: true, force: true })
  }
  process.once("exit", cleanUp)
  const order: FarEnd = {
    zone: { ...defaultZone, ...options.zone },
    evidence: evidenceFile,
    authorityFile,
    repositories: options.repositories ?? null,
  }
  children.push(await startFarEnd(bed, order))
  if (options.capture === true) children.push(await startCapture(bed, captureFile))

  const start = (argv: readonly string[], settings: RunSettings = {}): ChildProcess => {
    const entry = [tool("nsenter"), `--net=/run/netns/${bed.host}`, "--"]
    // Why: a lab that is killed takes what it started along.
    const child = spawn(tool("setpriv"), ["--pdeathsig", "TERM", ...entry, ...argv], {
      env: { ...(settings.bare === true ? {} : process.env), ...settings.environment },
      cwd: settings.directory ?? directory,
      stdio: ["pipe", "pipe", "pipe"],
    })
    child.stdin.on("error", () => {})
    child.stdin.end(settings.input ?? "")
    children.push(child)
    settings.abort?.addEventListener("abort", () => endSoon(child), { once: true })
    return child
  }
  const evidence = (): Record_[] => readEvidence(evidenceFile)
  return {
    bed,
    directory,
    authorityFile,
    start,
    run: (argv, settings = {}) => collect(start(argv, settings), settings),
    guarded: (given, command) => [
      ...[process.execPath, join(packageRoot(), "dist", "cli", "main.js"), "run"],
      ...["--upstream-dns", places.resolver, "--upstream-ca", authorityFile],
      ...[...given, "--", ...command],
    ],
    evidence,
    async seen(canary) {
      await new Promise((resolve) => setTimeout(resolve, settleMs))
      return [...withCanary(evidence(), canary), ...captured(captureFile, canary)]
    },
    close() {
      process.off("exit", cleanUp)
      cleanUp()
      return Promise.resolve()
    },
  }
}
