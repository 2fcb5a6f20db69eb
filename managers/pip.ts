/** pip: https://pip.pypa.io/en/stable/topics/configuration/ */
import { Findings, under } from "./found.ts"
import type { Found, Meaning, Spot, Surroundings } from "./found.ts"
import { linesOf, pythonIni } from "./ini.ts"

interface Value {
  readonly value: string
  readonly spot: Spot
}

const index: Meaning = {
  setting: "index",
  why: "the package index that pip's configuration names",
  replaces: true,
}
const extra: Meaning = { setting: "extra-index", why: "a further index in pip's configuration" }
const links: Meaning = { setting: "find-links", why: "a page of packages in pip's configuration" }
const proxy: Meaning = {
  setting: "proxy",
  why: "the proxy that pip's configuration names: what it reaches is its own decision",
  proxy: true,
}

const meanings: Readonly<Record<string, Meaning>> = {
  "index-url": index,
  "extra-index-url": extra,
  "find-links": links,
  proxy,
}

/** Commands that fetch; a section of their name goes before `global`. */
const sections = ["install", "download", "wheel", "global"]

/** Where pip will fetch from. */
export function pip(surroundings: Surroundings): Found {
  const findings = new Findings(surroundings)
  const settings = settled(findings)
  if (
    [...(settings.get("no-index") ?? [])].some(({ value }) => /^(?:1|true|yes|on)$/i.test(value))
  ) {
    findings.settle("index")
    settings.delete("index-url")
    settings.delete("extra-index-url")
  }
  for (const [key, values] of settings) {
    const meaning = meanings[key]
    if (meaning === undefined) continue
    for (const { value, spot } of values) {
      for (const url of value.split(/\s+/)) findings.add(url, spot, meaning)
    }
  }
  requirements(findings)
  return findings.found()
}

/** For each key the values that hold: those of its most important source. */
function settled(findings: Findings): Map<string, readonly Value[]> {
  const settings = new Map<string, readonly Value[]>()
  for (const path of files(findings.surroundings)) {
    const text = findings.text(path)
    if (text === null) continue
    const found = new Map<string, Value[]>()
    for (const { section, key, value, line } of pythonIni(text)) {
      if (!sections.includes(section)) continue
      const name = key.replaceAll("_", "-")
      const values = found.get(name) ?? []
      values.push({ value, spot: { source: path, line } })
      found.set(name, values)
    }
    for (const [key, values] of found) settings.set(key, values)
  }
  for (const key of [...Object.keys(meanings), "no-index"]) {
    const variable = `PIP_${key.replaceAll("-", "_").toUpperCase()}`
    const value = findings.surroundings.environment[variable]
    if (value === undefined || value === "") continue
    settings.set(key, [{ value, spot: { source: `environment ${variable}`, line: 0 } }])
  }
  return settings
}

/** Configuration files, least important first. */
function files({ environment, home, directory }: Surroundings): string[] {
  const named = environment["PIP_CONFIG_FILE"]
  if (named === "/dev/null") return []
  const system = (environment["XDG_CONFIG_DIRS"] || "/etc/xdg").split(":")
  const paths = system.reverse().map((folder) => `${folder}/pip/pip.conf`)
  paths.push("/etc/pip.conf")
  if (named === undefined || named === "") {
    paths.push(`${home}/.pip/pip.conf`)
    paths.push(`${environment["XDG_CONFIG_HOME"] || `${home}/.config`}/pip/pip.conf`)
  }
  const virtual = environment["VIRTUAL_ENV"]
  if (virtual !== undefined && virtual !== "") paths.push(`${virtual}/pip.conf`)
  if (named !== undefined && named !== "") paths.push(named)
  return paths.map((path) => under(directory, path))
}

/** `--index-url` and the like in the project's requirements files; they hold beside the others. */
function requirements(findings: Findings): void {
  const { directory, list } = findings.surroundings
  const folders = [directory, under(directory, "requirements")]
  const options: readonly (readonly [RegExp, Meaning])[] = [
    [/^(?:--index-url|-i)(?:\s+|=)(\S+)/, { ...index, replaces: false }],
    [/^--extra-index-url(?:\s+|=)(\S+)/, extra],
    [/^(?:--find-links|-f)(?:\s+|=)(\S+)/, links],
  ]
  for (const folder of folders) {
    const names = list(folder).filter((name) =>
      folder === directory
        ? /^(?:requirements|constraints).*\.txt$/.test(name)
        : name.endsWith(".txt"),
    )
    for (const name of names.slice(0, 50)) {
      const path = under(folder, name)
      for (const [number, raw] of linesOf(findings.text(path) ?? "")) {
        if (!raw.startsWith("-")) continue
        for (const [option, meaning] of options) {
          const url = option.exec(raw)?.[1]
          if (url !== undefined) findings.add(url, { source: path, line: number + 1 }, meaning)
        }
      }
    }
  }
}
