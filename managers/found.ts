/**
 * What a package manager's configuration says: where it will fetch from.
 *
 * This room reads files and variables and never runs a manager: a manager may run code of the
 * project, and the guard is root. What it reads is semi-trusted text, so a reader here never throws;
 * what cannot be read becomes a note. No note and no place ever holds a credential or a file's text.
 */
import { placeOf } from "./url.ts"

/** The machine, as far as this room may see it. Injected, so that tables can stand for it. */
export interface Surroundings {
  /**
   * A file's text; null where there is none; `problem`, as the end of "Cannot read …: ", where it
   * is there and must not or cannot be read.
   */
  readonly read: (path: string) => string | null | { readonly problem: string }
  /** Names in a folder, sorted; none where it cannot be read. */
  readonly list: (folder: string) => readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Where the command will run, absolute. */
  readonly directory: string
  /** Of the user whom the command runs as, absolute. */
  readonly home: string
}

/** One host that a manager is configured to use. */
export interface Place {
  /** The setting that named it, as in a preset's `default-of`. */
  readonly setting: string
  /** A canonical host name, or an address (IPv6 without brackets). */
  readonly host: string
  /** 1 to 65535. */
  readonly port: number
  /** A path, or `environment NAME`. */
  readonly source: string
  /** From 1; 0 where there are no lines. */
  readonly line: number
  readonly why: string
  /** Set by the machine or its user, not by a file of the project. */
  readonly trusted: boolean
}

export interface Found {
  readonly places: readonly Place[]
  /** Settings that are set, so that the default for them does not hold. */
  readonly settled: readonly string[]
  readonly notes: readonly string[]
}

/** Where a value stands. */
export interface Spot {
  readonly source: string
  readonly line: number
}

/** What a value is for. */
export interface Meaning {
  readonly setting: string
  readonly why: string
  /** It takes the place of the manager's default. */
  readonly replaces?: boolean
  /** A text without a scheme is a proxy's `host:port`, not a path. */
  readonly proxy?: boolean
}

/** More hosts than this in one manager's configuration is no configuration. */
export const placesMax = 500
const notesMax = 50

/** Collects places and notes while one manager's configuration is read. */
export class Findings {
  readonly surroundings: Surroundings
  readonly #places: Place[] = []
  readonly #settled = new Set<string>()
  readonly #notes = new Set<string>()

  constructor(surroundings: Surroundings) {
    this.surroundings = surroundings
  }

  /** A file's text; null where there is none, or where a note says why not. */
  text(path: string): string | null {
    const read = this.surroundings.read(path)
    if (read === null || typeof read === "string") return read
    this.note(`Cannot read ${printable(path)}: ${read.problem}`)
    return null
  }

  note(text: string): void {
    if (this.#notes.size < notesMax) this.#notes.add(text)
  }

  /** The default for a setting does not hold. */
  settle(setting: string): void {
    this.#settled.add(setting)
  }

  /** A configured URL becomes a place, nothing (a path), or a note. */
  add(url: string, spot: Spot, { setting, why, replaces = false, proxy = false }: Meaning): void {
    if (replaces) this.settle(setting)
    const trusted = !this.ofProject(spot.source)
    const spelled = expand(url, this.surroundings.environment, trusted)
    const place = placeOf(spelled, { trusted, bareHost: proxy })
    const where = `${setting} of ${printable(spot.source)}${spot.line === 0 ? "" : `, line ${spot.line}`}`
    if ("problem" in place) {
      this.note(`Cannot use ${where}: ${place.problem}`)
    } else if ("nothing" in place) {
      if (place.nothing !== null) this.note(`Nothing is allowed for ${where}: ${place.nothing}`)
    } else if (this.#places.length >= placesMax) {
      this.note(`Cannot use ${where}: ${placesMax} hosts are the most that one manager may name`)
    } else {
      const { source, line } = spot
      this.#places.push({ setting, ...place, source: printable(source), line, why, trusted })
    }
  }

  /**
   * Whether a file is the project's: below a folder on the way up from the command's, as far as the
   * user's home. What lies elsewhere is the machine's or the user's own.
   */
  ofProject(source: string): boolean {
    const { directory, home } = this.surroundings
    if (!source.startsWith("/") || directory === home) return false
    for (const folder of upwards(directory)) {
      if (folder === "/" || folder === home) return false
      const inside = source.startsWith(`${folder}/`)
      if (home.startsWith(`${folder}/`)) return inside && !source.startsWith(`${home}/`)
      if (inside) return true
    }
    return false
  }

  found(): Found {
    return { places: this.#places, settled: [...this.#settled], notes: [...this.#notes] }
  }
}

/**
 * A value with its variables: `${NAME}`, `${NAME?}`, `${NAME-fallback}`, `${NAME:-fallback}`. What is
 * not set stays, and no host has such a name.
 *
 * Why a project's file may only begin with one that is a URL itself: `https://${NPM_TOKEN}.evil.test`
 * would turn a secret into a rule, which is shown, and which a name server would then hear.
 */
function expand(value: string, environment: Surroundings["environment"], trusted: boolean): string {
  if (!value.includes("${")) return value
  return value.replaceAll(
    /\$\{([\w.@-]+?)(?:(\?)|(:?)-([^{}]*))?\}/g,
    (whole, name: string, optional?: string, colon?: string, fallback?: string, at?: number) => {
      const set = environment[name]
      if (set !== undefined && !(set === "" && colon === ":")) {
        return trusted || (at === 0 && /^https?:\/\//.test(set)) ? set : whole
      }
      return fallback ?? (optional === "?" ? "" : whole)
    },
  )
}

/** Folders from the command's directory up to the root, nearest first. */
export function upwards(directory: string): string[] {
  const folders: string[] = []
  let folder = directory
  // Why 64: a path has 4096 bytes at most, yet nobody nests a project this deep.
  for (let depth = 0; depth < 64; depth++) {
    folders.push(folder)
    if (folder === "/") break
    folder = dirname(folder)
  }
  return folders
}

/** `/a` of `/a/b`; the root is its own. */
export function dirname(path: string): string {
  const end = path.lastIndexOf("/")
  return end <= 0 ? "/" : path.slice(0, end)
}

/** A path under a folder, `.` and `..` resolved; an absolute one stands for itself. */
export function under(folder: string, path: string): string {
  const parts: string[] = []
  for (const part of (path.startsWith("/") ? path : `${folder}/${path}`).split("/")) {
    if (part === "..") parts.pop()
    else if (part !== "" && part !== ".") parts.push(part)
  }
  return `/${parts.join("/")}`
}

/** Without anything that could move a cursor, and short. Paths come from a stranger's project too. */
export function printable(text: string): string {
  const plain = text.replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, "?")
  return plain.length <= 512 ? plain : `${plain.slice(0, 511)}…`
}
