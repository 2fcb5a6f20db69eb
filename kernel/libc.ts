/**
 * The C library's calls that Node lacks, through koffi, with errno turned into KernelError.
 *
 * Only the guard loads this room: it is the one process with privileges, and koffi never meets a
 * byte that the job controls.
 */
import koffi from "koffi"

const libc = koffi.load("libc.so.6")

/** A system call that the kernel refused. */
export class KernelError extends Error {
  readonly call: string
  /** As in errno(3), e.g. 1 for EPERM; 0 where a program failed rather than a call. */
  readonly errno: number
  /** `EPERM`, or the number where it has no name here. */
  readonly code: string

  constructor(call: string, errno: number, what: string) {
    const code = errnoNames.get(errno) ?? String(errno)
    super(errno === 0 ? `Cannot ${what}` : `Cannot ${what}: ${call} answered ${code}`)
    this.name = "KernelError"
    this.call = call
    this.errno = errno
    this.code = code
  }
}

const errnoNames = new Map(Object.entries(koffi.os.errno).map(([name, value]) => [value, name]))

type Call = (...values: unknown[]) => number

function define(signature: string): Call {
  return libc.func(signature)
}

// linux/filter.h
koffi.struct("sock_fprog", { len: "uint16_t", filter: "void *" })

const calls = {
  socket: define("int socket(int domain, int type, int protocol)"),
  bind: define("int bind(int fd, void *address, uint32_t length)"),
  listen: define("int listen(int fd, int backlog)"),
  setsockopt: define("int setsockopt(int fd, int level, int name, void *value, uint32_t length)"),
  send: define("long send(int fd, void *bytes, size_t length, int flags)"),
  recv: define("long recv(int fd, void *bytes, size_t length, int flags)"),
  setns: define("int setns(int fd, int kind)"),
  unshare: define("int unshare(int flags)"),
  mount: define(
    "int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)",
  ),
  mount_setattr: define(
    "long syscall(long number, int fd, const char *path, unsigned int flags, void *attributes, size_t size)",
  ),
  close_range: define(
    "long syscall(long number, unsigned int first, unsigned int last, unsigned int flags)",
  ),
  prctl: define("int prctl(int option, unsigned long a, sock_fprog *program)"),
}

export type CallName = keyof typeof calls

/**
 * Makes one call and gives its result (never negative).
 *
 * @param what completes "Cannot …", for the person who reads the error
 * @throws KernelError when the kernel refuses
 */
export function call(name: CallName, what: string, ...values: unknown[]): number {
  const result = calls[name](...values)
  if (result < 0) throw new KernelError(name, koffi.errno(), what)
  return result
}

/** Puts a seccomp filter (`struct sock_filter`s, 8 bytes each) on the calling thread. */
export function setFilter(what: string, program: { len: number; filter: Uint8Array }): void {
  call("prctl", what, c.PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program)
}

/** Makes a mount, and all below it, take or lose attributes (mount_setattr(2), Linux 5.12). */
export function setMountAttributes(path: string, set: number, clear: number): void {
  const attributes = Buffer.alloc(32) // struct mount_attr
  attributes.writeUInt32LE(set, 0)
  attributes.writeUInt32LE(clear, 8)
  const arguments_ = [c.SYS_mount_setattr, -1, path, c.AT_RECURSIVE, attributes, attributes.length]
  call("mount_setattr", `set the attributes of "${path}"`, ...arguments_)
}

const SECCOMP_MODE_FILTER = 2

/** Numbers from the kernel's headers; each comment names the header. */
export const c = {
  // linux/socket.h, bits/socket.h
  AF_INET: 2,
  AF_INET6: 10,
  AF_NETLINK: 16,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_RAW: 3,
  SOCK_CLOEXEC: 0o2000000,
  SOCK_NONBLOCK: 0o4000,
  // asm-generic/socket.h
  SOL_SOCKET: 1,
  SO_REUSEADDR: 2,
  SO_RCVBUF: 8,
  SO_REUSEPORT: 15,
  SO_RCVBUFFORCE: 33,
  SO_SNDBUFFORCE: 32,
  // linux/in.h, linux/in6.h
  SOL_IP: 0,
  IP_TRANSPARENT: 19,
  SOL_IPV6: 41,
  IPV6_V6ONLY: 26,
  IPV6_TRANSPARENT: 75,
  // linux/sched.h
  CLONE_NEWNS: 0x00020000,
  CLONE_NEWUTS: 0x04000000,
  CLONE_NEWIPC: 0x08000000,
  CLONE_NEWPID: 0x20000000,
  CLONE_NEWNET: 0x40000000,
  // linux/mount.h
  MS_RDONLY: 1,
  MS_NOSUID: 2,
  MS_NODEV: 4,
  MS_NOEXEC: 8,
  MS_REMOUNT: 32,
  MS_BIND: 4096,
  MS_REC: 16384,
  MS_PRIVATE: 1 << 18,
  MOUNT_ATTR_RDONLY: 1,
  MOUNT_ATTR_NODEV: 4,
  AT_RECURSIVE: 0x8000,
  /** The same number on every architecture (asm-generic/unistd.h). */
  SYS_mount_setattr: 442,
  // linux/prctl.h
  PR_SET_SECCOMP: 22,
} as const
