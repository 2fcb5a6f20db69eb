/**
 * Reads out of the kernel's counting sets what it refused, as `drop` events while the run goes on, and
 * what it let through by rule, as `flow` events at the end.
 */
import { readFileSync } from "node:fs"
import { tableName } from "../firewall/ruleset.ts"
import { inNetwork } from "../kernel/namespace.ts"
import { countedTable, type Counted, type CountedElement } from "../kernel/nft.ts"
import type { Drop, FlowEvent } from "../events/event.ts"
import type { Address } from "../net/address.ts"
import { parseAddress } from "../net/address.ts"
import { classify } from "../net/special.ts"
import type { Mode } from "../policies/policy.ts"
import type { RunNetwork } from "./network.ts"

/** Often enough for a person who follows the log; rarely enough to cost nothing. */
const everyMs = 5_000

/** Protocols that the event log names; all others are numbers there (IANA, protocol numbers). */
const transports = new Map([
  ["1", "icmp"],
  ["6", "tcp"],
  ["17", "udp"],
  ["58", "icmpv6"],
])

const kinds = ["ports4", "ports6", "plain4", "plain6"] as const

interface Reading {
  readonly transport: string
  readonly address: string
  /** null: the protocol has none. */
  readonly port: number | null
  /** A number as text; null where the kernel could not tell. */
  readonly uid: string | null
  readonly element: CountedElement
}

function read(counted: Counted, prefix: string, withUser: boolean): Reading[] {
  return kinds.flatMap((kind) =>
    (counted.sets.get(`${prefix}_${kind}`) ?? []).flatMap((element) => {
      const parts = element.key.map(String)
      const uid = withUser ? (parts.shift() ?? null) : null
      const [protocol, address, port] = parts
      if (protocol === undefined || address === undefined) return []
      const transport = transports.get(protocol) ?? protocol
      return [{ transport, address, port: port === undefined ? null : Number(port), uid, element }]
    }),
  )
}

/** Names of users, from /etc/passwd; a number where there is none. */
function userName(uid: string): string {
  try {
    const lines = readFileSync("/etc/passwd", "utf8").split("\n")
    return lines.map((line) => line.split(":")).find((parts) => parts[2] === uid)?.[0] ?? uid
  } catch {
    return uid
  }
}

/** Why a packet was refused; an `infrastructure` target is a name server that only we may ask. */
function reasonFor({ address, port }: Reading): Drop["reason"] {
  const parsed = parseAddress(address)
  if (parsed !== null && classify(parsed) !== "public") return "private-address"
  return port === null ? "not-allowed" : "address-not-allowed"
}

export interface DropWatch {
  /** Looks once more, tells of what passed, and ends. */
  readonly end: () => void
}

type Record_ = (body: Drop | FlowEvent) => void

/** Watches the sets, and records what has grown since the last look. */
export function watchDrops(network: RunNetwork, mode: Mode, record: Record_): DropWatch {
  const seen = new Map<string, number>()
  const startedMs = Date.now()
  const enforced = mode === "block"

  const grown = (key: string, packets: number): number => {
    const more = packets - (seen.get(key) ?? 0)
    if (more > 0) seen.set(key, packets)
    return more
  }
  const refused = (where: string, readings: readonly Reading[]): void => {
    for (const reading of readings) {
      const { transport, address, port, uid, element } = reading
      const packets = grown(`${where} ${element.key.join(" ")}`, element.packets)
      if (packets <= 0) continue
      const target = { address, port }
      const user = uid === null ? null : userName(uid)
      const reason = reasonFor(reading)
      record({ kind: "drop", transport, target, packets, reason, user, enforced })
    }
  }
  const overflowed = (where: string, counted: Counted): void => {
    const packets = grown(`${where} overflow`, counted.counters.get("overflow") ?? 0)
    if (packets <= 0) return
    const target = { address: "*", port: null }
    const reason = "limit-exceeded"
    record({ kind: "drop", transport: "*", target, packets, reason, user: null, enforced })
  }
  const look = (): Counted => {
    const job = inNetwork(network.job, () => countedTable(tableName))
    const gate = inNetwork(network.gate, () => countedTable(tableName))
    refused("job", read(job, "refused", true))
    refused("kernel", read(job, "unclaimed", false))
    // Why not in audit mode: what the job's own table counted and let pass comes here once more.
    if (enforced) refused("gate", read(gate, "unclaimed", false))
    overflowed("job", job)
    overflowed("gate", gate)
    return gate
  }
  const timer = setInterval(() => {
    try {
      look()
    } catch {
      // Why: a busy machine may keep nft from answering; the counters stay, and are read next time.
    }
  }, everyMs)
  timer.unref()
  return {
    end() {
      clearInterval(timer)
      for (const flow of passed(look(), network, startedMs)) record(flow)
    },
  }
}

/** One event for each target to which the kernel let packets pass because a rule says so. */
function passed(gate: Counted, network: RunNetwork, startedMs: number): FlowEvent[] {
  const received = new Map(
    read(gate, "received", false).map(({ element }) => [element.key.join(" "), element.bytes]),
  )
  return read(gate, "sent", false).map(({ transport, address, port, element }, index) => {
    const six = address.includes(":")
    const { four, six: own } = network.scope.job.inner
    return {
      kind: "flow",
      flow: `kernel-${index + 1}`,
      transport: transport === "udp" ? "udp" : "icmp",
      source: { address: six ? own : four, port: 0 },
      target: { address: address as Address, port: port ?? 0 },
      names: [],
      opening: null,
      action: "forward",
      verdict: "allow",
      enforced: true,
      reason: "allowed-by-rule",
      rule: null,
      bytesSent: element.bytes,
      bytesReceived: received.get(element.key.join(" ")) ?? 0,
      durationMs: Date.now() - startedMs,
      process: null,
      step: null,
    }
  })
}
