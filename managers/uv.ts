/** uv: https://docs.astral.sh/uv/concepts/configuration-files/ and concepts/indexes/ */
import { Findings, under, upwards } from "./found.ts"
import type { Found, Meaning, Surroundings } from "./found.ts"
import { tomlValues } from "./toml.ts"
import type { TomlValue } from "./toml.ts"

const index: Meaning = {
  setting: "index",
  why: "the package index that uv's configuration names",
  replaces: true,
}
const extra: Meaning = { setting: "extra-index", why: "a further index in uv's configuration" }
const links: Meaning = { setting: "find-links", why: "a page of packages in uv's configuration" }
const python: Meaning = {
  setting: "python",
  why: "the mirror of Python builds in uv's configuration",
  replaces: true,
}
const pypy: Meaning = { setting: "pypy", why: "the mirror of PyPy builds in uv's configuration" }

const variables: Readonly<Record<string, Meaning>> = {
  UV_DEFAULT_INDEX: index,
  UV_INDEX_URL: index,
  UV_INDEX: extra,
  UV_EXTRA_INDEX_URL: extra,
  UV_FIND_LINKS: links,
  UV_PYTHON_INSTALL_MIRROR: python,
  UV_ASTRAL_MIRROR_URL: python,
  UV_PYPY_INSTALL_MIRROR: pypy,
}

const keys: Readonly<Record<string, Meaning>> = {
  "index-url": index,
  "extra-index-url": extra,
  "find-links": links,
  "python-install-mirror": python,
  "pypy-install-mirror": pypy,
}

/** Where uv will fetch from. */
export function uv(surroundings: Surroundings): Found {
  const findings = new Findings(surroundings)
  const done = new Set<string>()
  for (const [name, meaning] of Object.entries(variables)) {
    const value = surroundings.environment[name]
    if (value === undefined || value === "") continue
    if (meaning.replaces === true && done.has(meaning.setting)) continue
    done.add(meaning.setting)
    for (const word of value.split(name === "UV_FIND_LINKS" ? "," : /\s+/)) {
      const url = word.replace(/^[A-Za-z0-9_.-]+=(?=[a-z+]+:)/, "")
      findings.add(url, { source: `environment ${name}`, line: 0 }, meaning)
    }
  }
  for (const { source, values } of files(findings)) {
    const before = new Set(done)
    for (const [meaning, { value, line }] of indexes(values)) {
      if (typeof value !== "string") continue
      // Why: one default index holds, the most important; further indexes add up.
      if (meaning.replaces === true && before.has(meaning.setting)) continue
      if (meaning.replaces === true) done.add(meaning.setting)
      findings.add(value, { source, line }, meaning)
    }
  }
  return findings.found()
}

function indexes(values: readonly TomlValue[]): (readonly [Meaning, TomlValue])[] {
  const found: (readonly [Meaning, TomlValue])[] = []
  const defaults = new Set(
    values
      .filter(({ path, value }) => path[0] === "index" && path[2] === "default" && value === true)
      .map(({ path }) => path[1]),
  )
  for (const entry of values) {
    const path = entry.path[0] === "pip" ? entry.path.slice(1) : entry.path
    const [key = "", number, inner] = path
    const meaning = keys[key]
    if (meaning !== undefined && path.length <= 2) found.push([meaning, entry])
    else if (key === "index" && inner === "url" && path.length === 3) {
      found.push([defaults.has(number) ? index : extra, entry])
    }
  }
  return found
}

/** Most important first: the project's, the workspace's, the user's, the machine's. */
function files(findings: Findings): { source: string; values: TomlValue[] }[] {
  const { directory, environment, home, list } = findings.surroundings
  const named = environment["UV_CONFIG_FILE"]
  if (named) return [uvToml(findings, under(directory, named))]
  const found: { source: string; values: TomlValue[] }[] = []
  if (!environment["UV_NO_CONFIG"]) {
    for (const folder of upwards(directory)) {
      const names = list(folder)
      const project = names.includes("pyproject.toml")
        ? pyproject(findings, under(folder, "pyproject.toml"))
        : null
      if (names.includes("uv.toml")) found.push(uvToml(findings, under(folder, "uv.toml")))
      else if (project !== null) found.push(project)
      if (project?.values.some(({ path }) => path[0] === "workspace") === true) break
    }
    const system = (environment["XDG_CONFIG_DIRS"] || "/etc/xdg").split(":")
    const user = environment["XDG_CONFIG_HOME"] || `${home}/.config`
    for (const folder of [user, ...system, "/etc"]) {
      found.push(uvToml(findings, under(directory, `${folder}/uv/uv.toml`)))
    }
  }
  return found
}

function uvToml(findings: Findings, source: string): { source: string; values: TomlValue[] } {
  return { source, values: tomlValues(findings.text(source) ?? "") }
}

function pyproject(findings: Findings, source: string): { source: string; values: TomlValue[] } {
  const values = tomlValues(findings.text(source) ?? "")
    .filter(({ path }) => path[0] === "tool" && path[1] === "uv")
    .map((entry) => ({ ...entry, path: entry.path.slice(2) }))
  return { source, values }
}
