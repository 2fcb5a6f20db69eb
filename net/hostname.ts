/**
 * Host names and patterns over them: parse, cover.
 *
 * A Hostname is its own canonical text, so that two are equal exactly when their strings are. The
 * job, the peer and the author of a policy may each spell one; all come through parseHostname or
 * hostnameFromLabels, and no spelling that two readers would read differently passes.
 */
import { domainToASCII } from "node:url"

declare const hostname: unique symbol

/** Lower-case ASCII labels, no trailing dot; made only by parseHostname. */
export type Hostname = string & { readonly [hostname]: true }

/** `github.com`, `*.github.com` (one label), `**.github.com` (one or more), `ab*.example.com`. */
export interface Pattern {
  /** Canonical text of the pattern, wildcards included. */
  readonly pattern: string
}

/** RFC 1035 §2.3.4, in bytes. */
const labelLengthMax = 63
/** 255 bytes on the wire are 253 as text. */
const nameLengthMax = 253
/** A name in letters of its own is longer than its A-labels by far less than this. */
const textLengthMax = 1024

/**
 * The host name that a text spells, in A-labels (IDNA, UTS 46); null where it spells none.
 *
 * Refused: empty and over-long labels or names, anything but letters, digits, hyphen and
 * underscore after IDNA, invisible characters, percent signs, and what a resolver would take for
 * an IPv4 address (`127.1`, `0x7f.1`, `2130706433`: the last label is a number, WHATWG URL §3.5).
 */
export function parseHostname(text: string): Hostname | null {
  if (text.length > textLengthMax) return null
  const plain = isAscii(text) ? text.toLowerCase() : asciiOf(text)
  if (plain === null) return null
  const name = plain.endsWith(".") ? plain.slice(0, -1) : plain
  return isHostname(name) ? (name as Hostname) : null
}

/** The name of DNS wire labels, the root label left out; null where it is no host name. */
export function hostnameFromLabels(labels: readonly Uint8Array[]): Hostname | null {
  let name = ""
  for (const label of labels) {
    if (label.length === 0 || label.length > labelLengthMax) return null
    if (name.length + label.length > nameLengthMax) return null
    if (name !== "") name += "."
    for (const byte of label) {
      // Why: a dot or NUL inside a label would spell another name than the one on the wire.
      if (byte === 46 || byte === 0) return null
      name += String.fromCharCode(byte >= 65 && byte <= 90 ? byte + 32 : byte)
    }
  }
  return isHostname(name) ? (name as Hostname) : null
}

/** From the left: `www`, `example`, `com`. */
export function labels(name: Hostname): string[] {
  return name.split(".")
}

/**
 * A pattern: `**` as the first label, `*` as any whole label, and `*` inside the first label.
 * null for any other text.
 */
export function parsePattern(text: string): Pattern | null {
  if (!text.includes("*")) {
    const name = parseHostname(text)
    return name === null ? null : { pattern: name }
  }
  if (text.length > textLengthMax) return null
  const parts = text.replaceAll(/[\u3002\uFF0E\uFF61]/g, ".").split(".")
  if (parts.at(-1) === "") parts.pop()
  const written: string[] = []
  for (const [index, part] of parts.entries()) {
    const label = patternLabel(part, index === 0)
    if (label === null) return null
    written.push(label)
  }
  const pattern = written.join(".")
  // Why: the whole must be a name too, wildcards aside: length, and no number at the end.
  return isHostname(pattern.replaceAll("*", "x")) ? { pattern } : null
}

function patternLabel(part: string, first: boolean): string | null {
  if (part === "*" || (part === "**" && first)) return part
  if (!part.includes("*")) return parseLabel(part)
  const lower = part.toLowerCase()
  return first && /^[a-z0-9_*-]+$/.test(lower) && !lower.includes("**") ? lower : null
}

/** One label; unlike a name it may be a number. */
function parseLabel(part: string): string | null {
  const name = parseHostname(`${part}.x`)
  return name === null || part.includes(".") ? null : name.slice(0, -2)
}

/** Whether a pattern covers a name. The obvious way; compile.ts has the fast one. */
export function covers({ pattern }: Pattern, name: Hostname): boolean {
  if (!pattern.includes("*")) return pattern === name
  const wanted = pattern.split(".")
  const given = name.split(".")
  if (wanted[0] === "**") {
    if (given.length < wanted.length) return false
    wanted.shift()
    given.splice(0, given.length - wanted.length)
  }
  if (wanted.length !== given.length) return false
  return wanted.every((label, index) => coversLabel(label, given[index] ?? ""))
}

/** Whether a label with `*` in it (any number of characters, none too) covers a label. */
export function coversLabel(wanted: string, given: string): boolean {
  if (wanted === "*") return true
  const pieces = wanted.split("*")
  if (pieces.length === 1) return wanted === given
  const head = pieces[0] ?? ""
  const tail = pieces.at(-1) ?? ""
  if (given.length < head.length + tail.length) return false
  if (!given.startsWith(head) || !given.endsWith(tail)) return false
  let from = head.length
  const until = given.length - tail.length
  for (const piece of pieces.slice(1, -1)) {
    const found = given.indexOf(piece, from)
    if (found === -1 || found + piece.length > until) return false
    from = found + piece.length
  }
  return true
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 127) return false
  return true
}

/** A name with letters beyond ASCII in A-labels; null where IDNA has none for it. */
function asciiOf(text: string): string | null {
  // Why: domainToASCII reads a host of a URL. It decodes percent signs, drops tabs and line ends,
  // stops at "/" and takes numbers for addresses; and IDNA drops what cannot be seen. So nothing
  // of the kind reaches it, and what comes out is judged again.
  if (/[^\p{L}\p{M}\p{N}\p{Pd}\p{S}_.\u3002\uFF0E\uFF61\u00B7\u30FB]/u.test(text)) return null
  const ascii = domainToASCII(text)
  return ascii === "" ? null : ascii
}

/** Canonical already: lower-case labels of letters, digits, hyphen, underscore. */
function isHostname(name: string): boolean {
  if (name.length === 0 || name.length > nameLengthMax) return false
  let start = 0
  for (let index = 0; index <= name.length; index++) {
    const code = index === name.length ? 46 : name.charCodeAt(index)
    if (code === 46) {
      if (index === start || index - start > labelLengthMax) return false
      start = index + 1
    } else if (
      !(code >= 97 && code <= 122) &&
      !(code >= 48 && code <= 57) &&
      code !== 45 &&
      code !== 95
    ) {
      return false
    }
  }
  return !/(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(name)
}
