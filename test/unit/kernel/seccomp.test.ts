/** The filter is run by an own reader of its instructions, call by call. */
import t from "tap"
import { jobFilter } from "../../../kernel/seccomp.ts"

interface Call {
  readonly number: number
  readonly architecture: number
  readonly arguments?: readonly bigint[]
}

/** `struct seccomp_data` (linux/seccomp.h). */
function data({ number, architecture, arguments: values = [] }: Call): Buffer {
  const bytes = Buffer.alloc(64)
  bytes.writeUInt32LE(number >>> 0, 0)
  bytes.writeUInt32LE(architecture, 4)
  values.forEach((value, index) => bytes.writeBigUInt64LE(value, 16 + 8 * index))
  return bytes
}

/** Classic BPF (linux/filter.h), as much of it as seccomp filters of ours use. */
function answer(filter: Buffer, call: Call): string {
  const input = data(call)
  let accumulator = 0
  for (let at = 0; at < filter.length / 8; at++) {
    const code = filter.readUInt16LE(at * 8)
    const yes = filter.readUInt8(at * 8 + 2)
    const no = filter.readUInt8(at * 8 + 3)
    const value = filter.readUInt32LE(at * 8 + 4)
    if (code === 0x20) accumulator = input.readUInt32LE(value)
    else if (code === 0x15) at += accumulator === value ? yes : no
    else if (code === 0x35) at += accumulator >= value ? yes : no
    else if (code === 0x06) {
      if (value === 0x7fff0000) return "allow"
      return value >>> 16 === 0x0005 ? `errno ${value & 0xffff}` : `0x${value.toString(16)}`
    } else throw new Error(`Cannot read instruction ${at}: code ${code}`)
  }
  throw new Error("Cannot end: the filter runs off its end")
}

const EPERM = "errno 1"
const ENOSYS = "errno 38"
const EAFNOSUPPORT = "errno 97"
const x64 = 0xc000003e
const i386 = 0x40000003
const arm64 = 0xc00000b7
const arm = 0x40000028

const families = { 1: true, 2: true, 10: true, 16: true, 17: true } as Record<number, true>

/** Numbers of <asm/unistd.h>: x86_64, i386, arm64, arm. */
const tables = [
  {
    ...{ machine: "x64", architecture: x64, socket: 41, socketpair: 53, ioctl: 16 },
    ...{ ordinary: [0, 1, 42, 59, 231], keys: [248, 249, 250] },
  },
  {
    ...{ machine: "x64", architecture: i386, socket: 359, socketpair: 360, ioctl: 54 },
    ...{ ordinary: [1, 3, 4, 11, 41, 362], keys: [286, 287, 288] },
  },
  {
    ...{ machine: "arm64", architecture: arm64, socket: 198, socketpair: 199, ioctl: 29 },
    ...{ ordinary: [63, 64, 203, 221], keys: [217, 218, 219] },
  },
  {
    ...{ machine: "arm64", architecture: arm, socket: 281, socketpair: 288, ioctl: 54 },
    ...{ ordinary: [1, 3, 4, 11, 283], keys: [309, 310, 311] },
  },
]

for (const { machine, architecture, socket, socketpair, ioctl, ordinary, keys } of tables) {
  const filter = jobFilter(machine)
  const says = (number: number, ...values: bigint[]): string =>
    answer(filter, { number, architecture, arguments: values })
  const name = `${machine}, architecture 0x${architecture.toString(16)}`

  t.test(`jobFilter() lets only the families of a build make sockets: ${name}`, (t) => {
    for (const number of [socket, socketpair]) {
      for (let family = 0; family < 64; family++) {
        const expected = families[family] === true ? "allow" : EAFNOSUPPORT
        t.equal(says(number, BigInt(family), 1n), expected, `family ${family}`)
      }
      // The kernel reads an int: what stands in the upper half changes nothing.
      t.equal(says(number, (1n << 32n) | 40n), EAFNOSUPPORT)
      t.equal(says(number, (1n << 32n) | 2n), "allow")
    }
    t.end()
  })

  t.test(`jobFilter() keeps a job from typing into its terminal: ${name}`, (t) => {
    t.equal(says(ioctl, 0n, 0x5412n), EPERM, "TIOCSTI")
    t.equal(says(ioctl, 0n, 0x541cn), EPERM, "TIOCLINUX")
    t.equal(says(ioctl, 0n, (1n << 32n) | 0x5412n), EPERM, "with an upper half")
    for (const request of [0x5401n, 0x5413n, 0x5411n, 0x541bn]) {
      t.equal(says(ioctl, 0n, request), "allow")
    }
    t.end()
  })

  t.test(`jobFilter() refuses rings and keys, and lets the rest through: ${name}`, (t) => {
    for (const number of [425, ...keys]) t.equal(says(number), ENOSYS, String(number))
    for (const number of ordinary) t.equal(says(number), "allow", String(number))
    for (const number of [426, 427, 435, 439, 442]) t.equal(says(number), "allow", String(number))
    t.end()
  })
}

t.test("jobFilter() refuses every call through the x32 door", (t) => {
  const filter = jobFilter("x64")
  for (const number of [0, 1, 41, 59, 425, 512, 547]) {
    const call = { number: number | 0x40000000, architecture: x64, arguments: [1n] }
    t.equal(answer(filter, call), ENOSYS)
  }
  t.equal(answer(filter, { number: 0xffffffff, architecture: x64 }), ENOSYS)
  t.end()
})

t.test("jobFilter() refuses socketcall, whose arguments it cannot see", (t) => {
  t.equal(answer(jobFilter("x64"), { number: 102, architecture: i386 }), ENOSYS)
  t.equal(answer(jobFilter("x64"), { number: 102, architecture: x64 }), "allow", "getuid")
  t.end()
})

t.test("jobFilter() refuses all calls of an architecture it does not know", (t) => {
  for (const architecture of [0, arm64, 0x80000008, 0xc00000f3]) {
    t.equal(answer(jobFilter("x64"), { number: 0, architecture }), ENOSYS)
  }
  t.throws(() => jobFilter("riscv64"), /must be x64 or arm64/)
  t.end()
})
