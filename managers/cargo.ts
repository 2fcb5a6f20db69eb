/** Cargo: https://doc.rust-lang.org/cargo/reference/config.html and source-replacement.html */
import { Findings, under, upwards } from "./found.ts"
import type { Found, Meaning, Spot, Surroundings } from "./found.ts"
import { tomlValues } from "./toml.ts"

const central: Meaning = {
  setting: "crates-io",
  why: "what Cargo's configuration puts in the place of crates.io",
  replaces: true,
}
const registry: Meaning = { setting: "registry", why: "a registry in Cargo's configuration" }
const proxy: Meaning = {
  setting: "proxy",
  why: "the proxy that Cargo's configuration names: what it reaches is its own decision",
  proxy: true,
}

interface Value {
  readonly value: string
  readonly spot: Spot
}

/** Where Cargo will fetch from. */
export function cargo(surroundings: Surroundings): Found {
  const findings = new Findings(surroundings)
  const settings = merged(findings)
  replacement(findings, settings)
  for (const [path, { value, spot }] of settings) {
    const [top, name, key] = path.split("\0")
    if (top === "registries" && key === "index") {
      findings.add(value, spot, registry)
      if (value.startsWith("sparse+") && name !== "crates-io") {
        findings.note(
          `The crates of the registry of ${spot.source}, line ${spot.line} may lie on another host, which its own config.json names`,
        )
      }
    } else if (top === "http" && name === "proxy") findings.add(value, spot, proxy)
    else if (top === "registries" && name === "crates-io" && key === "protocol") {
      if (value === "git") findings.add("https://github.com/", spot, registry)
    }
  }
  return findings.found()
}

/** Follows `replace-with` from crates-io to the source that is really used. */
function replacement(findings: Findings, settings: ReadonlyMap<string, Value>): void {
  const seen = new Set<string>()
  let name = "crates-io"
  while (!seen.has(name)) {
    seen.add(name)
    const next = settings.get(`source\0${name}\0replace-with`)
    if (next !== undefined) {
      findings.settle(central.setting)
      name = next.value
      continue
    }
    if (name === "crates-io") return
    const remote = ["registry", "git"].map((kind) => settings.get(`source\0${name}\0${kind}`))
    // Why: a replacement may also be the name of a table of registries, which is added anyway.
    for (const at of remote) if (at !== undefined) findings.add(at.value, at.spot, central)
  }
}

/** Settings by their path, joined by NUL; the nearest file wins, the environment over all. */
function merged(findings: Findings): Map<string, Value> {
  const { directory, environment, home, list } = findings.surroundings
  const settings = new Map<string, Value>()
  const own = under(directory, environment["CARGO_HOME"] || `${home}/.cargo`)
  const folders = upwards(directory).map((folder) => under(folder, ".cargo"))
  for (const folder of new Set([...folders, own])) {
    const names = list(folder)
    // Why: Cargo takes the one without an ending where both are there.
    const name = ["config", "config.toml"].find((name) => names.includes(name))
    if (name === undefined) continue
    const source = under(folder, name)
    for (const { path, value, line } of tomlValues(findings.text(source) ?? "")) {
      const key = path.join("\0")
      if (typeof value === "string" && !settings.has(key)) {
        settings.set(key, { value, spot: { source, line } })
      }
    }
  }
  for (const [name, value] of Object.entries(environment)) {
    const spot = { source: `environment ${name}`, line: 0 }
    const named = /^CARGO_REGISTRIES_(\w+)_(INDEX|PROTOCOL)$/.exec(name)
    if (value === undefined || value === "") continue
    if (name === "CARGO_HTTP_PROXY") settings.set("http\0proxy", { value, spot })
    if (named === null) continue
    const registry = (named[1] ?? "").toLowerCase().replaceAll("_", "-")
    settings.set(`registries\0${registry}\0${(named[2] ?? "").toLowerCase()}`, { value, spot })
  }
  return settings
}
