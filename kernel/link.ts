/** ip(8): links, addresses, routes, in the namespace of the calling thread. */
import { readFileSync, writeFileSync } from "node:fs"
import { runTool } from "./tool.ts"

/**
 * Runs several ip(8) commands in one process; the first that fails ends it.
 *
 * @param family of the commands that do not say it by an address of their own
 */
export function ip(commands: readonly string[], family?: 4 | 6): void {
  const flags = family === undefined ? [] : [`-${family}`]
  runTool("ip", [...flags, "-batch", "-"], `${commands.join("\n")}\n`)
}

/** Sets a sysctl of the calling thread's network namespace; gives what it was before. */
export function setNetworkSetting(name: string, value: string): string {
  const path = `/proc/sys/net/${name}`
  const before = readFileSync(path, "utf8").trim()
  if (before !== value) writeFileSync(path, value)
  return before
}

interface ListedRoute {
  readonly dst?: string
}

/** Destinations that the calling thread's namespace has routes to, as ip prints them. */
export function routedPrefixes(): string[] {
  const read = (family: string): readonly ListedRoute[] =>
    JSON.parse(
      runTool("ip", ["-j", family, "route", "show", "table", "all"]) || "[]",
    ) as ListedRoute[]
  return [...read("-4"), ...read("-6")].flatMap(({ dst }) => (dst === undefined ? [] : [dst]))
}
