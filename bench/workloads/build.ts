/** W7: a build behind a firewall that opens its registry against the same build without. */
import { authorityFile } from "../certificates.ts"
import type { Bed } from "../bed.ts"
import { pidsOf, type Firewall } from "../contestant.ts"
import { cpuSeconds } from "../meter.ts"
import { writeProject } from "../project.ts"
import { startAll } from "./start-all.ts"
import { figure, interleaved, type Workload } from "./workload.ts"

/** The best peer, and the one that people use; each takes as long as a build. */
const taking = ["no firewall", "Sluice", "HAProxy", "mitmproxy"]

/** How the build comes to trust what it is shown. Ours sees to that by itself. */
function trust(bed: Bed, { name }: Firewall): string {
  if (name === "Sluice") return ""
  if (name === "no firewall") return `NODE_EXTRA_CA_CERTS='${bed.file(authorityFile)}'`
  return "npm_config_strict_ssl=false"
}

export const build: Workload = {
  id: "W7",
  async run(bed, contestants, settings) {
    const directory = writeProject(bed)
    const { firewalls, stop } = await startAll(
      bed,
      contestants.filter(({ name }) => taking.includes(name)),
      "opened",
    )
    // Why: no cache, and nothing from the configuration of whoever runs the bench.
    const clean = `cd '${directory}' && rm -rf node_modules cache`
    const own = "--cache ./cache --userconfig ./npmrc --globalconfig ./npmrc-global"
    const flags = `${own} --no-audit --no-fund --no-update-notifier`
    const rows = await interleaved(firewalls, settings, "W7", async (firewall) => {
      await firewall.client.run(clean)
      const pids = pidsOf(firewall)
      const before = cpuSeconds(pids)
      const startedAt = performance.now()
      await firewall.client.run(`${trust(bed, firewall)} npm ci ${flags}`)
      const tookS = (performance.now() - startedAt) / 1000
      return { "build s": tookS, "CPU s": cpuSeconds(pids) - before }
    })
    await stop()
    const direct = figure(rows, "no firewall", "build s")
    const slower = (who: string): number => (figure(rows, who, "build s") / direct - 1) * 100
    return [
      {
        title: "W7 npm ci of 300 packages, registry opened",
        rows: rows.map(({ contestant, figures }) => ({
          contestant,
          figures: { ...figures, "% slower": slower(contestant) },
        })),
        goals: [{ what: "slower than unguarded, %", figure: slower("Sluice"), atMost: 3 }],
      },
    ]
  },
}
