/** The guard's side of its gate processes: started, ordered, answered, started anew when they die. */
import { spawn, type ChildProcess } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Duplex } from "node:stream"
import { cleanEnvironment, tool } from "../kernel/tool.ts"
import { fromGate, type FromGate, type FromGuard, type Order } from "./channel.ts"
import { lines } from "./lines.ts"

/** Answers a gate's message; the promise holds the gate's next ones back. */
export type Answer = (message: FromGate) => FromGuard | null | Promise<FromGuard | null>

export interface Gates {
  /** Resolves when every process serves. */
  readonly ready: Promise<void>
  readonly pids: () => readonly number[]
  /** Ends all, once they have told what they know. */
  readonly stop: () => Promise<void>
}

export interface GateOrder extends Omit<Order, "t" | "listeners" | "datagrams"> {
  /** Descriptors of ours that the process inherits. */
  readonly tcp: readonly number[]
  readonly udp: readonly number[]
}

/** Where inherited sockets begin: 0 to 2 are the usual ones, 3 is the channel. */
const firstInherited = 4
/** A process that keeps dying is not started more often than this; the job then has no network. */
const restartsMax = 100
const restartDelayMs = 50
/** Time to tell what was not told yet. */
const stopTimeoutMs = 5_000
const entry = fileURLToPath(new URL("./gate.js", import.meta.url))

/** `setpriv` and `prlimit` are of util-linux; both end in exec, so the pid stays. */
function start(order: GateOrder): ChildProcess {
  const inherited = [...order.tcp, ...order.udp]
  return spawn(
    tool("prlimit"),
    [
      ...["--core=0", "--fsize=0", "--"],
      ...[tool("setpriv"), "--no-new-privs", "--"],
      ...[process.execPath, "--max-semi-space-size=4", entry, order.role],
    ],
    {
      stdio: ["ignore", "ignore", "pipe", "pipe", ...inherited],
      env: cleanEnvironment,
      cwd: "/",
      // Why: a session of its own, so that Ctrl-C in the terminal reaches the command alone.
      detached: true,
    },
  )
}

function orderOf(
  { tcp: _tcp, udp: _udp, ...facts }: GateOrder,
  listeners: readonly number[],
  datagrams: readonly number[],
): Order {
  return { t: "order", ...facts, listeners, datagrams }
}

function startFailed(role: Order["role"], words: string): Error {
  const [line = ""] = words.trim().split("\n")
  return new Error(`Cannot enforce: the ${role} of the gate did not start (${line})`)
}

/**
 * Starts one process for each order and keeps them alive until `stop`.
 *
 * @param answer what the guard says to each message
 * @param died told of every death that was not asked for
 */
export function startGates(
  orders: readonly GateOrder[],
  answer: Answer,
  died: (role: Order["role"], words: string) => void,
): Gates {
  const running = new Set<ChildProcess>()
  let stopping = false
  let restarts = 0

  const run = (
    order: GateOrder,
    ready: () => void,
    failed: ((why: Error) => void) | null,
  ): void => {
    const child = start(order)
    running.add(child)
    let served = false
    let words = ""
    child.stderr?.on("data", (bytes: Buffer) => (words = (words + bytes.toString()).slice(-4096)))
    const inherited = order.tcp.map((_, index) => firstInherited + index)
    const datagrams = order.udp.map((_, index) => firstInherited + order.tcp.length + index)
    const line = lines(
      child.stdio[3] as Duplex,
      (raw) => {
        const message = fromGate(raw)
        if (message === null) {
          words += "a message that is none"
          child.kill("SIGKILL")
        } else if (message.t === "ready") {
          served = true
          ready()
        } else void Promise.resolve(answer(message)).then((reply) => reply && line.send(reply))
      },
      () => {},
    )
    line.send(orderOf(order, inherited, datagrams))
    stops.set(child, () => line.send({ t: "stop" }))
    child.once("exit", () => {
      running.delete(child)
      stops.delete(child)
      line.close()
      if (stopping) return
      // Why not started anew: what fails before it ever served will fail again.
      if (failed !== null && !served) return failed(startFailed(order.role, words))
      died(order.role, words.trim())
      if (++restarts > restartsMax) return
      setTimeout(() => !stopping && run(order, () => {}, null), restartDelayMs)
    })
  }
  const stops = new Map<ChildProcess, () => void>()
  const ready = orders.map(
    (order) => new Promise<void>((resolve, reject) => run(order, resolve, reject)),
  )

  return {
    ready: Promise.all(ready).then(() => undefined),
    pids: () => [...running].flatMap(({ pid }) => (pid === undefined ? [] : [pid])),
    async stop() {
      stopping = true
      const ended = [...running].map((child) => {
        const end = new Promise((resolve) => child.once("exit", resolve))
        stops.get(child)?.()
        const timer = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs)
        return end.then(() => clearTimeout(timer))
      })
      await Promise.all(ended)
    },
  }
}
