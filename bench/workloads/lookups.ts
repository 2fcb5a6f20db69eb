/** W5: names, cached, blocked and forwarded; and what a lookup waits while connections storm. */
import { addresses, counts, names, type Bed } from "../bed.ts"
import { pidsOf, type Firewall } from "../contestant.ts"
import { cpuSeconds } from "../meter.ts"
import { list } from "../origin.ts"
import { startAll } from "./start-all.ts"
import {
  figure,
  interleaved,
  type Row,
  type Settings,
  type Table,
  type Workload,
} from "./workload.ts"

/** Asks one name after another and prints the median and the 99th percentile in milliseconds. */
const asker = `import random, socket, struct, sys, time
names = [line.split()[0] for line in open(sys.argv[1])]
until = time.time() + float(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
s.connect((sys.argv[3], 53))
took = []
i = 0
while time.time() < until and i < 4000:
    name = names[i % len(names)]; i += 1
    q = struct.pack(">HHHHHH", random.getrandbits(16), 0x0100, 1, 0, 0, 0)
    q += b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\\0" + struct.pack(">HH", 1, 1)
    t = time.perf_counter(); s.send(q); s.recv(4096); took.append((time.perf_counter() - t) * 1000)
    time.sleep(0.0005)
took.sort()
print(took[len(took) // 2], took[int(len(took) * 0.99)])
`

interface Files {
  readonly cached: string
  readonly blocked: string
  readonly forwarded: string
  readonly asker: string
}

function writeFiles(bed: Bed): Files {
  const file = (name: string, count: number, each: (index: number) => string): string =>
    bed.write(name, `${list(count, (index) => `${each(index)} A`).join("\n")}\n`)
  return {
    cached: file("cached.txt", counts.cached, names.cached),
    blocked: file("blocked.txt", counts.blocked, names.blocked),
    forwarded: file("forwarded.txt", counts.forwarded, names.forwarded),
    asker: bed.write("ask.py", asker),
  }
}

async function rate(firewall: Firewall, file: string, seconds: number): Promise<number[]> {
  const pids = pidsOf(firewall)
  const before = cpuSeconds(pids)
  const command = `dnsperf -s ${addresses.resolver} -d ${file} -l ${seconds} -c 4 -T 1 -q 200`
  const printed = await firewall.client.run(command)
  const perSecond = Number(/Queries per second:\s+([\d.]+)/.exec(printed)?.[1] ?? Number.NaN)
  return [perSecond / 1000, ((cpuSeconds(pids) - before) * 1e6) / (perSecond * seconds)]
}

async function ask(
  firewall: Firewall,
  files: Files,
  file: string,
  storm: string,
): Promise<number[]> {
  const command = `${storm} python3 ${files.asker} ${file} 3 ${addresses.resolver}; wait`
  const printed = await firewall.client.run(command)
  const line =
    printed
      .trim()
      .split("\n")
      .find((each) => /^[\d.]+ [\d.]+$/.test(each)) ?? ""
  return line.split(" ").map(Number)
}

async function measure(firewall: Firewall, files: Files, settings: Settings) {
  const [cached = 0, cachedCpu = 0] = await rate(firewall, files.cached, settings.seconds)
  const [blocked = 0, blockedCpu = 0] = await rate(firewall, files.blocked, settings.seconds)
  const [p50 = 0, p99 = 0] = await ask(firewall, files, files.forwarded, "")
  return {
    "cached k/s": cached,
    "CPU µs": cachedCpu,
    "blocked k/s": blocked,
    "CPU µs ": blockedCpu,
    "forwarded p50 ms": p50,
    "p99 ms": p99,
  }
}

/** p99 of cached names while 32 connections at a time do their handshakes. */
async function underStorm(firewall: Firewall, files: Files) {
  const url = `https://${names.page}/page`
  const wrk = `wrk -t 1 -c 32 -d 3s -H 'Connection: close' ${url} >/dev/null &`
  const [p50 = 0, p99 = 0] = await ask(firewall, files, files.cached, wrk)
  return { "p50 ms": p50, "p99 ms": p99 }
}

function goals(rows: readonly Row[]): Table["goals"] {
  const ratio = (column: string): number =>
    figure(rows, "Sluice", column) / figure(rows, "dnsmasq", column)
  const column = "forwarded p50 ms"
  return [
    { what: "cached, × dnsmasq", figure: ratio("cached k/s"), atLeast: 0.85 },
    { what: "blocked, × dnsmasq", figure: ratio("blocked k/s"), atLeast: 0.85 },
    {
      what: "forwarded p50 above dnsmasq's, ms",
      figure: figure(rows, "Sluice", column) - figure(rows, "dnsmasq", column),
      atMost: 0.3,
    },
  ]
}

export const lookups: Workload = {
  id: "W5",
  async run(bed, contestants, settings) {
    const files = writeFiles(bed)
    const { firewalls, stop } = await startAll(bed, contestants, "names")
    const rows = await interleaved(firewalls, settings, "W5", (firewall) =>
      measure(firewall, files, settings),
    )
    const both = firewalls.filter(({ carries }) => carries.includes("tls"))
    const storm = await interleaved(both, settings, "W5 storm", (firewall) =>
      underStorm(firewall, files),
    )
    await stop()
    const p99 = figure(storm, "Sluice", "p99 ms")
    return [
      { title: "W5 names", rows, goals: goals(rows) },
      {
        title: "W5 cached names while connections storm",
        rows: storm,
        goals: [{ what: "p99, ms", figure: p99, atMost: 1 }],
      },
    ]
  },
}
