/** The resolver's role of a gate process: the room `dns` introduced to the policy and the guard. */
import { parseHostname } from "../net/hostname.ts"
import { startResolver } from "../dns/resolver.ts"
import { doorsFor } from "../firewall/packets.ts"
import type { Compiled } from "../policies/compile.ts"
import { decideName, mayResolveTo } from "../policies/decide-name.ts"
import type { Order } from "./channel.ts"
import type { GuardLine } from "./guard-line.ts"
import type { Serving } from "./serving.ts"
import { serveNames, type NameServer } from "./resolver-link.ts"

/** Serves until the process ends. */
export async function serve(order: Order, policy: Compiled, line: GuardLine): Promise<Serving> {
  const doors = doorsFor(policy)
  const own = parseHostname(order.job.hostname)
  let names: NameServer | null = null
  const resolver = await startResolver({
    changed: (addresses) => names?.changed(addresses) ?? null,
    mode: policy.mode,
    listeners: [
      ...order.listeners.map((fd) => ({ transport: "tcp" as const, fd })),
      ...order.datagrams.map((fd, index) => ({
        transport: "udp" as const,
        family: index === 0 ? ("udp4" as const) : ("udp6" as const),
        fd,
      })),
    ],
    upstreams: order.upstreams,
    nameVerdict: (name, type, process, step) => decideName(policy, { name, type, process, step }),
    mayResolveTo: (name, address) => mayResolveTo(policy, name, address),
    needsProcess: policy.policy.rules.some(({ by, step }) => by !== null || step !== null),
    owner: ({ transport, source, target }) => line.owner(transport, source, target, null),
    admit: async (name, addresses, ttlMs) => {
      const sets = doors(name)
      if (sets.length > 0) await line.admit(sets, addresses, ttlMs)
    },
    record: (event) => line.record(event) ?? null,
    special: policy.special,
    ...(own === null ? {} : { locals: new Map([[own, order.job.addresses]]) }),
  })
  names = await serveNames(order.resolverPath, resolver)
  return {
    stop: async () => {
      resolver.close()
      await Promise.resolve()
    },
  }
}
