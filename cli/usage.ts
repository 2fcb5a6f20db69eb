/** What `sluice` says about itself: its commands, and which one was probably meant. Pure. */

/** One word after `sluice`. */
export interface Command {
  readonly name: string
  /** One sentence. */
  readonly does: string
}

/** The page of `sluice --help`. */
export function usage(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  const rows = commands.map(({ name, does }) => `  ${name.padEnd(width)}  ${does}\n`)
  return `Usage: sluice COMMAND [options]

A transparent egress firewall for build machines.

${rows.join("")}
  sudo sluice run --mode audit -- npm ci          watch: what does this build reach?
  sudo sluice run --policy sluice.yml -- npm ci   block: only what the policy allows

sluice COMMAND --help says more of a command; sluice --version says which Sluice this is.
`
}

/** What to say of a word that is no command; names the one that it resembles. */
export function unknownCommand(word: string, commands: readonly Command[]): string {
  const names = commands.map(({ name }) => name)
  const meant = resembling(word, names)
  const guess = meant === null ? "" : `sluice: Did you mean: sluice ${meant}\n`
  // Why as JSON: the word may hold what a terminal would obey.
  const said = JSON.stringify(word.slice(0, wordCharactersMax))
  return `sluice: Cannot find command ${said}: must be one of ${names.join(", ")}\n${guess}sluice: See: sluice --help\n`
}

/** A word longer than this resembles no command, and is not repeated in full. */
const wordCharactersMax = 64

/** Wrong letters that still make a word a slip of a name; git bears about as many. */
const slipsMax = 2

/** The name that the word is a slip of, or the only one it begins; null: none. */
export function resembling(word: string, names: readonly string[]): string | null {
  if (word.length === 0 || word.length > wordCharactersMax) return null
  const begun = names.filter((name) => name.startsWith(word))
  if (begun.length === 1) return begun[0] ?? null
  const near = names
    .map((name) => ({ name, slips: distance(word.toLowerCase(), name) }))
    .filter(({ name, slips }) => slips <= slipsMax && slips < name.length - 1)
    .toSorted((a, b) => a.slips - b.slips)
  return near[0]?.name ?? null
}

/** Letters to insert, drop, change or swap with the next, to make one word of the other. */
export function distance(one: string, other: string): number {
  let before: number[] = []
  let last = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 1; i <= one.length; i++) {
    const row = [i]
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1]
      const swapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]
      row[j] = Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (before[j - 2] ?? 0) + 1 : Infinity,
      )
    }
    before = last
    last = row
  }
  return last[other.length] ?? 0
}
