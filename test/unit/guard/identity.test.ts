import t from "tap"
import { caller, gateUid, jobEnvironment, jobUser } from "../../../guard/identity.ts"

const bob = {
  ...{ name: "bob", uid: 1000, gid: 1000, groups: [1000] },
  ...{ home: "/home/bob", shell: "/bin/sh" },
}

t.test("jobUser() is who called sudo, who was named, else root", (t) => {
  t.match(jobUser(null, {}), { name: "root", uid: 0, gid: 0, home: "/root" })
  t.match(jobUser("root", { SUDO_UID: "1" }), { uid: 0 }, "a name beats sudo")
  t.match(jobUser(null, { SUDO_UID: "1", SUDO_GID: "1" }), { uid: 1 })
  t.end()
})

t.test("jobUser() takes a number without an entry as it is", (t) => {
  const facts = { name: "60999", uid: 60_999, home: null, shell: null, groups: [] }
  t.match(jobUser(null, { SUDO_UID: "60999", SUDO_GID: "60998" }), { ...facts, gid: 60_998 })
  t.match(jobUser("60999", { SUDO_UID: "1", SUDO_GID: "7" }), { ...facts, gid: 60_999 })
  t.end()
})

t.test("jobUser() refuses what is no user", (t) => {
  for (const name of ["nobody-such", "-1", "--help", "", "a b", "root:0", "x".repeat(65), "1e3"]) {
    t.throws(() => jobUser(name, {}), /there is no such user, must be/, name)
  }
  for (const number of ["4294967295", "99999999999", "0x0"]) {
    t.throws(() => jobUser(null, { SUDO_UID: number }), /there is no such user, must be/, number)
  }
  t.throws(() => jobUser(null, { SUDO_UID: "60999", SUDO_GID: "-1" }), /there is no such user/)
  t.end()
})

t.test("jobEnvironment() is what the user would have had without sudo", (t) => {
  const ours = { HOME: "/root", USER: "root", LOGNAME: "root", MAIL: "/var/mail/root", KEEP: "1" }
  t.strictSame(jobEnvironment({ ...ours, GONE: undefined }, bob), {
    ...{ HOME: "/home/bob", USER: "bob", LOGNAME: "bob", KEEP: "1", SHELL: "/bin/sh" },
  })
  t.strictSame(jobEnvironment(ours, { ...bob, uid: 0 }), ours, "root keeps its own")
  t.end()
})

t.test("gateUid() finds a number that nobody has, in systemd's range", (t) => {
  t.equal(
    gateUid(0, () => false),
    61_184,
  )
  t.equal(
    gateUid(4_335, () => false),
    65_519,
  )
  t.equal(
    gateUid(4_336, () => false),
    61_184,
  )
  t.equal(
    gateUid(4_335, (uid) => uid === 65_519),
    61_184,
    "round the end",
  )
  t.throws(() => gateUid(1, () => true), /are all taken/)
  t.end()
})

t.test("caller() is who stands behind sudo, else we ourselves", (t) => {
  const own = { uid: process.getuid?.(), gid: process.getgid?.() }
  t.strictSame(caller({ SUDO_UID: "1000", SUDO_GID: "100" }), { uid: 1000, gid: 100 })
  t.strictSame(caller({ SUDO_UID: "1000" }), { uid: 1000, gid: 1000 })
  for (const SUDO_UID of ["", "bob", "-1", "4294967295"]) t.strictSame(caller({ SUDO_UID }), own)
  t.strictSame(caller({}), own)
  t.end()
})
