/** New TLS connections a second through the splice, and what one alone waits longer. */
import { names } from "../bed.ts"
import { pidsOf } from "../contestant.ts"
import { cpuSeconds } from "../meter.ts"
import { startAll } from "./start-all.ts"
import { figure, interleaved, type Workload } from "./workload.ts"

const url = `https://${names.page}/page`

/** Milliseconds out of wrk's `1.23ms`, `456.00us`, `1.02s`. */
export function wrkMs(printed: string, label: string): number {
  const found = new RegExp(`${label}\\s+([\\d.]+)(us|ms|s)\\b`).exec(printed)
  const value = Number(found?.[1] ?? Number.NaN)
  const unit = found?.[2]
  return unit === "us" ? value / 1000 : unit === "s" ? value * 1000 : value
}

function rate(printed: string): number {
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(printed)?.[1] ?? Number.NaN)
}

export const connections: Workload = {
  id: "connections",
  async run(bed, contestants, settings) {
    const { firewalls, stop } = await startAll(bed, contestants, "tls")
    const wrk = (count: number): string =>
      `wrk --latency -t 1 -c ${count} -d ${settings.seconds}s -H 'Connection: close' ${url}`
    const rows = await interleaved(firewalls, settings, "connections", async (firewall) => {
      const pids = pidsOf(firewall)
      const before = cpuSeconds(pids)
      const many = await firewall.client.run(wrk(32))
      const perSecond = rate(many)
      const cpu = cpuSeconds(pids) - before
      const alone = await firewall.client.run(wrk(1))
      return {
        "connections/s": perSecond,
        "CPU ms": (cpu * 1000) / (perSecond * settings.seconds),
        "alone p50 ms": wrkMs(alone, "50%"),
        "alone p99 ms": wrkMs(alone, "99%"),
      }
    })
    await stop()
    const added = (who: string, column: string): number =>
      figure(rows, who, column) - figure(rows, "no firewall", column)
    return [
      {
        title: "New connections, spliced by server name",
        rows,
        goals: [
          { what: "added p50, ms", figure: added("Sluice", "alone p50 ms"), atMost: 2 },
          { what: "HAProxy's added p50, ms", figure: added("HAProxy", "alone p50 ms") },
        ],
      },
    ]
  },
}
