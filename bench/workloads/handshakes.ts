/** W4: a handshake for each request, to one known name and to names that were never seen. */
import { freshZone, names } from "../bed.ts"
import { curlEach, curlEachCommand, quantile, wrkCommand, wrkServed } from "../clients.ts"
import { pidsOf, type Firewall } from "../contestant.ts"
import { cpuSeconds } from "../meter.ts"
import { startAll } from "./start-all.ts"
import { interleaved, ratio, type Workload } from "./workload.ts"

const connections = 32
/** Each asked once in a run, many at a time. */
const freshPerSecond = 300
/** Of the time that is meant, for those names that a firewall gets done: some take long. */
const patience = 3
/** Each asked once in a run, one after another. */
const firstPerSecond = 20

async function known(firewall: Firewall, seconds: number) {
  const pids = pidsOf(firewall)
  const before = cpuSeconds(pids)
  const url = `https://${names.page}/page`
  const command = wrkCommand(url, { connections, seconds, handshakes: true })
  const { perSecond, requests, failedPercent } = wrkServed(await firewall.client.run(command))
  const cpu = cpuSeconds(pids) - before
  return { "handshakes/s": perSecond, "CPU ms": (cpu * 1e3) / requests, "failed %": failedPercent }
}

/** Names that this firewall has not met yet: it is asked for each once. */
class Fresh {
  readonly #used = new Map<string, number>()

  glob(firewall: Firewall, count: number): string {
    const from = this.#used.get(firewall.name) ?? 0
    this.#used.set(firewall.name, from + count)
    return `https://n[${from}-${from + count - 1}].${freshZone}/page`
  }
}

async function unknown(firewall: Firewall, fresh: Fresh, seconds: number) {
  const pids = pidsOf(firewall)
  const glob = fresh.glob(firewall, freshPerSecond * seconds)
  const command = curlEachCommand(glob, connections, seconds * patience)
  const before = cpuSeconds(pids)
  const startedAt = performance.now()
  const { tookMs, failedPercent } = curlEach(await firewall.client.run(command))
  const tookS = (performance.now() - startedAt) / 1000
  const cpu = cpuSeconds(pids) - before
  const alone = curlEachCommand(
    fresh.glob(firewall, firstPerSecond * seconds),
    1,
    seconds * patience,
  )
  const first = curlEach(await firewall.client.run(alone)).tookMs
  return {
    "new names/s": tookMs.length / tookS,
    "CPU ms": (cpu * 1e3) / tookMs.length,
    "failed %": failedPercent,
    "first p50 ms": quantile(first, 0.5),
    "first p99 ms": quantile(first, 0.99),
  }
}

export const handshakes: Workload = {
  id: "W4",
  async run(bed, contestants, settings) {
    const { seconds, runs } = settings
    const freshNames = (freshPerSecond + firstPerSecond) * seconds * (runs + 1)
    const { firewalls, stop } = await startAll(bed, contestants, "opened", { freshNames })
    const same = await interleaved(firewalls, settings, "W4 known", (firewall) =>
      known(firewall, seconds),
    )
    const fresh = new Fresh()
    const each = await interleaved(firewalls, settings, "W4 new names", (firewall) =>
      unknown(firewall, fresh, seconds),
    )
    await stop()
    const on = (other: string): number => ratio(same, "handshakes/s", other)
    const onNew = (other: string): number => ratio(each, "new names/s", other)
    return [
      {
        title: "W4 a handshake for each request, known name",
        rows: same,
        goals: [
          { what: "rate, × HAProxy", figure: on("HAProxy"), atLeast: 0.42 },
          { what: "rate, × mitmproxy", figure: on("mitmproxy"), atLeast: 2.4 },
          { what: "rate, × sslsplit", figure: on("sslsplit"), atLeast: 1 },
        ],
      },
      {
        title: "W4 a handshake for each request, new names",
        rows: each,
        goals: [
          { what: "rate, × HAProxy", figure: onNew("HAProxy"), atLeast: 0.45 },
          { what: "rate, × mitmproxy", figure: onNew("mitmproxy"), atLeast: 2.7 },
        ],
      },
    ]
  },
}
