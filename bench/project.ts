/** A project of some hundreds of packages, as `npm ci` installs it, and the registry that holds them. */
import { execFileSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { names, type Bed } from "./bed.ts"
import { list } from "./origin.ts"

const packages = 300
const filesPerPackage = 8
/** Bytes of text in a file; every tenth package is a large one. */
const fileBytes = 1500
const largeFileBytes = 30_000
const version = "1.0.0"

interface Locked {
  readonly version: string
  readonly resolved: string
  readonly integrity: string
}

/** Writes one package to where the origin serves it; gives its entry in the lock file. */
function publish(bed: Bed, name: string, bytes: number): Locked {
  const directory = bed.file("packing")
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(`${directory}/package`, { recursive: true })
  writeFileSync(`${directory}/package/package.json`, JSON.stringify({ name, version }))
  for (let file = 0; file < filesPerPackage; file++) {
    // Why random: what compresses well would make the download small, and the unpacking most of it.
    const text = `module.exports = "${randomBytes(bytes).toString("base64")}"\n`
    writeFileSync(`${directory}/package/file-${file}.js`, text)
  }
  const path = `${name}/-/${name}-${version}.tgz`
  mkdirSync(bed.file(`www/${name}/-`), { recursive: true })
  execFileSync("tar", ["-czf", bed.file(`www/${path}`), "-C", directory, "package"])
  const digest = createHash("sha512").update(readFileSync(bed.file(`www/${path}`)))
  return {
    version,
    resolved: `https://${names.registry}/${path}`,
    integrity: `sha512-${digest.digest("base64")}`,
  }
}

/** Gives the project's directory. */
export function writeProject(bed: Bed): string {
  const locked = list(packages, (index): readonly [string, Locked] => {
    const name = `package-${index}`
    return [name, publish(bed, name, index % 10 === 0 ? largeFileBytes : fileBytes)]
  })
  const dependencies = Object.fromEntries(locked.map(([name]) => [name, version]))
  const root = { name: "bench-project", version, dependencies }
  const entries = locked.map(([name, entry]) => [`node_modules/${name}`, entry] as const)
  const lock = {
    ...{ name: root.name, version, lockfileVersion: 3, requires: true },
    packages: { "": root, ...Object.fromEntries(entries) },
  }
  const directory = bed.file("project")
  mkdirSync(directory)
  writeFileSync(`${directory}/package.json`, JSON.stringify(root))
  writeFileSync(`${directory}/package-lock.json`, JSON.stringify(lock))
  return directory
}
