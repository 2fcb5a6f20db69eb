/**
 * Many requests over many names, and many bytes, through TLS that is opened: neither memory nor
 * descriptors may grow with what has passed. Each name is met again on every lap, when the leaf that was
 * made for it may be gone.
 */
import { statSync } from "node:fs"
import { freshZone, type Bed } from "./bed.ts"
import { curlCommand, curlDownloaded, h2loadCommand } from "./clients.ts"
import type { Firewall, Protocol } from "./contestant.ts"
import { openFiles, rssMib } from "./meter.ts"
import { eventsFile, sluice } from "./peers/sluice.ts"
import { mustOpen } from "./workloads/start-all.ts"
import type { Row, Table } from "./workloads/workload.ts"

export interface Extent {
  readonly requests: number
  readonly names: number
  /** Downloads of the big file, which has 1 GiB except with `--quick`. */
  readonly downloads: number
}

const laps = 2
const roundsPerLap = 20
/** At the end of a lap, which are held against those of the other. */
const roundsHeld = 3
const connectionsPerName = 4
/** Connections that were just used have ended, and their ends were written, after this time. */
const settleMs = 2_000
const roles = ["guard", "worker", "resolver"] as const
const mib = 1 << 20

interface Passed {
  requests: number
  failed: number
  requestsTookS: number
  bytes: number
  bytesTookS: number
}

function protocolOf(turn: number): Protocol {
  return turn % 2 === 0 ? "HTTP/1.1" : "HTTP/2"
}

/** Asks every name of the round, over one protocol and then the other. */
async function ask(
  { client }: Firewall,
  passed: Passed,
  [first, last]: readonly [number, number],
  each: number,
): Promise<void> {
  const commands = (["HTTP/1.1", "HTTP/2"] as const).map((protocol, half) => {
    const options = { connections: connectionsPerName, streams: protocol === "HTTP/2" ? 4 : 1 }
    const url = `https://n$i.${freshZone}/page`
    const load = h2loadCommand(url, `-n ${each}`, options, protocol)
    return `for i in $(seq ${first + half} 2 ${last}); do ${load} | grep 'status codes'; done`
  })
  const startedAt = performance.now()
  const printed = await client.run(`${commands.join("\n")}\ntrue`)
  passed.requestsTookS += (performance.now() - startedAt) / 1000
  const good = [...printed.matchAll(/status codes: (\d+) 2xx/g)]
  const served = good.reduce((sum, [, count]) => sum + Number(count), 0)
  passed.requests += served
  passed.failed += each * (last - first + 1) - served
}

async function download({ client }: Firewall, passed: Passed, turn: number): Promise<void> {
  const startedAt = performance.now()
  const url = `https://n${turn}.${freshZone}/big`
  const printed = await client.run(curlCommand(url, protocolOf(turn)))
  passed.bytes += curlDownloaded(printed, protocolOf(turn)).bytes
  passed.bytesTookS += (performance.now() - startedAt) / 1000
}

function sample(firewall: Firewall): Record<string, number> {
  const parts = firewall.processes()
  const pids = (role: string): number[] =>
    parts.filter((part) => part.role === role).map(({ pid }) => pid)
  const memory = roles.map((role) => [`${role} MiB`, rssMib(pids(role))] as const)
  const files = roles.map((role) => [`${role} fds`, openFiles(pids(role))] as const)
  const all = memory.reduce((sum, [, value]) => sum + value, 0)
  return { ...Object.fromEntries(memory), "all MiB": all, ...Object.fromEntries(files) }
}

/**
 * The least of the last rounds. Why not the last: what was just opened to look something up, or waits
 * for the collector, is gone in the next, and what leaks is not.
 */
function least(rows: readonly Row[], column: string): number {
  const values = rows.slice(-roundsHeld).map(({ figures }) => figures[column] ?? Number.NaN)
  return Math.min(...values)
}

function table(rows: readonly Row[], passed: Passed, eventsMib: number, tookS: number): Table {
  const firstLap = rows.slice(0, Math.floor(rows.length / laps))
  const grown = (column: string): number => least(rows, column) / least(firstLap, column)
  const more = (column: string): number => least(rows, column) - least(firstLap, column)
  return {
    title: "Soak: requests over many names, opened (resident MiB, open descriptors)",
    rows,
    goals: [
      { what: "memory at the end, × after the first lap", figure: grown("all MiB"), atMost: 1.15 },
      ...roles.map((role) => ({
        what: `descriptors of ${role} more than after the first lap`,
        figure: more(`${role} fds`),
        atMost: 4,
      })),
      { what: "requests that failed", figure: passed.failed, atMost: 0 },
      { what: "requests", figure: passed.requests },
      { what: "requests/s", figure: passed.requests / passed.requestsTookS },
      { what: "GB downloaded", figure: passed.bytes / 1e9 },
      { what: "MB/s", figure: passed.bytes / 1e6 / passed.bytesTookS },
      { what: "event log, MiB", figure: eventsMib },
      { what: "minutes", figure: tookS / 60 },
    ],
  }
}

export async function soakRequests(
  bed: Bed,
  extent: Extent,
  say: (text: string) => void,
): Promise<Table> {
  const firewall = await sluice.start(bed, { load: "opened", freshNames: extent.names })
  await mustOpen(firewall)
  const rounds = laps * roundsPerLap
  const perRound = Math.ceil(extent.names / roundsPerLap)
  const each = Math.max(connectionsPerName, Math.ceil(extent.requests / extent.names / laps))
  const passed: Passed = { requests: 0, failed: 0, requestsTookS: 0, bytes: 0, bytesTookS: 0 }
  const rows: Row[] = []
  const startedAt = performance.now()
  let downloads = 0
  for (let round = 0; round < rounds; round++) {
    const first = (round % roundsPerLap) * perRound
    const last = Math.min(first + perRound, extent.names) - 1
    if (last >= first) await ask(firewall, passed, [first, last], each)
    for (; downloads < ((round + 1) * extent.downloads) / rounds; downloads++) {
      await download(firewall, passed, downloads % extent.names)
    }
    await new Promise((resolve) => setTimeout(resolve, settleMs))
    const contestant = `${passed.requests} requests, ${(passed.bytes / 1e9).toFixed(1)} GB`
    rows.push({ contestant, figures: sample(firewall) })
    say(`soak, round ${round + 1} of ${rounds}: ${contestant}, ${passed.failed} failed`)
  }
  const eventsMib = statSync(bed.file(eventsFile)).size / mib
  await firewall.stop()
  return table(rows, passed, eventsMib, (performance.now() - startedAt) / 1000)
}
