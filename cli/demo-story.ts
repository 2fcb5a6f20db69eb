/** What the demonstration tells, as text. Pure. */
import { ways, type Way } from "../lab/thief.ts"
import { text as reportText } from "../report/text.ts"
import type { Build, Mode } from "./demo-build.ts"

export interface Paper {
  readonly columns: number
  readonly colour: boolean
}

type Style = "bold" | "red" | "green" | "dim"

const codes: Readonly<Record<Style, number>> = { bold: 1, red: 31, green: 32, dim: 2 }

function paint({ colour }: Paper, style: Style, text: string): string {
  return colour ? `\u001b[${codes[style]}m${text}\u001b[0m` : text
}

export function opening(paper: Paper): string {
  return `${paint(paper, "bold", "Sluice: one build, one thief, twice behind the firewall.")}

Everything happens on this machine; nothing is sent to any network. A small
internet stands in network namespaces: a name server, an npm registry, and an
attacker. A project needs two packages, and one of them is poisoned: after npm
has installed "colours", its script sends $DEPLOY_TOKEN to the attacker, in
every way it can. What the attacker received is read from its own servers.

  package.json   left-padder 1.0.0, colours 1.4.2
  sluice.yml     allow: [registry.example.com]    (and nothing else)
`
}

const titles: Readonly<Record<Mode, string>> = {
  audit: "AUDIT: nothing is stopped, everything is told",
  block: "BLOCK: only what the policy allows leaves",
}

/** Before a build: what is about to run. */
export function buildStarts(mode: Mode, paper: Paper): string {
  const number = mode === "audit" ? 1 : 2
  const command = `sluice run --mode ${mode} --policy sluice.yml -- npm install`
  return `\n${paint(paper, "bold", `${number}. ${titles[mode]}`)}\n\n  $ ${command}\n`
}

/** After a build: npm's word, the report of Sluice, and the loot. */
export function buildEnded(build: Build, paper: Paper): string {
  const bar = paint(paper, "dim", "│")
  const columns = Math.max(40, Math.min(paper.columns, 100) - 4)
  const report =
    build.report === null ? "" : reportText(build.report, { columns, colour: paper.colour })
  return [
    ...npmSaid(build).map((line) => `  ${line}`),
    "",
    "  What Sluice reports:",
    ...report
      .trimEnd()
      .split("\n")
      .map((line) => `  ${bar} ${line}`.trimEnd()),
    "",
    `  ${received(build, paper)}`,
    "",
  ].join("\n")
}

function npmSaid({ npm }: Build): string[] {
  return npm.stdout
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .slice(-2)
}

function received({ loot }: Build, paper: Paper): string {
  if (loot.attacker.length > 0) {
    const times = loot.attacker.length === 1 ? "once" : `${loot.attacker.length} times`
    const how = listed(loot.attacker.map(({ title }) => title))
    return paint(paper, "red", `The attacker received the token ${times}: ${how}.`)
  }
  if (loot.contacts.length > 0) {
    return paint(paper, "red", "The attacker received no token, but was reached.")
  }
  return paint(paper, "green", "The attacker received nothing.")
}

function listed(words: readonly string[]): string {
  const last = words.at(-1) ?? ""
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} and ${last}`
}

/** Both builds side by side. */
export function comparison(builds: readonly Build[], paper: Paper): string {
  const wide = (texts: readonly string[]): number => Math.max(...texts.map(({ length }) => length))
  const [first, second] = [
    wide(ways.map(({ title }) => title)) + 2,
    wide(ways.map(({ target }) => target)) + 2,
  ]
  const row = (way: Way): string => {
    const target = paint(paper, "dim", way.target.padEnd(second))
    return `  ${way.title.padEnd(first)}${target}${cells(builds.map((build) => fate(build, way)))}`
  }
  const cells = (fates: readonly Fate[]): string =>
    fates
      .map(({ word, style }, index) =>
        paint(paper, style, index < fates.length - 1 ? word.padEnd(fateColumns) : word),
      )
      .join("")
  const head = cells(builds.map(({ mode }) => ({ word: mode, style: "dim" as const })))
  const both = builds.every(({ loot }) => loot.registry.some(({ key }) => key === "borrowed-name"))
  const lines = [
    `\n${paint(paper, "bold", "What became of the token")}\n`,
    `  ${" ".repeat(first + second)}${head}`,
    ...ways.map(row),
    "",
    ...(both ? borrowed : []),
  ]
  return `${lines.join("\n")}\n`
}

const borrowed = [
  "  * Sent to the attacker's address, but in the name of the registry. Sluice",
  "    dials an allowed name at that name's own address: the registry got it, and",
  "    the attacker did not.",
  "",
]

interface Fate {
  readonly word: string
  readonly style: Style
}

const fateColumns = 11

function fate({ loot }: Build, way: Way): Fate {
  const has = (list: readonly Way[]): boolean => list.some(({ key }) => key === way.key)
  if (has(loot.attacker)) return { word: "stolen", style: "red" }
  if (has(loot.registry)) return { word: "registry*", style: "dim" }
  return { word: "stopped", style: "green" }
}

/** What did not go as it must; empty: all did. */
export function faults(builds: readonly Build[]): string[] {
  const found: string[] = []
  for (const { mode, npm, works, loot, report } of builds) {
    if (!works) found.push(`${mode}: the build failed (exit status ${npm.status})`)
    if (report === null) found.push(`${mode}: there is no event log`)
    const got = (key: Way["key"]): boolean => loot.attacker.some((way) => way.key === key)
    for (const { key, title } of ways) {
      const wanted = mode === "audit" && key !== "borrowed-name"
      if (wanted && !got(key)) found.push(`${mode}: the token did not leave ${title}`)
      if (!wanted && got(key)) found.push(`${mode}: the attacker received the token ${title}`)
    }
    if (mode === "block" && loot.contacts.length > 0) {
      found.push(`${mode}: ${loot.contacts.length} message(s) reached the attacker`)
    }
  }
  return found
}

/** The last words. */
export function ending(problems: readonly string[], paper: Paper): string {
  if (problems.length > 0) {
    const lines = problems.map((problem) => `  - ${problem}`)
    return [paint(paper, "red", "The demonstration did not go as it must:"), ...lines, ""].join(
      "\n",
    )
  }
  return `${paint(paper, "green", "Both builds succeeded. Audit told of every theft, block stopped it.")}

Now with a build of your own, in its directory:

  sudo sluice run --mode audit -- npm ci
`
}
