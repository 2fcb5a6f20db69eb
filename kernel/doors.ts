/**
 * The machine's doors that lead round the firewall: sockets of daemons that would do the job's
 * networking for it, or start programs outside.
 */
import {
  existsSync,
  lstatSync,
  readFileSync,
  readdirSync,
  realpathSync,
  statSync,
  type Stats,
} from "node:fs"
import { join } from "node:path"

/** Sockets and directories of daemons, each with what it would do for a job. */
const known: readonly (readonly [path: string, why: string])[] = [
  ["/run/docker.sock", "starts containers"],
  ["/run/docker", "starts containers"],
  ["/run/containerd", "starts containers"],
  ["/run/podman", "starts containers"],
  ["/run/buildkit", "builds images with the machine's network"],
  ["/run/crio", "starts containers"],
  ["/run/k3s", "starts containers"],
  ["/run/lxd.socket", "starts containers"],
  ["/var/snap/lxd/common/lxd/unix.socket", "starts containers"],
  ["/var/lib/lxd/unix.socket", "starts containers"],
  ["/var/lib/incus/unix.socket", "starts containers"],
  ["/run/libvirt", "starts virtual machines"],
  ["/run/dbus", "the system bus: resolves names, starts units"],
  ["/run/systemd/private", "systemd's own interface: starts units"],
  ["/run/systemd/resolve", "resolves names (varlink)"],
  ["/run/systemd/io.systemd.Resolve", "resolves names (varlink)"],
  ["/run/systemd/userdb", "varlink"],
  ["/run/systemd/machine", "varlink"],
  ["/run/systemd/notify", "speaks to the service manager"],
  ["/run/snapd.socket", "fetches and installs"],
  ["/run/snapd-snap.socket", "fetches and installs"],
  ["/run/nscd", "resolves names"],
  ["/run/avahi-daemon", "speaks multicast DNS"],
  ["/run/cups", "prints to the network"],
  ["/run/rpcbind.sock", "speaks RPC"],
  ["/run/netns", "the machine's network namespaces"],
  ["/run/gssproxy.default.sock", "asks Kerberos servers"],
  ["/run/acpid.socket", "none of a build's business"],
  ["/var/spool/cron", "starts programs outside, later"],
  ["/var/spool/at", "starts programs outside, later"],
  ["/var/spool/postfix", "sends mail"],
  ["/var/spool/exim4", "sends mail"],
  ["/var/spool/mqueue", "sends mail"],
  ["/var/spool/cups", "prints to the network"],
]

/** Under a home directory. */
const inHome = [
  ".docker/run",
  ".docker/desktop",
  ".colima",
  ".lima",
  ".rd",
  ".local/share/containers/podman",
  ".gnupg/S.dirmngr",
]

/** Databases that tests of a build may use, and that send nothing for anybody: not hidden. */
const harmless = [
  /\/\.s\.PGSQL\.\d+$/,
  /\/mysqld?(x?)\.sock$/,
  /\/redis[^/]*\.sock$/,
  /\/memcached/,
]

/**
 * All paths to hide from a job, those included on which something listens right now.
 *
 * What anybody may have put there is hidden only where it is what it seems to be: else a link under
 * /tmp or in the home directory would make us hide a part of the system from the job.
 *
 * @param home the home directory of the job's user; null: none
 */
export function hiddenPaths(home: string | null): string[] {
  const paths = new Set<string>()
  for (const [path] of known) paths.add(real(path))
  for (const path of [...listening(), ...sockets("/run")]) {
    if (harmless.some((test) => test.test(path))) continue
    const target = real(path)
    const facts = factsOf(target)
    // Why the second: a directory of /run that could not be looked through.
    if (facts?.isSocket() !== false || target.startsWith("/run/")) paths.add(target)
  }
  for (const path of homeDoors(home)) paths.add(path)
  for (const path of temporaryDoors()) paths.add(path)
  return [...paths].toSorted()
}

function real(path: string): string {
  return existsSync(path) ? realpathSync(path) : path
}

/** null: nothing is there, or nothing that can be reached (a loop of links). */
function factsOf(path: string): Stats | null {
  try {
    return statSync(path)
  } catch {
    return null
  }
}

/** Those under a home directory; through a link only where it leads to what the same user owns. */
function homeDoors(home: string | null): string[] {
  if (home === null || !existsSync(home)) return []
  const { uid } = statSync(home)
  return inHome.flatMap((name) => {
    const path = join(realpathSync(home), name)
    const facts = factsOf(path)
    if (facts === null) return [path]
    const target = realpathSync(path)
    return target === path || facts.uid === uid ? [target] : []
  })
}

/** Deeper than any daemon puts its socket. */
const depthMax = 8
/** Entries of one directory that are looked at. */
const entriesMax = 4096

/**
 * Sockets below a directory, and directories that cannot be looked through.
 *
 * Why beside listening(): a daemon in another network namespace than ours is not in that list.
 */
function sockets(folder: string, depth = 0): string[] {
  if (depth > depthMax) return [folder]
  try {
    const entries = readdirSync(folder, { withFileTypes: true })
    if (entries.length > entriesMax) return [folder]
    return entries.flatMap((entry) => {
      const path = `${folder}/${entry.name}`
      if (entry.isSocket()) return [path]
      return entry.isDirectory() && !ownView.has(path) ? sockets(path, depth + 1) : []
    })
  } catch {
    return [folder]
  }
}

/** The job has these of its own, whatever is in the machine's. */
const ownView = new Set(["/run/sluice", "/run/user"])

/**
 * Directories under /tmp in which terminal multiplexers and the user's session keep their doors: one
 * command there runs outside.
 */
function temporaryDoors(): string[] {
  return readdirSync("/tmp")
    .filter((name) => /^(tmux-|screen|uscreens|emacs|\.X11-unix$|\.ICE-unix$)/.test(name))
    .map((name) => `/tmp/${name}`)
    .filter((path) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === false)
}

const LISTENING = 0x10000 // __SO_ACCEPTCON

/** Paths of UNIX sockets on which something listens, `/proc/net/unix` (proc(5)). */
function listening(): string[] {
  const lines = readFileSync("/proc/net/unix", "latin1").split("\n").slice(1)
  const found: string[] = []
  for (const line of lines) {
    const parts = line.trim().split(/\s+/)
    const path = parts.slice(7).join(" ")
    const flags = Number.parseInt(parts[3] ?? "0", 16)
    if ((flags & LISTENING) !== 0 && path.startsWith("/")) found.push(path)
  }
  return found
}
