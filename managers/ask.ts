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
  return managers.get(manager)?.(surroundings) ?? null
}

/** Names that `ask` knows, sorted. */
export function managerNames(): readonly string[] {
  return [...managers.keys()]
}
