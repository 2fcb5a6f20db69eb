/**
 * Domain names on the wire (RFC 1035 §3.1, §4.1.4).
 *
 * Inside this room a name is its wire form as a latin1 string, lower case: length bytes and the root
 * label included, no compression. Comparing two such strings compares label arrays, so a dot inside
 * a label is never taken for the end of one.
 */
import { parseHostname } from "../net/hostname.ts"
import type { Hostname } from "../net/hostname.ts"

/** RFC 1035 §4.1.1. */
export const headerBytes = 12
/** RFC 1035 §2.3.4, in bytes, the root label included. */
export const nameBytesMax = 255
const labelBytesMax = 63

/** A name of 255 bytes has at most 127 labels, and no honest writer points more often than that. */
const pointersMax = 127

/** The root. */
export const rootName = "\0"

/** A name that was read, and where the bytes after it begin. */
export interface NameRead {
  /** As it stands on the wire, decompressed, case kept. */
  readonly exact: string
  readonly end: number
}

/**
 * The name at an offset of a whole message; null where it is over-long, cut, or points in a circle.
 * Pointers are followed backwards only, as RFC 1035 §4.1.4 has them ("prior occurrence").
 */
export function readName(message: Buffer, at: number): NameRead | null {
  let exact = ""
  let position = at
  let end = -1
  let earliest = at
  for (let pointers = 0; pointers <= pointersMax;) {
    const length = message[position]
    if (length === undefined) return null
    if (length === 0) {
      if (end === -1) end = position + 1
      return { exact: `${exact}\0`, end }
    }
    if (length <= labelBytesMax) {
      const after = position + 1 + length
      if (after > message.length || exact.length + 1 + length >= nameBytesMax) return null
      exact += message.toString("latin1", position, after)
      position = after
    } else {
      const low = message[position + 1]
      if (length < 0xc0 || low === undefined) return null
      const target = ((length & 0x3f) << 8) | low
      // Why: each jump goes before all that was read so far, so that no circle closes; and no name
      // stands in the header, whose bytes are another's to choose.
      if (target >= earliest || target < headerBytes) return null
      if (end === -1) end = position + 2
      earliest = target
      position = target
      pointers++
    }
  }
  return null
}

/** ASCII letters lowered (RFC 4343); length bytes are all below "A". */
export function lowered(exact: string): string {
  // Why: toLowerCase() would also touch letters of latin1 beyond ASCII, which are other bytes.
  return /[A-Z]/.test(exact) ? exact.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()) : exact
}

/** The host name that a wire name is; null where it has labels that no host name has. */
export function hostnameOf(name: string): Hostname | null {
  let text = ""
  for (let at = 0; ;) {
    const length = name.charCodeAt(at)
    if (!(length > 0)) break
    const label = name.slice(at + 1, at + 1 + length)
    // Why: a dot inside a label would spell another name, and IDNA is for text, not for the wire.
    if (/[^a-z0-9_-]/.test(label)) return null
    text = text === "" ? label : `${text}.${label}`
    at += 1 + length
  }
  return parseHostname(text)
}

/** The wire name of a host name. */
export function wireName(name: Hostname): string {
  let wire = ""
  for (const label of name.split(".")) wire += String.fromCharCode(label.length) + label
  return `${wire}\0`
}

/** Labels from the left, the root left out. */
export function labelsOf(name: string): string[] {
  const labels: string[] = []
  for (let at = 0; at < name.length;) {
    const length = name.charCodeAt(at)
    if (length === 0) break
    labels.push(name.slice(at + 1, at + 1 + length))
    at += 1 + length
  }
  return labels
}

/**
 * A wire name for people: printable ASCII as it is, a dot or backslash inside a label after a
 * backslash, any other byte as `\DDD` (RFC 1035 §5.1); `.` for the root.
 */
export function shownName(name: string): string {
  const shown = labelsOf(name).map((label) =>
    label.replaceAll(/[^!-[\]-~]|[.]/g, (character) =>
      character === "." || character === "\\"
        ? `\\${character}`
        : `\\${character.charCodeAt(0).toString().padStart(3, "0")}`,
    ),
  )
  return shown.length === 0 ? "." : shown.join(".")
}
