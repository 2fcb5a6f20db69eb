/**
 * Paths of requests, and patterns over them: `*` is within a segment, `**` any number of segments
 * (none too).
 *
 * Servers disagree about `;…` parameters and empty segments: some take them for part of the path,
 * some drop them. So a path is judged in both readings: an allow rule must fit in both, a deny rule
 * fits in either.
 */
import { coversLabel } from "../net/hostname.ts"

/** As servers commonly bound a request line (nginx large_client_header_buffers), in characters. */
export const pathLengthMax = 8192

/**
 * The one spelling of a path: percent-encoding of what needs none undone, the rest of it in upper
 * case (RFC 3986 §6.2.2). null where two servers could read two paths from it: not led by "/",
 * dot segments, encoded dots, slashes, backslashes, broken percent-encoding, controls, over-long.
 * Without query and fragment.
 */
export function canonicalPath(text: string): string | null {
  if (!text.startsWith("/") || text.length > pathLengthMax) return null
  if (/[^\x21-\x7e]|[?#\\"<>^`{|}]/.test(text)) return null
  if (/%(?![0-9a-f]{2})/i.test(text) || /%(?:2e|2f|5c|00)/i.test(text)) return null
  const path = text.replaceAll(/%[0-9a-f]{2}/gi, (code) => {
    const character = String.fromCharCode(Number.parseInt(code.slice(1), 16))
    return /[a-z0-9_~-]/i.test(character) ? character : code.toUpperCase()
  })
  return path.split("/").some((segment) => isDots(segment.split(";")[0] ?? "")) ? null : path
}

/** One encoded slash behind a segment that begins with `@`. Neither half can be of dots. */
const scopedPackage = /\/(@[a-z0-9~_-][a-z0-9._~-]*)%2f([a-z0-9~_-][a-z0-9._~-]*)(?=\/|$)/gi

/**
 * The path that is meant by one in which npm, pnpm or yarn name a package in a scope:
 * `/@scope%2fname` for `/@scope/name`. A registry has the same at both. Why: every other encoded
 * slash is refused, for servers differ about it; without this one no such package could be had.
 */
export function scopedPath(text: string): string {
  return text.includes("%") && text.length <= pathLengthMax
    ? text.replaceAll(scopedPackage, "/$1/$2")
    : text
}

/** Whether a rule's path fits a request's in the readings that its effect asks for. */
export function fitsPath(pattern: string, path: string, effect: "allow" | "deny"): boolean {
  const plain = plainPath(path)
  if (plain === path) return coversPath(pattern, path)
  // Why: the rule too is read both ways, or a rule that itself has a `;` could never fit.
  const barely = coversPath(pattern, plain) || coversPath(plainPath(pattern), plain)
  return effect === "allow"
    ? coversPath(pattern, path) && barely
    : coversPath(pattern, path) || barely
}

/** Without `;…` parameters and empty segments. */
export function plainPath(path: string): string {
  if (!path.includes(";") && !path.includes("//") && !path.endsWith("/")) return path
  const segments = path.split("/").map((segment) => segment.split(";")[0] ?? "")
  return `/${segments.filter((segment) => segment !== "").join("/")}`
}

/** Whether a pattern covers a path, character for character. */
export function coversPath(pattern: string, path: string): boolean {
  if (pattern === "/**") return true
  const wanted = pattern.split("/")
  const given = path.split("/")
  let at = 0
  let from = 0
  // Why: where the last `**` stood and what it had taken; it takes one more when the rest fails.
  let deep = -1
  let taken = 0
  while (from < given.length) {
    const segment = wanted[at]
    if (segment === "**") {
      deep = at++
      taken = from
    } else if (segment !== undefined && coversLabel(segment, given[from] ?? "")) {
      at++
      from++
    } else if (deep === -1) return false
    else {
      at = deep + 1
      from = ++taken
    }
  }
  while (wanted[at] === "**") at++
  return at === wanted.length
}

function isDots(segment: string): boolean {
  return segment === "." || segment === ".."
}
