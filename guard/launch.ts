/**
 * The thread from which the job starts: it enters the job's namespaces and never leaves them.
 *
 * Why a thread: namespaces and seccomp filters belong to a thread and pass to what it starts, so the
 * guard itself stays where it is, unconfined. Everything here is synchronous but for the children's
 * own ends.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { parentPort, workerData } from "node:worker_threads"
import { c, call, KernelError } from "../kernel/libc.ts"
import { enterNetwork, type Network } from "../kernel/namespace.ts"
import { confineThread } from "../kernel/seccomp.ts"
import { cleanEnvironment, tool } from "../kernel/tool.ts"
import { buildView, closeProc, type View } from "../kernel/view.ts"

/** Who the job runs as. */
export interface Identity {
  readonly uid: number
  readonly gid: number
  /** Supplementary groups. */
  readonly groups: readonly number[]
}

export interface LaunchOrder {
  readonly network: number
  readonly view: View
  readonly identity: Identity
  readonly command: readonly string[]
  readonly directory: string
  readonly environment: Readonly<Record<string, string>>
}

export type LaunchReport =
  /** The namespaces stand and nothing of the job runs; `go` starts it. */
  | { readonly kind: "ready"; readonly initPid: number }
  | { readonly kind: "started"; readonly pid: number }
  | { readonly kind: "failed"; readonly message: string; readonly status: number }
  | { readonly kind: "ended"; readonly code: number | null; readonly signal: string | null }

/** Docker's default set (moby oci/caps/defaults.go). */
const capabilities = [
  ...["chown", "dac_override", "fsetid", "fowner", "mknod", "net_raw", "setgid", "setuid"],
  ...["setfcap", "setpcap", "net_bind_service", "sys_chroot", "kill", "audit_write"],
]

/**
 * Process 1 of the job: gives it a /proc of its own, buries dead orphans, and ends, with all that
 * runs beside it, when the guard's end of descriptor 3 closes.
 *
 * Why not `read`: in dash the death of an orphan interrupts it, and that looks like the end; `wait`
 * goes on, and takes every dead child.
 */
const initScript = `
trap '' INT HUP TERM QUIT
mount -t proc -o nosuid,nodev,noexec proc /proc || exit 1
echo ready >&3
cat <&3 >/dev/null 2>&1 &
wait $!
exit 0
`

function report(message: LaunchReport): void {
  parentPort?.postMessage(message)
}

function startInit(): Promise<ChildProcess> {
  const init = spawn(tool("sh"), ["-c", initScript, "sluice-init"], {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
    env: cleanEnvironment,
    cwd: "/",
  })
  return new Promise((resolve, reject) => {
    let words = ""
    init.stderr?.on("data", (bytes: Buffer) => (words += bytes.toString()))
    init.once("error", reject)
    init.once("exit", () => reject(new Error(`Cannot start the job's first process: ${words}`)))
    init.stdio[3]?.once("data", () => resolve(init))
  })
}

function start(order: LaunchOrder): void {
  const { uid, gid, groups } = order.identity
  const set = `-all,${capabilities.map((name) => `+${name}`).join(",")}`
  const job = spawn(
    tool("setpriv"),
    [
      ...["--reuid", String(uid), "--regid", String(gid)],
      ...(groups.length === 0 ? ["--clear-groups"] : ["--groups", groups.join(",")]),
      ...["--bounding-set", set, "--inh-caps", "-all", "--ambient-caps", "-all", "--"],
      ...order.command,
    ],
    { stdio: "inherit", env: order.environment, cwd: order.directory },
  )
  job.once("error", (error) => report({ kind: "failed", message: error.message, status: 125 }))
  job.once("spawn", () => report({ kind: "started", pid: job.pid ?? 0 }))
  job.once("exit", (code, signal) => report({ kind: "ended", code, signal }))
}

async function launch(order: LaunchOrder): Promise<void> {
  enterNetwork(order.network as Network)
  const spaces = c.CLONE_NEWNS | c.CLONE_NEWIPC | c.CLONE_NEWUTS | c.CLONE_NEWPID
  call("unshare", "make the job's namespaces", spaces)
  // Why before the filter: mounting is done; nothing of the job's has run yet.
  buildView(order.view)
  const init = await startInit()
  closeProc()
  confineThread()
  parentPort?.on("message", (word: "go" | "end") => {
    if (word === "go") start(order)
    else init.kill("SIGKILL")
  })
  report({ kind: "ready", initPid: init.pid ?? 0 })
}

launch(workerData as LaunchOrder).catch((error: unknown) => {
  const message = error instanceof KernelError ? error.message : String(error)
  report({ kind: "failed", message, status: 125 })
})
