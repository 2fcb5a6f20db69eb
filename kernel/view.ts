/**
 * What the job sees of the machine's files: the same tree, less the doors that lead round the firewall.
 *
 * Runs in a thread that stands in new mount, IPC and network namespaces. Only synchronous calls:
 * Node's asynchronous file system works in other threads, which stand elsewhere.
 */
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, readdirSync } from "node:fs"
import { readFileSync, readlinkSync, realpathSync, statfsSync } from "node:fs"
import { symlinkSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { c, call, setMountAttributes } from "./libc.ts"
import { coverFiles, writeBelow, type OwnFiles } from "./own-files.ts"
import { kernelFileSystems, mountPoints, procMagic } from "./mount-points.ts"
import { atPlace } from "./place.ts"

export interface View {
  /** An empty directory of ours, outside the job's reach, to build in. */
  readonly stage: string
  /** What the job's /etc/resolv.conf says. */
  readonly resolverText: string
  /** Files in a version of the job's own: what it trusts. */
  readonly own: OwnFiles
  /** Files and directories to hide; those that do not exist are passed over. */
  readonly hidden: readonly string[]
  /** Paths that stay visible although `hidden` names them. */
  readonly kept: readonly string[]
  /** Files of ours that the job may read, and neither change nor replace. */
  readonly sealed: readonly SealedFile[]
}

/** A file, by its path and by what stood there when it was opened (stat(2)). */
export interface SealedFile {
  readonly path: string
  readonly dev: number
  readonly ino: number
}

/**
 * Devices a build may need. Everything else is left out: disks, memory, the hypervisor's doors.
 * Precedent: the OCI runtime specification's default devices, and what compilers and test beds use.
 */
const devices = [
  ...["null", "zero", "full", "random", "urandom", "tty", "fuse", "kvm", "kfd"],
  ...["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset"],
  ...Array.from({ length: 8 }, (_, index) => `nvidia${index}`),
]
const deviceDirectories = ["pts", "dri", "snd"]
const deviceLinks = {
  fd: "/proc/self/fd",
  stdin: "/proc/self/fd/0",
  stdout: "/proc/self/fd/1",
  stderr: "/proc/self/fd/2",
  ptmx: "pts/ptmx",
}

/** As Docker's default masked and read-only paths (oci/defaults.go). */
const procReadOnly = ["sys", "sysrq-trigger", "irq", "bus", "fs"]
const procMasked = ["kcore", "keys", "latency_stats", "timer_list", "sched_debug", "kpagecount"]

const quiet = c.MS_NOSUID | c.MS_NODEV | c.MS_NOEXEC

/** Builds the view. Call once, in the job's mount namespace, before anything of the job's runs. */
export function buildView(view: View): void {
  mount(null, "/", null, c.MS_REC | c.MS_PRIVATE)
  mount("sluice", view.stage, "tmpfs", c.MS_NOSUID, "mode=755")
  buildDevices(join(view.stage, "dev"))
  buildRun(join(view.stage, "run"), view)
  setMountAttributes("/", c.MOUNT_ATTR_NODEV, 0)
  bind(join(view.stage, "dev"), "/dev")
  openDevices()
  buildSys(join(view.stage, "cgroup"))
  closeKernelFiles()
  for (const path of view.hidden) {
    // Why the second: a directory over a kept socket would hide it; the others in it have own entries.
    const stays = view.kept.some((kept) => kept === path || kept.startsWith(`${path}/`))
    if (!stays) hide(path, view.stage)
  }
  coverFiles(join(view.stage, "own"), view.own)
  // Why last: it hides the stage, which lies under the machine's own /run.
  bind(join(view.stage, "run"), "/run")
  bindResolver()
  for (const file of view.sealed) seal(file)
}

/** Closes what a fresh /proc holds of the whole machine. Call once /proc is the job's own. */
export function closeProc(): void {
  for (const name of procReadOnly) {
    const path = `/proc/${name}`
    if (!existsSync(path)) continue
    mount(path, path, null, c.MS_BIND | c.MS_REC)
    setMountAttributes(path, c.MOUNT_ATTR_RDONLY, 0)
  }
  for (const name of procMasked) {
    if (existsSync(`/proc/${name}`)) mount("/dev/null", `/proc/${name}`, null, c.MS_BIND)
  }
}

function mount(
  source: string | null,
  target: string,
  type: string | null,
  flags: number,
  data: string | null = null,
): void {
  call("mount", `mount "${target}"`, source, target, type, flags, data)
}

function bind(source: string, target: string): void {
  mount(source, target, null, c.MS_BIND | c.MS_REC)
}

function bindFile(source: string, target: string): void {
  mount(source, target, null, c.MS_BIND)
}

function buildDevices(dev: string): void {
  mkdirSync(dev)
  for (const name of devices) {
    if (!existsSync(`/dev/${name}`)) continue
    writeFileSync(join(dev, name), "")
    bindFile(`/dev/${name}`, join(dev, name))
  }
  for (const name of deviceDirectories) {
    if (!existsSync(`/dev/${name}`)) continue
    mkdirSync(join(dev, name))
    bind(`/dev/${name}`, join(dev, name))
  }
  for (const [name, target] of Object.entries(deviceLinks)) symlinkSync(target, join(dev, name))
  mkdirSync(join(dev, "shm"))
  mount("shm", join(dev, "shm"), "tmpfs", c.MS_NOSUID | c.MS_NODEV, "mode=1777")
  mkdirSync(join(dev, "mqueue"))
  mount("mqueue", join(dev, "mqueue"), "mqueue", quiet)
}

/** Lets the devices that are there be used, and none that root in the job makes beside them. */
function openDevices(): void {
  setMountAttributes("/dev", 0, c.MOUNT_ATTR_NODEV)
  const again = c.MS_REMOUNT | c.MS_BIND | c.MS_NOSUID
  for (const path of ["/dev", "/dev/shm", "/dev/mqueue"]) {
    mount(null, path, null, again | c.MS_NODEV)
  }
  // Why: these are the machine's own directories; a device can be written to where nothing can be made.
  for (const name of ["dri", "snd"]) {
    if (existsSync(`/dev/${name}`)) mount(null, `/dev/${name}`, null, again | c.MS_RDONLY)
  }
}

/**
 * A /run of the job's own: what is there now and not hidden, and nothing that a daemon puts there
 * later.
 */
function buildRun(run: string, view: View): void {
  mkdirSync(run)
  carry("/run", run, view, false)
  const own = join(run, "sluice")
  mkdirSync(own, { recursive: true })
  writeFileSync(join(own, "resolv.conf"), view.resolverText, { mode: 0o644 })
  writeBelow(own, view.own.run)
}

/** Directories that are rebuilt entry by entry, because only some of what they hold may be seen. */
const opened = new Set(["/run", "/run/user", "/run/lock", "/run/systemd"])
/** A user's own run-time directory holds doors to daemons of his: it stays, empty. */
const emptied = /^\/run\/user\/\d+$/
/** Who may write there may put a link in place of what is about to be carried: it stays, empty. */
const writableByAll = 0o002
/** Entries of one directory that are carried over; more than any machine has. */
const entriesMax = 4096

function carry(from: string, to: string, view: View, insideHidden: boolean): void {
  for (const name of readdirSync(from).slice(0, entriesMax)) {
    const path = `${from}/${name}`
    const target = join(to, name)
    const facts = lstatSync(path, { throwIfNoEntry: false })
    if (facts === undefined || path === "/run/sluice") continue
    const kept = view.kept.includes(path)
    const hidden = insideHidden || view.hidden.includes(path)
    const leadsToKept = view.kept.some((other) => other.startsWith(`${path}/`))
    const leadsToHidden = view.hidden.some((other) => other.startsWith(`${path}/`))
    if (hidden && !kept && !leadsToKept) continue
    if (facts.isSymbolicLink()) symlinkSync(readlinkSync(path), target)
    else if (!facts.isDirectory()) {
      writeFileSync(target, "")
      bindFile(path, target)
    } else {
      mkdirSync(target)
      chmodSync(target, facts.mode & 0o7777)
      chownSync(target, facts.uid, facts.gid)
      const inner = hidden || emptied.test(path) || (facts.mode & writableByAll) !== 0
      if (kept) bind(path, target)
      else if (inner || opened.has(path) || leadsToKept || leadsToHidden)
        carry(path, target, view, inner)
      else bind(path, target)
    }
  }
}

function buildSys(cgroup: string): void {
  const groups = "/sys/fs/cgroup"
  const hasGroups = existsSync(groups)
  if (hasGroups) {
    mkdirSync(cgroup)
    bind(groups, cgroup)
  }
  // Why a new one: sysfs shows the network devices of the namespace in which it was mounted.
  mount("sysfs", "/sys", "sysfs", quiet | c.MS_RDONLY)
  if (hasGroups) bind(cgroup, groups)
  setMountAttributes("/sys", c.MOUNT_ATTR_RDONLY, 0)
  if (existsSync("/sys/firmware")) mount("none", "/sys/firmware", "tmpfs", quiet | c.MS_RDONLY)
}

/**
 * Puts something empty over a file or a directory. Entries of /run were left out already.
 *
 * Why by a held place: the path may lie where the job's user writes, and a link put there in the last
 * moment must not lead the mount elsewhere.
 *
 * @throws Error when the path has come to lead elsewhere
 */
function hide(path: string, stage: string): void {
  if (path.startsWith("/run/")) return
  const found = atPlace(path, (place, facts) => {
    if (facts.isDirectory()) {
      const mode = (facts.mode & 0o7777).toString(8)
      const data = `mode=${mode},uid=${facts.uid},gid=${facts.gid}`
      mount("none", place, "tmpfs", quiet, data)
      return
    }
    const empty = join(stage, "empty")
    if (!existsSync(empty)) writeFileSync(empty, "", { mode: 0o000 })
    bindFile(empty, place)
  })
  if (found === "moved") throw new Error(`Cannot hide "${path}": it changed just now, must stay`)
}

/** Rebuilt from nothing, so that what the machine has mounted below does not show. */
const rebuilt = ["/proc", "/sys", "/dev", "/run"]

/**
 * The kernel's files where else they are mounted, as in a chroot: processes of the machine (and with
 * them its whole tree, /proc/PID/root) are not shown, settings are read-only.
 */
function closeKernelFiles(): void {
  for (const { path, type } of mountPoints(readFileSync("/proc/thread-self/mountinfo", "utf8"))) {
    if (!kernelFileSystems.has(type)) continue
    if (rebuilt.some((root) => path === root || path.startsWith(`${root}/`))) continue
    atPlace(path, (place, facts) => {
      if (statfsSync(place).type !== procMagic) setMountAttributes(place, c.MOUNT_ATTR_RDONLY, 0)
      else if (facts.isDirectory()) mount("none", place, "tmpfs", quiet | c.MS_RDONLY)
      else bindFile("/dev/null", place)
    })
  }
}

/** Makes a file of ours read-only, and its name fixed, in the job's view alone. */
function seal({ path, dev, ino }: SealedFile): void {
  if (!existsSync(path)) return
  const real = realpathSync(path)
  let same = false
  atPlace(real, (place, facts) => {
    // Why: under /dev or /run there is another file of that name, or none.
    same = facts.dev === dev && facts.ino === ino
    if (same) bindFile(place, place)
  })
  if (same) atPlace(real, (place) => setMountAttributes(place, c.MOUNT_ATTR_RDONLY, 0))
}

/** Puts our resolver's address where programs look for it. */
function bindResolver(): void {
  const path = "/etc/resolv.conf"
  const facts = lstatSync(path, { throwIfNoEntry: false })
  // Why nothing where there is no file: the C library then asks 127.0.0.1, which reaches us too.
  if (facts === undefined) return
  let target = path
  try {
    target = realpathSync(path)
  } catch {
    target = resolve("/etc", readlinkSync(path))
    if (!target.startsWith("/run/")) return
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, "")
  }
  bindFile("/run/sluice/resolv.conf", target)
}
