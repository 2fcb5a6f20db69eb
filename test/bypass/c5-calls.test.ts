/** Row 95: doors that no packet filter sees, closed by the filter of system calls. */
import { chmodSync } from "node:fs"
import t from "tap"
import { guarded, labFor, threeTimes, whyNoLab } from "./harness.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false

/** Calls that a Python without any library makes; prints `name result errno`. */
const calls = `
import ctypes, mmap, platform, struct
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *numbers):
    result = libc.syscall(*(ctypes.c_long(n) for n in numbers))
    print(name, result if result < 0 else "opened", ctypes.get_errno() if result < 0 else 0)
machine = platform.machine()
SOCKET, IOCTL = (41, 16) if machine == "x86_64" else (198, 29)
call("inet", SOCKET, 2, 1, 0)
call("unix", SOCKET, 1, 1, 0)
call("vsock", SOCKET, 40, 1, 0)
call("vsock-high", SOCKET, 40 | 1 << 32, 1, 0)
call("alg", SOCKET, 38, 5, 0)
call("tipc", SOCKET, 30, 1, 0)
call("xdp", SOCKET, 44, 3, 0)
call("kcm", SOCKET, 41, 2, 0)
call("bluetooth", SOCKET, 31, 3, 0)
call("uring", 425, 8, 0)
call("keyctl", 250 if machine == "x86_64" else 219, 0, 0, 0)
call("request-key", 249 if machine == "x86_64" else 218, 0, 0, 0, 0)
call("tiocsti", IOCTL, 0, 0x5412, 0)
call("tiocsti-high", IOCTL, 0, 0x5412 | 1 << 32, 0)
call("tioclinux", IOCTL, 0, 0x541C, 0)
call("bpf", 321 if machine == "x86_64" else 280, 5, 0, 0)
call("kexec", 246 if machine == "x86_64" else 104, 0, 0, 0, 0)
call("perf", 298 if machine == "x86_64" else 241, 0, 0, -1, -1, 0)
if machine == "x86_64":
    call("x32", 0x40000000 + 41, 2, 1, 0)
`

/** The i386 entry point, by its own instruction: EAX, EBX, ECX, EDX in, EAX out. */
const compat = `
import ctypes, mmap, os, struct
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
def call(name, eax, ebx, ecx, edx):
    if os.fork() == 0:
        code.seek(0)
        code.write(b"\\x53\\xb8" + struct.pack("<I", eax) + b"\\xbb" + struct.pack("<I", ebx) + b"\\xb9" + struct.pack("<I", ecx)
            + b"\\xba" + struct.pack("<I", edx) + b"\\xcd\\x80\\x5b\\xc3")
        run = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
        print(name, run(), flush=True); os._exit(0)
    _, status = os.wait()
    if status: print(name, "killed", flush=True)
call("getpid", 20, 0, 0, 0)
call("socketcall", 102, 1, 0, 0)
call("vsock", 359, 40, 1, 0)
call("inet", 359, 2, 1, 0)
call("uring", 425, 8, 0, 0)
call("tiocsti", 54, 0, 0x5412, 0)
`

const facts = (stdout: string): Record<string, string> =>
  Object.fromEntries(
    stdout
      .trim()
      .split("\n")
      .map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]),
  ) as Record<string, string>

t.test("system calls", { skip, timeout: 200_000 }, async (t) => {
  const lab = await labFor(t)
  const mode = "audit"
  chmodSync(lab.directory, 0o755)

  for (const user of ["root", "nobody"]) {
    await t.test(`row 95: sockets and rings that ${user} is refused`, async (t) => {
      const free = facts((await lab.run(["python3", "-c", calls])).stdout)
      t.notMatch(free["uring"], /^-1 38/, "there is io_uring without a firewall")
      t.notMatch(free["tiocsti"], /^-1 1$/, "a terminal could be typed into")
      const options = ["--mode", mode, "--user", user, "--events", "/dev/null"]
      const argv = lab.guarded(options, ["/usr/bin/python3", "-c", calls])
      const { stdout, stderr } = await lab.run(argv)
      const found = facts(stdout)
      t.match(found, { inet: "opened 0", unix: "opened 0" }, stderr)
      const family = "-1 97"
      for (const name of ["vsock", "vsock-high", "alg", "tipc", "xdp", "kcm", "bluetooth"]) {
        t.equal(found[name], family, name)
      }
      for (const name of ["uring", "keyctl", "request-key"]) t.equal(found[name], "-1 38", name)
      for (const name of ["tiocsti", "tiocsti-high", "tioclinux"])
        t.equal(found[name], "-1 1", name)
      for (const name of ["bpf", "kexec"]) t.match(found[name], /^-1 (1|38)$/, name)
      if (process.arch === "x64") t.equal(found["x32"], "-1 38")
    })
  }

  const other = process.arch === "x64" ? false : "i386 calls are of x64 machines"
  await t.test("row 95: the same by the i386 entry point", { skip: other }, async (t) => {
    const free = facts((await lab.run(["python3", "-c", compat])).stdout)
    if (free["getpid"] === "killed") {
      t.comment("this kernel has no i386 entry point: nothing to close")
      return
    }
    t.equal(free["socketcall"], "-14", "without a firewall it is there")
    const { stdout, stderr } = await guarded(lab, { mode }, ["python3", "-c", compat])
    const found = facts(stdout)
    t.match(found["getpid"], /^\d+$/, stderr)
    t.match(found["inet"], /^\d+$/, "what is allowed works this way too")
    t.match(found, { socketcall: "-38", vsock: "-97", uring: "-38", tiocsti: "-1" })
  })

  await threeTimes(t, lab, {
    name: "row 95: sendmmsg, and sockets of the i386 entry point, are packets like any other",
    command: (word) => [
      "python3",
      "-c",
      `
import ctypes, socket, struct
libc = ctypes.CDLL(None)
word = ctypes.create_string_buffer(b"${word}")
to = ctypes.create_string_buffer(struct.pack("=HHI8x", 2, socket.htons(5555), struct.unpack("=I", socket.inet_aton("198.51.100.66"))[0]))
iov = (ctypes.c_uint64 * 2)(ctypes.addressof(word), len(word))
header = (ctypes.c_uint64 * 8)(ctypes.addressof(to), 16, ctypes.addressof(iov), 1, 0, 0, 0, 0)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print(libc.sendmmsg(s.fileno(), header, 1, 0))
`,
    ],
    allow: ["allowed.test"],
    reasons: ["address-not-allowed"],
    record: "drop",
  })
})
