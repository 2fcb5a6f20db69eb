/**
 * The job's own tokens, cut out of lines by their value: whatever shape they have, and wherever a
 * job put them. The second net, behind redact.ts, which goes by shape and place. Pure.
 */
import { cut } from "./redact.ts"

/** By how many characters of its beginning a token is known: a line may have been cut short in one. */
const headLength = 16

/** What may follow the beginning of a token, as it stands and in base64 (RFC 4648 §4 and §5). */
const plainRest = "[\\w.~%+=-]*"
const base64Rest = "[\\w+/=-]*"

interface Form {
  readonly head: string
  readonly rest: string
}

/**
 * What cuts tokens out of a line of the log: as they are, in lower case as DNS has them,
 * percent-encoded, and in base64 at each of its three alignments (`Basic`).
 *
 * @param tokens of printable ASCII, 20 characters at least each
 */
export function withoutTokens(tokens: readonly string[]): (line: string) => string {
  const forms = new Map<string, Form>()
  for (const token of tokens) {
    for (const form of formsOf(token)) forms.set(form.head, form)
  }
  if (forms.size === 0) return (line) => line
  const heads = [...forms.keys()]
  const all = [...forms.values()].map(({ head, rest }) => escaped(head) + rest)
  const any = new RegExp(all.join("|"), "g")
  return (line) => (heads.some((head) => line.includes(head)) ? line.replace(any, cut) : line)
}

function formsOf(token: string): Form[] {
  const plain = [
    token,
    token.toLowerCase(),
    encodeURIComponent(token),
    // Why: a line is JSON.
    JSON.stringify(token).slice(1, -1),
  ].map((text) => ({ head: text.slice(0, headLength), rest: plainRest }))
  const base64 = [0, 1, 2].flatMap((before) => {
    const bytes = Buffer.from(" ".repeat(before) + token, "latin1")
    // Why: the first characters hold bits of what stands before the token.
    const from = before === 0 ? 0 : before + 1
    return (["base64", "base64url"] as const).map((coding) => ({
      head: bytes.toString(coding).slice(from, from + headLength),
      rest: base64Rest,
    }))
  })
  return [...plain, ...base64]
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&")
}
