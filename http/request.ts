/** One request as it was read, whichever version of HTTP carried it. Words only. */
import type { Address } from "../net/address.ts"
import type { Hostname } from "../net/hostname.ts"

export interface Field {
  /** As the client spelled it over HTTP/1; lower case over HTTP/2. */
  readonly name: string
  /** One character for each byte (Latin-1). */
  readonly value: string
}

export interface RequestHead {
  readonly method: string
  /** Asks to become a WebSocket (RFC 6455 §4.1): a way both ways, whatever its method says. */
  readonly webSocket: boolean
  /** null: none was named (HTTP/1.0), or an address was. */
  readonly host: Hostname | null
  /** The address in place of a host name; null where there is none. */
  readonly address: Address | null
  /** null: the default port of the scheme was meant. */
  readonly port: number | null
  /** In origin-form, query included, as it goes on; `*` for OPTIONS. */
  readonly target: string
  /** Canonical, without the query; null: it has no one meaning, so that no path rule can be asked. */
  readonly path: string | null
  readonly fields: readonly Field[]
}
