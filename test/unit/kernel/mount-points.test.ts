import t from "tap"
import { kernelFileSystems, mountPoints } from "../../../kernel/mount-points.ts"

t.test("mountPoints() reads mountinfo with and without optional fields", (t) => {
  const text = [
    "21 28 0:19 / /sys rw,nosuid shared:7 master:1 - sysfs sysfs rw",
    "36 35 98:0 /mnt1 /srv/with\\040blank rw - proc proc rw",
    "37 35 98:0 / /srv/back\\134slash ro,noatime - ext4 /dev/root rw,errors=continue",
    "no line of it",
    "",
  ].join("\n")
  t.strictSame(mountPoints(text), [
    { path: "/sys", type: "sysfs" },
    { path: "/srv/with blank", type: "proc" },
    { path: "/srv/back\\slash", type: "ext4" },
  ])
  t.end()
})

t.test("kernelFileSystems names what sets the kernel and no file system for files", (t) => {
  for (const type of ["proc", "sysfs", "cgroup2", "debugfs"]) t.ok(kernelFileSystems.has(type))
  for (const type of ["ext4", "tmpfs", "overlay", "nfs4", "fuse", "devpts"]) {
    t.notOk(kernelFileSystems.has(type))
  }
  t.end()
})
