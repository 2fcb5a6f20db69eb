/**
 * Hosts that were reached unopened on networks which many share: what remains, and what closes it.
 * Pure; a fold over events, bounded.
 */
import type { FlowEvent, NameEvent } from "../events/event.ts"
import { sharedCdn } from "../policies/shared-cdns.ts"

/** A host whose connections could have asked for another customer's host inside. */
export interface FrontReport {
  readonly host: string
  /** Who runs the network. */
  readonly operator: string
  /** The name on that network, which the host is an alias for; the host itself where it is none. */
  readonly alias: string
  readonly connections: number
  /** The rule that makes Sluice look inside, in place of the one for the whole host. */
  readonly suggestion: string
}

/** Most hosts that are kept. */
const hostsMax = 1_000

export class Fronts {
  /** Hosts that lie on such a network, and by which name. */
  readonly #aliases = new Map<string, { readonly operator: string; readonly alias: string }>()
  readonly #reached = new Map<string, number>()

  addName({ name, aliases = [], verdict }: NameEvent): void {
    if (verdict !== "allow" || this.#aliases.has(name) || this.#aliases.size >= hostsMax) return
    for (const alias of aliases) {
      const cdn = sharedCdn(alias)
      if (cdn === null) continue
      this.#aliases.set(name, { operator: cdn.operator, alias })
      return
    }
  }

  /** TLS that passed as it was: what was asked inside is not known. */
  addFlow({ opening, action, verdict }: FlowEvent): void {
    const host = opening?.kind === "tls" ? opening.serverName : null
    if (host === null || action !== "splice" || verdict !== "allow") return
    const count = this.#reached.get(host)
    if (count !== undefined || this.#reached.size < hostsMax) {
      this.#reached.set(host, (count ?? 0) + 1)
    }
  }

  /** The most used first. */
  report(): FrontReport[] {
    const found = [...this.#reached].flatMap(([host, connections]) => {
      const own = sharedCdn(host)
      const known = this.#aliases.get(host)
      const front = known ?? (own === null ? null : { operator: own.operator, alias: host })
      return front === null
        ? []
        : [{ host, ...front, connections, suggestion: `https://${host}/**` }]
    })
    return found.toSorted((one, other) => other.connections - one.connections)
  }
}
