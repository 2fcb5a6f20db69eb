/**
 * Whether this machine can enforce, layer by layer. ✋ Starts `unshare`, `nft` and `ip`, reads /proc.
 *
 * Each probe does what a run will do, in namespaces that end with it, rather than look at version
 * numbers. Nothing here imports kernel/: a doctor must work where that room cannot even be loaded.
 */
import { attempt, find, type Attempt } from "./attempt.ts"
import { readFileSync } from "node:fs"
import { fail, ok, warn, type Probe } from "./probe.ts"
import { machineProbes } from "./machine-probes.ts"

/** Oldest kernel with all that a run asks for: mount_setattr(2). */
const kernelMin = [5, 12] as const

/** As package.json says. */
const nodeMin = [20, 20] as const

/** Oldest nft that the rules were written for. */
const nftMin = [1, 0, 6] as const

/** Everything that a run cannot do without; those that fail say what is missing. */
export async function enforcementProbes(): Promise<readonly Probe[]> {
  const before = [root(), node(process.versions.node), await kernel()]
  const rest = await Promise.all([
    nft(),
    ...nftFeatures.map(nftFeature),
    iproute(),
    ...namespaces.map(namespace),
    veth(),
    routing(),
    utilLinux(),
    koffi(),
    socketDiag(),
  ])
  return [...before, ...rest]
}

/**
 * All probes: those for enforcement, and what is good to know about the machine.
 *
 * @param logs The directory that event logs are kept in.
 */
export async function allProbes(logs: string): Promise<readonly Probe[]> {
  const [needed, known] = await Promise.all([enforcementProbes(), machineProbes(logs)])
  return [...needed, ...known]
}

const isRoot = (): boolean => process.geteuid?.() === 0

/** linux/capability.h */
const capabilities = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21 }

/** Capabilities that a run cannot do without, and that this process has not. */
function lacking(): readonly string[] {
  const status = readFileSync("/proc/self/status", "utf8")
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`)
  return Object.entries(capabilities).flatMap(([name, bit]) =>
    ((effective >> BigInt(bit)) & 1n) === 1n ? [] : [name],
  )
}

function root(): Probe {
  if (!isRoot()) {
    return fail("root", `running as uid ${process.geteuid?.() ?? "unknown"}`, "start it with sudo")
  }
  const absent = lacking()
  return absent.length === 0
    ? ok("root", "running as root")
    : fail(
        "root",
        `root without ${absent.join(" and ")}`,
        "in a container: start it with --privileged",
      )
}

/** @param version as `process.versions.node` */
export function node(version: string): Probe {
  return isAtLeast(version, nodeMin)
    ? ok("node", version)
    : fail(
        "node",
        `version ${version}, must be ${nodeMin.join(".")} or newer`,
        "install a newer Node.js",
      )
}

async function kernel(): Promise<Probe> {
  const { out } = await attempt("uname", ["-r"])
  const version = out.trim()
  return isAtLeast(version, kernelMin)
    ? ok("kernel", version)
    : fail(
        "kernel",
        `Linux ${version || "unknown"}, must be ${kernelMin.join(".")} or newer`,
        "use a newer system: Debian 12, Ubuntu 22.04",
      )
}

/** Whether a version such as `6.1.0-13-amd64` is that old or newer. */
export function isAtLeast(version: string, wanted: readonly number[]): boolean {
  const parts = /\d+(?:\.\d+)*/.exec(version)?.[0].split(".").map(Number) ?? []
  if (parts.length === 0) return false
  for (const [index, least] of wanted.entries()) {
    const part = parts[index] ?? 0
    if (part !== least) return part > least
  }
  return true
}

async function nft(): Promise<Probe> {
  const tried = await attempt("nft", ["--version"])
  if (tried.kind === "absent") return fail("nft", "not installed", installing("nftables"))
  const version = /v(\d[\d.]*)/.exec(tried.out)?.[1] ?? ""
  return isAtLeast(version, nftMin)
    ? ok("nft", version)
    : warn(
        "nft",
        `version ${version || "unknown"}, older than ${nftMin.join(".")}`,
        "install a newer nftables where a rule below fails",
      )
}

interface NftFeature {
  readonly layer: string
  readonly rules: string
  /** The kernel's option or module. */
  readonly module: string
}

const hook = (type: string, where: string, priority: string): string =>
  `type ${type} hook ${where} priority ${priority}; policy drop;`

/** What the rules of a run are made of: each is a table that the kernel must take. */
const nftFeatures: readonly NftFeature[] = [
  {
    layer: "nft rules",
    rules: `chain c { ${hook("filter", "forward", "filter")} ct state established accept; reject with icmpx admin-prohibited; }`,
    module: "nf_tables, nf_conntrack and nft_reject_inet",
  },
  {
    layer: "nft tproxy",
    rules: `chain c { ${hook("filter", "prerouting", "mangle")} meta l4proto tcp tproxy to :1 meta mark set 1 accept; }`,
    module: "nft_tproxy",
  },
  {
    layer: "nft socket",
    rules: `chain c { ${hook("filter", "prerouting", "mangle")} socket transparent 1 accept; }`,
    module: "nft_socket",
  },
  {
    layer: "nft counted sets",
    rules: `set s { type uid . inet_proto . ipv4_addr . inet_service; flags dynamic; size 8; }
chain c { ${hook("filter", "output", "filter")} meta l4proto { tcp, udp } update @s { meta skuid . meta l4proto . ip daddr . th dport counter } drop; }`,
    module: "nf_tables with dynamic sets (Linux 5.7)",
  },
  {
    layer: "nft nat",
    rules: `chain c { type nat hook prerouting priority dstnat; udp dport 53 redirect to :1; }
chain d { type nat hook postrouting priority srcnat; masquerade; }`,
    module: "nft_nat, nft_redir and nft_masq",
  },
]

async function nftFeature({ layer, rules, module }: NftFeature): Promise<Probe> {
  const tried = await inNewNetwork("nft", ["-f", "-"], `table inet sluice_probe {\n${rules}\n}\n`)
  return told(layer, tried, "taken by the kernel", {
    absent: installing("nftables"),
    failed: `load the kernel modules ${module} (modprobe), or use a kernel that has them`,
  })
}

async function iproute(): Promise<Probe> {
  const tried = await attempt("ip", ["-V"])
  return told("ip", tried, /iproute2-([^,\s]+)/.exec(tried.out)?.[1] ?? "installed", {
    absent: installing("iproute2"),
    failed: installing("iproute2"),
  })
}

interface Namespace {
  readonly layer: string
  readonly options: readonly string[]
}

const namespaces: readonly Namespace[] = [
  { layer: "network namespace", options: ["--net"] },
  { layer: "mount namespace", options: ["--mount"] },
  { layer: "PID namespace", options: ["--mount", "--pid", "--fork", "--mount-proc"] },
  { layer: "IPC namespace", options: ["--ipc"] },
  { layer: "UTS namespace", options: ["--uts"] },
]

async function namespace({ layer, options }: Namespace): Promise<Probe> {
  const tried = await attempt("unshare", [...asUser(), ...options, "true"])
  return told(layer, tried, layer.startsWith("PID") ? "made, with a /proc of its own" : "made", {
    absent: installing("util-linux"),
    failed: inContainer,
  })
}

const inContainer =
  "in a container: start it with --privileged; elsewhere: use a kernel that has these namespaces"

async function veth(): Promise<Probe> {
  const tried = await inNewNetwork("ip", [
    "link",
    "add",
    "sluice0",
    "type",
    "veth",
    "peer",
    "name",
    "sluice1",
  ])
  return told("veth", tried, "a pair was made", {
    absent: installing("iproute2"),
    failed: "load the kernel module veth: modprobe veth",
  })
}

/** What TPROXY needs beside its rule: marked packets are delivered here, both families. */
async function routing(): Promise<Probe> {
  const has6 = (await attempt("cat", ["/proc/net/if_inet6"])).kind === "done"
  const commands = (has6 ? ["-4", "-6"] : ["-4"])
    .flatMap((family) => [
      `ip ${family} rule add fwmark 1 lookup 100`,
      `ip ${family} route add local default dev lo table 100`,
    ])
    .join(" && ")
  const tried = await inNewNetwork("sh", ["-c", `ip link set lo up && ${commands}`])
  return told("policy routing", tried, has6 ? "IPv4 and IPv6" : "IPv4", {
    absent: installing("iproute2"),
    failed: "use a kernel with CONFIG_IP_MULTIPLE_TABLES and CONFIG_IPV6_MULTIPLE_TABLES",
  })
}

async function utilLinux(): Promise<Probe> {
  const tools = ["unshare", "setpriv", "prlimit", "mount"]
  const tried = await Promise.all(tools.map((tool) => attempt(tool, ["--version"])))
  const absent = tools.filter((_, index) => tried[index]?.kind === "absent")
  return absent.length === 0
    ? ok("util-linux", tools.join(", "))
    : fail("util-linux", `${absent.join(", ")} not installed`, installing("util-linux mount"))
}

async function koffi(): Promise<Probe> {
  try {
    const { default: library } = await import("koffi")
    const getpid = library.load("libc.so.6").func("int getpid()") as () => number
    if (getpid() !== process.pid) throw new Error("a call gave a wrong answer")
    return ok("system calls", `koffi ${library.version}`)
  } catch (error) {
    const said = firstLine(error instanceof Error ? error.message : String(error))
    return fail(
      "system calls",
      `koffi does not work: ${said}`,
      "run npm ci again in Sluice's directory; on a system with glibc",
    )
  }
}

/** Linux names a socket's owner over netlink (sock_diag(7)); `ss` asks in the same way, and needs no module of ours. */
async function socketDiag(): Promise<Probe> {
  const layer = "socket owners"
  try {
    const { default: library } = await import("koffi")
    const libc = library.load("libc.so.6")
    const call = (signature: string): ((...values: unknown[]) => number) => libc.func(signature)
    const fd = call("int socket(int, int, int)")(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG)
    if (fd < 0) throw new Error("no netlink socket")
    const request = dumpRequest()
    call("long send(int, void *, size_t, int)")(fd, request, request.length, 0)
    const answer = Buffer.alloc(8192)
    const length = call("long recv(int, void *, size_t, int)")(fd, answer, answer.length, 0)
    call("int close(int)")(fd)
    if (length < 16 || answer.readUInt16LE(4) === NLMSG_ERROR) throw new Error("the kernel refused")
    return ok(layer, "told by sock_diag")
  } catch (error) {
    const said = firstLine(error instanceof Error ? error.message : String(error))
    return fail(
      layer,
      `sock_diag does not work: ${said}`,
      "load the kernel module tcp_diag: modprobe tcp_diag",
    )
  }
}

// linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h
const AF_NETLINK = 16
const SOCK_RAW = 3
const NETLINK_SOCK_DIAG = 4
const NLMSG_ERROR = 2
const SOCK_DIAG_BY_FAMILY = 20
const NLM_F_REQUEST_DUMP = 0x301

/** All TCP sockets over IPv4 that listen: `struct nlmsghdr` and `struct inet_diag_req_v2`. */
function dumpRequest(): Buffer {
  const bytes = Buffer.alloc(72)
  bytes.writeUInt32LE(bytes.length, 0)
  bytes.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4)
  bytes.writeUInt16LE(NLM_F_REQUEST_DUMP, 6)
  bytes.writeUInt8(2, 16) // AF_INET
  bytes.writeUInt8(6, 17) // IPPROTO_TCP
  bytes.writeUInt32LE(1 << 10, 20) // TCP_LISTEN
  return bytes
}

/** In a network namespace that ends with the program. */
async function inNewNetwork(
  program: string,
  argv: readonly string[],
  input = "",
): Promise<Attempt> {
  if (find(program) === null) return { kind: "absent", program, out: "", err: "" }
  return attempt("unshare", [...asUser(), "--net", program, ...argv], input)
}

/** Without root, a user namespace lends the rights for a try, where the machine allows that. */
function asUser(): readonly string[] {
  return isRoot() ? [] : ["--user", "--map-root-user"]
}

function told(
  layer: string,
  tried: Attempt,
  found: string,
  cures: { readonly absent: string; readonly failed: string },
): Probe {
  if (tried.kind === "done") return ok(layer, found)
  if (tried.kind === "absent") return fail(layer, `${tried.program} is not installed`, cures.absent)
  // A user namespace may be forbidden, or hold back a module: that says nothing about root.
  if (!isRoot()) return warn(layer, "could not be tried without root", "run it again with sudo")
  if (lacking().length > 0) return fail(layer, "not possible without full root, see above", null)
  return fail(layer, `refused: ${firstLine(tried.err) || "no reason given"}`, cures.failed)
}

function installing(packages: string): string {
  return `sudo apt-get install ${packages}`
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0]?.slice(0, 200) ?? ""
}
