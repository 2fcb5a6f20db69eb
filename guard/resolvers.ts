/** The machine's own resolvers, and what the job's /etc/resolv.conf says in their place. */
import { readFileSync } from "node:fs"
import { addressOfSocket } from "../net/address.ts"
import type { Address } from "../net/address.ts"
import type { Endpoint } from "../net/endpoint.ts"

const path = "/etc/resolv.conf"
/** As glibc (resolv.conf(5), MAXNS). */
const upstreamsMax = 3
const textBytesMax = 65_536

function readLines(): string[] {
  try {
    return readFileSync(path, "utf8").slice(0, textBytesMax).split("\n")
  } catch {
    return []
  }
}

/** `nameserver` lines of the machine's /etc/resolv.conf; glibc asks 127.0.0.1 where there is none. */
export function machineResolvers(): Endpoint[] {
  const found = readLines().flatMap((line) => {
    const text = /^\s*nameserver\s+(\S+)/.exec(line)?.[1]
    const address = text === undefined ? null : addressOfSocket(text)
    return address === null ? [] : [{ address, port: 53 }]
  })
  return found.length > 0
    ? found.slice(0, upstreamsMax)
    : [{ address: "127.0.0.1" as Address, port: 53 }]
}

/** The machine's file with our resolver's address: search list and options stay as they were. */
export function jobResolverText(resolver: Address): string {
  const kept = readLines().filter((line) => /^\s*(search|domain|options|sortlist)\s/.test(line))
  return [`nameserver ${resolver}`, ...kept, ""].join("\n")
}
