/**
 * Our own side as a user has it: `sluice run` on the machine, policy, attribution and the event log
 * on disk all switched on. The client commands are what it guards.
 */
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { addresses, counts, names, shellCommand, type Bed } from "../bed.ts"
import { authorityFile } from "../certificates.ts"
import type { Contestant, Load, Part, StartOptions } from "../contestant.ts"
import { argumentsOf, tree } from "../meter.ts"
import { list } from "../origin.ts"

export const eventsFile = "events.jsonl"

const launcher =
  process.env["BENCH_SLUICE"] ?? fileURLToPath(new URL("../../sluice", import.meta.url))

/** Every name of its own line, as a project lists its hosts: no wildcard, whose budgets would count. */
function policyText({ load = "tls", freshNames = 0 }: StartOptions): string {
  const lookups = [...list(counts.cached, names.cached), ...list(counts.forwarded, names.forwarded)]
  const opened = [names.page, names.registry, ...list(freshNames, names.fresh)]
  const rules: Readonly<Record<Load, readonly string[]>> = {
    tls: [names.page],
    names: [names.page, ...lookups],
    opened: opened.map((host) => `GET,HEAD https://${host}/**`),
  }
  return `mode: block\nallow:\n${rules[load].map((rule) => `  - ${rule}`).join("\n")}\n`
}

function sluiceCommand(bed: Bed, options: StartOptions): readonly string[] {
  const { workers, load = "tls" } = options
  const policy = bed.write(`sluice-${load}.yml`, policyText(options))
  const events = bed.file(eventsFile)
  const files = ["--policy", policy, "--events", events, "--upstream-ca", bed.file(authorityFile)]
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
  carries: ["tls", "opened", "names"],
  missing: () => (existsSync(launcher) ? null : `${launcher} does not exist`),
  async start(bed, options = {}) {
    const startedAt = performance.now()
    const client = bed.shell("machine", sluiceCommand(bed, options))
    // Why: the command starts only once enforcement stands, so its first word is the proof.
    await client.run("true")
    return {
      name: "Sluice",
      carries: ["tls", "opened", "names"],
      speaks: ["HTTP/1.1", "HTTP/2"],
      client,
      startedInS: (performance.now() - startedAt) / 1000,
      choose: () => bed.redirect({}),
      processes: (): Part[] => tree(client.pid, isJob).map((pid) => ({ role: role(pid), pid })),
      stop: () => client.stop(),
    }
  },
}
