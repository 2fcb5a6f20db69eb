/** The lab's two namespaces and the link between them; named, so that a person can look into them. */
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { places, twins } from "./places.ts"
import { sinkPort } from "./sink-port.ts"

export interface Bed {
  /** Plays the machine on which Sluice is started. */
  readonly host: string
  /** Plays the Internet. */
  readonly net: string
  /** The Internet's end of the link: what a capture listens on. */
  readonly wire: string
}

const prefix = "slab"
const searchPath = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" }

function run(program: string, argv: readonly string[], input = ""): void {
  execFileSync(program, argv, { input, env: searchPath, stdio: ["pipe", "ignore", "pipe"] })
}

function ip(namespace: string, commands: readonly string[]): void {
  run("ip", ["-n", namespace, "-batch", "-"], `${commands.join("\n")}\n`)
}

/** What the Internet does with ports that nobody serves: one sink takes them all. */
const sinkRules = `table inet sink {
  chain in {
    type nat hook prerouting priority -100; policy accept;
    tcp dport != { 22, 25, 53, 80, 443, 3306, 7080, 7443-7499, 8080, 8443 } redirect to :${sinkPort}
    udp dport != 53 redirect to :${sinkPort}
  }
}
`

/** Makes both namespaces. @param id unique among all labs of this machine */
export function makeBed(id: string): Bed {
  const [host, net] = [`${prefix}-${id}-host`, `${prefix}-${id}-net`]
  run("ip", ["netns", "add", host])
  run("ip", ["netns", "add", net])
  ip(net, [
    "link set lo up",
    `link add wire type veth peer name eth0 netns ${host}`,
    "addr add 192.0.2.1/24 dev wire",
    "addr add 2001:db8:1::1/64 dev wire nodad",
    "link set wire up",
    ...Object.values(places).map((address) => `addr add ${address}/32 dev lo`),
    ...Object.values(twins).map((address) => `addr add ${address}/128 dev lo nodad`),
    ...Array.from({ length: 60 }, (_, index) => `addr add 198.51.100.${100 + index}/32 dev lo`),
  ])
  run("ip", ["netns", "exec", net, "nft", "-f", "-"], sinkRules)
  ip(host, [
    "link set lo up",
    "addr add 192.0.2.2/24 dev eth0",
    "addr add 2001:db8:1::2/64 dev eth0 nodad",
    "link set eth0 up",
    "route add default via 192.0.2.1",
    "route add ::/0 via 2001:db8:1::1",
  ])
  return { host, net, wire: "wire" }
}

/** Takes both away, whatever became of them. */
export function removeBed({ host, net }: Bed): void {
  for (const name of [host, net]) {
    try {
      run("ip", ["netns", "del", name])
    } catch {
      // Why: it is gone already.
    }
  }
}

/** Removes the namespaces of labs whose process has died. */
export function removeDeadBeds(): void {
  if (!existsSync("/run/netns")) return
  for (const name of readdirSync("/run/netns")) {
    const pid = new RegExp(`^${prefix}-(\\d+)-`).exec(name)?.[1]
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue
    try {
      run("ip", ["netns", "del", name])
    } catch {
      // Why: another lab that starts now has removed it.
    }
  }
}
