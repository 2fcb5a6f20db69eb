/**
 * What one run needs so that every program in it trusts the added authorities: files of its own,
 * stores of the machine in a version of its own, and variables. Pure.
 *
 * Nothing that was trusted before is lost: a file that a variable names is extended, and so is every
 * store. What cannot be read stays as it is.
 */
import { resolve } from "node:path"
import type { Content, OwnFiles } from "../../kernel/own-files.ts"
import { pem } from "../certificate.ts"
import { browserDirectories, extendBrowsers } from "./browsers.ts"
import { cargo } from "./cargo.ts"
import { clouds } from "./clouds.ts"
import { configuredPaths } from "./configured.ts"
import { curl } from "./curl.ts"
import { deno } from "./deno.ts"
import { git } from "./git.ts"
import { extendJava } from "./java.ts"
import { node } from "./node.ts"
import { openssl } from "./openssl.ts"
import { dersIn, joined, withoutKeys } from "./pem.ts"
import { perl } from "./perl.ts"
import { php } from "./php.ts"
import { Places } from "./places.ts"
import { python } from "./python.ts"
import { ruby } from "./ruby.ts"
import type { Machine, Store, Variable } from "./store.ts"
import { extendSystem, managedDirectories, textAt } from "./system.ts"

/** All stores that are reached by variables. */
export const stores: readonly Store[] = [
  ...[openssl, node, python, curl, git, ruby, php, perl, cargo, deno, clouds],
]

export interface Wanted {
  /** PEM of the authorities that are added; the last one is Sluice's own. */
  readonly added: string
  /** PEM of authorities for a machine that has no bundle. */
  readonly otherwise: () => string
  /** Relative values of variables are meant from here. */
  readonly directory: string
  /** Where the files of the run lie, for who reads a variable: `/run/sluice`. */
  readonly folder: string
  /** Whether the system's own stores get the added authorities; else they have them already. */
  readonly coversSystem: boolean
  /** Milliseconds since 1970. */
  readonly nowMs: number
}

export interface Trust {
  /** To be set; every other variable stays as it is. */
  readonly variables: Readonly<Record<string, string>>
  readonly own: OwnFiles
}

/** Names of files below the run's folder. */
export const bundleFile = "ca-certificates.crt"
export const addedFile = "added-authorities.pem"
export const authorityFile = "authority.pem"
export const javaFile = "java.jks"

export function trust(machine: Machine, wanted: Wanted): Trust {
  const { coversSystem: covers, directory, folder, nowMs } = wanted
  const copied = covers ? [...managedDirectories, ...browserDirectories] : []
  const places = new Places(machine, copied)
  const ders = dersIn(wanted.added)
  const certificates = ders.map((der) => ({ der, pem: pem(der) }))
  const system = extendSystem(machine, places, wanted.added, certificates)
  const roots = system.bundle === null ? wanted.otherwise() : system.roots
  const run: Record<string, Content> = {
    [bundleFile]: joined(roots, wanted.added),
    [addedFile]: wanted.added,
    [authorityFile]: certificates.at(-1)?.pem ?? "",
  }
  // Why the system's path: it holds the same, and leads somewhere in a chroot and after the run too.
  const whole = system.bundle ?? `${folder}/${bundleFile}`
  const beside = `${folder}/${addedFile}`
  const variables: Record<string, string> = {}
  const facts = { roots: () => dersIn(roots), added: ders, covers, directory, nowMs }
  const java = extendJava(machine, places, facts, `${folder}/${javaFile}`)
  if (java.store !== null) run[javaFile] = java.store
  for (const store of stores) {
    const named = extendConfigured(machine, places, store, wanted)
    for (const variable of store.variables) {
      const usual =
        variable.holds === "beside"
          ? { path: beside, text: null }
          : { path: whole, text: named === "" ? null : joined(roots, named) }
      const value = valueOf(variable, machine, places, wanted, usual)
      if (value === null) continue
      variables[variable.name] = value.path
      if (value.text !== null) run[value.path.slice(folder.length + 1)] = value.text
    }
  }
  if (covers) Object.assign(run, extendBrowsers(machine, places, ders, folder))
  const own = covers
    ? { run, files: places.files, directories: places.directories }
    : { run, files: [], directories: [] }
  return { variables: { ...variables, ...java.variables }, own }
}

/** Extends the files that a store's configuration names; gives the text of those files. */
function extendConfigured(
  machine: Machine,
  places: Places,
  { configured }: Store,
  { added, directory }: Wanted,
): string {
  const texts = configuredPaths(machine, directory, configured ?? []).flatMap((path) => {
    const found = textAt(machine, path)
    if (found === null || found.file === null) return []
    // Why nothing of a system's store: the whole bundle holds that.
    if (places.has(found.file.path)) return []
    places.put(found.file, joined(found.text, added))
    return [withoutKeys(found.text)]
  })
  return texts.reduce(joined, "")
}

/**
 * What a variable is to be set to, and the text of the file that it then names, where that is a file of
 * its own; null: it stays as it is.
 *
 * @param usual where it leads if nothing else is said; `text`: the file has to be made, of this and
 *   what is added
 */
function valueOf(
  { name, set }: Variable,
  machine: Machine,
  places: Places,
  { added, directory, folder }: Wanted,
  usual: { readonly path: string; readonly text: string | null },
): { readonly path: string; readonly text: string | null } | null {
  const own = `${folder}/trust/${name.toLowerCase()}.pem`
  const given = machine.environment[name] ?? ""
  if (given === "") {
    if (set !== "always") return null
    return usual.text === null ? usual : { path: own, text: joined(usual.text, added) }
  }
  const path = resolve(directory, given)
  const real = machine.real(path)
  if (real !== null && places.has(real)) return null
  const found = textAt(machine, path)
  // Why as it is where nothing is found: `false` is a value of some, and what is broken stays so.
  if (found === null) return null
  if (found.text.includes(added)) return null
  return { path: own, text: joined(withoutKeys(found.text), added) }
}
