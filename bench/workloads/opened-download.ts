/** W1: a big download through TLS that is opened, over HTTP/1.1 and over HTTP/2. */
import { names, type Bed } from "../bed.ts"
import { curlCommand, curlDownloaded } from "../clients.ts"
import { partsOf, pidsOf, type Contestant, type Protocol } from "../contestant.ts"
import { cpuSeconds, peakMib, resetPeak } from "../meter.ts"
import { startAll } from "./start-all.ts"
import { figure, interleaved, ratio, type Row, type Settings, type Table } from "./workload.ts"
import type { Workload } from "./workload.ts"

const gib = 1 << 30
const url = `https://${names.page}/big`

async function over(
  protocol: Protocol,
  bed: Bed,
  contestants: readonly Contestant[],
  settings: Settings,
): Promise<Row[]> {
  // Why anew for each protocol: what one left in memory must not count for the other.
  const { firewalls, stop } = await startAll(bed, contestants, "opened")
  const speaking = firewalls.filter(({ speaks }) => speaks.includes(protocol))
  const rows = await interleaved(speaking, settings, `W1 ${protocol}`, async (firewall) => {
    const pids = pidsOf(firewall)
    resetPeak(pids)
    const before = cpuSeconds(pids)
    const printed = await firewall.client.run(curlCommand(url, protocol))
    const { bytesPerSecond, bytes } = curlDownloaded(printed, protocol)
    const cpu = cpuSeconds(pids) - before
    const workers = partsOf(firewall, "worker").map((pid) => peakMib([pid]))
    return {
      "MB/s": bytesPerSecond / 1e6,
      "CPU s/GiB": cpu / (bytes / gib),
      "peak MiB": peakMib(pids),
      "a worker's": workers.length === 0 ? Number.NaN : Math.max(...workers),
    }
  })
  await stop()
  const direct = figure(rows, "no firewall", "MB/s")
  return rows.map(({ contestant, figures }) => ({
    contestant,
    figures: { ...figures, "× direct": (figures["MB/s"] ?? Number.NaN) / direct },
  }))
}

function goals(protocol: Protocol, rows: readonly Row[]): Table["goals"] {
  const against = (other: string): number => ratio(rows, "MB/s", other)
  if (protocol === "HTTP/2") {
    return [
      { what: "throughput, × HAProxy", figure: against("HAProxy"), atLeast: 0.95 },
      { what: "throughput, × mitmproxy", figure: against("mitmproxy"), atLeast: 5.5 },
    ]
  }
  const peak = figure(rows, "Sluice", "a worker's")
  return [
    { what: "throughput, × HAProxy", figure: against("HAProxy"), atLeast: 1 },
    { what: "CPU per GiB, × HAProxy", figure: ratio(rows, "CPU s/GiB", "HAProxy"), atMost: 1 },
    { what: "throughput, × mitmproxy", figure: against("mitmproxy"), atLeast: 1.6 },
    { what: "a worker's peak, MiB", figure: peak, atMost: 90 },
  ]
}

export const openedDownload: Workload = {
  id: "W1",
  async run(bed, contestants, settings) {
    const tables: Table[] = []
    for (const protocol of ["HTTP/1.1", "HTTP/2"] as const) {
      const rows = await over(protocol, bed, contestants, settings)
      const title = `W1 download, opened, ${protocol}`
      tables.push({ title, rows, goals: goals(protocol, rows) })
    }
    return tables
  },
}
