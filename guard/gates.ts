/** The guard's side of its gate processes: started, ordered, answered, started anew when they die. */
import { spawn, type ChildProcess } from "node:child_process"
import { setPriority } from "node:os"
import { fileURLToPath } from "node:url"
import type { Duplex } from "node:stream"
import { cleanEnvironment, tool } from "../kernel/tool.ts"
import { fromGate, type FromGate, type FromGuard, type Order } from "./channel.ts"
import { lines, type Lines } from "./lines.ts"

/** Answers a gate's message; too many promises that are still open hold its next messages back. */
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
/** What is kept of a process's last words, in characters. */
const wordsMax = 4096
/** Time to tell what was not told yet. */
const stopTimeoutMs = 5_000
const entry = fileURLToPath(new URL("./gate.js", import.meta.url))

/**
 * Niceness (sched(7)). A name takes microseconds, and a whole build waits for it; without this it waits
 * behind the handshakes of workers and of the job itself.
 */
const niceness: Readonly<Record<Order["role"], number>> = { resolver: -10, worker: 0 }

/** Before the process has threads of its own: each has a niceness, and inherits it. */
function prefer(child: ChildProcess, role: Order["role"]): void {
  if (child.pid === undefined || niceness[role] === 0) return
  try {
    setPriority(child.pid, niceness[role])
  } catch {
    // Why: a container may have root without CAP_SYS_NICE; names are then as fast as all else.
  }
}

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

/** Asks a process to end, waits for it, and makes it end when it does not. */
async function end(child: ChildProcess, ask: (() => void) | undefined): Promise<void> {
  const ended = new Promise((resolve) => child.once("exit", resolve))
  ask?.()
  const timer = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs)
  await ended
  clearTimeout(timer)
}

function orderOf(
  { tcp: _tcp, udp: _udp, ...facts }: GateOrder,
  listeners: readonly number[],
  datagrams: readonly number[],
): Order {
  return { t: "order", ...facts, listeners, datagrams }
}

/**
 * Sends the answer to one message. What a gate process says may be made to break the guard: a message
 * that cannot be answered costs the gate its life, never the guard its own.
 */
function replyTo(
  message: FromGate,
  answer: Answer,
  line: Lines,
  broken: (why: string) => void,
): Promise<void> | null {
  const failed = (error: unknown): void => {
    broken(`It sent a message that cannot be answered (${String(error).slice(0, wordsMax)}).`)
  }
  // Why wait: a process that asks and does not read would fill our memory.
  const send = (reply: FromGuard | null): Promise<void> | null =>
    reply === null || line.send(reply) ? null : line.drained()
  try {
    const reply = answer(message)
    // Why not always a promise: most messages are answered at once, hundreds of them in a turn.
    if (!(reply instanceof Promise)) return send(reply)
    return reply.then(async (made) => (await send(made)) ?? undefined).catch(failed)
  } catch (error) {
    failed(error)
    return null
  }
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
    prefer(child, order.role)
    running.add(child)
    let served = false
    let words = ""
    child.stderr?.on(
      "data",
      (bytes: Buffer) => (words = (words + bytes.toString()).slice(-wordsMax)),
    )
    const inherited = order.tcp.map((_, index) => firstInherited + index)
    const datagrams = order.udp.map((_, index) => firstInherited + order.tcp.length + index)
    const broken = (why: string): void => {
      words += why
      child.kill("SIGKILL")
    }
    const line = lines(
      child.stdio[3] as Duplex,
      (raw) => {
        const message = fromGate(raw)
        if (message === null) return broken("It sent a message that is none.")
        if (message.t !== "ready") return replyTo(message, answer, line, broken)
        served = true
        return ready()
      },
      () => {},
    )
    line.send(orderOf(order, inherited, datagrams))
    stops.set(child, () => line.send({ t: "stop" }))
    const ended = (): void => {
      if (!running.delete(child)) return
      stops.delete(child)
      line.close()
      if (stopping) return
      // Why not started anew: what fails before it ever served will fail again.
      if (failed !== null && !served) return failed(startFailed(order.role, words))
      died(order.role, words.trim())
      if (++restarts > restartsMax) return
      setTimeout(() => !stopping && run(order, () => {}, null), restartDelayMs)
    }
    child.once("exit", ended)
    // Why: a job that has taken all process numbers must not end the guard thereby.
    child.once("error", (error) => {
      words += error.message
      ended()
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
      await Promise.all([...running].map((child) => end(child, stops.get(child))))
    },
  }
}
