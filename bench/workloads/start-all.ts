/** Starts those contestants that take part in a workload. */
import { names, type Bed } from "../bed.ts"
import { authorityName } from "../certificates.ts"
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
      const firewall = await contestant.start(bed, { ...options, load })
      if (load === "opened") await mustOpen(firewall)
      firewalls.push(firewall)
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

/** Throws unless its client is shown another certificate than the origin's, and served. */
export async function mustOpen(firewall: Firewall): Promise<void> {
  if (firewall.name === "no firewall") return
  firewall.choose()
  const printed = await firewall.client.run(
    `curl -skv --http1.1 -o /dev/null -w 'status: %{http_code}' https://${names.page}/page 2>&1`,
  )
  const issuer = /issuer: (.*)/.exec(printed)?.[1]
  const status = /status: (\d+)/.exec(printed)?.[1]
  if (issuer === undefined || issuer.includes(authorityName) || status !== "200") {
    throw new Error(
      `Cannot measure ${firewall.name}: issuer "${issuer}", status ${status}, must be its own, 200`,
    )
  }
}
