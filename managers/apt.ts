/** apt: sources.list(5), apt.conf(5), apt-transport-http(1), apt-transport-mirror(1). */
import { Findings, printable } from "./found.ts"
import type { Found, Meaning, Surroundings } from "./found.ts"
import { linesOf } from "./ini.ts"

const archive: Meaning = { setting: "source", why: "a source of apt's packages" }
const mirror: Meaning = { setting: "source", why: "a mirror in a list that apt's sources name" }
const proxy: Meaning = {
  setting: "proxy",
  why: "the proxy that apt's configuration names: what it reaches is its own decision",
  proxy: true,
}

/** Where apt will fetch from. */
export function apt(surroundings: Surroundings): Found {
  const findings = new Findings(surroundings)
  oneLine(findings, "/etc/apt/sources.list")
  for (const name of surroundings.list("/etc/apt/sources.list.d")) {
    const path = `/etc/apt/sources.list.d/${name}`
    if (name.endsWith(".list")) oneLine(findings, path)
    else if (name.endsWith(".sources")) deb822(findings, path)
  }
  const parts = surroundings
    .list("/etc/apt/apt.conf.d")
    .filter((name) => /^[A-Za-z0-9_-]+(?:\.conf)?$/.test(name))
  for (const path of [...parts.map((name) => `/etc/apt/apt.conf.d/${name}`), "/etc/apt/apt.conf"]) {
    for (const { name, value, line } of aptConf(findings.text(path) ?? "")) {
      if (!/^acquire::(?:http|https|ftp)::proxy(?:::|$)/i.test(name)) continue
      if (value === "" || /^(?:direct|false)$/i.test(value)) continue
      findings.add(value, { source: path, line }, proxy)
    }
  }
  return findings.found()
}

/** `deb [option=value …] URI suite component…` */
function oneLine(findings: Findings, path: string): void {
  for (const [index, raw] of linesOf(findings.text(path) ?? "")) {
    const [line = ""] = raw.split("#")
    const type = /^\s*deb(?:-src)?(?=\s)/.exec(line)
    if (type === null) continue
    const rest = line.slice(type[0].length).trimStart()
    const uri = rest.startsWith("[") ? rest.slice(rest.indexOf("]") + 1).trimStart() : rest
    source(findings, uri.split(/\s/)[0] ?? "", path, index + 1)
  }
}

/** Stanzas of fields, as in a Debian control file. */
function deb822(findings: Findings, path: string): void {
  let uris: { uri: string; line: number }[] = []
  let enabled = true
  let field = ""
  const end = (): void => {
    if (enabled) for (const { uri, line } of uris) source(findings, uri, path, line)
    uris = []
    enabled = true
    field = ""
  }
  for (const [index, line] of linesOf(findings.text(path) ?? "")) {
    if (line.startsWith("#")) continue
    if (line.trim() === "") {
      end()
      continue
    }
    let value = line
    if (!/^\s/.test(line)) {
      const colon = line.indexOf(":")
      if (colon === -1) continue
      field = line.slice(0, colon).toLowerCase()
      value = line.slice(colon + 1)
    }
    if (field === "enabled") enabled = !/^\s*(?:no|false|without|off|disable)\s*$/i.test(value)
    if (field !== "uris") continue
    for (const uri of value.split(/\s+/)) if (uri !== "") uris.push({ uri, line: index + 1 })
  }
  end()
}

function source(findings: Findings, uri: string, path: string, line: number): void {
  // Why not the places' own setting: who names one default host does not need the others.
  findings.settle("sources")
  const list = /^mirror\+(?:file|copy):(?:\/\/)?(\/.*)$/.exec(uri)?.[1]
  if (list === undefined) {
    findings.add(uri, { source: path, line }, archive)
    if (uri.startsWith("mirror")) {
      findings.note(`Mirrors in the list of ${printable(path)}, line ${line} are not known here`)
    }
    return
  }
  // Why: the images of GitHub's runners name their archives in such a list.
  for (const [index, raw] of linesOf(findings.text(list) ?? "")) {
    const url = raw.split(/[\t #]/)[0] ?? ""
    if (url !== "") findings.add(url, { source: list, line: index + 1 }, mirror)
  }
}

interface Setting {
  /** `Acquire::http::Proxy` */
  readonly name: string
  readonly value: string
  readonly line: number
}

const settingsMax = 20_000
const depthMax = 32

/** apt.conf(5): `A::B "value";` or `A { B "value"; };` */
function aptConf(text: string): Setting[] {
  const settings: Setting[] = []
  const scopes: string[] = []
  let words: { text: string; line: number }[] = []
  for (const { text: token, line, quoted } of tokens(text)) {
    if (quoted || !["{", "}", ";"].includes(token)) {
      if (words.length < 3) words.push({ text: token, line })
      continue
    }
    const [name, value] = words
    words = []
    if (token === "}") scopes.pop()
    else if (token === "{") {
      if (scopes.length >= depthMax) return settings
      scopes.push(name?.text ?? "")
    } else if (name !== undefined && value !== undefined) {
      const path = [...scopes, name.text].filter((part) => part !== "").join("::")
      settings.push({ name: path, value: value.text, line: value.line })
      if (settings.length >= settingsMax) return settings
    }
  }
  return settings
}

function* tokens(text: string): Generator<{ text: string; line: number; quoted: boolean }> {
  // Why sticky: each look is at one place, so that the whole is read once.
  const token = /\/\/[^\n]*|#[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\n|"([^"\n]*)"?|[{};]|[^\s{};"]+|\s/y
  let line = 1
  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    const [whole, quoted] = found
    if (quoted !== undefined) yield { text: quoted, line, quoted: true }
    else if (!/^(?:\s|\/\/|#|\/\*)/.test(whole)) yield { text: whole, line, quoted: false }
    if (whole.includes("\n")) line += whole.split("\n").length - 1
  }
}
