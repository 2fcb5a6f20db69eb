/**
 * What `use: [npm]` means: the lines that a preset puts into a policy.
 *
 * A preset is data, one file each in presets/: hosts in the policy's own language, each with the page
 * of its ecosystem that documents it. A line marked `default-of` stands for the manager's setting
 * where nothing else is configured; where the machine or the project names its own registry, that one
 * takes its place. This file reads neither: both arrive as text and facts.
 */
import { isMap, isScalar, isSeq, LineCounter, parseDocument, type Node } from "yaml"

/** One rule as a policy would write it: its short form, or its long form. */
export type PresetRule =
  | string
  | {
      readonly to: string
      readonly by?: string
      readonly step?: string
      readonly token?: "job"
      readonly wide?: boolean
    }

/** One line that a preset puts into the policy. */
export interface ExpandedLine {
  readonly text: PresetRule
  /** `preset npm`, or `preset npm (/home/u/.npmrc)` where a configuration named the host. */
  readonly source: string
  /** From 1, in the preset's file or in the configuration; 0 where there are no lines. */
  readonly line: number
  readonly why: string
  /** A page of the ecosystem that documents the host; null: it is the machine's own setting. */
  readonly documentation: string | null
}

export interface Expansion {
  readonly lines: readonly ExpandedLine[]
  /** Configured hosts that may resolve to private addresses: set by the machine, not the project. */
  readonly resolvePrivate: readonly string[]
  /** What a person should know: a file that could not be read, a setting that adds nothing. */
  readonly notes: readonly string[]
}

/** One host that a package manager is configured to use. */
export interface ConfiguredPlace {
  /** The setting that named it: `registry`, `index`, … as in a preset's `default-of`. */
  readonly setting: string
  /** A canonical host name, or an address (IPv6 without brackets). */
  readonly host: string
  readonly port: number
  /** A path, or `environment NAME`. Never holds a credential. */
  readonly source: string
  readonly line: number
  readonly why: string
  /** Set by the machine or its user, not by a file of the project. */
  readonly trusted: boolean
}

/** What a package manager's configuration says, from managers/. */
export interface Configured {
  readonly places: readonly ConfiguredPlace[]
  /** Settings that are set, so that the preset's default for them does not hold. */
  readonly settled: readonly string[]
  readonly notes: readonly string[]
}

export interface PresetLine {
  readonly rule: PresetRule
  readonly why: string
  readonly documentation: string
  /** The setting that this line is the default of; null: the line always holds. */
  readonly defaultOf: string | null
  readonly line: number
}

export interface Preset {
  readonly name: string
  readonly about: string
  /** Whose configuration is asked; null: nobody's. */
  readonly manager: string | null
  readonly lines: readonly PresetLine[]
}

const httpsPort = 443

/**
 * A preset out of its YAML text.
 *
 * @throws Error when the text is not a preset: these files are ours, so that is our own fault.
 */
export function parsePreset(name: string, text: string): Preset {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const fail = (what: string): never => {
    throw new Error(`Cannot read preset "${name}": ${what}`)
  }
  const [broken] = [...document.errors, ...document.warnings]
  if (broken !== undefined) fail(broken.message)
  if (!isMap(document.contents)) fail("it is no mapping, must be one")
  const top = document.toJS() as Record<string, unknown>
  for (const key of Object.keys(top)) {
    if (!["about", "manager", "allow"].includes(key)) fail(`"${key}" is no key of a preset`)
  }
  const about = typeof top["about"] === "string" ? top["about"] : fail('"about" must be a text')
  const { manager = null } = top
  if (manager !== null && typeof manager !== "string") fail('"manager" must be a name')
  const allow = document.get("allow", true) as Node | undefined
  if (!isSeq(allow)) return fail('"allow" must be a list')
  return {
    name,
    about,
    manager: manager as string | null,
    lines: allow.items.map((item) => {
      if (!isMap(item)) return fail("each item of allow must be a mapping")
      const key = item.items[0]?.key
      const offset = (isScalar(key) ? key.range?.[0] : undefined) ?? 0
      return presetLine(item.toJSON() as Record<string, unknown>, lines.linePos(offset).line, fail)
    }),
  }
}

const ruleKeys = ["to", "by", "step", "token", "wide"]
const lineKeys = [...ruleKeys, "why", "source", "default-of"]

function presetLine(
  item: Record<string, unknown>,
  line: number,
  fail: (what: string) => never,
): PresetLine {
  const text = (key: string): string => {
    const value = item[key]
    return typeof value === "string" && value !== ""
      ? value
      : fail(`line ${line}: "${key}" must be a text`)
  }
  for (const key of Object.keys(item)) {
    if (!lineKeys.includes(key)) fail(`line ${line}: "${key}" is no key of a line`)
  }
  const to = text("to")
  const extras = ruleKeys.filter((key) => key !== "to" && key in item)
  return {
    rule:
      extras.length === 0
        ? to
        : { to, ...Object.fromEntries(extras.map((key) => [key, item[key]])) },
    why: text("why"),
    documentation: text("source"),
    defaultOf: "default-of" in item ? text("default-of") : null,
    line,
  }
}

/**
 * The lines that a preset stands for here.
 *
 * @param configured what the manager's configuration says; null: it has none, or cannot be asked.
 */
export function expandPreset(preset: Preset, configured: Configured | null): Expansion {
  const { places, settled, notes } = configured ?? { places: [], settled: [], notes: [] }
  const lines: ExpandedLine[] = []
  for (const { rule, why, documentation, defaultOf, line } of preset.lines) {
    if (defaultOf !== null && settled.includes(defaultOf) && !restated(preset, defaultOf, places)) {
      continue
    }
    lines.push({ text: rule, source: `preset ${preset.name}`, line, why, documentation })
  }
  const known = new Set(lines.map(({ text }) => text))
  for (const place of places) {
    const text = printPlace(place)
    if (known.has(text)) continue
    known.add(text)
    const source = `preset ${preset.name} (${place.source})`
    lines.push({ text, source, line: place.line, why: place.why, documentation: null })
  }
  // Why not the public registries: nobody has those at home, so a private address is an attack.
  const publicHosts = new Set(preset.lines.map(({ rule }) => ruleTarget(rule).split(":")[0]))
  const trusted = places.filter(
    ({ trusted, host }) => trusted && !isAddress(host) && !publicHosts.has(host),
  )
  return { lines, resolvePrivate: [...new Set(trusted.map(({ host }) => host))], notes }
}

/**
 * Whether a configuration spells out the very host that is the default anyway.
 *
 * Why: PyPI's index names another host for its files. Who writes the index's default URL into
 * pip.conf still needs both.
 */
function restated(preset: Preset, setting: string, places: readonly ConfiguredPlace[]): boolean {
  const defaults = preset.lines.filter(({ defaultOf }) => defaultOf === setting)
  return places.some(
    (place) =>
      place.setting === setting &&
      defaults.some(({ rule }) => ruleTarget(rule) === printPlace(place)),
  )
}

function ruleTarget(rule: PresetRule): string {
  return typeof rule === "string" ? rule : rule.to
}

/** `registry.example.com`, `registry.example.com:8443`, `[2001:db8::1]:80`. */
function printPlace({ host, port }: ConfiguredPlace): string {
  if (port === httpsPort) return host
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
}

function isAddress(host: string): boolean {
  return host.includes(":") || /^[0-9.]+$/.test(host)
}
