/**
 * `sluice demo`: the whole story with nothing else needed. A small Internet in namespaces, a build
 * with a poisoned dependency, in audit and then in block mode. ✋ Builds namespaces, takes signals,
 * removes its directory.
 */
import { accessSync, constants, rmSync } from "node:fs"
import { delimiter, join } from "node:path"
import { parseArgs } from "node:util"
import { attempt, find } from "../guard/attempt.ts"
import { openLab } from "../lab/internet.ts"
import { build, makeDirectory, searchPath, type Build } from "./demo-build.ts"
import {
  buildEnded,
  buildStarts,
  comparison,
  ending,
  faults,
  opening,
  type Paper,
} from "./demo-story.ts"
import type { Io } from "./io.ts"

export const demoHelp = `Usage: sluice demo [--keep]

Shows on this machine alone, in a few seconds and without any network, what
Sluice does: a small internet in network namespaces, a build that needs its
registry, and a poisoned dependency that steals a token by name, by address, in
DNS labels and by UDP. First in audit mode, then in block mode; both reports, and
what the attacker's servers received each time.

Needs root, nftables, iproute2 and npm. Leaves nothing behind.

  --keep  keep the two projects and their event logs, and say where they are

Exit status: 0 when audit let every theft through, block none, and both builds
succeeded; 1 when not; 2 for a wrong option; 125 when it cannot run here.
`

const wrongOption = 2
const cannot = 125

/** @returns The exit status. */
export async function demoCommand(argv: readonly string[], io: Io): Promise<number> {
  const options = optionsOf(argv)
  if ("problem" in options) {
    io.err(`sluice: ${options.problem}\nsluice: See: sluice demo --help\n`)
    return wrongOption
  }
  if (options.help) {
    io.out(demoHelp)
    return 0
  }
  const missing = await missingHere(io)
  if (missing !== null) {
    io.err(`sluice: Cannot run the demo: ${missing}\n`)
    return cannot
  }
  const stop = new AbortController()
  let caught = 0
  const take = (name: string, number: number): void => {
    if (caught === 0) io.err(`sluice: stopped by ${name}; taking everything down\n`)
    caught = number
    stop.abort()
  }
  for (const signal of signals) process.on(signal, take)
  try {
    return await play(io, options.keep, stop.signal)
  } catch (error) {
    if (caught > 0) return 128 + caught
    const words = error instanceof Error ? error.message : String(error)
    io.err(`sluice: Cannot run the demo: ${words}\n`)
    return cannot
  } finally {
    for (const signal of signals) process.off(signal, take)
  }
}

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const

function optionsOf(
  argv: readonly string[],
): { readonly help: boolean; readonly keep: boolean } | { readonly problem: string } {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: { keep: { type: "boolean" }, help: { type: "boolean", short: "h" } },
    })
    return { help: values.help === true, keep: values.keep === true }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

/** Which Debian package holds what the demonstration starts. */
const packages = {
  nft: "nftables",
  ip: "iproute2",
  nsenter: "util-linux",
  setpriv: "util-linux",
} as const

/** What stands in the way, with its cure; null: nothing. */
async function missingHere(io: Io): Promise<string | null> {
  if (process.getuid?.() !== 0) {
    return "this is not root, must be root to make network namespaces; try: sudo sluice demo"
  }
  const absent = Object.entries(packages).filter(([program]) => find(program) === null)
  if (absent.length > 0) {
    const names = absent.map(([program]) => program).join(" and ")
    const cure = `apt-get install ${[...new Set(absent.map(([, name]) => name))].join(" ")}`
    return `${names} ${absent.length === 1 ? "is" : "are"} not installed, must be; try: ${cure}`
  }
  if (!hasNpm(io)) return "npm is not installed, must be; try: apt-get install npm"
  const tried = await attempt("unshare", ["--net", "true"])
  return tried.kind === "failed"
    ? "network namespaces cannot be made here, must be possible; see: sluice doctor"
    : null
}

function hasNpm({ environment }: Io): boolean {
  return searchPath(environment)
    .split(delimiter)
    .some((folder) => {
      try {
        accessSync(join(folder, "npm"), constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

async function play(io: Io, keep: boolean, abort: AbortSignal): Promise<number> {
  const colour = io.isTerminal && !io.environment["NO_COLOR"]
  const paper: Paper = { columns: io.columns, colour }
  const directory = makeDirectory(io.environment)
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  if (!keep) process.once("exit", remove)
  const lab = await openLab()
  try {
    io.out(opening(paper))
    const builds: Build[] = []
    for (const mode of ["audit", "block"] as const) {
      abort.throwIfAborted()
      io.out(buildStarts(mode, paper))
      const made = await build(lab, mode, directory, io.environment, abort)
      abort.throwIfAborted()
      io.out(buildEnded(made, paper))
      if (!made.works) io.err(led(`${made.npm.stdout}${made.npm.stderr}`))
      builds.push(made)
    }
    const problems = faults(builds)
    io.out(comparison(builds, paper))
    io.out(ending(problems, paper))
    if (keep) io.out(`\nKept: ${directory}\n`)
    return problems.length === 0 ? 0 : 1
  } finally {
    await lab.close()
    if (!keep) remove()
  }
}

/** What a failed build said, each line led so that no CI runner takes it for a command. */
function led(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, "sluice: ") + "\n"
}
