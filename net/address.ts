/** IP addresses and prefixes: parse, print, contain, classify. */
declare const address: unique symbol

/** Canonical text (RFC 5952 for IPv6, no zone); made only by parseAddress. */
export type Address = string & { readonly [address]: true }

/** A block of addresses; host bits of `address` are zero. */
export interface Prefix {
  readonly address: Address
  /** 0 to 32 for IPv4, 0 to 128 for IPv6. */
  readonly length: number
}
