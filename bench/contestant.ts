/** Who takes part: no firewall at all, each peer, and Sluice. */
import { spawnSync, type ChildProcess } from "node:child_process"
import type { Bed } from "./bed.ts"
import { listens, tree } from "./meter.ts"
import type { Shell } from "./shell.ts"

/**
 * What a contestant stands in the way of: connections that it passes on unopened, connections that it
 * opens to see requests, names, or (Sluice, and none) all of them.
 */
export type Load = "tls" | "opened" | "names"
export type Protocol = "HTTP/1.1" | "HTTP/2"

export interface Contestant {
  readonly name: string
  readonly carries: readonly Load[]
  /** What must be on the machine for it, for people; null: it is all there. */
  missing(): string | null
  start(bed: Bed, options?: StartOptions): Promise<Firewall>
}

export interface StartOptions {
  /** Sluice's data-plane processes; its default otherwise. Peers ignore it. */
  readonly workers?: number
  /** What the policy is about: the page's host (the default), the lookups' names or requests. */
  readonly load?: Load
  /** How many fresh names the policy speaks of. */
  readonly freshNames?: number
}

/** A contestant that runs. */
export interface Firewall {
  readonly name: string
  readonly carries: readonly Load[]
  /** Between it and the client, and the origin, where it opens connections. */
  readonly speaks: readonly Protocol[]
  /** Where clients run so that they pass this firewall, once it was chosen. */
  readonly client: Shell
  /** From the start of its first process until it served or enforced. */
  readonly startedInS: number
  choose(): void
  /** Its processes by what they do; none for the unguarded way. */
  processes(): readonly Part[]
  stop(): Promise<void>
}

export interface Part {
  readonly role: string
  readonly pid: number
}

/** Those that play one role. */
export function partsOf(firewall: Firewall, role: string): number[] {
  return firewall
    .processes()
    .filter((part) => part.role === role)
    .map(({ pid }) => pid)
}

export function pidsOf(firewall: Firewall): number[] {
  return firewall.processes().map(({ pid }) => pid)
}

/** What a peer that opens connections speaks unless its plan says more. */
const speaksByDefault: readonly Protocol[] = ["HTTP/1.1"]

/** null where all programs are found, else the Debian package to install. */
export function missingProgram(debianPackage: string, programs: readonly string[]): string | null {
  const here = programs.every(
    (program) => spawnSync("sh", ["-c", `command -v '${program}'`]).status === 0,
  )
  return here ? null : `Debian package ${debianPackage} is not installed`
}

/** A peer starts within this time, mitmproxy on a busy machine included. */
const startTimeoutMs = 10_000
const pollMs = 2

export async function until(
  what: string,
  isSo: () => boolean,
  timeoutMs: number = startTimeoutMs,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!isSo()) {
    if (Date.now() > deadline) {
      throw new Error(`Cannot wait for "${what}": not so after ${timeoutMs} ms`)
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise((resolve) => child.once("exit", resolve))
  child.kill("SIGTERM")
  const hard = setTimeout(() => child.kill("SIGKILL"), startTimeoutMs / 4)
  await exit
  clearTimeout(hard)
}

/** How a peer is run: in the machine, with the client's packets redirected to its port. */
export interface PeerPlan {
  readonly name: string
  readonly carries: Load
  readonly speaks?: readonly Protocol[]
  /** What is not on the machine, for people; null where nothing is missing. */
  readonly missing: () => string | null
  readonly port: number
  /** Writes its configuration and gives its command line; it must stay in the foreground. */
  prepare(bed: Bed): readonly string[]
}

export function peer(plan: PeerPlan): Contestant {
  const transport = plan.carries === "names" ? "udp" : "tcp"
  return {
    name: plan.name,
    carries: [plan.carries],
    missing: plan.missing,
    async start(bed) {
      const argv = plan.prepare(bed)
      const client = bed.shell("client")
      const startedAt = performance.now()
      const child = bed.serve("machine", plan.name.replaceAll(/\W+/g, "-"), argv)
      const root = child.pid ?? 0
      await until(`${plan.name} serves`, () => listens(root, transport, plan.port))
      return {
        name: plan.name,
        carries: [plan.carries],
        speaks: plan.speaks ?? speaksByDefault,
        client,
        startedInS: (performance.now() - startedAt) / 1000,
        choose: () =>
          bed.redirect(plan.carries === "names" ? { dns: plan.port } : { tls: plan.port }),
        processes: () => tree(root).map((pid) => ({ role: plan.name, pid })),
        async stop() {
          await client.stop()
          await ended(child)
        },
      }
    },
  }
}
