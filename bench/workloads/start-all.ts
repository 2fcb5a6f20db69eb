/** Starts those contestants that take part in a workload. */
import type { Bed } from "../bed.ts"
import type { Contestant, Firewall, Load, StartOptions } from "../contestant.ts"

export async function startAll(
  bed: Bed,
  contestants: readonly Contestant[],
  load: Load,
  options: StartOptions = {},
): Promise<{ readonly firewalls: Firewall[]; readonly stop: () => Promise<void> }> {
  const firewalls: Firewall[] = []
  for (const contestant of contestants) {
    if (!contestant.carries.includes(load)) continue
    try {
      firewalls.push(await contestant.start(bed, { ...options, load }))
    } catch (error) {
      // Why not for us: a bench without our own side measures nothing.
      if (contestant.name === "Sluice") throw error
      const log = bed.logOf(contestant.name)
      process.stderr.write(`bench: without ${contestant.name}: ${String(error)}\n${log}\n`)
    }
  }
  return {
    firewalls,
    async stop() {
      for (const firewall of firewalls) await firewall.stop()
    },
  }
}
