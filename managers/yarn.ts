/**
 * Yarn, both of them: version 1 (https://classic.yarnpkg.com/en/docs/yarnrc, and npm's files) and
 * its successors (https://yarnpkg.com/configuration/yarnrc, and no file of npm's).
 */
import { Findings, printable, under, upwards } from "./found.ts"
import type { Found, Surroundings } from "./found.ts"
import { linesOf } from "./ini.ts"
import { addRegistries, npmLayers } from "./npm.ts"
import type { Layer } from "./npm.ts"
import { yamlValues } from "./yaml.ts"

/** Where Yarn will fetch from. */
export function yarn(surroundings: Surroundings): Found {
  const findings = new Findings(surroundings)
  if (isModern(findings)) modern(findings)
  else classic(findings)
  return findings.found()
}

/** A .yarnrc.yml, or a package.json that asks for a version from 2 on. */
function isModern({ surroundings: { directory, list, read } }: Findings): boolean {
  for (const folder of upwards(directory)) {
    const names = list(folder)
    if (names.includes(".yarnrc.yml")) return true
    if (!names.includes("package.json")) continue
    const text = read(under(folder, "package.json"))
    const wanted = typeof text === "string" && /"packageManager"\s*:\s*"yarn@(\d+)\./.exec(text)
    if (wanted) return Number(wanted[1]) >= 2
  }
  return false
}

function classic(findings: Findings): void {
  const { directory, home } = findings.surroundings
  const folders = [...upwards(directory), home, "/etc", "/usr/local/etc"]
  const layers: Layer[] = [...new Set(folders)].map((folder) =>
    yarnrc(findings, folder === "/etc" ? "/etc/yarnrc" : under(folder, ".yarnrc")),
  )
  const [environment, ...files] = npmLayers(findings, ["yarn_", "npm_config_"])
  const first = environment === undefined ? [] : [environment]
  addRegistries(findings, [...first, ...layers, ...files])
}

/** Lines of `key value`, either of them in quotes or not. */
function yarnrc(findings: Findings, path: string): Layer {
  const values = new Map<string, { value: string; spot: { source: string; line: number } }>()
  for (const [index, raw] of linesOf(findings.text(path) ?? "")) {
    const line = raw.trim()
    if (line === "" || line.startsWith("#")) continue
    const end = line.startsWith('"') ? line.indexOf('"', 1) + 1 : line.search(/\s/)
    if (end <= 0) continue
    const key = line.slice(0, end).replaceAll('"', "").replace(/:$/, "")
    const value = line.slice(end).replace(/^:/, "").trim().replaceAll('"', "")
    values.set(key, { value, spot: { source: path, line: index + 1 } })
  }
  return { values }
}

function modern(findings: Findings): void {
  const { directory, home, environment } = findings.surroundings
  const seen = new Set<string>()
  for (const [name, meaning] of Object.entries(modernSettings)) {
    const variable = `YARN_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
    const value = environment[variable]
    if (value === undefined || value === "") continue
    seen.add(name)
    findings.add(value, { source: `environment ${variable}`, line: 0 }, meaning)
  }
  for (const folder of new Set([...upwards(directory), home])) {
    const path = under(folder, ".yarnrc.yml")
    const text = findings.text(path)
    const values = text === null ? [] : yamlValues(text)
    if (values === null) findings.note(`Cannot read ${printable(path)}: it is no YAML`)
    for (const { path: keys, value, line } of values ?? []) {
      const [top = "", scope = "", inner = ""] = keys
      const key = keys.join("\0")
      const meaning =
        keys.length === 1
          ? modernSettings[top]
          : top === "npmScopes" && keys.length === 3 && inner === "npmRegistryServer"
            ? { setting: "scope", why: `the registry of Yarn's scope ${scope.slice(0, 64)}` }
            : undefined
      if (meaning === undefined || seen.has(key)) continue
      seen.add(key)
      findings.add(value, { source: path, line }, meaning)
    }
  }
}

const proxy = {
  setting: "proxy",
  why: "the proxy that Yarn's configuration names: what it reaches is its own decision",
  proxy: true,
}

const modernSettings: Readonly<
  Record<string, { setting: string; why: string; replaces?: boolean; proxy?: boolean }>
> = {
  npmRegistryServer: {
    setting: "registry",
    why: "the registry that Yarn's configuration names",
    replaces: true,
  },
  httpProxy: proxy,
  httpsProxy: proxy,
}
