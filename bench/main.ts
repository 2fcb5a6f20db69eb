/**
 * `npm run bench`: our side and each peer that is installed, in one run, interleaved; medians and
 * ratios, beside the goals.
 *
 *   --install-peers   fetch the peers from Debian first
 *   --only W2,W5      these workloads
 *   --with A,B        these contestants, by name
 *   --runs N          counted runs (default 5)
 *   --quick           one run, small files: does it work?
 *   --record          append the tables to bench/RESULTS.md
 *   --soak            100,000 connections and 20 GB, memory over time
 *   --soak requests   1,000,000 requests over 2,000 names and 50 GB, memory and descriptors over time;
 *                     other extents by --requests N --names N --downloads N (of 1 GiB each)
 */
import { execFileSync } from "node:child_process"
import { appendFileSync } from "node:fs"
import { cpus, release } from "node:os"
import { parseArgs } from "node:util"
import { Bed } from "./bed.ts"
import type { Contestant } from "./contestant.ts"
import { originMissing, startOrigin } from "./origin.ts"
import { dnsmasq } from "./peers/dnsmasq.ts"
import { haproxy, haproxyOpening, haproxySplicing } from "./peers/haproxy.ts"
import { httpMitmProxy } from "./peers/http-mitm-proxy.ts"
import { mitmproxy, mitmproxyOpening } from "./peers/mitmproxy.ts"
import { mockttp } from "./peers/mockttp.ts"
import { nginx, nginxOpening } from "./peers/nginx.ts"
import { installNpmPeers } from "./peers/npm-peer.ts"
import { sluice } from "./peers/sluice.ts"
import { squid, squidOpening } from "./peers/squid.ts"
import { sslsplit } from "./peers/sslsplit.ts"
import { unbound } from "./peers/unbound.ts"
import { unguarded } from "./peers/unguarded.ts"
import { soak } from "./soak.ts"
import { soakRequests } from "./soak-requests.ts"
import { printTables } from "./table.ts"
import { build } from "./workloads/build.ts"
import { connections } from "./workloads/connections.ts"
import { download } from "./workloads/download.ts"
import { handshakes } from "./workloads/handshakes.ts"
import { lookups } from "./workloads/lookups.ts"
import { memory } from "./workloads/memory.ts"
import { openedDownload } from "./workloads/opened-download.ts"
import { requests } from "./workloads/requests.ts"
import { starting } from "./workloads/starting.ts"
import type { Settings, Table } from "./workloads/workload.ts"

const contestants: readonly Contestant[] = [
  ...[unguarded, sluice],
  ...[haproxyOpening, nginxOpening, squidOpening, sslsplit],
  ...[mitmproxyOpening, httpMitmProxy, mockttp],
  ...[haproxy, haproxySplicing, nginx, squid, mitmproxy, dnsmasq, unbound],
]
const workloads = [
  ...[openedDownload, download, requests, handshakes, memory],
  ...[connections, lookups, starting, build],
]
const packages = [
  ...["haproxy", "nginx", "libnginx-mod-stream", "squid-openssl", "mitmproxy", "dnsmasq-base"],
  ...["sslsplit", "unbound", "dnsperf", "wrk", "nghttp2-client", "curl", "openssl", "python3"],
]
const gib = 1 << 30

const { values, positionals } = parseArgs({
  options: {
    "install-peers": { type: "boolean" },
    only: { type: "string" },
    with: { type: "string" },
    runs: { type: "string" },
    quick: { type: "boolean" },
    record: { type: "boolean" },
    soak: { type: "boolean" },
    requests: { type: "string" },
    names: { type: "string" },
    downloads: { type: "string" },
  },
  allowPositionals: true,
})

function say(text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}

function present(): Contestant[] {
  const wanted = values.with?.split(",")
  return contestants.filter((contestant) => {
    if (wanted !== undefined && !wanted.includes(contestant.name)) return false
    const missing = contestant.missing()
    if (missing !== null) say(`without ${contestant.name}: ${missing}`)
    return missing === null
  })
}

async function measure(bed: Bed): Promise<Table[]> {
  const quick = values.quick === true
  const settings: Settings = {
    runs: quick ? 1 : Number(values.runs ?? 5),
    seconds: quick ? 2 : 3,
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

/** 50 GB are 47 files of 1 GiB. */
const soakExtent = { requests: 1_000_000, names: 2_000, downloads: 47 } as const

function soaking(bed: Bed): Promise<Table> {
  if (positionals[0] !== "requests") return soak(bed, say)
  const extent = {
    requests: Number(values.requests ?? soakExtent.requests),
    names: Number(values.names ?? soakExtent.names),
    downloads: Number(values.downloads ?? soakExtent.downloads),
  }
  return soakRequests(bed, extent, say)
}

async function main(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error("Cannot measure: this is not root, must be")
  if (values["install-peers"] === true) {
    execFileSync("apt-get", ["install", "-y", ...packages], { stdio: "inherit" })
    installNpmPeers()
  }
  const missing = originMissing()
  if (missing !== null) throw new Error(`Cannot measure: ${missing}; try --install-peers`)
  const bed = new Bed()
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void bed.remove().finally(() => process.exit(130)))
  }
  try {
    await startOrigin(bed, values.quick === true ? gib / 4 : gib)
    const tables = values.soak === true ? [await soaking(bed)] : await measure(bed)
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
