/**
 * The program: finds the command that is meant, gives it its surroundings, ends with its status.
 * ✋ The only file of the command line that ends the process.
 *
 * A command's file is loaded only when it is asked for: `sluice run` is at work before the rest of
 * the program would have been read.
 */
import { writeSync } from "node:fs"
import { isatty, WriteStream } from "node:tty"
import type { Io } from "./io.ts"
import { unknownCommand, usage, type Command } from "./usage.ts"

/** The command line is wrong. */
const wrong = 2
/** The oldest Node.js that this runs on; `engines` of package.json says the same. */
const nodeMajorMin = 20
/** Sluice itself failed. Where a command was to be run, it was not started or is ended. */
const failed = 125

type Run = (argv: readonly string[], io: Io) => number | Promise<number>

const commands: readonly (Command & { readonly load: () => Promise<Run> })[] = [
  {
    name: "run",
    does: "Runs a command whose every packet passes the firewall.",
    load: async () => (await import("./run.ts")).runCommand,
  },
  {
    name: "demo",
    does: "Shows a theft in a build, watched first and then stopped.",
    load: async () => (await import("./demo.ts")).demoCommand,
  },
  {
    name: "report",
    does: "Says what a run reached and what it was denied.",
    load: async () => (await import("./report.ts")).reportCommand,
  },
  {
    name: "policy",
    does: "Checks a policy, or explains what it does with a target.",
    load: async () => (await import("./policy.ts")).policyCommand,
  },
  {
    name: "ca",
    does: "Shows or installs the authority that programs are to trust.",
    load: async () => (await import("./ca.ts")).caCommand,
  },
  {
    name: "doctor",
    does: "Says whether this machine can enforce, and what is missing.",
    load: async () => (await import("./doctor.ts")).doctorCommand,
  },
]

/**
 * Writes all of a text, whatever the descriptor is.
 *
 * Why not `process.stdout`: it would make the pipe that the guarded command shares with us
 * non-blocking, and programs do not bear that.
 */
function write(descriptor: number, text: string): void {
  const bytes = Buffer.from(text)
  let from = 0
  while (from < bytes.length) {
    try {
      from += writeSync(descriptor, bytes, from)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== "EAGAIN") return
      wait(retryMs)
    }
  }
}

/** Somebody else made the descriptor non-blocking and its reader is slow. */
const retryMs = 5

function wait(timeMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, timeMs)
}

const io: Io = {
  out: (text) => write(1, text),
  err: (text) => write(2, text),
  environment: process.env,
  isTerminal: isatty(1),
  get columns() {
    return (isatty(1) && new WriteStream(1).columns) || 80
  },
}

/** What the first words ask for; gives the exit status. */
async function main([name, ...rest]: readonly string[]): Promise<number> {
  if (name === undefined) {
    io.err(usage(commands))
    return wrong
  }
  if (name === "help" && rest[0] !== undefined) return main([rest[0], "--help"])
  if (name === "--help" || name === "-h" || name === "help") {
    io.out(usage(commands))
    return 0
  }
  if (name === "--version" || name === "-V") {
    const { version } = await import("../guard/version.ts")
    io.out(`sluice ${version()}\n`)
    return 0
  }
  const command = commands.find((each) => each.name === name)
  if (command === undefined) {
    io.err(unknownCommand(name, commands))
    return wrong
  }
  const run = await command.load()
  return run(rest, io)
}

/** A fault of ours: said once, in full, so that it can be reported. */
function fail(error: unknown): never {
  const words = error instanceof Error ? (error.stack ?? error.message) : String(error)
  io.err(`Sluice has failed: ${words}`.replaceAll(/^/gm, "sluice: ") + "\n")
  process.exit(failed)
}

process.on("uncaughtException", fail)
process.on("unhandledRejection", fail)
// Why here too: sudo may find another node than the one that prepared the program.
if (Number.parseInt(process.versions.node, 10) < nodeMajorMin) {
  io.err(
    `sluice: Cannot start: Node.js is ${process.version}, must be ${nodeMajorMin} or newer (${process.execPath})\n`,
  )
  process.exit(failed)
}
process.exit(await main(process.argv.slice(2)))
