/**
 * A seccomp filter for the job: closes the doors that no packet filter sees.
 *
 * What it refuses, and why:
 * - sockets of families other than UNIX, INET, INET6, NETLINK and PACKET: AF_VSOCK reaches the
 *   hypervisor of a virtual machine past every network namespace; others have no use in a build;
 * - io_uring: its rings make sockets without the calls that this filter sees (Docker refuses it too);
 * - the kernel's keyrings: a key that is missing makes the kernel ask a program of the machine for it,
 *   which then resolves a name or talks to a server outside (request-key(8), dns_resolver);
 * - TIOCSTI and TIOCLINUX: typing into the terminal from which the job was started (CVE-2017-5226);
 * - the x32 and i386 entry points through which the same calls come with other numbers.
 */
import { setFilter } from "./libc.ts"

interface Architecture {
  /** AUDIT_ARCH_*, linux/audit.h */
  readonly audit: number
  readonly socket: number
  readonly socketpair: number
  readonly ioctl: number
  readonly ioUringSetup: number
  /** add_key, request_key, keyctl. */
  readonly keys: readonly number[]
  /** The 32-bit twin that the same kernel may run. */
  readonly compat: {
    readonly audit: number
    readonly socket: number
    readonly socketpair: number
    readonly socketcall: number
    readonly ioctl: number
    readonly keys: readonly number[]
  }
}

const architectures: Readonly<Record<string, Architecture>> = {
  x64: {
    audit: 0xc000003e,
    socket: 41,
    socketpair: 53,
    ioctl: 16,
    ioUringSetup: 425,
    keys: [248, 249, 250],
    compat: {
      audit: 0x40000003,
      socket: 359,
      socketpair: 360,
      socketcall: 102,
      ioctl: 54,
      keys: [286, 287, 288],
    },
  },
  arm64: {
    audit: 0xc00000b7,
    socket: 198,
    socketpair: 199,
    ioctl: 29,
    ioUringSetup: 425,
    keys: [217, 218, 219],
    compat: {
      audit: 0x40000028,
      socket: 281,
      socketpair: 288,
      socketcall: 102,
      ioctl: 54,
      keys: [309, 310, 311],
    },
  },
}

// linux/bpf_common.h, linux/seccomp.h
const LOAD_WORD = 0x20
const JUMP_EQUAL = 0x15
const JUMP_AT_LEAST = 0x35
const RETURN = 0x06
const ALLOW = 0x7fff0000
const ERRNO = 0x00050000
const EPERM = 1
const ENOSYS = 38
const EAFNOSUPPORT = 97
// struct seccomp_data
const offsetNumber = 0
const offsetArchitecture = 4
const offsetArgument = (index: number): number => 16 + 8 * index
const TIOCSTI = 0x5412
const TIOCLINUX = 0x541c
const X32_BIT = 0x40000000
const families = [1, 2, 10, 16, 17] // UNIX, INET, INET6, NETLINK, PACKET

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, value: number]

/** If the accumulator equals `value` do the block, else go behind it. */
function when(value: number, block: readonly Instruction[]): Instruction[] {
  return [[JUMP_EQUAL, 0, block.length, value], ...block]
}

function refuse(errno: number): Instruction {
  return [RETURN, 0, 0, ERRNO | errno]
}

const allow: Instruction = [RETURN, 0, 0, ALLOW]

const checkFamily: readonly Instruction[] = [
  [LOAD_WORD, 0, 0, offsetArgument(0)],
  ...families.flatMap((family) => when(family, [allow])),
  refuse(EAFNOSUPPORT),
]

const checkTerminal: readonly Instruction[] = [
  [LOAD_WORD, 0, 0, offsetArgument(1)],
  ...when(TIOCSTI, [refuse(EPERM)]),
  ...when(TIOCLINUX, [refuse(EPERM)]),
  allow,
]

/** The filter as `struct sock_filter`s, for one architecture as Node names it. */
export function jobFilter(architecture: string): Buffer {
  const a = architectures[architecture]
  if (a === undefined) {
    throw new Error(`Cannot confine the job on "${architecture}": must be x64 or arm64`)
  }
  const numbers = (n: Architecture | Architecture["compat"]): Instruction[] => [
    ...when(n.socket, checkFamily),
    ...when(n.socketpair, checkFamily),
    ...when(n.ioctl, checkTerminal),
    ...[a.ioUringSetup, ...n.keys].flatMap((number) => when(number, [refuse(ENOSYS)])),
  ]
  const native: Instruction[] = [
    [LOAD_WORD, 0, 0, offsetNumber],
    [JUMP_AT_LEAST, 0, 1, X32_BIT],
    refuse(ENOSYS),
    ...numbers(a),
    allow,
  ]
  const compat: Instruction[] = [
    [LOAD_WORD, 0, 0, offsetNumber],
    ...numbers(a.compat),
    // Why: its arguments lie behind a pointer, which a filter cannot follow; libc has done without
    // it since Linux 4.3.
    ...when(a.compat.socketcall, [refuse(ENOSYS)]),
    allow,
  ]
  const program: Instruction[] = [
    [LOAD_WORD, 0, 0, offsetArchitecture],
    ...when(a.audit, native),
    ...when(a.compat.audit, compat),
    refuse(ENOSYS),
  ]
  return encode(program)
}

function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8)
  program.forEach(([code, jumpTrue, jumpFalse, value], index) => {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(jumpTrue, index * 8 + 2)
    bytes.writeUInt8(jumpFalse, index * 8 + 3)
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4)
  })
  return bytes
}

/**
 * Puts the filter on the calling thread and on every process it starts from now on. It cannot be
 * taken off. Needs CAP_SYS_ADMIN, and so leaves set-user-id programs (sudo) working.
 */
export function confineThread(): void {
  const filter = jobFilter(process.arch)
  setFilter("confine the job's system calls", { len: filter.length / 8, filter })
}
