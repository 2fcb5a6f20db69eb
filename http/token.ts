/**
 * Whether a request carries a credential. Errs on the side of yes: a rule with `token: job` allows
 * a request only where the answer is no, or where the credential is the job's own. Pure.
 */
import type { Token } from "../flows/flow.ts"
import type { Field } from "./head.ts"

/** Words in a field's or parameter's name that say credential. */
const tellingName =
  /auth|token|secret|passw|passwd|cookie|session|credential|signature|api-?_?key|apikey|access-?_?key|private-?_?key|jwt|bearer|x-amz-security/i
/** Names of query parameters that are too short to search for. */
const tellingParameter = /^(?:key|sig|sas|pwd|pass|code|user|login|t)$/i
/** Values shaped like the tokens of known makers (GitHub, GitLab, AWS, Slack, npm, PyPI, JWT…). */
const tellingValue =
  /gh[pousr]_[0-9A-Za-z]{16}|github_pat_|glpat-|AKIA[0-9A-Z]{12}|ASIA[0-9A-Z]{12}|xox[abprs]-|npm_[0-9A-Za-z]{16}|pypi-|eyJ[0-9A-Za-z_-]{8}|sk-[0-9A-Za-z]{16}|hf_[0-9A-Za-z]{16}|dckr_pat_/
/** Long enough, and of one piece: nothing that a person typed. */
const randomText = /[0-9A-Za-z_+/=-]{32}/

/**
 * "none" or "other". The job's own token cannot be told from another's yet.
 *
 * @param target In origin-form, query included.
 */
export function tokenOf(fields: readonly Field[], target: string): Token {
  for (const { name, value } of fields) {
    if (tellingName.test(name) || tellingValue.test(value)) return "other"
    if (name.toLowerCase().startsWith("x-") && randomText.test(value)) return "other"
  }
  if (tellingValue.test(target)) return "other"
  const query = target.indexOf("?")
  if (query === -1) return "none"
  for (const pair of target.slice(query + 1).split("&")) {
    const equals = pair.indexOf("=")
    const name = equals === -1 ? "" : pair.slice(0, equals)
    const value = pair.slice(equals + 1)
    if (tellingName.test(name) || tellingParameter.test(name) || randomText.test(value)) {
      return "other"
    }
  }
  return "none"
}
