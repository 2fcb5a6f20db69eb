/** pnpm: npm's files and three of its own. https://pnpm.io/settings and https://pnpm.io/npmrc */
import { Findings, printable, under, upwards } from "./found.ts"
import type { Found, Spot, Surroundings } from "./found.ts"
import { addRegistries, fileLayer, npmLayers } from "./npm.ts"
import type { Layer } from "./npm.ts"
import { yamlValues } from "./yaml.ts"

/** Where pnpm will fetch from. */
export function pnpm(surroundings: Surroundings): Found {
  const findings = new Findings(surroundings)
  const { directory, environment, home, list } = surroundings
  const [first, ...rest] = npmLayers(findings, ["pnpm_config_", "npm_config_"])
  const root = upwards(directory).find((folder) => list(folder).includes("pnpm-workspace.yaml"))
  const own = `${environment["XDG_CONFIG_HOME"] || `${home}/.config`}/pnpm`
  const layers: Layer[] = []
  if (first !== undefined) layers.push(first)
  if (root !== undefined) {
    layers.push(yamlLayer(findings, under(root, "pnpm-workspace.yaml")))
    // Why: pnpm reads the workspace's .npmrc wherever in it the command runs.
    if (root !== directory) layers.push(fileLayer(findings, under(root, ".npmrc")))
  }
  layers.push(...rest, yamlLayer(findings, under(own, "config.yaml")))
  layers.push(fileLayer(findings, under(own, "rc")))
  addRegistries(findings, layers)
  return findings.found()
}

/**
 * `registry`, `registries` and proxies, under npm's names for them. `registries` has a registry for
 * each scope (`default`, `@scope`), or, from pnpm 11.23 on, scopes for each registry's URL.
 */
function yamlLayer(findings: Findings, path: string): Layer {
  const values = new Map<string, { value: string; spot: Spot }>()
  const text = findings.text(path)
  const read = text === null ? [] : yamlValues(text)
  if (read === null) findings.note(`Cannot read ${printable(path)}: it is no YAML`)
  for (const { path: keys, value, line } of read ?? []) {
    const [top = "", inner = "", field] = keys
    const spot = { source: path, line }
    if (top === "registries" && keys.length === 2) {
      values.set(inner === "default" ? "registry" : `${inner}:registry`, { value, spot })
    } else if (top === "registries" && inner.includes("://")) {
      const main = field === "scopes" && value === "@"
      const name = main ? "registry" : `@${inner}:registry`
      if (!values.has(name)) values.set(name, { value: inner, spot })
    } else if (top === "namedRegistries" && keys.length === 2) {
      values.set(`@${inner}:registry`, { value, spot })
    } else if (keys.length === 1) {
      const name = top.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
      values.set(name, { value, spot })
    }
  }
  return { values }
}
