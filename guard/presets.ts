/** Presets as they stand on this machine: the files that Sluice ships, and the managers' own word. */
import { existsSync, readFileSync, readdirSync } from "node:fs"
import { dirname, join } from "node:path"
import type { Surroundings } from "../managers/found.ts"
import { ask } from "../managers/ask.ts"
import { expandPreset, parsePreset } from "../policies/presets.ts"
import type { Expansion } from "../policies/presets.ts"

/**
 * The folder of presets: policies/presets/ in the nearest folder above this file that has it, so
 * that the same holds for the sources and for dist/, where data is not copied to.
 */
function presetsFolder(): string {
  let folder = import.meta.dirname
  for (;;) {
    const presets = join(folder, "policies", "presets")
    if (existsSync(join(presets, "github-actions.yml"))) return presets
    const above = dirname(folder)
    if (above === folder) {
      throw new Error(
        `Cannot find presets: no policies/presets/ above ${import.meta.dirname}, must be part of the installation`,
      )
    }
    folder = above
  }
}

/** Names that `use:` knows, sorted. */
export function presetNames(): readonly string[] {
  return readdirSync(presetsFolder())
    .filter((name) => name.endsWith(".yml"))
    .map((name) => name.slice(0, -".yml".length))
    .sort()
}

/**
 * What the presets of these names mean here, for parsePolicy; a name that is no preset is left out.
 *
 * @throws Error when a preset of ours cannot be read: the installation is broken.
 */
export function readPresets(
  wanted: readonly string[],
  surroundings: Surroundings,
): ReadonlyMap<string, Expansion> {
  const known = presetNames()
  const presets = new Map<string, Expansion>()
  for (const name of wanted) {
    // Why against the list: a name with a path in it must not read another file.
    if (!known.includes(name) || presets.has(name)) continue
    const preset = parsePreset(name, readFileSync(join(presetsFolder(), `${name}.yml`), "utf8"))
    const configured = preset.manager === null ? null : ask(preset.manager, surroundings)
    presets.set(name, expandPreset(preset, configured))
  }
  return presets
}
