/** Files of authorities that a program's own configuration names: they are to be extended too. Pure. */
import { dirname, resolve } from "node:path"
import type { Machine } from "./store.ts"

/** Where a program is configured, and which lines name a file. */
export interface Configured {
  /** `~/` is the user's home, `./` where the command starts; `$NAME` a variable that holds the path. */
  readonly files: readonly string[]
  /** Over one line; its first group is the path. */
  readonly line: RegExp
}

/** Configuration is written by hand; what is longer is not looked at. */
const textCharactersMax = 256 * 1024
const lineCharactersMax = 4_096

function placeOf(file: string, { environment, home }: Machine, directory: string): string | null {
  if (file.startsWith("~/")) return home === null ? null : `${home}/${file.slice(2)}`
  if (!file.startsWith("$")) return resolve(directory, file)
  const [, name = "", rest = ""] = /^\$(\w+)(.*)$/.exec(file) ?? []
  const value = environment[name] ?? ""
  return value === "" ? null : resolve(directory, `${value}${rest}`)
}

/** Paths as a file may mean them: from itself, or from where the command starts. */
function meant(path: string, from: string, home: string | null, directory: string): string[] {
  const short = /^(?:~|\$HOME|\$\{HOME\})\/(.*)$/.exec(path)?.[1]
  if (short !== undefined) return home === null ? [] : [`${home}/${short}`]
  return [resolve(dirname(from), path), resolve(directory, path)]
}

/**
 * The paths that configuration names, each as often as it can be meant. Whether a file is there is
 * not said.
 *
 * @param directory where the command starts
 */
export function configuredPaths(
  machine: Machine,
  directory: string,
  configured: readonly Configured[],
): string[] {
  const found = configured.flatMap(({ files, line }) =>
    files.flatMap((file) => {
      const path = placeOf(file, machine, directory)
      const text = path === null ? "" : (machine.read(path)?.bytes.toString("utf8") ?? "")
      if (path === null || text === "" || text.length > textCharactersMax) return []
      return text.split("\n").flatMap((each) => {
        const named = each.length > lineCharactersMax ? undefined : line.exec(each)?.[1]
        return named === undefined || named === ""
          ? []
          : meant(named, path, machine.home, directory)
      })
    }),
  )
  return [...new Set(found)]
}
