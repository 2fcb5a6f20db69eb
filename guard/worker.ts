/** The worker's role of a gate process: the room `proxy` introduced to the policy and the guard. */
import { randomBytes } from "node:crypto"
import { isSpecial } from "../net/special.ts"
import { openGate } from "../proxy/server.ts"
import type { Compiled } from "../policies/compile.ts"
import { decide } from "../policies/decide.ts"
import { allowsAddress, mayResolveTo } from "../policies/decide-name.ts"
import type { Order } from "./channel.ts"
import type { GuardLine } from "./guard-line.ts"
import type { Serving } from "./serving.ts"
import { askNames } from "./resolver-link.ts"

/** Serves until the process ends. */
export async function serve(order: Order, policy: Compiled, line: GuardLine): Promise<Serving> {
  const { names, resolve } = askNames(order.resolverPath)
  const ours = new Set<string>(order.ours)
  const prefix = randomBytes(4).toString("hex")
  let flows = 0
  const gate = await openGate({
    decide: (flow) => decide(policy, flow),
    needsProcess: policy.policy.rules.some(({ by, step }) => by !== null || step !== null),
    mode: policy.mode,
    audit: policy.mode === "audit",
    names,
    resolve,
    owner: ({ transport, source, target }) => line.owner(transport, source, target),
    record: line.record,
    now: Date.now,
    newId: () => `${prefix}-${++flows}`,
    isOurs: ({ address }) => ours.has(address),
    mayDial: (host, address) =>
      host === null
        ? !isSpecial(address, policy.special) || allowsAddress(policy, address)
        : mayResolveTo(policy, host, address),
    serveNames: null,
  })
  const [fd] = order.listeners
  await new Promise<void>((listening, refused) => {
    gate.server.once("error", refused)
    gate.server.listen({ fd }, listening)
  })
  return { stop: () => gate.close() }
}
