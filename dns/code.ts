/** Numbers of the protocol and their names (IANA "Domain Name System (DNS) Parameters"). */

export const rcodes = {
  noError: 0,
  formErr: 1,
  servFail: 2,
  nxDomain: 3,
  notImp: 4,
  refused: 5,
  /** RFC 6891 §6.1.3: an EDNS version that we do not speak. */
  badVers: 16,
} as const

const rcodeNames = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]

/** `NXDOMAIN`; `RCODE9` where the number has no name here. */
export function rcodeName(rcode: number): string {
  return rcodeNames[rcode] ?? (rcode === rcodes.badVers ? "BADVERS" : `RCODE${rcode}`)
}

export const types = {
  a: 1,
  ns: 2,
  cname: 5,
  soa: 6,
  ptr: 12,
  mx: 15,
  txt: 16,
  aaaa: 28,
  srv: 33,
  opt: 41,
  svcb: 64,
  https: 65,
  any: 255,
  caa: 257,
} as const

export const classIn = 1

const typeNames = new Map([
  [1, "A"],
  [2, "NS"],
  [5, "CNAME"],
  [6, "SOA"],
  [10, "NULL"],
  [12, "PTR"],
  [13, "HINFO"],
  [15, "MX"],
  [16, "TXT"],
  [28, "AAAA"],
  [33, "SRV"],
  [35, "NAPTR"],
  [39, "DNAME"],
  [41, "OPT"],
  [43, "DS"],
  [44, "SSHFP"],
  [46, "RRSIG"],
  [47, "NSEC"],
  [48, "DNSKEY"],
  [50, "NSEC3"],
  [52, "TLSA"],
  [64, "SVCB"],
  [65, "HTTPS"],
  [99, "SPF"],
  [249, "TKEY"],
  [250, "TSIG"],
  [251, "IXFR"],
  [252, "AXFR"],
  [255, "ANY"],
  [256, "URI"],
  [257, "CAA"],
])

/** `AAAA`; `TYPE65280` (RFC 3597 §5) where the number has no name here. */
export function typeName(type: number): string {
  return typeNames.get(type) ?? `TYPE${type}`
}

/** Extended DNS Errors (RFC 8914 §4). */
export const extendedErrors = {
  other: 0,
  /** The operator of the resolver does not let it through. */
  blocked: 15,
  noReachableAuthority: 22,
} as const
