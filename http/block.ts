/**
 * The fields of a request over HTTP/1.1: which there are, and what those say that decide something.
 * What does not depend on the request line, so that it need not be read again where a client sends
 * the same fields with its next request. Pure.
 */
import { authorityOf, overriding, printAuthority } from "./authority.ts"
import type { Authority } from "./authority.ts"
import { decisive, fieldLine, hopByHop, isToken, keyOf, namesIn, trimmed } from "./field.ts"
import { Lines } from "./lines.ts"
import type { Field } from "./request.ts"

export interface Block {
  readonly fields: readonly Field[]
  /** null: there is no Host. */
  readonly authority: Authority | null
  readonly length: string | null
  readonly coding: string | null
  /** What `Connection` names, in lower case: for this hop only. */
  readonly options: readonly string[]
  /** The fields of an opening handshake are there (RFC 6455 §4.2.1). */
  readonly webSocket: boolean
  readonly takesTrailers: boolean
  /** Some servers would take the request for one with another method or path. */
  readonly overridden: boolean
  /** As they go on, without what is for this hop only. */
  readonly lines: string
}

const none: readonly string[] = []

/**
 * @param text lines with their ends, without control characters but those
 * @returns null where it is malformed
 */
export function blockOf(text: string): Block | null {
  const seen = read(text, none)
  if (seen === null) return null
  const options = optionsOf(seen.connection)
  if (options === null) return null
  // RFC 9110 §10.1.1: another expectation may be answered by 417; it is refused.
  if (seen.expect !== null && seen.expect.toLowerCase() !== "100-continue") return null
  const named = options.some((name) => !hopByHop.has(name) && !words.has(name))
  return {
    fields: seen.fields,
    authority: seen.authority,
    length: seen.length,
    coding: seen.coding,
    options,
    webSocket: opens(seen, options),
    takesTrailers: seen.te !== null && namesIn(seen.te).includes("trailers"),
    overridden: seen.overridden,
    lines: (named ? (read(text, options) ?? seen) : seen).lines.text(),
  }
}

/** Options that are no fields. */
const words = new Set(["close", "keep-alive", "upgrade"])

/** @param dropped names that do not go on, besides those that never do */
function read(text: string, dropped: readonly string[]): Seen | null {
  const seen = new Seen(text, dropped)
  for (let from = 0; from < text.length;) {
    const to = text.indexOf("\r", from)
    if (!seen.take(from, to)) return null
    from = to + 2
  }
  return seen
}

/** The fields of one head, and those among them that decide something. */
class Seen {
  readonly #text: string
  readonly #dropped: readonly string[]
  readonly fields: Field[] = []
  readonly lines: Lines
  authority: Authority | null = null
  length: string | null = null
  coding: string | null = null
  connection: string | null = null
  upgrade: string | null = null
  te: string | null = null
  expect: string | null = null
  /** `Sec-WebSocket-Key` and `-Version`; "" where there are several. */
  key: string | null = null
  keyVersion: string | null = null
  overridden = false

  constructor(text: string, dropped: readonly string[]) {
    this.#text = text
    this.#dropped = dropped
    this.lines = new Lines(text)
  }

  /** Takes the line between two places; false: the head is malformed by it (RFC 9112 §5). */
  take(from: number, to: number): boolean {
    const text = this.#text
    const colon = text.indexOf(":", from)
    if (colon <= from || colon >= to) return false
    const name = text.slice(from, colon)
    // White space before the colon makes the name no token.
    const key = keyOf(name)
    if (key === null) return false
    const value = trimmed(text, colon + 1, to)
    this.fields.push({ name, value })
    const goesOn = this.#note(key, value)
    if (goesOn === null) return false
    if (!goesOn || (this.#dropped.length > 0 && this.#dropped.includes(key))) return true
    const asItCame = to - colon - 2 === value.length && text.charCodeAt(colon + 1) === 32
    if (key === "host" && this.authority !== null) {
      const host = printAuthority(this.authority)
      if (host !== value || !asItCame) {
        this.lines.write(`Host: ${host}\r\n`)
        return true
      }
    }
    if (asItCame) this.lines.keep(from, to + 2)
    else this.lines.write(fieldLine({ name, value }))
    return true
  }

  /**
   * Whether the field goes on; null: the head is malformed by it. Lists of tokens may stand in several
   * lines (RFC 9110 §5.3), the other fields that decide something have one value.
   */
  #note(key: string, value: string): boolean | null {
    switch (key) {
      case "host":
        if (this.authority !== null) return null
        this.authority = authorityOf(value)
        return this.authority === null ? null : true
      case "content-length":
        if (this.length !== null) return null
        this.length = value
        return true
      case "transfer-encoding":
        if (this.coding !== null) return null
        this.coding = value
        return true
      case "expect":
        if (this.expect !== null) return null
        this.expect = value
        return true
      case "upgrade":
        if (this.upgrade !== null) return null
        this.upgrade = value
        return false
      case "connection":
        this.connection = listed(this.connection, value)
        return false
      case "te":
        this.te = listed(this.te, value)
        return false
      // Why: the trailers of requests are left out (see body.ts).
      case "trailer":
        return false
      case "sec-websocket-key":
        this.key = this.key === null ? value : ""
        return true
      case "sec-websocket-version":
        this.keyVersion = this.keyVersion === null ? value : ""
        return true
      default:
        return this.#other(key)
    }
  }

  #other(key: string): boolean | null {
    // Why: some servers take `_` for `-`, and so a second Content-Length that no reader here saw.
    const plain = key.includes("_") ? key.replaceAll("_", "-") : key
    if (plain !== key && decisive.has(plain)) return null
    if (overriding.has(plain)) this.overridden = true
    return !hopByHop.has(key)
  }
}

function listed(before: string | null, value: string): string {
  return before === null ? value : `${before},${value}`
}

const keepAlive: readonly string[] = ["keep-alive"]
const close: readonly string[] = ["close"]

/** Names of fields that are for this hop only (RFC 9110 §7.6.1); null where they may not be. */
function optionsOf(connection: string | null): readonly string[] | null {
  if (connection === null || connection === "") return none
  if (connection === "keep-alive") return keepAlive
  if (connection === "close") return close
  const names = namesIn(connection)
  for (const name of names) {
    if (!isToken(name)) return null
    // Why: who has the Host or the framing taken out makes two requests of one.
    if (decisive.has(name) && !hopByHop.has(name) && name !== "trailer") return null
  }
  return names
}

/** RFC 6455 §4.2.1: a key of sixteen bytes, in base64. */
const keyPattern = /^[+/0-9A-Za-z]{22}==$/

/**
 * Whether it asks to become a WebSocket. Any other `Upgrade` is left out, as if we were a server that
 * ignores it (RFC 9110 §7.8): clients that offer h2c on every request (Java) rely on that.
 */
function opens({ upgrade, key, keyVersion }: Seen, options: readonly string[]): boolean {
  if (upgrade === null || key === null || keyVersion !== "13") return false
  const offered = namesIn(upgrade).includes("websocket") && options.includes("upgrade")
  return offered && keyPattern.test(key)
}
