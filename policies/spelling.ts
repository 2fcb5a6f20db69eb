/** The known word that a mistaken one was most likely meant to be. */

/** How many letters may differ: one in a short word, more in a long one. */
const distanceMax = 3

/** null where none is near. */
export function nearestWord(word: string, known: Iterable<string>): string | null {
  let best: string | null = null
  let least = Math.min(distanceMax, Math.ceil(word.length / 3)) + 1
  if (word.length > 64) return null
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < least) [best, least] = [candidate, distance]
  }
  return best
}

/** Levenshtein's: insertions, deletions and replacements. */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 1; i <= one.length; i++) {
    const next = [i]
    for (let j = 1; j <= other.length; j++) {
      const cost = one[i - 1] === other[j - 1] ? 0 : 1
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + cost))
    }
    row = next
  }
  return row[other.length] ?? 0
}
