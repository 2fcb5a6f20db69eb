/** A machine in a table: files by path, the environment, and where the command runs. */
import { dirname } from "../../../managers/found.ts"
import type { Found, Surroundings } from "../../../managers/found.ts"

export const home = "/home/u"
export const directory = "/home/u/work/project"

export function machine(
  files: Readonly<Record<string, string | { readonly problem: string }>>,
  environment: Readonly<Record<string, string>> = {},
): Surroundings {
  const folders = new Map<string, Set<string>>()
  for (const path of Object.keys(files)) {
    for (let at = path; at !== "/"; at = dirname(at)) {
      const names = folders.get(dirname(at)) ?? new Set()
      names.add(at.slice(at.lastIndexOf("/") + 1))
      folders.set(dirname(at), names)
    }
  }
  return {
    read: (path) => files[path] ?? null,
    list: (folder) => [...(folders.get(folder) ?? [])].sort(),
    environment,
    directory,
    home,
  }
}

/** `host:port source:line`, one for each place. */
export function brief({ places }: Found): string[] {
  return places.map(({ host, port, source, line }) => `${host}:${port} ${source}:${line}`)
}
