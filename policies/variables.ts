/**
 * `${GITHUB_…}`, `${CI_…}`, `${SLUICE_…}` in the text of a rule.
 *
 * A value stands for itself and cannot bring syntax with it: before the path it is part of a host
 * name, in the path it is segments without wildcards.
 */
import type { Fault } from "./target.ts"

export type Environment = Readonly<Record<string, string | undefined>>

const known = /^(?:GITHUB|CI|SLUICE)_[A-Z0-9_]+$/
/** Their values would be written into the event log. */
const secret = /TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|PRIVATE|_KEY\b/

/** A text with its variables replaced. */
export function expand(text: string, environment: Environment): string | Fault {
  if (!text.includes("${")) return text
  // Why: the scheme's slashes begin no path.
  const start = text.indexOf("://")
  const slash = text.startsWith("/") ? 0 : text.indexOf("/", start === -1 ? 0 : start + 3)
  let result = ""
  let from = 0
  for (const match of text.matchAll(/\$\{([^}]*)(\}?)/g)) {
    const [whole, name = "", end] = match
    if (end === "") return { fault: `has "${whole.slice(0, 40)}" without an end, must be \${NAME}` }
    const value = valueOf(name, environment, slash !== -1 && match.index > slash)
    if (typeof value !== "string") return value
    result += text.slice(from, match.index) + value
    from = match.index + whole.length
  }
  return result + text.slice(from)
}

function valueOf(name: string, environment: Environment, path: boolean): string | Fault {
  if (!known.test(name)) {
    return {
      fault: `has the variable \${${name.slice(0, 80)}}, must be one of \${GITHUB_…}, \${CI_…}, \${SLUICE_…}`,
    }
  }
  if (secret.test(name)) {
    return { fault: `has the variable \${${name}}, must be one that holds no secret` }
  }
  const value = Object.hasOwn(environment, name) ? environment[name] : undefined
  if (value === undefined || value === "") {
    return { fault: `has the variable \${${name}}, which is not set, must be set` }
  }
  const fits = path
    ? /^[\w.~+@=,-]+(?:\/[\w.~+@=,-]+)*$/.test(value) && !/(?:^|\/)\.{1,2}(?:\/|$)/.test(value)
    : /^[\w-]+(?:\.[\w-]+)*$/.test(value)
  if (fits) return value
  const wanted = path ? "path segments" : "a part of a host name"
  const shown = JSON.stringify(value.slice(0, 80))
  return {
    fault: `has the variable \${${name}}, which is ${shown}, must be ${wanted}, without wildcards or other syntax`,
  }
}
