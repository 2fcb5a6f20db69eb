/** The worker's role of a gate process: the room `proxy` introduced to the policy and the guard. */
import { randomBytes } from "node:crypto"
import { createSecureContext } from "node:tls"
import type { SecureContext } from "node:tls"
import { LRUCache } from "lru-cache"
import type { Hostname } from "../net/hostname.ts"
import { isSpecial } from "../net/special.ts"
import { minted } from "../certs/minted.ts"
import { tokenOf } from "../http/token.ts"
import { openGate } from "../proxy/server.ts"
import { Repeats } from "../proxy/repeats.ts"
import type { Trust } from "../proxy/secure.ts"
import type { Compiled } from "../policies/compile.ts"
import { decide, opens } from "../policies/decide.ts"
import { allowsAddress, mayResolveTo } from "../policies/decide-name.ts"
import type { Order } from "./channel.ts"
import type { GuardLine } from "./guard-line.ts"
import { isJobToken } from "./job-tokens.ts"
import { purses } from "./purses.ts"
import type { Serving } from "./serving.ts"
import { askNames } from "./resolver-link.ts"

/** Names whose leaf, and whose session with the upstream, a worker keeps. */
const namesMax = 512
/** A leaf lives three days from when it was signed. */
const leafKeptMs = 24 * 3_600_000

/** Verification by the roots that the guard gave. */
function trustIn(roots: string): Trust {
  const sessions = new LRUCache<string, Buffer>({ max: namesMax })
  let context: SecureContext | null = null
  return {
    context: () => (context ??= createSecureContext({ ca: roots })),
    session: (host, port) => sessions.get(`${host}:${port}`),
    keepSession: (host, port, session) => void sessions.set(`${host}:${port}`, session),
  }
}

/** How often requests that were only counted are written down. */
const countedMs = 1_000

type Record = GuardLine["record"]

/** Records, but counts the requests that one flow repeats again and again. */
function counting(record: Record): Record {
  const repeats = new Repeats()
  setInterval(() => {
    for (const event of repeats.due(Date.now())) void record(event)
  }, countedMs).unref()
  return (body) => {
    if (body.kind === "flow") for (const event of repeats.end(body.flow)) void record(event)
    if (body.kind !== "request") return record(body)
    let room: ReturnType<Record>
    for (const event of repeats.push(body, Date.now())) room = record(event)
    return room
  }
}

/** Serves until the process ends. */
export async function serve(order: Order, policy: Compiled, line: GuardLine): Promise<Serving> {
  const { names, resolve } = askNames(order.resolverPath)
  const ours = new Set<string>(order.ours)
  const prefix = randomBytes(4).toString("hex")
  let flows = 0
  const pinned = new LRUCache<string, true>({ max: namesMax })
  const key = order.leafKey ?? ""
  const leaf = minted(
    async (host: Hostname) => createSecureContext({ key, cert: await line.leaf(host) }),
    { namesMax, keptMs: leafKeptMs },
  )
  const isJob = isJobToken(order.jobTokens)
  const gate = await openGate({
    decide: (flow) => decide(policy, flow),
    needsProcess: policy.policy.rules.some(({ by, step }) => by !== null || step !== null),
    mode: policy.mode,
    audit: policy.mode === "audit",
    names,
    resolve,
    opened: ({ id, source, target }) => line.opened(id, source, target),
    forgotten: ({ id }) => line.forgotten(id),
    owner: ({ id, transport, source, target }) => line.owner(transport, source, target, id),
    record: counting(line.record),
    purse: purses(policy.policy.rules, line),
    now: Date.now,
    newId: () => `${prefix}-${++flows}`,
    isOurs: ({ address }) => ours.has(address),
    mayDial: (host, address) =>
      host === null
        ? !isSpecial(address, policy.special) || allowsAddress(policy, address)
        : mayResolveTo(policy, host, address),
    opens: (host) => opens(policy, host),
    pinned: (host) => pinned.has(host),
    pin: (host) => void pinned.set(host, true),
    trust: trustIn(order.upstreamRoots),
    leaf,
    tokenOf: ({ fields, target }) => tokenOf(fields, target, isJob),
    serveNames: null,
  })
  const [fd] = order.listeners
  await new Promise<void>((listening, refused) => {
    gate.server.once("error", refused)
    gate.server.listen({ fd }, listening)
  })
  return { stop: () => gate.close() }
}
