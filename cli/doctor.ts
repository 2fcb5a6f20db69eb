/** `sluice doctor`: whether this machine can enforce, layer by layer, and what to do where it cannot. */
import { homedir } from "node:os"
import { parseArgs } from "node:util"
import { runsDirectory } from "../events/log-file.ts"
import type { Probe } from "../guard/probe.ts"
import { allProbes } from "../guard/probes.ts"
import { shown } from "../report/escape.ts"
import type { Io } from "./io.ts"

const help = `Usage: sluice doctor [--json]

Tries everything that sluice run needs, in namespaces of its own, and says what
is missing and how to get it. It changes nothing on the machine.

  --json  for programs: {"canEnforce", "probes": [{"layer", "state", "found", "cure"}]}

Exit status: 0 when this machine can enforce; 1 when it cannot; 2 for a wrong
option.
`

/**
 * @param probe For tests: other probes.
 * @returns The exit status.
 */
export async function doctorCommand(
  argv: readonly string[],
  io: Io,
  probe: (logs: string) => Promise<readonly Probe[]> = allProbes,
): Promise<number> {
  const options = optionsOf(argv)
  if (options === "help") {
    io.out(help)
    return 0
  }
  if (options !== "text" && options !== "json") {
    io.err(`sluice: ${shown(options.problem)}\nsluice: See: sluice doctor --help\n`)
    return 2
  }
  const probes = await probe(runsDirectory(homedir(), io.environment))
  const canEnforce = probes.every(({ state }) => state !== "fail")
  const colour = io.isTerminal && !io.environment["NO_COLOR"]
  io.out(
    options === "json"
      ? `${JSON.stringify({ canEnforce, probes }, null, 2)}\n`
      : page(probes, canEnforce, colour),
  )
  return canEnforce ? 0 : 1
}

function optionsOf(
  argv: readonly string[],
): "text" | "json" | "help" | { readonly problem: string } {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: { json: { type: "boolean" }, help: { type: "boolean", short: "h" } },
    })
    if (values.help === true) return "help"
    return values.json === true ? "json" : "text"
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

const colours: Readonly<Record<Probe["state"], number>> = { ok: 32, warn: 33, fail: 31 }

function page(probes: readonly Probe[], canEnforce: boolean, colour: boolean): string {
  const paint = (code: number, text: string): string =>
    colour ? `\u001b[${code}m${text}\u001b[0m` : text
  const wide = Math.max(...probes.map(({ layer }) => layer.length))
  const indent = " ".repeat(wide + 10)
  const lines = probes.flatMap(({ layer, state, found, cure }) => [
    `  ${paint(colours[state], state.padEnd(4))}  ${layer.padEnd(wide)}  ${shown(found)}`,
    ...(cure === null ? [] : [`${indent}${shown(cure)}`]),
  ])
  const failed = probes.filter(({ state, cure }) => state === "fail" && cure !== null).length
  const verdict = canEnforce
    ? paint(colours.ok, "This machine can enforce.")
    : paint(
        colours.fail,
        `This machine cannot enforce: ${failed === 1 ? "one thing is" : `${failed} things are`} missing.`,
      )
  return `${[...lines, "", verdict].join("\n")}\n`
}
