/**
 * Our own side as a user has it: `sluice run` on the machine, policy, attribution and the event log
 * on disk all switched on. The client commands are what it guards.
 */
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { addresses, counts, names, shellCommand, type Bed } from "../bed.ts"
import type { Contestant, Part, StartOptions } from "../contestant.ts"
import { argumentsOf, tree } from "../meter.ts"
import { list } from "../origin.ts"

const launcher =
  process.env["BENCH_SLUICE"] ?? fileURLToPath(new URL("../../sluice", import.meta.url))

/** Every name of its own line, as a project lists its hosts: no wildcard, whose budgets would count. */
function policyText(manyNames: boolean): string {
  const many = [...list(counts.cached, names.cached), ...list(counts.forwarded, names.forwarded)]
  const hosts = [names.page, ...(manyNames ? many : [])]
  return `mode: block\nallow:\n${hosts.map((host) => `  - ${host}`).join("\n")}\n`
}

function sluiceCommand(bed: Bed, { workers, manyNames }: StartOptions): readonly string[] {
  const policy = bed.write("sluice.yml", policyText(manyNames === true))
  const files = ["--policy", policy, "--events", bed.file("events.jsonl")]
  const count = workers === undefined ? [] : ["--workers", `${workers}`]
  return [
    launcher,
    "run",
    "--quiet",
    ...files,
    ...count,
    "--upstream-dns",
    addresses.resolver,
    "--",
  ]
}

/** The client's shell and all below it: the job, not the firewall. */
function isJob(pid: number): boolean {
  const argv = argumentsOf(pid)
  return argv.length === shellCommand.length && shellCommand.every((part, i) => argv[i] === part)
}

/** What a process of ours does, from its command line. */
function role(pid: number): string {
  const argv = argumentsOf(pid)
  const last = argv.at(-1) ?? ""
  if (last === "worker" || last === "resolver") return last
  return argv.includes("run") ? "guard" : "other"
}

export const sluice: Contestant = {
  name: "Sluice",
  carries: ["tls", "names"],
  missing: () => (existsSync(launcher) ? null : `${launcher} does not exist`),
  async start(bed, options = {}) {
    const startedAt = performance.now()
    const client = bed.shell("machine", sluiceCommand(bed, options))
    // Why: the command starts only once enforcement stands, so its first word is the proof.
    await client.run("true")
    return {
      name: "Sluice",
      carries: ["tls", "names"],
      client,
      startedInS: (performance.now() - startedAt) / 1000,
      choose: () => bed.redirect({}),
      processes: (): Part[] => tree(client.pid, isJob).map((pid) => ({ role: role(pid), pid })),
      stop: () => client.stop(),
    }
  },
}
