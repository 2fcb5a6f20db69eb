/** What is mounted where, as /proc/PID/mountinfo tells it (proc(5)). Pure. */

export interface MountPoint {
  readonly path: string
  /** `proc`, `ext4`… */
  readonly type: string
}

/** File systems through which the kernel itself is read and set. */
export const kernelFileSystems: ReadonlySet<string> = new Set([
  ...["proc", "sysfs", "debugfs", "tracefs", "securityfs", "configfs", "bpf", "pstore"],
  ...["cgroup", "cgroup2", "efivarfs", "binfmt_misc", "selinuxfs", "resctrl"],
])

/** PROC_SUPER_MAGIC, linux/magic.h. */
export const procMagic = 0x9fa0

/** @param text of mountinfo; lines that are none are passed over */
export function mountPoints(text: string): MountPoint[] {
  return text.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ")
    const path = before.split(" ")[4]
    const [type = ""] = after.split(" ")
    return path === undefined || type === "" ? [] : [{ path: unescaped(path), type }]
  })
}

/** Blanks, line ends and backslashes stand as three octal digits. */
function unescaped(path: string): string {
  const bytes = path.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
  return bytes
}
