/** No firewall: the client runs on the machine itself, one veth pair from the origin. */
import type { Contestant } from "../contestant.ts"

export const unguarded: Contestant = {
  name: "no firewall",
  carries: ["tls", "opened", "names"],
  missing: () => null,
  async start(bed) {
    const client = bed.shell("machine")
    const startedAt = performance.now()
    await client.run("true")
    return {
      name: "no firewall",
      carries: ["tls", "opened", "names"],
      speaks: ["HTTP/1.1", "HTTP/2"],
      client,
      startedInS: (performance.now() - startedAt) / 1000,
      choose: () => bed.redirect({}),
      processes: () => [],
      stop: () => client.stop(),
    }
  },
}
