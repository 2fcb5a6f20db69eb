/**
 * npm: https://docs.npmjs.com/cli/configuring-npm/npmrc and using-npm/config. Also what pnpm, Bun
 * and Yarn 1 share with it: the same files, under the same names.
 */
import { dirname, Findings, under, upwards } from "./found.ts"
import type { Found, Spot, Surroundings } from "./found.ts"
import { npmIni } from "./ini.ts"

/** One source of settings: a file, or the environment. */
export interface Layer {
  readonly values: ReadonlyMap<string, { readonly value: string; readonly spot: Spot }>
}

/** Where npm will fetch from. */
export function npm(surroundings: Surroundings): Found {
  const findings = new Findings(surroundings)
  addRegistries(findings, npmLayers(findings))
  return findings.found()
}

/** What npm reads, most important first. */
export function npmLayers(findings: Findings, prefixes = ["npm_config_"]): Layer[] {
  const { surroundings } = findings
  const environment = environmentLayer(surroundings, prefixes)
  const home = surroundings.home
  const user = environment.values.get("userconfig")?.value ?? `${home}/.npmrc`
  const layers = [environment]
  for (const folder of projectFolders(findings)) {
    const path = under(folder, ".npmrc")
    if (path !== user) layers.push(fileLayer(findings, path))
  }
  const own = fileLayer(findings, under(surroundings.directory, user))
  layers.push(own)
  const global = environment.values.get("globalconfig")?.value
  const prefix = (environment.values.get("prefix") ?? own.values.get("prefix"))?.value
  const paths =
    global === undefined
      ? [...installations(surroundings, prefix), "/usr/local/etc/npmrc", "/usr/etc/npmrc"]
      : [global]
  for (const path of new Set(paths)) {
    layers.push(fileLayer(findings, under(surroundings.directory, path)))
  }
  return [...layers, builtInLayer(findings)]
}

/** Where npm keeps its own defaults, as Node's and Debian's packages install it. */
const definitions = [
  "/usr/lib/node_modules/npm/node_modules/@npmcli/config/lib/definitions/definitions.js",
  "/usr/local/lib/node_modules/npm/node_modules/@npmcli/config/lib/definitions/definitions.js",
  "/usr/share/nodejs/npm/node_modules/@npmcli/config/lib/definitions/definitions.js",
]

/** What npm does where nobody has configured it: its default registry, in its own words. */
function builtInLayer({ surroundings }: Findings): Layer {
  for (const source of definitions) {
    const text = surroundings.read(source)
    if (typeof text !== "string") continue
    const found = /Definition\('registry', \{\s*default: '(https:\/\/[^'\s]+)'/.exec(text)
    if (found?.[1] === undefined) continue
    const line = text.slice(0, found.index).split("\n").length + 1
    return { values: new Map([["registry", { value: found[1], spot: { source, line } }]]) }
  }
  return { values: new Map() }
}

/** The registry, the scopes' registries and the proxies that layers of settings name. */
export function addRegistries(findings: Findings, layers: readonly Layer[]): void {
  const seen = new Set<string>()
  for (const { values } of layers) {
    for (const [key, { value, spot }] of values) {
      if (seen.has(key)) continue
      seen.add(key)
      if (key === "registry") {
        findings.add(value, spot, {
          setting: "registry",
          why: "the registry that npm's configuration names",
          replaces: true,
        })
      } else if (/^@.+:registry$/.test(key)) {
        const why = "the registry of a scope in npm's configuration"
        findings.add(value, spot, { setting: "scope", why })
      } else if (["proxy", "http-proxy", "https-proxy"].includes(key)) {
        if (value === "null" || value === "false" || value === "") continue
        const why = "the proxy that npm's configuration names: what it reaches is its own decision"
        findings.add(value, spot, { setting: "proxy", why, proxy: true })
      }
    }
  }
}

/** A file in the form of npmrc. */
export function fileLayer(findings: Findings, path: string): Layer {
  const values = new Map<string, { value: string; spot: Spot }>()
  for (const { section, key, value, line } of npmIni(findings.text(path) ?? "")) {
    if (section === "") values.set(key, { value, spot: { source: path, line } })
  }
  return { values }
}

function environmentLayer({ environment }: Surroundings, prefixes: readonly string[]): Layer {
  const values = new Map<string, { value: string; spot: Spot }>()
  for (const [name, value] of Object.entries(environment)) {
    const lower = name.toLowerCase()
    const prefix = prefixes.find((prefix) => lower.startsWith(prefix))
    if (prefix === undefined || value === undefined || value === "") continue
    const key = lower.slice(prefix.length).replaceAll(/(?!^)_/g, "-")
    values.set(key, { value, spot: { source: `environment ${name}`, line: 0 } })
  }
  return { values }
}

/** The folder of the nearest package.json, then that of the workspace it belongs to. */
export function projectFolders(findings: Findings): string[] {
  const { list, directory } = findings.surroundings
  const folders: string[] = []
  for (const folder of upwards(directory)) {
    const names = list(folder)
    const first = folders.length === 0
    if (!names.includes("package.json")) {
      if (first && names.includes("node_modules")) folders.push(folder)
      continue
    }
    if (first) folders.push(folder)
    else if (/"workspaces"\s*:/.test(findings.text(under(folder, "package.json")) ?? "")) {
      folders.push(folder)
      break
    }
  }
  return folders.length === 0 ? [directory] : folders
}

/**
 * Global npmrc files of the npm that would run: `etc/npmrc` under its prefix.
 *
 * Why the search path: npm takes the folder above the one that node is in for its prefix.
 */
function installations({ environment, list }: Surroundings, prefix: string | undefined): string[] {
  if (prefix !== undefined) return [`${prefix}/etc/npmrc`]
  for (const folder of (environment["PATH"] ?? "").split(":")) {
    if (folder.startsWith("/") && list(folder).includes("node")) {
      return [`${dirname(folder)}/etc/npmrc`.replace("//", "/")]
    }
  }
  return []
}
