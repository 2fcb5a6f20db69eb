/**
 * Text that a job or a peer chose → text that is safe to show on a terminal and in a CI log. Pure.
 *
 * Controls, escape sequences, bidirectional and invisible characters become visible escapes; what a
 * runner would take for a command (`::set-env…`, `##[group]`) is broken up.
 */

/**
 * Controls, format characters (bidi, zero width, tags), lone surrogates, unassigned; all spaces but
 * the plain one; and what lies beyond U+FFFF, so that a text can be cut anywhere.
 */
const invisible = /[\p{C}\p{Zl}\p{Zp}\u{10000}-\u{10ffff}]|(?! )\p{Zs}/gu

/** A mark that stands on more marks: letters that grow over the lines around them. */
const piled = /(\p{M}{2})\p{M}+/gu

/** One line of safe text. It stays safe when it is broken into lines. */
export function shown(text: string): string {
  const visible = text.replace(invisible, escaped).replace(piled, "$1").replaceAll("##[", "#\\x23[")
  // A command has two `::`, an IPv6 address at most one.
  const commands = /::.*::/.test(visible) ? /:(?=:)/g : /(?<=^|\s):(?=:[a-z])/gi
  return visible.replace(commands, "\\x3a")
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0
  const hex = code.toString(16)
  return code < 0x100 ? `\\x${hex.padStart(2, "0")}` : `\\u{${hex}}`
}

/** Safe text of at most `columns` characters: what is too long loses its middle. */
export function elided(text: string, columns: number): string {
  // A million characters need not be made safe to show a hundred.
  const bounded = text.length > 4096 ? `${text.slice(0, 2048)}…${text.slice(-2048)}` : text
  const safe = shown(bounded)
  if (safe.length <= columns) return safe
  if (columns < 3) return safe.slice(0, columns)
  const head = Math.ceil((columns - 1) / 2)
  return `${safe.slice(0, head)}…${safe.slice(safe.length - (columns - 1 - head))}`
}
