/**
 * What is good to know about the machine before a run, beside whether it can enforce. ✋ Reads /proc
 * and /etc/resolv.conf, looks at disks and sockets, lists the machine's firewall.
 */
import { existsSync, readFileSync, statfsSync } from "node:fs"
import { dirname } from "node:path"
import { attempt } from "./attempt.ts"
import { ok, warn, type Probe } from "./probe.ts"

/** Less room than this for event logs is worth a word, in bytes. */
const roomBytesMin = 200_000_000

/** @param logs The directory that event logs are kept in; need not exist yet. */
export async function machineProbes(logs: string): Promise<readonly Probe[]> {
  return [
    resolvers(read("/etc/resolv.conf")),
    ipv6(),
    disk(logs),
    cgroup(),
    seccomp(),
    daemons(),
    await forwarding(),
  ]
}

/** @param text of resolv.conf(5) */
export function resolvers(text: string): Probe {
  const found = [...text.matchAll(/^\s*nameserver\s+(\S{1,64})/gm)].flatMap(
    ([, address]) => address ?? [],
  )
  return found.length > 0
    ? ok("resolvers", found.slice(0, 3).join(", "))
    : warn(
        "resolvers",
        "/etc/resolv.conf names none",
        "say which to ask with --upstream-dns ADDRESS",
      )
}

function ipv6(): Probe {
  const off = read("/proc/sys/net/ipv6/conf/all/disable_ipv6").trim() !== "0"
  if (off)
    return warn("IPv6", "switched off on this machine", "nothing to do: jobs reach hosts over IPv4")
  const global = read("/proc/net/if_inet6")
    .split("\n")
    .some((line) => /^[23]\S* \S+ \S+ 00 /.test(line))
  return ok("IPv6", global ? "with a global address" : "without a global address")
}

function disk(logs: string): Probe {
  let place = logs
  while (!existsSync(place) && place !== dirname(place)) place = dirname(place)
  try {
    const { bavail, bsize } = statfsSync(place)
    const free = bavail * bsize
    const found = `${(free / 1e9).toFixed(1)} GB free for event logs in ${logs}`
    return free >= roomBytesMin
      ? ok("disk", found)
      : warn("disk", found, "make room, or write the log elsewhere with --events FILE")
  } catch {
    return warn("disk", `${logs} cannot be looked at`, "write the log elsewhere with --events FILE")
  }
}

function cgroup(): Probe {
  return existsSync("/sys/fs/cgroup/cgroup.controllers")
    ? ok("cgroup", "version 2")
    : ok("cgroup", "version 1 or none; sluice run needs none")
}

function seccomp(): Probe {
  const actions = read("/proc/sys/kernel/seccomp/actions_avail").trim()
  return actions.includes("errno")
    ? ok("seccomp", "filters can be set")
    : warn(
        "seccomp",
        "this kernel has no system call filters",
        "use a kernel with CONFIG_SECCOMP_FILTER",
      )
}

/** Sockets of daemons that would do a job's networking for it, by the name people know. */
const daemonSockets: Readonly<Record<string, readonly string[]>> = {
  Docker: ["/run/docker.sock"],
  containerd: ["/run/containerd/containerd.sock"],
  Podman: ["/run/podman/podman.sock"],
  BuildKit: ["/run/buildkit/buildkitd.sock"],
  "CRI-O": ["/run/crio/crio.sock"],
  LXD: ["/var/snap/lxd/common/lxd/unix.socket", "/var/lib/lxd/unix.socket", "/run/lxd.socket"],
  Incus: ["/var/lib/incus/unix.socket"],
  libvirt: ["/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"],
  "D-Bus": ["/run/dbus/system_bus_socket"],
  systemd: ["/run/systemd/private"],
  snapd: ["/run/snapd.socket"],
}

function daemons(): Probe {
  const found = Object.entries(daemonSockets).filter(([, paths]) =>
    paths.some((path) => existsSync(path)),
  )
  if (found.length === 0) return ok("daemon sockets", "none that could work around the firewall")
  const names = found.map(([name]) => name).join(", ")
  return ok("daemon sockets", `${names}: hidden from the job, unless --allow-socket says otherwise`)
}

/** The machine's own firewall may drop what a UDP or ICMP rule allows: Docker's does. */
async function forwarding(): Promise<Probe> {
  const layer = "forwarding"
  const listed = await attempt("nft", ["-j", "list", "chains"])
  if (listed.kind !== "done") return ok(layer, "the machine's firewall could not be listed")
  const dropping = droppingForwards(listed.out)
  return dropping.length === 0
    ? ok(layer, "nothing on the machine stands in the way of UDP and ICMP rules")
    : warn(
        layer,
        `the machine's own firewall drops forwarded packets (${dropping.join(", ")})`,
        "only rules for UDP and ICMP are concerned: TCP and DNS do not pass there",
      )
}

/** @param text of `nft -j list chains`, libnftables-json(5). Gives `family table chain` of each. */
export function droppingForwards(text: string): readonly string[] {
  try {
    const { nftables } = JSON.parse(text) as { readonly nftables: readonly Listed[] }
    return nftables
      .flatMap(({ chain }) => (chain?.hook === "forward" && chain.policy === "drop" ? [chain] : []))
      .map(({ family, table, name }) => `${family} ${table} ${name}`)
  } catch {
    return []
  }
}

interface Listed {
  readonly chain?: {
    readonly family: string
    readonly table: string
    readonly name: string
    readonly hook?: string
    readonly policy?: string
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}
