/** W3: small requests on connections that are kept; and what one connection alone waits longer. */
import { names } from "../bed.ts"
import {
  h2loadCommand,
  h2loadServed,
  wrkCommand,
  wrkMs,
  wrkServed,
  type Served,
} from "../clients.ts"
import { pidsOf, type Firewall } from "../contestant.ts"
import { cpuSeconds } from "../meter.ts"
import { startAll } from "./start-all.ts"
import { added, interleaved, ratio, type Row, type Table, type Workload } from "./workload.ts"

const url = `https://${names.page}/page`
const connections = 32
const multiplexed = { connections: 4, streams: 16 }

/** What a load costs a firewall, by what its client says of it. */
async function cost(firewall: Firewall, command: string, read: (printed: string) => Served) {
  const pids = pidsOf(firewall)
  const before = cpuSeconds(pids)
  const { perSecond, requests, failedPercent } = read(await firewall.client.run(command))
  const cpu = cpuSeconds(pids) - before
  return { "requests/s": perSecond, "CPU µs": (cpu * 1e6) / requests, "failed %": failedPercent }
}

function goals(kept: readonly Row[], streams: readonly Row[], alone: readonly Row[]) {
  const column = "requests/s"
  const [ours, theirs] = [added(alone, "Sluice", "p50 ms"), added(alone, "HAProxy", "p50 ms")]
  return {
    kept: [
      { what: "rate, × HAProxy", figure: ratio(kept, column, "HAProxy"), atLeast: 0.85 },
      { what: "rate, × mitmproxy", figure: ratio(kept, column, "mitmproxy"), atLeast: 22 },
      {
        what: "rate, × http-mitm-proxy",
        figure: ratio(kept, column, "http-mitm-proxy"),
        atLeast: 6,
      },
    ],
    streams: [
      { what: "rate, × HAProxy", figure: ratio(streams, column, "HAProxy"), atLeast: 1.3 },
      { what: "rate, × mitmproxy", figure: ratio(streams, column, "mitmproxy"), atLeast: 50 },
    ],
    alone: [
      { what: "added p50, × HAProxy's", figure: ours / theirs, atMost: 1.1 },
      { what: "added p99, ms", figure: added(alone, "Sluice", "p99 ms"), atMost: 2 },
    ],
  }
}

export const requests: Workload = {
  id: "W3",
  async run(bed, contestants, settings) {
    const { firewalls, stop } = await startAll(bed, contestants, "opened")
    const { seconds } = settings
    const kept = await interleaved(firewalls, settings, "W3 HTTP/1.1", (firewall) =>
      cost(firewall, wrkCommand(url, { connections, seconds }), wrkServed),
    )
    const multiplexing = firewalls.filter(({ speaks }) => speaks.includes("HTTP/2"))
    const streams = await interleaved(multiplexing, settings, "W3 HTTP/2", (firewall) =>
      cost(firewall, h2loadCommand(url, `-D ${seconds}`, multiplexed), h2loadServed),
    )
    const alone = await interleaved(firewalls, settings, "W3 alone", async (firewall) => {
      const printed = await firewall.client.run(wrkCommand(url, { connections: 1, seconds }))
      return { "p50 ms": wrkMs(printed, "50%"), "p99 ms": wrkMs(printed, "99%") }
    })
    await stop()
    const wanted = goals(kept, streams, alone)
    const tables: Table[] = [
      { title: "W3 requests of 1 kB, HTTP/1.1", rows: kept, goals: wanted.kept },
      { title: "W3 requests of 1 kB, HTTP/2", rows: streams, goals: wanted.streams },
      { title: "W3 one connection alone", rows: alone, goals: wanted.alone },
    ]
    return tables
  },
}
