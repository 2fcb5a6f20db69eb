/** What processes cost, read from /proc: processor time, peak and present memory. See proc(5). */
import { readFileSync, readdirSync, readlinkSync, writeFileSync } from "node:fs"

/** `sysconf(_SC_CLK_TCK)`: 100 on every Linux architecture that Node runs on. */
const ticksPerSecond = 100
/** `5` in /proc/PID/clear_refs sets the peak (VmHWM) back to the present: proc(5). */
const resetPeakCommand = "5"
const kibPerMib = 1024

/** Text of a file under /proc; empty when the process has ended. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

/** Fields of /proc/PID/stat behind the name, which may itself hold spaces and brackets. */
function statFields(pid: number): readonly string[] {
  const text = read(`/proc/${pid}/stat`)
  return text.slice(text.lastIndexOf(")") + 2).split(" ")
}

/** `root` and all its descendants, without the subtree for which `leaveOut` answers true. */
export function tree(root: number, leaveOut: (pid: number) => boolean = () => false): number[] {
  const children = new Map<number, number[]>()
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry)
    if (!Number.isInteger(pid)) continue
    const parent = Number(statFields(pid)[1])
    children.set(parent, [...(children.get(parent) ?? []), pid])
  }
  const found: number[] = []
  const open = [root]
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    if (leaveOut(pid)) continue
    found.push(pid)
    open.push(...(children.get(pid) ?? []))
  }
  return found
}

/** Arguments of a process, as it was started; empty when it has ended. */
export function argumentsOf(pid: number): readonly string[] {
  return read(`/proc/${pid}/cmdline`).split("\0").slice(0, -1)
}

/** Name of the network namespace of a process, such as `net:[4026531840]`; empty when it has ended. */
export function networkOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`)
  } catch {
    return ""
  }
}

/** Seconds that the processes have spent, in user mode and in the kernel, all their threads. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0
  for (const pid of pids) {
    const fields = statFields(pid)
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0)
  }
  return ticks / ticksPerSecond
}

function statusMib(pid: number, field: string, file: string): number {
  const found = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(read(`/proc/${pid}/${file}`))
  return Number(found?.[1] ?? 0) / kibPerMib
}

/** Resident memory, each process for itself: shared pages count as often as they are mapped. */
export function rssMib(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + statusMib(pid, "VmRSS", "status"), 0)
}

/** Proportional memory: a page that n processes share counts 1/n in each. */
export function pssMib(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + statusMib(pid, "Pss", "smaps_rollup"), 0)
}

/** Sum of each process's highest resident memory since resetPeak(). */
export function peakMib(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + statusMib(pid, "VmHWM", "status"), 0)
}

export function resetPeak(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, resetPeakCommand)
    } catch {
      // Why: it has ended, and so has its memory.
    }
  }
}

/** Descriptors that the processes hold open, all together. */
export function openFiles(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + entries(`/proc/${pid}/fd`).length, 0)
}

/** Names in a directory under /proc; none when the process has ended. */
function entries(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

/** Whether a process in the namespace of `pid` listens on the port. */
export function listens(pid: number, transport: "tcp" | "udp", port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, "0")
  const wanted = transport === "tcp" ? `:${hex} [0-9A-F]+:0000 0A ` : `:${hex} [0-9A-F]+:0000 07 `
  const expression = new RegExp(`^ *\\d+: [0-9A-F]+${wanted}`, "m")
  return ["", "6"].some((family) => expression.test(read(`/proc/${pid}/net/${transport}${family}`)))
}
