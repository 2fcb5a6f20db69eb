/** Starts lab/recorders.ts beside a lab's usual servers, and reads what each connection to them said. */
import { spawn, type ChildProcess } from "node:child_process"
import { join } from "node:path"
import type { Test } from "tap"
import type { Lab, LabOptions } from "../../lab/internet.ts"
import type { Recorders } from "../../lab/recorders.ts"
import { labFor } from "./harness.ts"

const root = join(import.meta.dirname, "..", "..")
const startTimeoutMs = 15_000

export interface RecordedLab extends Lab {
  /** PEM: a certificate for allowed.test that the firewall takes, and its key. */
  readonly sampleFile: string
  /** Starts a program at the far end. It is killed when the test ends. */
  readonly atFarEnd: (argv: readonly string[]) => ChildProcess
}

/** A lab with recorders; closed when the file ends. Without a capture: what is in TLS is in none. */
export async function recordedLab(t: Test, options: LabOptions = {}): Promise<RecordedLab> {
  const lab = await labFor(t, options)
  const atFarEnd = (argv: readonly string[]): ChildProcess => {
    const child = spawn("nsenter", [`--net=/run/netns/${lab.bed.net}`, "--", ...argv], {
      cwd: root,
      stdio: ["pipe", "pipe", "inherit"],
    })
    t.teardown(() => child.kill("SIGKILL"))
    return child
  }
  const sampleFile = join(lab.directory, "sample.pem")
  const order: Recorders = {
    evidence: join(lab.directory, "evidence.jsonl"),
    authorityFile: lab.authorityFile,
    sampleFile,
  }
  const entry = join(root, "lab", "recorders.ts")
  const child = atFarEnd([process.execPath, "--import=tsx", entry, JSON.stringify(order)])
  await new Promise<void>((ready, failed) => {
    const timer = setTimeout(() => failed(new Error("Cannot start the recorders")), startTimeoutMs)
    child.once("exit", () => failed(new Error("Cannot start the recorders: they ended")))
    child.stdout?.once("data", () => {
      clearTimeout(timer)
      ready()
    })
  })
  return { ...lab, sampleFile, atFarEnd }
}

/** What came over one connection. */
export interface Said {
  readonly port: number
  /** Numbers the connections of all recorders. */
  readonly number: number
  /** One character for each byte. */
  readonly text: string
}

/** Each connection to a recorder with all that it has said, oldest first. */
export function connections(lab: Lab): Said[] {
  const found = new Map<number, Said>()
  for (const { at, text } of lab.evidence()) {
    const [, port, number] = /^:(\d+) #(\d+)$/.exec(at) ?? []
    if (port === undefined || number === undefined) continue
    found.set(Number(number), { port: Number(port), number: Number(number), text })
  }
  return [...found.values()].toSorted((a, b) => a.number - b.number)
}
