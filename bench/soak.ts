/** Memory over 100,000 connections and 20 GB: it must not grow with what has passed. */
import { names, type Bed } from "./bed.ts"
import { rssMib } from "./meter.ts"
import { sluice } from "./peers/sluice.ts"
import type { Row, Table } from "./workloads/workload.ts"

const rounds = 20
const connectionsPerRound = 5_000
const downloadsPerRound = 1
/** What the first rounds need to warm up; later ones are held against the first after it. */
const warmRounds = 3

/** A connection for each page, 32 at a time, counted exactly. */
const connect = `seq ${connectionsPerRound} | xargs -P 32 -n 50 sh -c 'for i in "$@"; do printf "url = https://${names.page}/page\\noutput = /dev/null\\n"; done | curl -skK - -H "Connection: close"' sh`

export async function soak(bed: Bed, say: (text: string) => void): Promise<Table> {
  const firewall = await sluice.start(bed)
  firewall.choose()
  const rows: Row[] = []
  for (let round = 1; round <= rounds; round++) {
    await firewall.client.run(connect)
    for (let count = 0; count < downloadsPerRound; count++) {
      await firewall.client.run(`curl -sSk -o /dev/null https://${names.page}/big`)
    }
    const parts = firewall.processes()
    const of = (role: string): number =>
      rssMib(parts.filter((part) => part.role === role).map(({ pid }) => pid))
    const figures = { guard: of("guard"), workers: of("worker"), resolver: of("resolver") }
    rows.push({
      contestant: `${round * connectionsPerRound} connections, ${round} GiB`,
      figures: { ...figures, all: figures.guard + figures.workers + figures.resolver },
    })
    say(`soak, round ${round} of ${rounds}`)
  }
  await firewall.stop()
  const all = (row: Row | undefined): number => row?.figures["all"] ?? Number.NaN
  const growth = all(rows.at(-1)) / all(rows[warmRounds])
  return {
    title: "Soak: resident memory (MiB) of all processes",
    rows,
    goals: [{ what: `last round, × round ${warmRounds + 1}`, figure: growth, atMost: 1.15 }],
  }
}
