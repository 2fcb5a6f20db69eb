/** The version that package.json says. */
import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"

export function version(): string {
  let folder = import.meta.dirname
  // Why a search: this file runs from the sources and from dist/.
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder)
  const text = readFileSync(join(folder, "package.json"), "utf8")
  return (JSON.parse(text) as { version: string }).version
}
