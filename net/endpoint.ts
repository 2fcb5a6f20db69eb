/** An address and a port: one end of a connection. */
import type { Address } from "./address.ts"

export interface Endpoint {
  readonly address: Address
  /** 0 to 65535. */
  readonly port: number
}

/** `192.0.2.1:443`, `[2001:db8::1]:443`. */
export function printEndpoint({ address, port }: Endpoint): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
}
