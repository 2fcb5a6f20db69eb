/** Rules that allow more than they seem to, or nothing at all. Advice, never an error. */
import { addressBytes, isIPv6, sharesBits } from "../net/address.ts"
import type { Prefix } from "../net/address.ts"
import type { Hostname } from "../net/hostname.ts"
import { shadowOf } from "./decide-name.ts"
import { nameIndex, namesFind } from "./name-index.ts"
import type { NameIndex } from "./name-index.ts"
import { overlap, problem } from "./rule.ts"
import type { Problem } from "./rule.ts"
import type { Policy, Ports, Rule, Target } from "./policy.ts"
import { sharedCdn } from "./shared-cdns.ts"
import { reachesInto, tenantSuffixes, widthOf } from "./suffixes.ts"
import { hostOf } from "./target.ts"

/** Hosts that many share: who allows all of one allows its other tenants too. */
const shared: ReadonlyMap<string, string> = new Map([
  ["github.com", "every owner's repositories: `https://github.com/${GITHUB_REPOSITORY}/**` is one"],
  [
    "api.github.com",
    "gists, and every repository a token reaches: `https://api.github.com/repos/${GITHUB_REPOSITORY}/**` is one",
  ],
  ["gist.github.com", "gists of anyone"],
  ["uploads.github.com", "release files of every repository a token reaches"],
  ["gitlab.com", "every owner's projects and snippets"],
  ["bitbucket.org", "every owner's repositories"],
  ["codeberg.org", "every owner's repositories"],
  ["ghcr.io", "pushes to every owner's packages: `GET,HEAD https://ghcr.io/**` only reads"],
  ["upload.pypi.org", "publishing with any token"],
  ["crates.io", "publishing with any token"],
  ["rubygems.org", "publishing with any token"],
  ["registry-1.docker.io", "pushes to every owner's images"],
  ["s3.amazonaws.com", "every account's buckets by path"],
  ["storage.googleapis.com", "every project's buckets by path"],
  ["hooks.slack.com", "every workspace's webhooks"],
  ["slack.com", "every workspace a token reaches"],
  ["discord.com", "every server's webhooks"],
  ["api.telegram.org", "everyone's bots"],
  ["pastebin.com", "pastes of anyone"],
  ["transfer.sh", "files of anyone"],
  ["webhook.site", "inboxes of anyone"],
  ["www.dropbox.com", "everyone's files"],
  ["content.dropboxapi.com", "everyone's files"],
  ["www.googleapis.com", "every project a token reaches"],
  ["huggingface.co", "every owner's repositories"],
])

/** A block with more addresses than a company's network has, in bits. */
const wideLengthMax = { v4: 16, v6: 32 }
/** A range with more ports than a service has. */
const portsMax = 1024
const metadata: Prefix = { address: "169.254.169.254" as Prefix["address"], length: 32 }

/** What a person should know before trusting a policy, in the order of its lines. */
export function warnings(policy: Policy): Problem[] {
  const denies = policy.rules.filter(({ effect }) => effect === "deny")
  const index = nameIndex(
    denies.flatMap((rule) => {
      const host = hostOf(rule.target)
      return host === null || rule.by !== null || rule.step !== null ? [] : [[host, rule] as const]
    }),
  )
  const whole = nameIndex(
    policy.rules.filter(isWhole).map((rule) => [rule.target.host, rule] as const),
  )
  const found: Problem[] = []
  for (const rule of policy.rules) {
    // Why: a preset's lines are looked after where the preset is.
    if (rule.effect === "deny" || rule.origin.source.startsWith("preset ")) continue
    for (const fault of [
      ...hostWarnings(rule),
      ...addressWarnings(rule),
      ...portWarnings(rule),
      ...frontWarnings(policy, rule),
      ...lookWarnings(policy, rule, denies),
      ...shadowWarnings(rule, index),
      ...mootWarnings(rule, whole),
      ...budgetWarnings(rule, whole),
    ]) {
      found.push(problem(rule.origin, "rule", rule.origin.text, fault))
    }
  }
  for (const { pattern } of policy.resolvePrivate) {
    if (widthOf({ pattern }) === null) continue
    const place = { source: policy.source, line: 0, column: 0 }
    found.push(
      problem(
        place,
        "resolve-private",
        pattern,
        "lets names of anyone resolve to private addresses",
      ),
    )
  }
  if (!policy.rules.some(({ effect }) => effect === "allow")) {
    const message = "The policy allows nothing: every connection will be denied"
    found.push({ source: policy.source, line: 1, column: 1, message })
  }
  return found.map((one) => ({ ...one, message: one.message.replace("Cannot read", "Beware of") }))
}

function hostWarnings({ target, wide, by, token }: Rule): string[] {
  const host = hostOf(target)
  if (host === null) return []
  const faults: string[] = []
  const tenants = shared.get(host.pattern)
  if (tenants !== undefined && target.kind === "host" && by === null && token === null) {
    // Why: what follows the colon is a request rule, which no other port can have.
    const advice = target.ports.first === 443 ? tenants : (tenants.split(": ")[0] ?? "")
    faults.push(`allows the whole of a host that many share: ${advice}`)
  }
  const width = widthOf(host)
  if (wide && width !== null) {
    faults.push(`covers names that anyone can register under ${width.suffix || "any suffix"}`)
  }
  const below = reachesInto(host)
  if (below !== null && width === null) {
    faults.push(`reaches into ${below.suffix}, where anyone can register a name (${below.source})`)
  }
  const [label = "", ...rest] = host.pattern.split(".")
  const partial = label.includes("*") && label !== "*" && label !== "**"
  if (partial && width === null && tenantSuffixes.some(({ suffix }) => suffix === rest.join("."))) {
    faults.push(`covers names that anyone can register: whoever takes one that begins the same`)
  }
  if (target.kind === "request" && target.scheme === "http") {
    faults.push("is plain HTTP: whoever is on the way reads and changes it")
  }
  return faults
}

function addressWarnings({ target }: Rule): string[] {
  if (target.kind !== "address") return []
  const { address, length } = target.prefix
  const v6 = isIPv6(address)
  const faults: string[] = []
  if (length < (v6 ? wideLengthMax.v6 : wideLengthMax.v4)) {
    faults.push(`covers a /${length}: whoever has an address in it can be reached, by any name`)
  }
  const holds = (inner: Prefix): boolean =>
    isIPv6(inner.address) === v6 &&
    length <= inner.length &&
    sharesBits(addressBytes(address), addressBytes(inner.address), length)
  if (holds(metadata)) faults.push("covers the cloud's metadata service (169.254.169.254)")
  return faults
}

function portWarnings({ target }: Rule): string[] {
  if (target.kind === "icmp") return []
  const { ports } = target
  const faults: string[] = []
  if (ports.last - ports.first >= portsMax)
    faults.push(`allows ${size(ports)} ports, whatever listens there`)
  const udp = target.kind !== "request" && target.transport === "udp"
  const has = (port: number): boolean => ports.first <= port && port <= ports.last
  if (udp && has(443)) {
    faults.push("lets QUIC pass, which nothing here looks at: HTTPS over TCP is judged by its name")
  }
  if (ports.first === 53 && ports.last === 53) {
    faults.push("is for port 53, which always goes to Sluice's own resolver: it changes nothing")
  }
  return faults
}

function size({ first, last }: Ports): string {
  return first === 1 && last === 65_535 ? "all" : String(last - first + 1)
}

/**
 * A whole host whose own name says that it lies on a network which many share. Which others do, only
 * their answers say (CNAME): the report tells of those that were reached.
 */
function frontWarnings({ intercept }: Policy, { target, token }: Rule): string[] {
  if (target.kind !== "host" || target.transport !== "tcp" || token !== null) return []
  const { first, last } = target.ports
  if (intercept === "always" || first > 443 || last < 443) return []
  const cdn = sharedCdn(target.host.pattern)
  if (cdn === null) return []
  return [
    `lies on a network that serves many (${cdn.operator}): inside an unopened connection another customer's host can be asked for, must be a request rule to close that: \`https://${target.host.pattern}/**\` (the report of a run names the other hosts that lie on one)`,
  ]
}

function lookWarnings(policy: Policy, rule: Rule, denies: readonly Rule[]): string[] {
  const { target, token } = rule
  if (policy.intercept !== "never" || target.kind === "address" || target.kind === "icmp") return []
  const never = "under `intercept: never` nothing is looked into"
  if (target.kind === "request" && target.scheme === "https") {
    return [`never allows anything: ${never}`]
  }
  if (token !== null) return [`never allows anything over TLS: ${never}`]
  const { host } = target
  const inside = denies.find(
    (deny) => deny.target.kind === "request" && overlap(deny.target.host, host),
  )
  if (inside === undefined) return []
  return [`is refused as a whole, because ${inside.origin.text} denies some requests, and ${never}`]
}

function shadowWarnings(rule: Rule, denies: NameIndex<Rule>): string[] {
  const host = hostOf(rule.target)
  if (host === null) return []
  // Why: a deny rule that covers the pattern's own text, `*` read as a name, covers all it covers.
  const deep = host.pattern.startsWith("**")
  const near = namesFind(denies, host.pattern as Hostname).filter(
    (deny) => !deep || hostOf(deny.target)?.pattern.startsWith("**") === true,
  )
  const over = shadowOf(rule, near)
  if (over === null) return []
  const { source, line, text } = over.origin
  return [`never allows anything: ${text} (${source}:${line}) denies all of it`]
}

type WholeRule = Rule & { readonly target: Extract<Target, { kind: "host" }> }

/** Whether a rule lets a host pass without a look inside, whoever asks. */
function isWhole(rule: Rule): rule is WholeRule {
  const { effect, target, by, step, token } = rule
  const free = by === null && step === null && token === null
  return effect === "allow" && target.kind === "host" && target.transport === "tcp" && free
}

/** A bound that another rule takes away: each rule allows for itself. */
function budgetWarnings({ target, up }: Rule, whole: NameIndex<WholeRule>): string[] {
  const host = hostOf(target)
  if (host === null || up === null || target.kind === "icmp" || target.kind === "address") return []
  const over = namesFind(whole, host.pattern as Hostname).find(
    (rule) => rule.up === null && holdsPorts(rule.target.ports, target.ports),
  )
  if (over === undefined) return []
  const { source, line, text } = over.origin
  return [`bounds nothing: ${text} (${source}:${line}) allows the whole host, without \`up\``]
}

function holdsPorts(outer: Ports, { first, last }: Ports): boolean {
  return outer.first <= first && last <= outer.last
}

/** A rule that means to narrow a host which another rule allows as a whole. */
function mootWarnings({ target, token }: Rule, whole: NameIndex<WholeRule>): string[] {
  const host = hostOf(target)
  if (host === null || target.kind === "icmp" || target.kind === "address") return []
  if (target.kind !== "request" && token === null) return []
  const over = namesFind(whole, host.pattern as Hostname).find((rule) =>
    holdsPorts(rule.target.ports, target.ports),
  )
  if (over === undefined) return []
  const { source, line, text } = over.origin
  return [`narrows nothing: ${text} (${source}:${line}) allows the whole host`]
}
