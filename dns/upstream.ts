/**
 * Asks upstream resolvers: which of them, when again, and how many questions at a time. How one of
 * them is asked is in upstream-server.ts.
 */
import type { Endpoint } from "../net/endpoint.ts"
import { rcodes } from "./code.ts"
import { UpstreamServer } from "./upstream-server.ts"
import type { Response } from "./message.ts"

/** As the resolver of glibc. In milliseconds, for the whole of a question. */
const totalMs = 5_000
/** A healthy resolver answers from its cache in far less; the second try goes elsewhere. */
const firstTryMs = 1_000
const laterTryMs = 2_000
const roundsMax = 3

/** As `infra-host-ttl` of Unbound in spirit, but short: a resolver that failed is asked last meanwhile. */
const restMs = 30_000

/** As the default `dns-forward-max` of dnsmasq, and half more. */
const activeMax = 256
/** Questions that wait for their turn, and as many denied ones. */
const waitingMax = 1_024
/** Of the active ones, those that are asked only because the mode is audit: others have the rest. */
const activeDeniedMax = 128

/** Why no answer came. */
export type UpstreamFailure = "upstream-failed" | "limit-exceeded"

export interface Upstreams {
  /**
   * @param wire the name, lower case
   * @param denied asked only because the mode is audit: gives way to the others
   */
  ask(wire: string, type: number, denied: boolean): Promise<Response | UpstreamFailure>
  close(): void
}

/** @param now milliseconds, from any beginning */
export function upstreams(endpoints: readonly Endpoint[], now: () => number): Upstreams {
  const servers = endpoints.map((endpoint) => new UpstreamServer(endpoint))
  const turns = new Turns()
  return {
    async ask(wire, type, denied) {
      const deadline = now() + totalMs
      if (!(await turns.take(denied))) return "limit-exceeded"
      try {
        return await askAny(servers, wire, type, deadline, now)
      } finally {
        turns.give(denied)
      }
    },
    close() {
      for (const server of servers) server.close()
    },
  }
}

/** How many questions are open, and who comes next. */
class Turns {
  #active = 0
  #activeDenied = 0
  readonly #waiting: (() => void)[] = []
  readonly #waitingDenied: (() => void)[] = []

  /** true once it is one's turn; false where too many wait already. */
  async take(denied: boolean): Promise<boolean> {
    const queue = denied ? this.#waitingDenied : this.#waiting
    if (!this.#free(denied)) {
      if (queue.length >= waitingMax) return false
      // Why: who gives a turn on counts it for the one who waits.
      await new Promise<void>((resolve) => queue.push(resolve))
    } else this.#count(denied, 1)
    return true
  }

  give(denied: boolean): void {
    this.#count(denied, -1)
    for (const next of [false, true]) {
      const queue = next ? this.#waitingDenied : this.#waiting
      while (queue.length > 0 && this.#free(next)) {
        this.#count(next, 1)
        queue.shift()?.()
      }
    }
  }

  #free(denied: boolean): boolean {
    return this.#active < activeMax && !(denied && this.#activeDenied >= activeDeniedMax)
  }

  #count(denied: boolean, by: 1 | -1): void {
    this.#active += by
    if (denied) this.#activeDenied += by
  }
}

/** The first useful answer; servers that failed lately are asked last, and none twice after its no. */
async function askAny(
  servers: readonly UpstreamServer[],
  wire: string,
  type: number,
  deadline: number,
  now: () => number,
): Promise<Response | UpstreamFailure> {
  const gaveUp = new Set<UpstreamServer>()
  for (let round = 0; round < roundsMax; round++) {
    const resting = (server: UpstreamServer) => Number(server.restsUntilMs > now())
    const order = [...servers].sort((one, other) => resting(one) - resting(other))
    for (const server of order) {
      if (gaveUp.has(server)) continue
      const leftMs = Math.min(deadline - now(), round === 0 ? firstTryMs : laterTryMs)
      if (leftMs <= 0) return "upstream-failed"
      const outcome = await server.ask(wire, type, leftMs)
      if (typeof outcome !== "string") {
        if (outcome.rcode === rcodes.noError || outcome.rcode === rcodes.nxDomain) {
          server.restsUntilMs = 0
          return outcome
        }
        gaveUp.add(server)
      } else {
        server.restsUntilMs = now() + restMs
        if (outcome === "closed") return "upstream-failed"
      }
    }
    if (gaveUp.size === servers.length) break
  }
  return "upstream-failed"
}
