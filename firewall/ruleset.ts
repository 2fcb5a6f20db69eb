/**
 * The kernel's share of the policy, as nftables text (nft(8), 1.0.6 and newer). Pure.
 *
 * Three tables: the gate's, which enforces; the job's, which sends names to the resolver, refuses at
 * once and knows who sent a refused packet; and the machine's, which only translates addresses.
 * What the job's table lets by mistake through, the gate's refuses again.
 */
import { isIPv6, printPrefix } from "../net/address.ts"
import type { Mode, Ports } from "../policies/policy.ts"
import type { NamedDoor, PacketRule } from "./packets.ts"
import { gateMark, uplinkPrefix, type Link, type RunScope } from "./scope.ts"

export interface Share {
  readonly mode: Mode
  readonly rules: readonly PacketRule[]
  readonly doors: readonly NamedDoor[]
}

export const tableName = "sluice"

/**
 * Refused targets that are told apart; what comes after is counted in one sum. More would make a
 * listing of all sets longer than the guard may wait for.
 */
const refusedMax = 16_384

/** Counting sets: by target with a port, and without; `uid` where the kernel knows the sender. */
function countingSets(prefix: string, uid: boolean): string {
  const who = uid ? "uid . " : ""
  const set = (name: string, type: string): string =>
    `  set ${prefix}${name} {
    type ${who}inet_proto . ${type}
    flags dynamic
    size ${refusedMax}
  }
`
  return (
    set("_ports4", "ipv4_addr . inet_service") +
    set("_ports6", "ipv6_addr . inet_service") +
    set("_plain4", "ipv4_addr") +
    set("_plain6", "ipv6_addr")
  )
}

const withPorts = "{ udp, udplite, sctp, dccp, tcp }"

/** Counts a packet in the sets of countingSets and goes to `next`; falls through where it could not. */
function count(prefix: string, uid: boolean, next: string, end: "daddr" | "saddr"): string {
  const who = uid ? "meta skuid . " : ""
  const port = end === "daddr" ? "th dport" : "th sport"
  const line = (family: string, l4: string, set: string, tail: string): string =>
    `    meta nfproto ${family} ${l4} update @${prefix}_${set} ` +
    `{ ${who}meta l4proto . ${family === "ipv4" ? "ip" : "ip6"} ${end}${tail} counter } ${next}\n`
  const ported = `meta l4proto ${withPorts}`
  const plain = `meta l4proto != ${withPorts}`
  return (
    line("ipv4", ported, "ports4", ` . ${port}`) +
    line("ipv6", ported, "ports6", ` . ${port}`) +
    line("ipv4", plain, "plain4", "") +
    line("ipv6", plain, "plain6", "")
  )
}

/** Refusal: an ICMP error at once, so that no program waits (RFC 1812 §5.2.7.1, RFC 4443 §3.1). */
function refuseChain(name: string, uid: boolean, mode: Mode, pass: string): string {
  const last = mode === "audit" ? pass : "reject with icmpx admin-prohibited"
  return `  chain ${name} {
${uid ? count("refused", true, "goto end_refused", "daddr") : ""}${count("unclaimed", false, "goto end_refused", "daddr")}    counter name overflow goto end_refused
  }
  chain end_refused {
    meta l4proto tcp reject with tcp reset
    ${last}
  }
`
}

function ports(range: Ports | null): string {
  if (range === null) return ""
  return range.first === range.last ? `${range.first}` : `${range.first}-${range.last}`
}

const echo = { ipv4: "icmp type echo-request", ipv6: "icmpv6 type echo-request" }

/** The policy's own rules over packets: deny first, so that it beats allow. */
function policyRules({ rules, doors }: Share): string {
  const line = (rule: PacketRule): string => {
    const six = isIPv6(rule.prefix.address)
    const match = `${six ? "ip6" : "ip"} daddr ${printPrefix(rule.prefix)}`
    const what =
      rule.transport === "udp" ? `udp dport ${ports(rule.ports)}` : echo[six ? "ipv6" : "ipv4"]
    return `    ${match} ${what} ${rule.effect === "allow" ? "goto passed" : "goto refused"}\n`
  }
  const deny = rules.filter(({ effect }) => effect === "deny").map(line)
  const allow = rules.filter(({ effect }) => effect === "allow").map(line)
  const named = doors.flatMap((door) =>
    (["4", "6"] as const).map((family) => {
      const six = family === "6"
      const what =
        door.transport === "udp" ? `udp dport ${ports(door.ports)}` : echo[six ? "ipv6" : "ipv4"]
      return `    ${six ? "ip6" : "ip"} daddr @${door.set}_${family} ${what} goto passed\n`
    }),
  )
  return [...deny, ...allow, ...named].join("")
}

function doorSets(doors: readonly NamedDoor[]): string {
  return doors
    .flatMap(({ set }) =>
      (["4", "6"] as const).map(
        (family) => `  set ${set}_${family} {
    type ipv${family}_addr
    flags timeout
    size 65535
  }
`,
      ),
    )
    .join("")
}

/** Neighbour discovery (RFC 4861) is the kernel's own; without it no IPv6 link works. */
const neighbours = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }"
/** What a kernel says of itself when a link comes up; it carries nothing of the job's. */
const chatter =
  "icmpv6 type { nd-router-solicit, mld-listener-report, mld-listener-done, mld2-listener-report }"

/**
 * Why not for the gate's processes: a link-local address has a meaning on one link only, and they
 * stand in a namespace without it, where Node throws as soon as such an address is asked for.
 */
function linkLocalTcp(end: "saddr" | "daddr"): string {
  return `ip6 ${end} fe80::/10 meta l4proto tcp`
}

/** The gate's table: every packet of the job comes through here, whatever the job did to its own. */
export function gateRuleset(scope: RunScope, share: Share): string {
  const job = scope.job.outer.name
  const up = scope.uplink?.inner.name ?? "none"
  const { four, six } = scope.job.inner
  return `table inet ${tableName}
delete table inet ${tableName}
table inet ${tableName} {
  counter overflow { }
${countingSets("unclaimed", false)}${countingSets("sent", false)}${countingSets("received", false)}${doorSets(share.doors)}  chain untracked_in {
    type filter hook prerouting priority -300; policy accept;
    iifname "${job}" meta l4proto tcp notrack
  }
  chain untracked_out {
    type filter hook output priority -300; policy accept;
    oifname "${job}" meta l4proto tcp notrack
  }
  chain capture {
    type filter hook prerouting priority -150; policy accept;
    iifname != "${job}" accept
    ip saddr != ${four} drop
    ip6 saddr != { ${six}, fe80::/10 } drop
    ${linkLocalTcp("saddr")} accept
    ${linkLocalTcp("daddr")} accept
    meta l4proto tcp tproxy to :${scope.gatePort} meta mark set ${gateMark} accept
  }
  chain input {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    iifname "${job}" meta l4proto tcp meta mark ${gateMark} accept
    ${neighbours} accept
    ${chatter} drop
    iifname "${job}" goto refused
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
    iifname "${up}" oifname "${job}" ct state established goto answered
    iifname "${up}" oifname "${job}" ct state related meta l4proto { icmp, icmpv6 } accept
    iifname != "${job}" drop
    # The gate's listeners take all TCP; where they are gone, none may pass, in audit mode either.
    meta l4proto tcp goto unforwarded
    udp dport 53 goto unforwarded
${policyRules(share)}    goto refused
  }
  chain passed {
${count("sent", false, "accept", "daddr")}    accept
  }
  chain answered {
${count("received", false, "accept", "saddr")}    accept
  }
${refuseChain("refused", false, share.mode, `oifname "${up}" accept`)}  chain unforwarded {
${count("unclaimed", false, "reject with icmpx admin-prohibited", "daddr")}    drop
  }
  chain output {
    type filter hook output priority 0; policy drop;
    oifname "lo" accept
    oifname "${job}" meta l4proto { tcp, icmp, icmpv6 } accept
    ${neighbours} accept
  }
  chain translate {
    type nat hook postrouting priority 100; policy accept;
    oifname "${up}" masquerade
  }
}
`
}

/** The job's table: names to the resolver; the rest refused where the sender is still known. */
export function jobRuleset(scope: RunScope, share: Share): string {
  return `table inet ${tableName}
delete table inet ${tableName}
table inet ${tableName} {
  counter overflow { }
${countingSets("refused", true)}${countingSets("unclaimed", false)}${doorSets(share.doors)}  chain untracked {
    type filter hook output priority -300; policy accept;
    # Each port on a line of its own: nft 1.0.6 makes one comparison of two, and a wrong one.
    tcp dport 53 accept
    tcp sport ${scope.resolverPort} accept
    meta l4proto tcp notrack
  }
  chain names {
    type nat hook output priority -100; policy accept;
    meta l4proto { tcp, udp } th dport 53 redirect to :${scope.resolverPort}
  }
  chain output {
    type filter hook output priority 0; policy drop;
    ip6 saddr fe80::/10 meta l4proto { tcp, udp } th dport ${scope.resolverPort} drop
    oifname "lo" accept
    # Redirected a moment ago: the interface shown here is still the one it was meant for.
    ip daddr 127.0.0.1 meta l4proto { tcp, udp } th dport ${scope.resolverPort} accept
    ip6 daddr ::1 meta l4proto { tcp, udp } th dport ${scope.resolverPort} accept
    ${linkLocalTcp("saddr")} goto refused
    ${linkLocalTcp("daddr")} goto refused
    meta l4proto tcp accept
    ${neighbours} accept
    ${chatter} drop
${policyRules(share)}    goto refused
  }
  chain passed {
    accept
  }
${refuseChain("refused", true, share.mode, "accept")}}
`
}

/**
 * The machine's table: what came through the gate leaves under the machine's own address.
 *
 * @param closed families in which the machine forwarded nothing before: it still does so for nobody
 *   else, although forwarding has to be switched on
 */
export function machineRuleset(
  table: string,
  uplink: Link,
  closed: readonly ("ipv4" | "ipv6")[],
): string {
  const { name, four, six } = uplink.outer
  const drops = closed.map(
    (family) =>
      `    meta nfproto ${family} iifname != "${uplinkPrefix}*" oifname != "${uplinkPrefix}*" drop\n`,
  )
  return `table inet ${table}
delete table inet ${table}
table inet ${table} {
  chain translate {
    type nat hook postrouting priority 100; policy accept;
    ip saddr ${four}/${uplink.lengthFour} oifname != "${name}" masquerade
    ip6 saddr ${six}/${uplink.lengthSix} oifname != "${name}" masquerade
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
${drops.join("")}  }
}
`
}
