/**
 * Maven: https://maven.apache.org/settings.html, guides/mini/guide-mirror-settings.html and
 * pom.html#Repositories. Repositories of inactive profiles count too: what activates a profile is
 * known only to a running Maven. Where artifacts are deployed to does not count.
 */
import { dirname, Findings, printable, under, upwards } from "./found.ts"
import type { Found, Meaning, Spot, Surroundings } from "./found.ts"
import { properties } from "./ini.ts"
import { at, parseXml } from "./xml.ts"
import type { Element } from "./xml.ts"

interface Named {
  readonly id: string
  readonly url: string
  readonly spot: Spot
}

interface Mirror extends Named {
  readonly of: string
  readonly blocked: boolean
}

const central: Meaning = {
  setting: "central",
  why: "the mirror of Maven Central in Maven's configuration",
  replaces: true,
}
const mirrored: Meaning = { setting: "mirror", why: "a mirror in Maven's configuration" }
const repository: Meaning = { setting: "repository", why: "a repository in Maven's configuration" }
const wrapper: Meaning = { setting: "wrapper", why: "where Maven's wrapper fetches Maven itself" }
const proxy: Meaning = {
  setting: "proxy",
  why: "the proxy that Maven's configuration names: what it reaches is its own decision",
  proxy: true,
}

/** Poms of one project that are read: its parents and modules. */
const pomsMax = 200

/** Where Maven will fetch from. */
export function maven(surroundings: Surroundings): Found {
  const findings = new Findings(surroundings)
  const settings = settingsFiles(findings).flatMap((path) => {
    const root = document(findings, path)
    return root === null ? [] : [{ path, root }]
  })
  const mirrors = settings.flatMap(({ path, root }) => mirrorsOf(findings, path, root))
  const repositories = settings.flatMap(({ path, root }) => repositoriesOf(findings, path, root))
  for (const { path, root } of poms(findings)) {
    repositories.push(...repositoriesOf(findings, path, root))
  }
  if (!repositories.some(({ id }) => id === "central")) {
    const spot = { source: "", line: 0 }
    repositories.push({ id: "central", url: "https://central.invalid/", spot })
  }
  for (const one of repositories) {
    const mirror = mirrors.find(({ of }) => isMirrorOf(of, one))
    const meaning = one.id === "central" ? central : mirror === undefined ? repository : mirrored
    if (mirror?.blocked === true) {
      if (one.id === "central") findings.settle(central.setting)
      continue
    }
    // Why: the default for Central is the preset's own line.
    if (mirror === undefined && one.spot.source === "") continue
    findings.add((mirror ?? one).url, (mirror ?? one).spot, meaning)
  }
  for (const { path, root } of settings) proxies(findings, path, root)
  wrappers(findings)
  return findings.found()
}

function document(findings: Findings, path: string): Element | null {
  const text = findings.text(path)
  if (text === null) return null
  const root = parseXml(text)
  if (root === null) findings.note(`Cannot read ${printable(path)}: it is no XML that Maven writes`)
  return root
}

/** Most important first: the project's, the user's, the installation's. */
function settingsFiles(findings: Findings): string[] {
  const { directory, environment, home, list } = findings.surroundings
  const root = upwards(directory).find((folder) => list(folder).includes(".mvn")) ?? directory
  const words = (findings.text(under(root, ".mvn/maven.config")) ?? "").split(/\s+/)
  words.push(...(environment["MAVEN_ARGS"] ?? "").split(/\s+/))
  const option = (short: string, long: string): string | null => {
    for (const [index, word] of words.entries()) {
      if (word === short || word === long) return under(root, words[index + 1] ?? "")
      if (word.startsWith(`${long}=`)) return under(root, word.slice(long.length + 1))
    }
    return null
  }
  const installed = environment["MAVEN_HOME"] || environment["M2_HOME"]
  const global =
    option("-gs", "--global-settings") ??
    (installed ? `${installed}/conf/settings.xml` : "/etc/maven/settings.xml")
  return [
    under(root, ".mvn/settings.xml"),
    option("-s", "--settings") ?? `${home}/.m2/settings.xml`,
    under(directory, global),
  ]
}

/** The project's pom, its parents and the modules of the outermost one. */
function poms(findings: Findings): { path: string; root: Element }[] {
  const { directory } = findings.surroundings
  const found = new Map<string, Element>()
  const wanted = [under(directory, "pom.xml")]
  for (let path = wanted.shift(); path !== undefined; path = wanted.shift()) {
    if (found.has(path) || found.size >= pomsMax) continue
    const root = document(findings, path)
    if (root === null) continue
    found.set(path, root)
    const folder = dirname(path)
    const [parent] = at(root, "parent")
    if (parent !== undefined) {
      const relative = at(parent, "relativePath")[0]?.text ?? "../pom.xml"
      if (relative !== "") wanted.push(pomAt(under(folder, relative)))
    }
    const modules = [
      ...at(root, "modules", "module"),
      ...at(root, "profiles", "profile", "modules", "module"),
    ]
    for (const { text } of modules.slice(0, pomsMax)) wanted.push(pomAt(under(folder, text)))
  }
  return [...found].map(([path, root]) => ({ path, root }))
}

function pomAt(path: string): string {
  return path.endsWith(".xml") ? path : under(path, "pom.xml")
}

function mirrorsOf(findings: Findings, path: string, root: Element): Mirror[] {
  const variables = variablesOf(findings, path, root)
  return at(root, "mirrors", "mirror").flatMap((mirror) => {
    const named = namedOf(path, variables, mirror)
    const of = at(mirror, "mirrorOf")[0]?.text ?? ""
    const blocked = at(mirror, "blocked")[0]?.text === "true"
    return named === null ? [] : [{ ...named, of, blocked }]
  })
}

function repositoriesOf(findings: Findings, path: string, root: Element): Named[] {
  const holders = [root, ...at(root, "profiles", "profile")]
  const variables = variablesOf(findings, path, root)
  return holders
    .flatMap((holder) => [
      ...at(holder, "repositories", "repository"),
      ...at(holder, "pluginRepositories", "pluginRepository"),
    ])
    .flatMap((element) => namedOf(path, variables, element) ?? [])
}

/** What a file's URLs may refer to: its own properties and where it stands. */
function variablesOf(
  { surroundings }: Findings,
  path: string,
  root: Element,
): ReadonlyMap<string, string> {
  const variables = new Map<string, string>()
  for (const holder of [root, ...at(root, "profiles", "profile")]) {
    for (const { name, text } of at(holder, "properties")[0]?.children ?? []) {
      if (!variables.has(name)) variables.set(name, text)
    }
  }
  variables.set("user.home", surroundings.home)
  for (const name of ["basedir", "project.basedir", "pom.basedir"]) {
    variables.set(name, dirname(path))
  }
  return variables
}

function namedOf(
  source: string,
  variables: ReadonlyMap<string, string>,
  element: Element,
): Named | null {
  const [url] = at(element, "url")
  if (url === undefined) return null
  const id = at(element, "id")[0]?.text ?? ""
  const text = url.text.replaceAll(
    /\$\{(env\.)?([\w.-]+)\}/g,
    (whole, env: string | undefined, name: string) =>
      // Why: found.ts decides which variables of the environment a file may use.
      env === undefined ? (variables.get(name) ?? whole) : `\${${name}}`,
  )
  return { id, url: text, spot: { source, line: url.line } }
}

/** https://maven.apache.org/guides/mini/guide-mirror-settings.html: the first part that fits wins. */
function isMirrorOf(of: string, { id, url }: Named): boolean {
  const external = !/^file:|\/\/(?:localhost|127\.0\.0\.1)(?=[:/]|$)/.test(url)
  const insecure = external && url.startsWith("http:")
  let fits = false
  for (const part of of.split(",").map((part) => part.trim())) {
    if (part === `!${id}`) return false
    if (part === id) return true
    if (part === "*") fits = true
    if (part === "external:*" && external) fits = true
    if (part === "external:http:*" && insecure) fits = true
  }
  return fits
}

function proxies(findings: Findings, path: string, root: Element): void {
  for (const element of at(root, "proxies", "proxy")) {
    if (at(element, "active")[0]?.text === "false") continue
    const [host] = at(element, "host")
    const port = at(element, "port")[0]?.text ?? "8080"
    if (host === undefined) continue
    findings.add(`${host.text}:${port}`, { source: path, line: host.line }, proxy)
  }
}

/** `distributionUrl` of Maven's own wrapper: it may lie beside every repository. */
function wrappers(findings: Findings): void {
  const { directory, list } = findings.surroundings
  const root = upwards(directory).find((folder) => list(folder).includes(".mvn"))
  if (root === undefined) return
  const source = under(root, ".mvn/wrapper/maven-wrapper.properties")
  for (const { key, value, line } of properties(findings.text(source) ?? "")) {
    if (key === "distributionUrl" || key === "wrapperUrl") {
      findings.add(value, { source, line }, wrapper)
    }
  }
}
