/** W2: a big download, passed on by server name without being opened. */
import { names } from "../bed.ts"
import { pidsOf } from "../contestant.ts"
import { cpuSeconds, peakMib, resetPeak } from "../meter.ts"
import { startAll } from "./start-all.ts"
import { figure, interleaved, type Workload } from "./workload.ts"

const gib = 1 << 30

export const download: Workload = {
  id: "W2",
  async run(bed, contestants, settings) {
    const { firewalls, stop } = await startAll(bed, contestants, "tls")
    const rows = await interleaved(firewalls, settings, "W2", async (firewall) => {
      const pids = pidsOf(firewall)
      resetPeak(pids)
      const before = cpuSeconds(pids)
      const url = `https://${names.page}/big`
      const format = "%{speed_download} %{size_download}"
      const printed = await firewall.client.run(
        `curl -sSk --http1.1 -o /dev/null -w '${format}' ${url}`,
      )
      const [speed = 0, size = 0] = printed.trim().split(" ").map(Number)
      const cpu = cpuSeconds(pids) - before
      return { "MB/s": speed / 1e6, "CPU s/GiB": cpu / (size / gib), "peak MiB": peakMib(pids) }
    })
    await stop()
    const ratio = (column: string, other: string): number =>
      figure(rows, "Sluice", column) / figure(rows, other, column)
    return [
      {
        title: "W2 download, spliced by server name",
        rows: rows.map(({ contestant, figures }) => ({
          contestant,
          figures: {
            ...figures,
            "× direct": (figures["MB/s"] ?? 0) / figure(rows, "no firewall", "MB/s"),
          },
        })),
        goals: [
          { what: "throughput, × HAProxy", figure: ratio("MB/s", "HAProxy"), atLeast: 1.1 },
          { what: "CPU per GiB, × HAProxy", figure: ratio("CPU s/GiB", "HAProxy"), atMost: 0.6 },
        ],
      },
    ]
  },
}
