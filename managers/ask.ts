/** Every package manager that can be asked, by the name that a preset gives it. Start here. */
import { apt } from "./apt.ts"
import { cargo } from "./cargo.ts"
import type { Found, Surroundings } from "./found.ts"
import { maven } from "./maven.ts"
import { npm } from "./npm.ts"
import { pip } from "./pip.ts"
import { pnpm } from "./pnpm.ts"
import { uv } from "./uv.ts"
import { yarn } from "./yarn.ts"

const managers: ReadonlyMap<string, (surroundings: Surroundings) => Found> = new Map([
  ["apt", apt],
  ["cargo", cargo],
  ["maven", maven],
  ["npm", npm],
  ["pip", pip],
  ["pnpm", pnpm],
  ["uv", uv],
  ["yarn", yarn],
])

/** What a manager's own configuration says here; null: there is no such manager. */
export function ask(manager: string, surroundings: Surroundings): Found | null {
  const found = managers.get(manager)?.(surroundings) ?? null
  const proxy = proxyVariables.find((name) => surroundings.environment[name])
  if (found === null || proxy === undefined) return found
  const note = `${proxy} sends requests to a proxy, which no preset allows: what it reaches is its own decision, so it must stand in the policy`
  return { ...found, notes: [...found.notes, note] }
}

const proxyVariables = ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "ALL_PROXY"]

/** Names that `ask` knows, sorted. */
export function managerNames(): readonly string[] {
  return [...managers.keys()]
}
