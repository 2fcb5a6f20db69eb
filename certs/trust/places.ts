/** Where the job's own versions of the machine's stores go: into a copied directory, or over a file. */
import { dirname } from "node:path"
import type { Content, OwnDirectory, OwnFile } from "../../kernel/own-files.ts"
import type { Found, Machine } from "./store.ts"

/** Collects what is put where; gives it in the shape that the kernel's side takes. */
export class Places {
  readonly #directories = new Map<
    string,
    { readonly files: Record<string, Content>; readonly links: Record<string, string> }
  >()
  readonly #files = new Map<string, OwnFile>()
  readonly #copied: readonly string[]

  /** @param copied directories that are copied as a whole once something in them is replaced */
  constructor(machine: Machine, copied: readonly string[]) {
    // Why the real one: on some systems one of these is a link to another.
    this.#copied = [...new Set(copied.map(machine.real))].filter((path) => path !== null)
  }

  /** Replaces a file that was read; the first word on a file counts. */
  put(found: Found, content: Content): void {
    if (this.has(found.path)) return
    const directory = this.#copied.find((path) => found.path.startsWith(`${path}/`))
    if (directory !== undefined) {
      this.copy(directory).files[found.path.slice(directory.length + 1)] = content
      return
    }
    const { path, dev, ino } = found
    this.#files.set(path, { path, dev, ino, content })
  }

  /** Adds a file where none is, if its directory is one that is copied already. */
  add(path: string, content: Content): void {
    const at = this.#around(path)
    if (at !== null) at.copy.files[at.name] ??= content
  }

  /** Adds a link beside other files; see add(). */
  link(path: string, target: string): void {
    const at = this.#around(path)
    if (at !== null) at.copy.links[at.name] = target
  }

  /** Copies a directory, whatever is put there. */
  copy(directory: string): { files: Record<string, Content>; links: Record<string, string> } {
    const known = this.#directories.get(directory)
    if (known !== undefined) return known
    const made = { files: {}, links: {} }
    this.#directories.set(directory, made)
    return made
  }

  /** Whether the job has its own version of this directory, or of one around it. */
  copies(directory: string): boolean {
    return this.#around(`${directory}/.`) !== null
  }

  /** Whether the job has its own version of this file. */
  has(path: string): boolean {
    if (this.#files.has(path)) return true
    const at = this.#around(path)
    return at !== null && Object.hasOwn(at.copy.files, at.name)
  }

  get files(): readonly OwnFile[] {
    return [...this.#files.values()]
  }

  get directories(): readonly OwnDirectory[] {
    return [...this.#directories].map(([path, { files, links }]) => ({ path, files, links }))
  }

  #around(path: string) {
    for (let at = dirname(path); at !== "/"; at = dirname(at)) {
      const copy = this.#directories.get(at)
      if (copy !== undefined) return { copy, name: path.slice(at.length + 1) }
    }
    return null
  }
}
