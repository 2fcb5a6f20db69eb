/** New TLS connections a second through the splice, and what one alone waits longer. */
import { names } from "../bed.ts"
import { wrkCommand, wrkMs, wrkServed } from "../clients.ts"
import { pidsOf } from "../contestant.ts"
import { cpuSeconds } from "../meter.ts"
import { startAll } from "./start-all.ts"
import { added, interleaved, type Workload } from "./workload.ts"

const url = `https://${names.page}/page`

export const connections: Workload = {
  id: "connections",
  async run(bed, contestants, settings) {
    const { firewalls, stop } = await startAll(bed, contestants, "tls")
    const { seconds } = settings
    const wrk = (connections: number): string =>
      wrkCommand(url, { connections, seconds, handshakes: true })
    const rows = await interleaved(firewalls, settings, "connections", async (firewall) => {
      const pids = pidsOf(firewall)
      const before = cpuSeconds(pids)
      const many = await firewall.client.run(wrk(32))
      const { perSecond, requests, failedPercent } = wrkServed(many)
      const cpu = cpuSeconds(pids) - before
      const alone = await firewall.client.run(wrk(1))
      return {
        "connections/s": perSecond,
        "CPU ms": (cpu * 1000) / requests,
        "failed %": failedPercent,
        "alone p50 ms": wrkMs(alone, "50%"),
        "alone p99 ms": wrkMs(alone, "99%"),
      }
    })
    await stop()
    return [
      {
        title: "New connections, spliced by server name",
        rows,
        goals: [
          { what: "added p50, ms", figure: added(rows, "Sluice", "alone p50 ms"), atMost: 2 },
          { what: "HAProxy's added p50, ms", figure: added(rows, "HAProxy", "alone p50 ms") },
        ],
      },
    ]
  },
}
