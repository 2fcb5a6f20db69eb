/**
 * The three namespaces of the bench: client — machine — origin, two veth pairs, IPv4.
 *
 * Peers run in the machine and meet the client's packets by nft redirection. Our own side is started
 * in the machine, as a user would, and brings its own client namespace: two veth pairs as well.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Shell } from "./shell.ts"

/** Addresses of documentation ranges (RFC 5737), which the product counts as public. */
export const addresses = {
  client: "198.51.100.2",
  machineInside: "198.51.100.1",
  machine: "203.0.113.1",
  page: "203.0.113.10",
  resolver: "203.0.113.53",
} as const

export const names = {
  /** Serves the big file and the small page. */
  page: "page.allowed.test",
  /** An npm registry. */
  registry: "registry.allowed.test",
  cached: (index: number) => `c${index}.allowed.test`,
  forwarded: (index: number) => `f${index}.allowed.test`,
  blocked: (index: number) => `b${index}.evil.test`,
  /** Serve the page too; each is met once, so that a certificate must be made for it. */
  fresh: (index: number) => `n${index}.${freshZone}`,
} as const

export const freshZone = "new.allowed.test"

export const counts = { cached: 100, forwarded: 4000, blocked: 100 } as const

/** Processes that were asked to end get this long, ours with their last events included. */
const endGraceMs = 5_000
const pollMs = 20

/** Interface through which the client's packets enter the machine. */
const inside = "inside"

const places = ["client", "machine", "origin"] as const
export type Place = (typeof places)[number]

export class Bed {
  /** Directory for configurations and logs; removed at the end. */
  readonly directory: string
  readonly #prefix = `sluice-bench-${process.pid}`
  readonly #shells: Shell[] = []
  #removed: Promise<void> | null = null

  constructor() {
    this.directory = mkdtempSync("/tmp/sluice-bench-")
    // Why: peers such as Squid and unbound read and write here as users of their own.
    execFileSync("chmod", ["755", this.directory])
    mkdirSync(this.file("www"))
    execFileSync("mount", ["-t", "tmpfs", "-o", "mode=755", "tmpfs", this.file("www")])
    for (const place of places) this.#namespace(place)
    this.#pair("client", "eth0", addresses.client, "machine", inside, addresses.machineInside)
    this.#pair("machine", "eth0", addresses.machine, "origin", "eth0", addresses.page)
    this.ip("origin", "addr", "add", `${addresses.resolver}/24`, "dev", "eth0")
    this.ip("client", "route", "add", "default", "via", addresses.machineInside)
    this.ip("origin", "route", "add", "198.51.100.0/24", "via", addresses.machine)
    this.ip("machine", "route", "add", "default", "via", addresses.page)
    this.execute("machine", ["sysctl", "-qw", "net.ipv4.ip_forward=1"])
  }

  file(name: string): string {
    return join(this.directory, name)
  }

  write(name: string, text: string): string {
    writeFileSync(this.file(name), text)
    return this.file(name)
  }

  /** What goes in front of a command so that it runs in that namespace. */
  enter(place: Place): readonly string[] {
    return ["ip", "netns", "exec", `${this.#prefix}-${place}`]
  }

  execute(place: Place, argv: readonly string[], input = ""): string {
    this.#mustStand()
    const [program = "", ...rest] = [...this.enter(place), ...argv]
    return execFileSync(program, rest, { encoding: "utf8", input })
  }

  ip(place: Place, ...argv: readonly string[]): void {
    execFileSync("ip", ["-n", `${this.#prefix}-${place}`, ...argv])
  }

  /** A process that serves; what it says goes to `<name>.log`. */
  serve(place: Place, name: string, argv: readonly string[]): ChildProcess {
    this.#mustStand()
    const quoted = argv.map((part) => `'${part}'`).join(" ")
    const log = `exec ${quoted} >>'${this.file(`${name}.log`)}' 2>&1 </dev/null`
    const [program, ...rest] = [...this.enter(place), "sh", "-c", log]
    return spawn(program, rest, { stdio: "ignore" })
  }

  /** The last words of a process that `serve` started. */
  logOf(name: string): string {
    try {
      return readFileSync(this.file(`${name.replaceAll(/\W+/g, "-")}.log`), "utf8").slice(-1000)
    } catch {
      return ""
    }
  }

  /** `argv` stands in front of the shell: a firewall that runs it as its command. */
  shell(place: Place, argv: readonly string[] = []): Shell {
    this.#mustStand()
    const shell = new Shell(
      argv[0] ?? place,
      [...this.enter(place), ...argv, ...shellCommand],
      clean(),
    )
    this.#shells.push(shell)
    return shell
  }

  /** Sends what the client says to these ports of the machine, and nothing else anywhere. */
  redirect(ports: { readonly tls?: number; readonly dns?: number }): void {
    const rules = [
      ...(ports.tls === undefined ? [] : [`tcp dport 443 redirect to :${ports.tls}`]),
      ...(ports.dns === undefined ? [] : [`udp dport 53 redirect to :${ports.dns}`]),
    ].map((rule) => `iifname "${inside}" ${rule}`)
    const chain = `chain c { type nat hook prerouting priority dstnat;\n${rules.join("\n")}\n}`
    const table = rules.length === 0 ? "" : `table ip bench {\n${chain}\n}`
    this.execute(
      "machine",
      ["nft", "-f", "-"],
      `table ip bench {}\ndelete table ip bench\n${table}\n`,
    )
  }

  /** Ends every process of the bench and removes all that it made. Never throws. */
  remove(): Promise<void> {
    this.#removed ??= this.#remove()
    return this.#removed
  }

  async #remove(): Promise<void> {
    await Promise.all(this.#shells.map((shell) => shell.stop()))
    // Why not the children that were started: a master that is killed leaves its workers behind.
    this.#signal("SIGTERM")
    const deadline = Date.now() + endGraceMs
    while (this.#processes().length > 0 && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
    this.#signal("SIGKILL")
    quietly("umount", this.file("www"))
    for (const place of places) {
      quietly("ip", "netns", "del", `${this.#prefix}-${place}`)
      rmSync(`/etc/netns/${this.#prefix}-${place}`, { recursive: true, force: true })
    }
    rmSync(this.directory, { recursive: true, force: true })
  }

  /** Every process that is in a namespace of the bench, whoever started it. */
  #processes(): number[] {
    return places.flatMap((place) => {
      const listed = spawnSync("ip", ["netns", "pids", `${this.#prefix}-${place}`])
      return listed.stdout.toString().split("\n").filter(Boolean).map(Number)
    })
  }

  #signal(signal: NodeJS.Signals): void {
    for (const pid of this.#processes()) {
      try {
        process.kill(pid, signal)
      } catch {
        // Why: it has ended by itself.
      }
    }
  }

  #mustStand(): void {
    if (this.#removed !== null) throw new Error("Cannot start a process: the bench is being ended")
  }

  #namespace(place: Place): void {
    const name = `${this.#prefix}-${place}`
    // Why: `ip netns exec` lays these over /etc, so that nothing of the real machine is asked.
    mkdirSync(`/etc/netns/${name}`, { recursive: true })
    writeFileSync(`/etc/netns/${name}/resolv.conf`, `nameserver ${addresses.resolver}\n`)
    writeFileSync(`/etc/netns/${name}/hosts`, "127.0.0.1 localhost\n")
    execFileSync("ip", ["netns", "add", name])
    this.ip(place, "link", "set", "lo", "up")
    // Why: thousands of connections a second through one address use up the default range.
    const settings = ["net.ipv4.ip_local_port_range=1024 65535", "net.ipv4.tcp_tw_reuse=1"]
    this.execute(place, ["sysctl", "-qw", ...settings])
  }

  #pair(a: Place, aLink: string, aIp: string, b: Place, bLink: string, bIp: string): void {
    const other = ["peer", "name", bLink, "netns", `${this.#prefix}-${b}`]
    this.ip(a, "link", "add", aLink, "type", "veth", ...other)
    this.ip(a, "addr", "add", `${aIp}/24`, "dev", aLink)
    this.ip(b, "addr", "add", `${bIp}/24`, "dev", bLink)
    this.ip(a, "link", "set", aLink, "up")
    this.ip(b, "link", "set", bLink, "up")
  }
}

/** How a client shell is started: also how it is told from the firewall that runs it. */
export const shellCommand = ["sh", "-s", "sluice-bench-client"] as const

/** The bench's own environment without what would change how a client or Sluice behaves. */
function clean(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(SLUICE_|SUDO_|NODE_OPTIONS|https?_proxy|all_proxy)/i.test(name),
  )
  return Object.fromEntries(kept)
}

function quietly(program: string, ...argv: readonly string[]): void {
  try {
    execFileSync(program, argv, { stdio: "ignore" })
  } catch {
    // Why: it was never made, or is gone already; the rest must still be removed.
  }
}
