/**
 * sock_diag(7): from the two ends of a connection to the socket's inode and owner, in about 30 µs.
 *
 * The netlink socket belongs to the namespace in which it was made and stays there, so the guard asks
 * about the job's sockets without entering the job's namespace again.
 */
import { closeSync } from "node:fs"
import { c, call, KernelError } from "./libc.ts"

/** One socket of the job. */
export interface SocketOwner {
  /** As in `socket:[INODE]` under /proc/PID/fd; 0 when no process holds it any more. */
  readonly inode: number
  readonly uid: number
}

/** Both ends of a socket: addresses as 4 or 16 bytes. */
export interface SocketEnds {
  readonly local: { readonly address: Uint8Array; readonly port: number }
  readonly remote: { readonly address: Uint8Array; readonly port: number }
}

export interface SocketDiag {
  /** The TCP socket with these two ends; null: there is none. */
  readonly tcp: (ends: SocketEnds) => SocketOwner | null
  /** The UDP socket that would receive a datagram from `remote` at `local`; null: none. */
  readonly udp: (ends: SocketEnds) => SocketOwner | null
  /** Any UDP socket on this local port, whatever it is connected to; null: none. Slower: a dump. */
  readonly udpByPort: (port: number) => SocketOwner | null
  /** Any TCP connection from this local port to that remote one; null: none. Slower: a dump. */
  readonly tcpByPorts: (port: number, remotePort: number) => SocketOwner | null
  readonly close: () => void
}

// linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h
const NETLINK_SOCK_DIAG = 4
const SOCK_DIAG_BY_FAMILY = 20
const NLMSG_ERROR = 2
const NLMSG_DONE = 3
const NLM_F_REQUEST = 1
const NLM_F_DUMP = 0x300
const IPPROTO_TCP = 6
const IPPROTO_UDP = 17
const headerBytes = 16
const requestBytes = headerBytes + 56
const uidOffset = headerBytes + 64
const inodeOffset = headerBytes + 68
/** A reply fits one page; a dump comes in blocks of at most this. */
const replyBytesMax = 32_768

/** `inet_diag_req_v2` behind its netlink header. */
function request(
  protocol: number,
  family: number,
  flags: number,
  from: SocketEnds["local"],
  to: SocketEnds["local"],
): Buffer {
  const bytes = Buffer.alloc(requestBytes)
  bytes.writeUInt32LE(requestBytes, 0)
  bytes.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4)
  bytes.writeUInt16LE(flags, 6)
  const body = headerBytes
  bytes.writeUInt8(family, body)
  bytes.writeUInt8(protocol, body + 1)
  bytes.writeUInt32LE(0xffffffff, body + 4) // every state
  bytes.writeUInt16BE(from.port, body + 8)
  bytes.writeUInt16BE(to.port, body + 10)
  bytes.set(from.address, body + 12)
  bytes.set(to.address, body + 28)
  bytes.fill(0xff, body + 48, body + 56) // INET_DIAG_NOCOOKIE
  return bytes
}

/** Opens sock_diag in the network namespace of the calling thread. */
export function openSocketDiag(): SocketDiag {
  const type = c.SOCK_RAW | c.SOCK_CLOEXEC
  const fd = call("socket", "ask the kernel for sockets", c.AF_NETLINK, type, NETLINK_SOCK_DIAG)
  const reply = Buffer.alloc(replyBytesMax)

  const ask = (bytes: Buffer): SocketOwner | null => {
    call("send", "ask the kernel for a socket", fd, bytes, bytes.length, 0)
    let owner: SocketOwner | null = null
    for (;;) {
      const length = call("recv", "read of a socket", fd, reply, reply.length, 0)
      const block = firstOwner(reply.subarray(0, length))
      owner ??= block.owner
      // Why go on after a find: what is not read now would be taken for the next answer.
      if (block.ended) return owner
    }
  }

  const one = (protocol: number, from: SocketEnds["local"], to: SocketEnds["local"]) => {
    const family = from.address.length === 16 ? c.AF_INET6 : c.AF_INET
    return ask(request(protocol, family, NLM_F_REQUEST, from, to))
  }

  const any = (protocol: number, port: number, remotePort: number): SocketOwner | null => {
    const address = new Uint8Array(4)
    for (const family of [c.AF_INET, c.AF_INET6]) {
      const flags = NLM_F_REQUEST | NLM_F_DUMP
      const to = { address, port: remotePort }
      const owner = ask(request(protocol, family, flags, { address, port }, to))
      if (owner !== null) return owner
    }
    return null
  }

  return {
    tcp: ({ local, remote }) => one(IPPROTO_TCP, local, remote),
    // Why swapped: for UDP the kernel takes the ends the other way round (net/ipv4/udp_diag.c).
    udp: ({ local, remote }) => one(IPPROTO_UDP, remote, local),
    udpByPort: (port) => any(IPPROTO_UDP, port, 0),
    tcpByPorts: (port, remotePort) => any(IPPROTO_TCP, port, remotePort),
    close: () => closeSync(fd),
  }
}

/** Reads one block of netlink messages. `ended`: nothing more belongs to this question. */
function firstOwner(bytes: Buffer): {
  readonly owner: SocketOwner | null
  readonly ended: boolean
} {
  let owner: SocketOwner | null = null
  let at = 0
  let multipart = false
  while (at + headerBytes <= bytes.length) {
    const length = bytes.readUInt32LE(at)
    const type = bytes.readUInt16LE(at + 4)
    if (length < headerBytes || at + length > bytes.length) break
    if (type === NLMSG_DONE) return { owner, ended: true }
    if (type === NLMSG_ERROR) {
      const errno = -bytes.readInt32LE(at + headerBytes)
      if (errno === 0 || errno === ENOENT) return { owner, ended: true }
      throw new KernelError("sock_diag", errno, "ask the kernel for a socket")
    }
    multipart = (bytes.readUInt16LE(at + 6) & NLM_F_MULTI) !== 0
    if (type === SOCK_DIAG_BY_FAMILY) {
      owner ??= {
        uid: bytes.readUInt32LE(at + uidOffset),
        inode: bytes.readUInt32LE(at + inodeOffset),
      }
    }
    at += (length + 3) & ~3
  }
  return { owner, ended: !multipart }
}

const ENOENT = 2
const NLM_F_MULTI = 2
