/**
 * The shapes of credentials that their makers document, and how they hide in a host name. Pure.
 *
 * A table, one row a maker. Letters match in either case, because a resolver sees names in lower
 * case. Sources: GitHub "Behind GitHub's new authentication token formats"; npm, PyPI, GitLab,
 * Slack, Stripe, Google and AWS (IAM identifiers) in their own documentation; RFC 7519 for JWT.
 */

/** Head, which stays readable, and body, which is cut. Each begins where no letter or digit precedes. */
const shapes: readonly (readonly [head: string, body: string])[] = [
  ["gh[a-z]_", "[\\w-]{10,}(?:\\.[\\w-]{16,}){0,2}"],
  ["github_pat_", "\\w{10,}"],
  ["npm_", "[a-z0-9]{30,}"],
  ["pypi-", "(?:ag[\\w-]{14,}|[\\w-]{40,})"],
  ["(?:akia|asia|abia|acca|aroa|aida)", "[a-z0-9]{16}(?![a-z0-9])"],
  ["aiza", "[\\w-]{30,}"],
  ["ya29\\.", "[\\w-]{20,}"],
  ["gocspx-", "[\\w-]{20,}"],
  ["xox[a-z]-", "[a-z0-9-]{10,}"],
  ["xapp-", "[a-z0-9-]{10,}"],
  ["[srp]k_(?:live|test)_", "[a-z0-9]{10,}"],
  ["whsec_", "[\\w+/=-]{20,}"],
  ["gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas|imt)-", "[\\w.-]{16,}"],
  ["sk-(?:ant|proj|svcacct|or)-", "[\\w-]{16,}"],
  ["sk-", "[a-z0-9]{32,}"],
  ["hf_", "[a-z0-9]{30,}"],
  ["do[opr]_v1_", "[a-f0-9]{40,}"],
  ["dckr_[po]at_", "[\\w-]{20,}"],
  ["cio", "[a-z0-9]{32}(?![a-z0-9])"],
  ["sg\\.", "[\\w-]{16,}\\.[\\w-]{16,}"],
  ["hv[sbr]\\.", "[\\w-]{20,}"],
  ["shp(?:at|ca|pa|ss)_", "[a-f0-9]{32,}"],
  ["dapi", "[a-f0-9]{32,}"],
  ["rubygems_", "[a-f0-9]{40,}"],
  ["atatt3", "[\\w=-]{50,}"],
  ["age-secret-key-1", "[a-z0-9]{50,}"],
  ["bot\\d{8,10}:", "[\\w-]{30,}"],
  ["eyj", "[\\w-]{10,}(?:\\.[\\w-]{16,}){0,2}={0,2}"],
]

/** Every token-shaped text. */
export const tokens = new RegExp(
  `(?<![a-z0-9])(?:${shapes.map(([head, body]) => head + body).join("|")})`,
  "gi",
)

const heads = new RegExp(`^(?:${shapes.map(([head]) => head).join("|")})`, "i")

/** The readable head of a token, "" where there is none. */
export function tokenStart(token: string): string {
  return heads.exec(token)?.[0] ?? ""
}

/** What a decoded label must hold to count as a token: few letters, so that a first piece is enough. */
const decodedHead =
  /gh[pousr]_\w|github_pat_|npm_[a-z0-9]{4}|pypi-ag|(?:akia|asia)[a-z0-9]{4}|xox[a-z]-|glpat-|[srp]k_live_|-----begin|eyj[a-z0-9]{6}/i

/**
 * Indexes of the labels that spell a token when they are put together, or when they are read as
 * hexadecimal digits or as base32 (RFC 4648 §6), as tunnels write them. The last two labels are
 * where the tunnel leads to, and are never among them.
 */
export function hostHidesToken(labels: readonly string[]): readonly number[] {
  const carriers = [...labels.keys()].slice(0, Math.max(0, labels.length - 2))
  if (carriers.length === 0) return []
  const joined = carriers.map((index) => labels[index] ?? "").join("")
  if (carriers.length > 1) {
    tokens.lastIndex = 0
    if (tokens.test(joined)) return carriers
  }
  if ([joined, ...labels.slice(0, -2)].some((text) => decodedHead.test(decoded(text))))
    return carriers
  return []
}

function decoded(label: string): string {
  if (label.length < 16) return ""
  if (/^[0-9a-f]+$/i.test(label)) return Buffer.from(label, "hex").toString("latin1")
  return /^[a-z2-7]+$/i.test(label) ? base32(label.toLowerCase()) : ""
}

function base32(text: string): string {
  let bits = 0
  let value = 0
  let out = ""
  for (const letter of text) {
    value = ((value << 5) | "abcdefghijklmnopqrstuvwxyz234567".indexOf(letter)) & 0xfff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      out += String.fromCharCode((value >> bits) & 0xff)
    }
  }
  return out
}
