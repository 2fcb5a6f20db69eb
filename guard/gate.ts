/**
 * The entry of an unprivileged gate process: a worker that carries connections, or the resolver.
 *
 * It is started as root only because its code may lie where nobody else may read; it reads its order,
 * opens what it inherited, gives up root, and only then says that it is ready.
 */
import { Socket } from "node:net"
import { parseSpecialRanges, specialRanges } from "../net/special.ts"
import { compile } from "../policies/compile.ts"
import type { FromGuard, Order } from "./channel.ts"
import { guardLine } from "./guard-line.ts"
import { dropPrivileges } from "./privileges.ts"
import type { Serving } from "./serving.ts"

/** The inherited end of the channel to the guard. */
const channelDescriptor = 3

const stream = new Socket({ fd: channelDescriptor, readable: true, writable: true })
let serving: Serving | null = null

async function begin(order: Order): Promise<void> {
  const { serve } =
    order.role === "worker" ? await import("./worker.ts") : await import("./resolver.ts")
  const table =
    order.specialRanges === null ? specialRanges : parseSpecialRanges(order.specialRanges)
  if ("problem" in table) throw new Error(table.problem)
  const policy = compile(order.policy, table)
  dropPrivileges(order.uid)
  serving = await serve(order, policy, line)
  line.ready()
}

async function stop(): Promise<void> {
  await serving?.stop()
  await line.flushed()
  process.exit(0)
}

function receive(message: FromGuard): void {
  if (message.t === "order") begin(message).catch(fail)
  else if (message.t === "stop") stop().catch(fail)
}

/** Closed: what cannot go on ends, and with it every connection it carried. */
function fail(error: unknown): void {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  )
  process.exit(1)
}

process.on("uncaughtException", fail)
process.on("unhandledRejection", fail)
const line = guardLine(stream, receive, () => process.exit(0))
