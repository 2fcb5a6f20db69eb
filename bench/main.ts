/**
 * `npm run bench`: our side and each peer that is installed, in one run, interleaved; medians and
 * ratios, beside the goals.
 *
 *   --install-peers   fetch the peers from Debian first
 *   --only W2,W5      these workloads
 *   --runs N          counted runs (default 5)
 *   --quick           one run, small files: does it work?
 *   --record          append the tables to bench/RESULTS.md
 *   --soak            100,000 connections and 20 GB, memory over time
 */
import { execFileSync } from "node:child_process"
import { appendFileSync } from "node:fs"
import { cpus, release } from "node:os"
import { parseArgs } from "node:util"
import { Bed } from "./bed.ts"
import type { Contestant } from "./contestant.ts"
import { originMissing, startOrigin } from "./origin.ts"
import { dnsmasq } from "./peers/dnsmasq.ts"
import { haproxy, haproxySplicing } from "./peers/haproxy.ts"
import { mitmproxy } from "./peers/mitmproxy.ts"
import { nginx } from "./peers/nginx.ts"
import { sluice } from "./peers/sluice.ts"
import { squid } from "./peers/squid.ts"
import { unbound } from "./peers/unbound.ts"
import { unguarded } from "./peers/unguarded.ts"
import { soak } from "./soak.ts"
import { printTables } from "./table.ts"
import { connections } from "./workloads/connections.ts"
import { download } from "./workloads/download.ts"
import { lookups } from "./workloads/lookups.ts"
import { starting } from "./workloads/starting.ts"
import type { Settings, Table } from "./workloads/workload.ts"

const contestants: readonly Contestant[] = [
  ...[unguarded, sluice, haproxy, haproxySplicing, nginx, squid, mitmproxy, dnsmasq, unbound],
]
const workloads = [download, connections, lookups, starting]
const packages = [
  ...["haproxy", "nginx", "libnginx-mod-stream", "squid-openssl", "mitmproxy", "dnsmasq-base"],
  ...["unbound", "dnsperf", "wrk", "curl", "openssl", "python3"],
]
const gib = 1 << 30

const { values } = parseArgs({
  options: {
    "install-peers": { type: "boolean" },
    only: { type: "string" },
    runs: { type: "string" },
    quick: { type: "boolean" },
    record: { type: "boolean" },
    soak: { type: "boolean" },
  },
})

function say(text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}

function present(): Contestant[] {
  return contestants.filter((contestant) => {
    const missing = contestant.missing()
    if (missing !== null) say(`without ${contestant.name}: ${missing}`)
    return missing === null
  })
}

async function measure(bed: Bed): Promise<Table[]> {
  const quick = values.quick === true
  const settings: Settings = {
    runs: quick ? 1 : Number(values.runs ?? 5),
    seconds: quick ? 1 : 3,
    say,
  }
  const wanted = values.only?.split(",")
  const tables: Table[] = []
  for (const workload of workloads) {
    if (wanted !== undefined && !wanted.includes(workload.id)) continue
    tables.push(...(await workload.run(bed, present(), settings)))
  }
  return tables
}

async function main(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error("Cannot measure: this is not root, must be")
  if (values["install-peers"] === true) {
    execFileSync("apt-get", ["install", "-y", ...packages], { stdio: "inherit" })
  }
  const missing = originMissing()
  if (missing !== null) throw new Error(`Cannot measure: ${missing}; try --install-peers`)
  const bed = new Bed()
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void bed.remove().finally(() => process.exit(130)))
  }
  try {
    await startOrigin(bed, values.quick === true ? gib / 16 : gib)
    const tables = values.soak === true ? [await soak(bed, say)] : await measure(bed)
    const text = printTables(tables)
    process.stdout.write(text)
    if (values.record === true) {
      const machine = `${cpus().length} cores, Linux ${release()}, Node ${process.version}`
      const head = `\n## ${new Date().toISOString().slice(0, 16)} UTC · ${machine}\n\n`
      appendFileSync(new URL("RESULTS.md", import.meta.url), head + text)
    }
  } finally {
    await bed.remove()
  }
}

try {
  await main()
} catch (error) {
  say(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
process.exit()
