/** Memory over 100,000 connections and 20 GB: it must not grow with what has passed. */
import { names, type Bed } from "./bed.ts"
import { rssMib } from "./meter.ts"
import type { Shell } from "./shell.ts"
import { sluice } from "./peers/sluice.ts"
import type { Row, Table } from "./workloads/workload.ts"

const connectionsWanted = 100_000
const gibWanted = 20
/** Rounds, each with its share of the downloads; as many connections as fit into its seconds. */
const secondsPerRound = 8
const roundsMax = 60
/** What the first rounds need to warm up; later ones are held against the first after it. */
const warmRounds = 3

export async function soak(bed: Bed, say: (text: string) => void): Promise<Table> {
  const firewall = await sluice.start(bed)
  firewall.choose()
  const rows: Row[] = []
  const page = `https://${names.page}/page`
  const storm = `wrk -t 1 -c 32 -d ${secondsPerRound}s -H 'Connection: close' ${page}`
  let [connections, gib] = [0, 0]
  for (let round = 1; round <= roundsMax && connections < connectionsWanted; round++) {
    const printed = await firewall.client.run(storm)
    connections += Number(/(\d+) requests in/.exec(printed)?.[1] ?? 0)
    if (gib < gibWanted) {
      gib += await download(firewall.client)
      gib += await download(firewall.client)
    }
    const parts = firewall.processes()
    const of = (role: string): number =>
      rssMib(parts.filter((part) => part.role === role).map(({ pid }) => pid))
    const figures = { guard: of("guard"), workers: of("worker"), resolver: of("resolver") }
    rows.push({
      contestant: `${connections} connections, ${gib} GiB`,
      figures: { ...figures, all: figures.guard + figures.workers + figures.resolver },
    })
    say(`soak, ${connections} of ${connectionsWanted} connections, ${gib} of ${gibWanted} GiB`)
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

/** One download of the big file, 1 GiB; gives the GiB. */
async function download(client: Shell): Promise<number> {
  await client.run(`curl -sSk -o /dev/null https://${names.page}/big`)
  return 1
}
