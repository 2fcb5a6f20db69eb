/** Where the servers of recorders.ts listen, at every address of the far end. Words only. */

/** Ways in which a server's certificate can be wrong (RFC 5280 §6.1, RFC 9110 §4.3.4). */
export const faults = [
  "self-signed",
  "expired",
  "not-yet-valid",
  "wrong-name",
  "wrong-usage",
  "unknown-issuer",
] as const

export type Fault = (typeof faults)[number]

export const recorderPorts = {
  /** HTTP/1.1 without TLS. */
  plain: 7080,
  /** HTTP/1.1 in TLS. */
  secure: 7443,
  /** HTTP/2 in TLS. */
  streams: 7444,
  /** Kept for a server of openssl's that takes early data. */
  early: 7460,
} as const

/** The port of the server whose certificate has this fault; it speaks HTTP/1.1. */
export function faultyPort(fault: Fault): number {
  return 7450 + faults.indexOf(fault)
}
