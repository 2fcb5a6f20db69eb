/** W6: from the start of `sluice run` to the command's first word, and memory at rest. */
import { pssMib, rssMib } from "../meter.ts"
import { sluice } from "../peers/sluice.ts"
import { figure, median, type Row, type Workload } from "./workload.ts"

/** Time in which what the start left behind is collected. */
const restMs = 2_000

export const starting: Workload = {
  id: "W6",
  async run(bed, _contestants, { runs, say }) {
    const times: number[] = []
    const memory: Record<string, number>[] = []
    for (let run = 0; run <= runs; run++) {
      const firewall = await sluice.start(bed, { workers: 1 })
      if (run > 0) times.push(firewall.startedInS)
      await new Promise((resolve) => setTimeout(resolve, restMs))
      const parts = firewall.processes()
      const of = (role: string): number =>
        rssMib(parts.filter((part) => part.role === role).map(({ pid }) => pid))
      memory.push({
        "guard RSS": of("guard"),
        "worker RSS": of("worker"),
        "resolver RSS": of("resolver"),
        "all PSS": pssMib(parts.map(({ pid }) => pid)),
      })
      await firewall.stop()
      say(`W6, run ${run}`)
    }
    const columns = Object.keys(memory[0] ?? {})
    const figures = Object.fromEntries(
      columns.map((column) => [column, median(memory.map((one) => one[column] ?? 0))]),
    )
    const rows: Row[] = [
      { contestant: "Sluice", figures: { "start s": median(times), ...figures } },
    ]
    const sum = figure(rows, "Sluice", "guard RSS") + figure(rows, "Sluice", "worker RSS")
    return [
      {
        title: "W6 start and rest (MiB)",
        rows,
        goals: [
          { what: "start to enforcing, s", figure: median(times), atMost: 0.7 },
          { what: "guard and one worker at rest, MiB (RSS)", figure: sum, atMost: 150 },
          {
            what: "the same with the resolver, MiB (RSS)",
            figure: sum + figure(rows, "Sluice", "resolver RSS"),
          },
        ],
      },
    ]
  },
}
