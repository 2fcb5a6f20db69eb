/**
 * Java: every JVM on the machine, with Maven, Gradle and their daemons.
 *
 * The store of each JVM that is found is replaced in the job's view by one that holds its own
 * authorities and the added ones. Why not `JAVA_TOOL_OPTIONS` alone: each JVM then writes a line
 * about it to standard error, and builds compare that. Where the variable is set already the line is
 * there anyway, and where no JVM is found the job may bring one: then it names a store as well.
 * Stores that options of the environment name are extended in place.
 */
import { createHash } from "node:crypto"
import { dirname } from "node:path"
import { configuredPaths, type Configured } from "./configured.ts"
import { jks, readJks, usualPassword, type Entry, type KeyStore } from "./jks.ts"
import type { Places } from "./places.ts"
import { readPkcs12 } from "./pkcs12.ts"
import type { Found, Machine } from "./store.ts"

/** Stores that several JVMs of a distribution share. */
const shared = [
  "/etc/ssl/certs/java/cacerts", // Debian
  "/etc/ssl/certs/adoptium/cacerts", // Adoptium's packages
  "/etc/pki/ca-trust/extracted/java/cacerts", // Red Hat
  "/etc/ca-certificates/extracted/java-cacerts.jks", // Arch
  "/var/lib/ca-certificates/java-cacerts", // openSUSE
] as const

/** Directories with one JVM in each entry; `~` is the user's home. */
const families = [
  ...[
    "/usr/lib/jvm",
    "/usr/java",
    "/opt",
    "/opt/java",
    "/usr/local",
    "/usr/local/sdkman/candidates/java",
  ],
  ...["~/.sdkman/candidates/java", "~/.gradle/jdks", "~/.jdks", "~/.asdf/installs/java"],
  ...["~/.local/share/mise/installs/java", "~/.jenv/versions", "~/.jabba/jdk"],
]
/** Where setup-java puts them: one more level for the version, one for the processor. */
const toolCache = "/opt/hostedtoolcache"
/** Entries of one of these that are looked at. */
const homesMax = 64

/** Variables with options of JVMs, as the JVM, Maven, Gradle, sbt and Ant read them. */
const optionVariables = [
  ...["JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "JAVA_OPTS"],
  ...["MAVEN_OPTS", "MAVEN_ARGS", "GRADLE_OPTS", "SBT_OPTS", "ANT_OPTS"],
] as const

/** Files with such options, or with Gradle's properties of the same name. */
const optionFiles: readonly Configured[] = [
  {
    files: [
      ...[
        "./gradle.properties",
        "~/.gradle/gradle.properties",
        "$GRADLE_USER_HOME/gradle.properties",
      ],
      ...["./.mvn/jvm.config", "./.mvn/maven.config", "~/.mavenrc", "./.sbtopts", "./.jvmopts"],
    ],
    line: /javax\.net\.ssl\.trustStore=["']?([^\s"']+)/,
  },
]

/** `-Djavax.net.ssl.trustStore=` and its password, in quotes or not. */
const storeOption = /-Djavax\.net\.ssl\.trustStore=(?:"([^"]*)"|'([^']*)'|(\S+))/
const passwordOption = /-Djavax\.net\.ssl\.trustStorePassword=(?:"([^"]*)"|'([^']*)'|(\S+))/

function option(text: string, pattern: RegExp): string | null {
  const [, ...given] = pattern.exec(text) ?? []
  return given.find((each) => each !== undefined) ?? null
}

/** Directories that may be a JVM's home. */
function homes({ environment, home, list, real }: Machine): string[] {
  const named = Object.entries(environment).flatMap(([name, value]) =>
    /^(JAVA_HOME(_.*)?|JDK_HOME|JRE_HOME)$/.test(name) && value?.startsWith("/") ? [value] : [],
  )
  const started = (environment["PATH"] ?? "").split(":").flatMap((folder) => {
    const java = folder.startsWith("/") ? real(`${folder}/java`) : null
    return java === null ? [] : [dirname(dirname(java))]
  })
  const below = (folder: string): string[] =>
    [...list(folder)].slice(0, homesMax).map((name) => `${folder}/${name}`)
  const kept = families
    .flatMap((folder) =>
      folder.startsWith("~") ? (home === null ? [] : [home + folder.slice(1)]) : [folder],
    )
    .flatMap(below)
  const cached = below(environment["RUNNER_TOOL_CACHE"] ?? toolCache)
    .filter((folder) => /\/Java_[^/]*$/.test(folder))
    .flatMap(below)
    .flatMap(below)
  return [...new Set([...named, ...started, ...kept, ...cached])]
}

/** Stores of a JVM; `jssecacerts` is read in place of `cacerts` where it is (JSSE Reference Guide). */
function storesOf(home: string): string[] {
  return [home, `${home}/jre`].flatMap((at) =>
    ["cacerts", "jssecacerts"].map((name) => `${at}/lib/security/${name}`),
  )
}

/**
 * The entries of a key store, whatever its format.
 *
 * @returns null: it is none, or cannot be read
 */
function read(bytes: Buffer, password: string): KeyStore | null {
  const entries = readPkcs12(bytes, password)
  return entries === null ? readJks(bytes) : { entries, others: [] }
}

const isKeyStore = (bytes: Buffer): boolean =>
  bytes[0] === 0x30 || bytes.indexOf("feedfeed", 0, "hex") === 0

/** One of each certificate; aliases in lower case, as keytool writes them, each once. */
function distinct(entries: readonly Entry[]): Entry[] {
  const ders = new Set<string>()
  const aliases = new Set<string>()
  return entries.flatMap(({ alias, der }) => {
    const digest = createHash("sha256").update(der).digest("hex")
    if (ders.has(digest)) return []
    ders.add(digest)
    const plain = alias.toLowerCase()
    const free = aliases.has(plain) ? `${plain}-${digest.slice(0, 16)}` : plain
    aliases.add(free)
    return [{ alias: free, der }]
  })
}

export interface JavaAuthorities {
  /** DER, of the machine's bundle: for stores that cannot be read. */
  readonly roots: () => readonly Buffer[]
  /** DER. */
  readonly added: readonly Buffer[]
  /** Whether `places` will be seen; else a variable must do it wherever a store lacks an authority. */
  readonly covers: boolean
  /** Where the command starts. */
  readonly directory: string
  /** Milliseconds since 1970. */
  readonly nowMs: number
}

export interface JavaTrust {
  readonly variables: Readonly<Record<string, string>>
  /** A store for every JVM; null: no variable names it. */
  readonly store: Buffer | null
}

/**
 * Extends the stores of every JVM that is found.
 *
 * @param storePath where the store lies that a variable names
 */
export function extendJava(
  machine: Machine,
  places: Places,
  { roots, added, covers, directory, nowMs }: JavaAuthorities,
  storePath: string,
): JavaTrust {
  const ours = added.map((der, index) => ({ alias: `sluice-${index + 1}`, der }))
  const all: Entry[] = []
  let lacking = false
  const extend = (found: Found, password: string): void => {
    if (!isKeyStore(found.bytes)) return
    const { entries, others } = read(found.bytes, password) ?? {
      entries: named(roots()),
      others: [],
    }
    all.push(...entries)
    lacking ||= !added.every((der) => entries.some((entry) => entry.der.equals(der)))
    const store = { entries: distinct([...ours, ...entries]), others }
    places.put(found, jks(store, nowMs, password))
  }
  const options = optionVariables.map((name) => machine.environment[name] ?? "")
  for (const text of options) {
    const path = option(text, storeOption)
    const found = path === null ? null : machine.read(path)
    if (found !== null) extend(found, option(text, passwordOption) ?? usualPassword)
  }
  for (const path of configuredPaths(machine, directory, optionFiles)) {
    const found = machine.read(path)
    if (found !== null) extend(found, usualPassword)
  }
  const stores = [...shared, ...homes(machine).flatMap(storesOf)].map(machine.read)
  for (const found of stores)
    if (found !== null && !places.has(found.path)) extend(found, usualPassword)

  const given = machine.environment["JAVA_TOOL_OPTIONS"] ?? ""
  const hasJvm = stores.some((found) => found !== null)
  const served = hasJvm && (covers || !lacking)
  if (option(given, storeOption) !== null || (given === "" && served)) {
    return { variables: {}, store: null }
  }
  const more = `-Djavax.net.ssl.trustStore=${storePath}`
  const entries = distinct([...ours, ...all, ...(all.length === 0 ? named(roots()) : [])])
  return {
    variables: { JAVA_TOOL_OPTIONS: given === "" ? more : `${given} ${more}` },
    store: jks({ entries, others: [] }, nowMs),
  }
}

function named(ders: readonly Buffer[]): Entry[] {
  return ders.map((der, index) => ({ alias: `authority-${index + 1}`, der }))
}
