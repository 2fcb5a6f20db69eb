/**
 * Groups that say the same thing, made one. Pure.
 *
 * A lookup and the connection that followed it are one attempt; a thousand names below one
 * domain are a tunnel, a thousand ports of one address a scan, and each is told as one. So are many
 * requests below one path.
 */
import type { Group } from "./report.ts"

/** So many denied targets of one program, below one domain or at one address, are told as one. */
export const togetherMin = 20

/** Deepest path that requests are told under, in segments. */
const headingSegmentsMax = 8

/** The groups, each told once; those that are given are not changed. */
export function collapsed(groups: readonly Group[]): readonly Group[] {
  return together(withLookups(groups.map(copy)))
}

function copy(group: Group): Group {
  return { ...group, shown: { ...group.shown } }
}

/**
 * Lookups of a name go to the connections of the same program to that name, where there are any:
 * those that were denied for the same reason are in one group from the start.
 */
function withLookups(groups: readonly Group[]): readonly Group[] {
  const connections = new Map<string, Group>()
  for (const group of groups) {
    const key = actorKey(group)
    if (group.shown.connections > 0 && group.attempt.host !== null && !connections.has(key)) {
      connections.set(key, group)
    }
  }
  return groups.filter((group) => {
    const { unit } = group.attempt
    const only = unit === "lookups" && group.shown.connections === 0
    const flow = only ? connections.get(actorKey(group)) : undefined
    if (flow === undefined) return true
    flow.shown.lookups += group.shown.lookups
    flow.shown.enforced &&= group.shown.enforced
    if (group.shown.firstAt < flow.shown.firstAt) {
      flow.shown.firstAt = group.shown.firstAt
      flow.shown.firstAfterMs = group.shown.firstAfterMs
    }
    return false
  })
}

/** Host and program, whatever the port and the reason. */
function actorKey({ attempt }: Group): string {
  const programs = attempt.programs.map(({ executable }) => executable)
  return JSON.stringify([attempt.host, programs, attempt.step])
}

/** Groups below one heading, where there are enough of them, told as one. */
function together(groups: readonly Group[]): readonly Group[] {
  const below = new Map<string, number>()
  for (const group of groups) {
    for (const { key } of headings(group)) below.set(key, (below.get(key) ?? 0) + 1)
  }
  const gathered = new Map<string, { readonly heading: string; readonly groups: Group[] }>()
  for (const group of groups) {
    // The narrowest one that has many: `**.t.evil.test`, not `**.evil.test`.
    const found = headings(group).find(({ key }) => (below.get(key) ?? 0) >= togetherMin)
    const { key, text } = found ?? { key: group.key, text: group.shown.target }
    const into = gathered.get(key)
    if (into === undefined) gathered.set(key, { heading: text, groups: [group] })
    else into.groups.push(group)
  }
  return [...gathered.values()].flatMap(({ heading, groups }) => merged(heading, groups))
}

interface Heading {
  readonly key: string
  readonly text: string
}

/** What a group may be told under, the narrowest first. */
function headings({ attempt, shown }: Group): readonly Heading[] {
  const { host, address, port, unit, programs, step, request } = attempt
  const actor = JSON.stringify([programs.map(({ executable }) => executable), step])
  const as = (text: string): Heading => ({ key: `${text} ${actor}`, text })
  if (shown.noise) return []
  if (unit === "lookups" && host !== null) {
    const labels = host.split(".")
    return labels.slice(1, -1).map((_, index) => as(`**.${labels.slice(index + 1).join(".")}`))
  }
  if (unit === "requests" && host !== null && request !== null) {
    const { method, scheme, path } = request
    const place = `${method} ${scheme}://${host}${port === null ? "" : `:${port}`}`
    const segments = path.split("/").slice(1, headingSegmentsMax)
    return segments.map((_, index) => {
      const above = segments.slice(0, segments.length - 1 - index)
      return as(`${[place, ...above].join("/")}/**`)
    })
  }
  if (host !== null || address === null || port === null) return []
  const end = attempt.transport === "tcp" ? "" : `/${attempt.transport}`
  return [as(`${address.includes(":") ? `[${address}]` : address}:*${end}`), as(`*:${port}${end}`)]
}

function merged(heading: string, groups: readonly Group[]): readonly Group[] {
  const [first, ...others] = groups
  if (first === undefined || others.length === 0) return groups
  const { shown } = first
  shown.example = shown.target
  shown.target = heading
  for (const { shown: other } of others) {
    shown.targets++
    shown.lookups += other.lookups
    shown.connections += other.connections
    shown.requests += other.requests
    shown.packets += other.packets
    shown.enforced &&= other.enforced
    // Of several reasons the one that tells most.
    if (other.reason === "name-budget-exceeded") shown.reason = other.reason
  }
  return [first]
}
