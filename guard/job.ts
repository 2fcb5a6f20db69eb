/** The job: its launching thread from the guard's side, and the signals on their way to it. */
import { Worker } from "node:worker_threads"
import { constants } from "node:os"
import type { LaunchOrder, LaunchReport } from "./launch.ts"

export interface Job {
  /** The job's first process, as the machine numbers it; its namespaces stand, nothing runs. */
  readonly initPid: number
  /** Starts the command; gives its exit status. */
  readonly go: () => Promise<number>
  /** The command's own pid once it runs; 0 before. */
  readonly pid: () => number
  /** Ends every process of the job at once. */
  readonly kill: () => Promise<void>
}

const killed = 128

/** Exit status as a shell gives it: 128+N for a command that died of signal N. */
function statusOf(code: number | null, signal: string | null): number {
  if (code !== null) return code
  return killed + (constants.signals[signal as NodeJS.Signals] ?? 0)
}

/**
 * Makes the job's namespaces.
 *
 * @throws Error saying what the machine refused; nothing of the job has run
 */
export function prepareJob(order: LaunchOrder): Promise<Job> {
  const thread = new Worker(new URL("./launch.js", import.meta.url), {
    workerData: order,
    // Why: the thread starts programs and nothing else.
    resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 },
  })
  let pid = 0
  return new Promise((resolve, reject) => {
    let ended: (status: number) => void = () => {}
    let failed: (error: Error) => void = reject
    thread.on("error", (error) => failed(error))
    thread.on("message", (message: LaunchReport) => {
      switch (message.kind) {
        case "ready":
          return resolve({
            initPid: message.initPid,
            pid: () => pid,
            go: () =>
              new Promise((give, refuse) => {
                ended = give
                failed = refuse
                thread.postMessage("go")
              }),
            async kill() {
              thread.postMessage("end")
              try {
                process.kill(message.initPid, "SIGKILL")
              } catch {
                // Why: it has ended already.
              }
              await thread.terminate()
            },
          })
        case "started":
          pid = message.pid
          return undefined
        case "failed":
          return failed(new Error(message.message))
        case "ended":
          return ended(statusOf(message.code, message.signal))
      }
    })
  })
}

/** A command that is just being started gets its signal a moment later. */
const notYetMs = 5
/** Time for the command to end by itself after it was asked to. */
const graceMs = 10_000

/**
 * Passes signals on to the command while it runs.
 *
 * @param atTerminal the command shares our terminal: what the keyboard sends reached it already
 * @param giveUp called when it was asked to end and did not
 * @returns what stops the passing on
 */
export function forwardSignals(job: Job, atTerminal: boolean, giveUp: () => void): () => void {
  const byKeyboard = new Set<NodeJS.Signals>(["SIGINT", "SIGQUIT"])
  const signals: NodeJS.Signals[] = ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"]
  const pass = (signal: NodeJS.Signals): void => {
    if (atTerminal && byKeyboard.has(signal)) return
    const pid = job.pid()
    // Why: 0 would be everybody in our own group, whoever called us included.
    if (pid <= 0) return void setTimeout(() => pass(signal), notYetMs)
    try {
      process.kill(pid, signal)
    } catch {
      // Why: it has just ended.
    }
    if (signal === "SIGTERM" || signal === "SIGHUP") setTimeout(giveUp, graceMs).unref()
  }
  for (const signal of signals) process.on(signal, pass)
  return () => {
    for (const signal of signals) process.off(signal, pass)
  }
}
