/**
 * The sockets that the gate inherits: made by the guard in a namespace of its choice, with options
 * that need privileges, and then handed to a process which has none.
 */
import { closeSync } from "node:fs"
import { c, call } from "./libc.ts"

/** Connections that wait to be accepted; the kernel caps it at net.core.somaxconn (4096). */
const backlog = 4096
/** Receive buffer of the resolver's sockets, in bytes: some thousand questions of a burst. */
const receiveBufferBytes = 4 << 20

const yes = Buffer.from([1, 0, 0, 0])
const no = Buffer.alloc(4)

/** `sockaddr_in` or `sockaddr_in6` (ip(7), ipv6(7)) of an address in bytes. */
function socketAddress(address: Uint8Array, port: number): Buffer {
  const six = address.length === 16
  const bytes = Buffer.alloc(six ? 28 : 16)
  bytes.writeUInt16LE(six ? c.AF_INET6 : c.AF_INET, 0)
  bytes.writeUInt16BE(port, 2)
  bytes.set(address, six ? 8 : 4)
  return bytes
}

const anyAddress = new Uint8Array(16)

/**
 * A dual-stack TCP listener on `[::]:port` that accepts connections to any address whatever
 * (TPROXY, linux/Documentation/networking/tproxy.rst); several may share the port (SO_REUSEPORT).
 *
 * @returns its descriptor, listening
 */
export function listenTransparently(port: number): number {
  const fd = call("socket", "make a listener", c.AF_INET6, c.SOCK_STREAM | c.SOCK_CLOEXEC, 0)
  const set = (level: number, name: number, value: Buffer): void => {
    call("setsockopt", "make a transparent listener", fd, level, name, value, value.length)
  }
  try {
    set(c.SOL_IPV6, c.IPV6_V6ONLY, no)
    set(c.SOL_IP, c.IP_TRANSPARENT, yes)
    set(c.SOL_IPV6, c.IPV6_TRANSPARENT, yes)
    set(c.SOL_SOCKET, c.SO_REUSEADDR, yes)
    set(c.SOL_SOCKET, c.SO_REUSEPORT, yes)
    const address = socketAddress(anyAddress, port)
    call("bind", `listen on port ${port}`, fd, address, address.length)
    call("listen", `listen on port ${port}`, fd, backlog)
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/**
 * A TCP listener or a UDP socket on one address.
 *
 * Why one address and not all: a UDP socket bound to all of them answers from an address that the
 * kernel chooses anew, which a client behind a NAT rule would not accept.
 *
 * @param address 4 or 16 bytes
 */
export function bindSocket(kind: "tcp" | "udp", address: Uint8Array, port: number): number {
  const family = address.length === 16 ? c.AF_INET6 : c.AF_INET
  const type = (kind === "tcp" ? c.SOCK_STREAM : c.SOCK_DGRAM) | c.SOCK_CLOEXEC
  const fd = call("socket", `make a ${kind} socket`, family, type, 0)
  try {
    if (family === c.AF_INET6) {
      call("setsockopt", "keep IPv6 alone", fd, c.SOL_IPV6, c.IPV6_V6ONLY, yes, 4)
    }
    if (kind === "udp") {
      const size = Buffer.alloc(4)
      size.writeInt32LE(receiveBufferBytes)
      call("setsockopt", "widen a buffer", fd, c.SOL_SOCKET, c.SO_RCVBUFFORCE, size, 4)
    } else {
      call("setsockopt", "reuse an address", fd, c.SOL_SOCKET, c.SO_REUSEADDR, yes, 4)
    }
    const bytes = socketAddress(address, port)
    call("bind", `bind port ${port}/${kind}`, fd, bytes, bytes.length)
    if (kind === "tcp") call("listen", `listen on port ${port}`, fd, backlog)
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}
