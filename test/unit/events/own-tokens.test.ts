import t from "tap"
import { withoutTokens } from "../../../events/own-tokens.ts"

/** Without a shape that anybody could know. */
const token = "correct-horse/battery+staple"
const other = 'with"quote\\and-more-characters'
const cut = withoutTokens([token, other])
const base64 = (text: string): string => Buffer.from(text).toString("base64")

t.test("withoutTokens() cuts a token out of a line, however it is written", (t) => {
  const forms = [
    ...["", "a:", "ab:", "x-access-token:"].map((before) => base64(before + token)),
    ...["", "a:"].map((before) => Buffer.from(before + token).toString("base64url")),
    ...[token, token.toUpperCase().toLowerCase(), encodeURIComponent(token)],
    ...[`a${token}b`, token.slice(0, 20), JSON.stringify(other).slice(1, -1)],
  ]
  for (const form of forms) {
    const line = cut(`{"a":"x ${form}","b":"y"}\n`)
    for (const secret of [token.slice(8), form.slice(-12)]) {
      t.notMatch(line, secret, form)
    }
    t.match(line, "***")
    t.match(JSON.parse(line), { b: "y" }, `${form}: the line is still JSON`)
  }
  t.end()
})

t.test("withoutTokens() leaves all else as it is", (t) => {
  const line = '{"a":"correct horse battery staple","path":"/correct-horse/x"}\n'
  t.equal(cut(line), line)
  t.equal(withoutTokens([])(`x ${token}`), `x ${token}`)
  t.end()
})
