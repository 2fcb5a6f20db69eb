/**
 * Which credentials a request carries: none, the job's own only, or any other. Pure.
 *
 * Errs on the side of other: a rule with `token: job` allows a request only where every credential
 * in it is the job's own, so that an allowed host is no drop for a stranger's account. What cannot be
 * told from a credential counts as one.
 */
import type { Token } from "../flows/flow.ts"
import type { Field } from "./request.ts"

/** Whether a text is one of the job's own tokens, character for character. */
export type IsJob = (credential: string) => boolean

/** How the value of a field is looked at. */
type Look =
  "shapes" | "random" | "harmless" | "credential" | "authorization" | "cookies" | "protocols"

/** Words in a field's or parameter's name that say credential. */
const tellingName =
  /auth(?!or(?!iz|is))|token|secret|passw|passwd|passcode|cookie|session|credential|signature|api_?key|apikey|jwt|bearer|x-amz-security|(?:^|[-_])(?:key|pwd|pass|otp|sig|sas)(?:$|[-_])/
/** Names that say so, of fields that grant nothing: sent by npm, WebSocket clients, caches. */
const harmlessNames: ReadonlySet<string> = new Set([
  "npm-auth-type",
  "npm-session",
  "sec-websocket-key",
  "idempotency-key",
  "surrogate-key",
])
/** Names of query parameters that are too short to search for. */
const tellingParameter = /^(?:key|sig|sas|pwd|pass|code|user|login|t)$/
/**
 * Values shaped like the tokens of known makers (see events/tokens.ts for their documents), and
 * user info in a URL (RFC 3986 §3.2.1). Each shape but the last has `runMin` characters in a row
 * that are letters, digits, `_` or `-`: see hasRun.
 */
const tellingValue =
  /gh[a-z]_[0-9A-Za-z]{16}|github_pat_\w{8}|gl[a-z]{2,5}-[\w-]{16}|A[KS]IA[0-9A-Z]{12}|xox[a-z]-[0-9A-Za-z-]{10}|xapp-[0-9A-Za-z-]{10}|npm_[0-9A-Za-z]{16}|pypi-[\w-]{16}|eyJ[\w-]{12}|sk-[0-9A-Za-z-]{16}|[srp]k_(?:live|test)_[0-9A-Za-z]{8}|hf_[0-9A-Za-z]{16}|dckr_[a-z]at_[\w-]{8}|AIza[\w-]{16}|ya29\.[\w-]{15}|hv[sbr]\.[\w-]{15}|rubygems_[0-9a-f]{16}|:\/\/[^\s/?#@]{1,512}@/
const runMin = 15
/** Long enough, and of one piece: nothing that a person typed. */
const randomText = /[0-9A-Za-z_+/=-]{32}/
/** Names of contents and of requests, which grant nothing: UUIDs, commit ids, SHA digests. */
const identity = /^(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{40}|[0-9a-f]{64})$/i
/** Longest text that is compared with the job's tokens, in characters. Those of GitHub have 40 to 2,000. */
const credentialMax = 16_384

/** Most parameters of a query that are looked at, as PHP takes them (max_input_vars); more count as a credential. */
const parametersMax = 1_000

const nobodys: IsJob = () => false

/**
 * Which credentials a request carries: see the head of this file.
 *
 * @param target In origin-form, query included.
 * @param isJob knows the job's own tokens; nothing is the job's own where it is left out
 */
export function tokenOf(fields: readonly Field[], target: string, isJob: IsJob = nobodys): Token {
  let found: Token = "none"
  for (const { name, value } of fields) {
    const token = fieldToken(lookOf(name), value, isJob)
    if (token === "other") return "other"
    if (token === "job") found = "job"
  }
  const token = targetToken(target, isJob)
  return token === "none" ? found : token
}

/** Looks of names as they were spelled before, so that a name is searched through once: 128 KiB at most. */
const looks = new Map<string, Look>()
const looksMax = 1_024
const nameLengthMax = 64

function lookOf(name: string): Look {
  if (name.length > nameLengthMax) return lookAt(name.toLowerCase())
  const known = looks.get(name)
  if (known !== undefined) return known
  if (looks.size >= looksMax) looks.clear()
  const look = lookAt(name.toLowerCase())
  looks.set(name, look)
  return look
}

function lookAt(name: string): Look {
  if (name === "authorization" || name === "proxy-authorization") return "authorization"
  if (name === "cookie") return "cookies"
  if (name === "sec-websocket-protocol") return "protocols"
  if (harmlessNames.has(name)) return "harmless"
  if (tellingName.test(name)) return "credential"
  return name.startsWith("x-") ? "random" : "shapes"
}

function fieldToken(look: Look, value: string, isJob: IsJob): Token {
  switch (look) {
    case "shapes":
    case "harmless":
      return shapedToken(value, isJob)
    case "random":
      return randomToken(value, isJob)
    case "credential":
      return credentialToken(value, isJob)
    case "authorization":
      return authorizationToken(value, isJob)
    case "cookies":
      return worst(value.split(";"), (each) => credentialToken(afterEquals(each), isJob))
    case "protocols":
      // Why: browsers' clients have no other place for a bearer token (Kubernetes, for one).
      return /bearer|auth|token/i.test(value) ? "other" : randomToken(value, isJob)
  }
}

/** Text that is not known to be a credential: only what has the shape of one. */
function shapedToken(value: string, isJob: IsJob): Token {
  return isTelling(value) ? piecesToken(value, tellingValue, isJob) : "none"
}

/** Why looked at before: an expression with so many branches takes longer than all the rest. */
function isTelling(value: string): boolean {
  return (hasRun(value) || value.includes("@")) && tellingValue.test(value)
}

/** By character code: letters, digits, `_` and `-`. */
const runs = Uint8Array.from({ length: 128 }, (_, code) =>
  Number(/[\w-]/.test(String.fromCharCode(code))),
)

/** Whether `runMin` such characters stand in a row; looks at few of the others. */
function hasRun(value: string): boolean {
  let from = 0
  while (from + runMin <= value.length) {
    let at = from + runMin - 1
    while (at >= from && runs[value.charCodeAt(at)] === 1) at--
    if (at < from) return true
    from = at + 1
  }
  return false
}

/** The same, and what looks random. */
function randomToken(value: string, isJob: IsJob): Token {
  const shaped = shapedToken(value, isJob)
  if (shaped !== "none" || value.length < 32 || !randomText.test(value)) return shaped
  return piecesToken(value, randomText, isJob)
}

/** Every piece of a text that an expression finds something in must be the job's own. */
function piecesToken(value: string, telling: RegExp, isJob: IsJob): Token {
  const pieces = value.split(/[\s,;"'<>(){}]+/).filter((piece) => telling.test(piece))
  return worst(pieces, (piece) => pieceToken(piece, isJob), "other")
}

function pieceToken(piece: string, isJob: IsJob): Token {
  if (identity.test(piece)) return "none"
  if (isOwn(piece, isJob)) return "job"
  const [, info] = /^[a-z][a-z0-9+.-]*:\/\/([^\s/?#@]*)@[^@]*$/i.exec(piece) ?? []
  return info === undefined ? "other" : pairToken(decoded(info) ?? "", isJob)
}

/** What stands where a credential stands. */
function credentialToken(value: string, isJob: IsJob): Token {
  const text = unquoted(value.trim())
  if (text === "") return "none"
  const [, bare = text] = /^(?:bearer|token) +(\S+)$/i.exec(text) ?? []
  return isOwn(bare, isJob) ? "job" : "other"
}

/** RFC 9110 §11.6.2: a scheme and a credential. Schemes that sign, or answer a challenge, are never the job's. */
function authorizationToken(value: string, isJob: IsJob): Token {
  const text = value.trim()
  if (text === "") return "none"
  const [, basic] = /^basic +([0-9A-Za-z+/]+={0,2})$/i.exec(text) ?? []
  if (basic === undefined) {
    const [, bare] = /^(?:bearer|token) +(\S+)$/i.exec(text) ?? []
    return bare !== undefined && isOwn(bare, isJob) ? "job" : "other"
  }
  const bytes = Buffer.from(basic, "base64")
  // Why: what decodes in more than one way may be read in another one.
  const whole = bytes.toString("base64").replace(/=+$/, "") === basic.replace(/=+$/, "")
  return whole ? pairToken(bytes.toString("latin1"), isJob) : "other"
}

/** What clients put for a user name beside a token, and beside nothing else. */
const plainUser = /^[\w.@+[\]-]{0,39}$/
/** What GitHub takes for a password beside a token in place of the user name. */
const plainPasswords: ReadonlySet<string> = new Set(["", "x-oauth-basic"])

/**
 * `user:password` (RFC 7617 §2): one half is the job's own token, and the other grants nothing. A
 * token for a password goes with any plain user name, as `docker login` and Git write it.
 */
function pairToken(pair: string, isJob: IsJob): Token {
  if (pair === "" || pair === ":") return "none"
  const colon = pair.indexOf(":")
  const user = colon === -1 ? pair : pair.slice(0, colon)
  const password = colon === -1 ? "" : pair.slice(colon + 1)
  if (isOwn(password, isJob)) {
    const harmless = plainUser.test(user) && !tellingValue.test(user) && !randomText.test(user)
    return harmless || isOwn(user, isJob) ? "job" : "other"
  }
  return isOwn(user, isJob) && plainPasswords.has(password) ? "job" : "other"
}

function targetToken(target: string, isJob: IsJob): Token {
  const mark = target.indexOf("?")
  const path = mark === -1 ? target : target.slice(0, mark)
  let found = textToken(path, isJob)
  if (mark === -1 || found === "other") return found
  const pairs = target.slice(mark + 1).split(/[&;]/, parametersMax + 1)
  if (pairs.length > parametersMax) return "other"
  for (const pair of pairs) {
    if (pair === "") continue
    const equals = pair.indexOf("=")
    const name = (equals === -1 ? "" : (decoded(pair.slice(0, equals)) ?? "token")).toLowerCase()
    const token = parameterToken(name, pair.slice(equals + 1), isJob)
    if (token === "other") return "other"
    if (token === "job") found = "job"
  }
  return found
}

function parameterToken(name: string, raw: string, isJob: IsJob): Token {
  const value = decoded(raw)
  if (value === null) return "other"
  if (tellingName.test(name) || tellingParameter.test(name)) return credentialToken(value, isJob)
  return randomToken(value, isJob)
}

/** A path, as it stands and decoded. */
function textToken(path: string, isJob: IsJob): Token {
  const value = path.includes("%") ? decoded(path) : path
  if (value === null) return isTelling(path) ? "other" : "none"
  if (!isTelling(value)) return "none"
  const segments = value.split("/").filter((segment) => tellingValue.test(segment))
  // Why other: what has a shape only across segments is none of the job's own.
  return worst(segments, (segment) => (isOwn(segment, isJob) ? "job" : "other"), "other")
}

/** Percent-encoding undone once; null where it is broken. */
function decoded(text: string): string | null {
  if (!text.includes("%")) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

function afterEquals(pair: string): string {
  return pair.slice(pair.indexOf("=") + 1)
}

function unquoted(text: string): string {
  const quoted = text.length >= 2 && text.startsWith('"') && text.endsWith('"')
  return quoted ? text.slice(1, -1) : text
}

function isOwn(text: string, isJob: IsJob): boolean {
  return text !== "" && text.length <= credentialMax && isJob(text)
}

/**
 * Other before job before none; `otherwise` of nothing at all. Ends with the first that is other:
 * to compare a text with the job's tokens takes some microseconds, and a field has room for many.
 */
function worst(
  texts: readonly string[],
  judge: (text: string) => Token,
  otherwise: Token = "none",
): Token {
  let found = texts.length === 0 ? otherwise : "none"
  for (const text of texts) {
    const token = judge(text)
    if (token === "other") return "other"
    if (token === "job") found = "job"
  }
  return found
}
