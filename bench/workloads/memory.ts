/** Memory of a firewall that opens TLS: at rest, with 1,000 open connections, and after 1 GiB. */
import { names, type Bed } from "../bed.ts"
import { curlCommand } from "../clients.ts"
import { partsOf, pidsOf, type Firewall } from "../contestant.ts"
import { rssMib } from "../meter.ts"
import { startAll } from "./start-all.ts"
import { measured, type Row, type Workload } from "./workload.ts"

const openConnections = 1000
const kibPerMib = 1024

/** Opens connections, asks once over each, says so in a file and holds them until it is ended. */
const holder = `import resource, socket, ssl, sys, time
host, count = sys.argv[1], int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
context = ssl._create_unverified_context()
held = []
for _ in range(count):
    s = context.wrap_socket(socket.create_connection((host, 443), 10), server_hostname=host)
    s.sendall(b"GET /page HTTP/1.1\\r\\nHost: " + host.encode() + b"\\r\\n\\r\\n")
    got = b""
    while b"x" * 1024 not in got:
        more = s.recv(65536)
        if not more: sys.exit("cannot hold: closed after " + str(len(held)))
        got += more
    held.append(s)
print("held", flush=True)
time.sleep(600)
`

/** Resident, MiB: of all processes, and of the largest worker where there are such. */
function resident(firewall: Firewall): { readonly all: number; readonly worker: number } {
  const workers = partsOf(firewall, "worker").map((pid) => rssMib([pid]))
  return {
    all: rssMib(pidsOf(firewall)),
    worker: workers.length === 0 ? Number.NaN : Math.max(...workers),
  }
}

/** Opens the connections in the background; the shell goes on once all are held. */
function hold(bed: Bed): string {
  const said = `"$TMPDIR/held"`
  return `TMPDIR=$(mktemp -d)
python3 '${bed.file("hold.py")}' ${names.page} ${openConnections} >${said} 2>&1 &
holder=$!
while kill -0 $holder 2>/dev/null && ! grep -q held ${said}; do sleep 0.1; done
cat ${said}
grep -q held ${said}`
}

async function measure(bed: Bed, firewall: Firewall) {
  const { client } = firewall
  firewall.choose()
  // Why a page first: what is loaded at the first connection is no cost of a connection.
  await client.run(`curl -sSk --http1.1 -o /dev/null https://${names.page}/page`)
  const before = resident(firewall)
  await client.run(hold(bed))
  const open = resident(firewall)
  await client.run(`kill $holder; wait $holder || true; rm -r "$TMPDIR"`)
  await client.run(curlCommand(`https://${names.page}/big`, "HTTP/1.1"))
  const after = resident(firewall)
  return {
    "at rest": before.all,
    "1,000 open": open.all,
    "KiB each": ((open.all - before.all) * kibPerMib) / openConnections,
    "after 1 GiB": after.all,
    "a worker: at rest": before.worker,
    "with 1,000 open": open.worker,
    "after 1 GiB ": after.worker,
  }
}

export const memory: Workload = {
  id: "memory",
  async run(bed, contestants, { say }) {
    bed.write("hold.py", holder)
    const rows: Row[] = []
    for (const contestant of contestants) {
      if (contestant.name === "no firewall") continue
      // Why one at a time, and once: memory that was given back to nobody would count as its rest.
      const { firewalls, stop } = await startAll(bed, [contestant], "opened")
      for (const firewall of firewalls) {
        const figures = await measured(firewall, (each) => measure(bed, each))
        rows.push({ contestant: firewall.name, figures })
        say(`memory, ${firewall.name}`)
      }
      await stop()
    }
    return [{ title: "Memory, opened connections (resident, MiB)", rows, goals: [] }]
  },
}
