/** A small world for the gate's tests: loopback addresses, a policy, and what was recorded. */
import { createServer } from "node:net"
import { createSecureContext } from "node:tls"
import type { AddressInfo, Server, Socket } from "node:net"
import { parseAddress } from "../../../net/address.ts"
import type { Address } from "../../../net/address.ts"
import { parseHostname } from "../../../net/hostname.ts"
import type { Hostname } from "../../../net/hostname.ts"
import type { EventBody, FlowEvent, RequestEvent } from "../../../events/event.ts"
import { compile } from "../../../policies/compile.ts"
import { decide, opens } from "../../../policies/decide.ts"
import type { Mode, Rule } from "../../../policies/policy.ts"
import { authority } from "../../../certs/authority.ts"
import { leaf, leafKey } from "../../../certs/leaf.ts"
import { tokenOf } from "../../../http/token.ts"
import type { Surroundings } from "../../../proxy/server.ts"

export function name(text: string): Hostname {
  const parsed = parseHostname(text)
  if (parsed === null) throw new Error(`no name: ${text}`)
  return parsed
}

export function address(text: string): Address {
  const parsed = parseAddress(text)
  if (parsed === null) throw new Error(`no address: ${text}`)
  return parsed
}

/** `allowed.test:8080`, `GET http://allowed.test:8080/public/**`, `127.0.0.2:80`. */
export function rule(text: string, effect: "allow" | "deny" = "allow"): Rule {
  const request = /^(?:([A-Z,]+) )?(https?):\/\/([^/:]+)(?::(\d+))?(\/.*)$/.exec(text)
  const common = {
    effect,
    by: null,
    step: null,
    token: null,
    up: null,
    wide: false,
    origin: { source: "test.yml", line: 1, column: 1, text },
  }
  if (request !== null) {
    const [, methods, scheme, host = "", port, path = "/"] = request
    const number = port === undefined ? (scheme === "http" ? 80 : 443) : Number(port)
    return {
      ...common,
      target: {
        kind: "request",
        scheme: scheme === "http" ? "http" : "https",
        methods: methods?.split(",") ?? null,
        host: { pattern: host },
        ports: { first: number, last: number },
        path,
      },
    }
  }
  const [host = "", port = "443"] = text.split(":")
  const ports = { first: Number(port), last: Number(port) }
  const parsed = parseAddress(host)
  return {
    ...common,
    target:
      parsed === null
        ? { kind: "host", host: { pattern: host }, ports, transport: "tcp" }
        : { kind: "address", prefix: { address: parsed, length: 32 }, ports, transport: "tcp" },
  }
}

/** The authority whose leaves the gate shows, and the one that upstreams have theirs from. */
export const ours = authority("Ours", Date.now())
export const theirs = authority("Theirs", Date.now())
export const key = leafKey()

export interface Wanted {
  readonly rules: readonly Rule[]
  readonly mode?: Mode
  /** What the resolver gives for a name. */
  readonly resolves?: Readonly<Record<string, readonly string[]>>
  /** Which names the resolver gave for an address. */
  readonly gave?: Readonly<Record<string, readonly string[]>>
}

export interface TestWorld {
  readonly surroundings: Surroundings
  readonly events: EventBody[]
  /** The next flow event, or one that is there already. */
  readonly flow: () => Promise<FlowEvent>
  readonly requests: () => RequestEvent[]
}

export function world({ rules, mode = "block", resolves = {}, gave = {} }: Wanted): TestWorld {
  const compiled = compile(
    {
      mode,
      rules,
      intercept: "when-needed",
      opaque: [],
      resolvePrivate: [],
      source: "test.yml",
      sha256: "",
    },
    // Why: the tests live on loopback, which would not be public otherwise.
    [
      { bytes: [0, 0, 0, 0], length: 0, class: "public" },
      { bytes: [10, 0, 0, 0], length: 8, class: "private" },
    ].toSorted((one, other) => other.length - one.length) as never,
  )
  const events: EventBody[] = []
  const waiting: (() => void)[] = []
  const pinned = new Set<string>()
  let seen = 0
  let count = 0
  return {
    events,
    requests: () => events.filter((event) => event.kind === "request"),
    flow: async () => {
      for (;;) {
        const flows = events.filter((event) => event.kind === "flow")
        const flow = flows[seen]
        if (flow !== undefined) {
          seen++
          return flow
        }
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
    },
    surroundings: {
      decide: (flow) => decide(compiled, flow),
      needsProcess: false,
      audit: mode === "audit",
      mode,
      names: (target) => Promise.resolve((gave[target] ?? []).map(name)),
      resolve: (host) =>
        Promise.resolve({ addresses: (resolves[host] ?? []).map(address), reason: null }),
      opened: () => {},
      forgotten: () => {},
      owner: () => Promise.resolve({ process: null, step: null }),
      purse: () => null,
      record: (event) => {
        events.push(event)
        for (const resolve of waiting.splice(0)) resolve()
      },
      now: () => Date.now(),
      newId: () => `f${++count}`,
      isOurs: () => false,
      mayDial: (_host, target) => !target.startsWith("10."),
      opens: (host) => opens(compiled, host),
      pinned: (host) => pinned.has(host),
      pin: (host) => void pinned.add(host),
      leaf: (host) => {
        const made = leaf(ours, key, [host], Date.now())
        return Promise.resolve(createSecureContext({ key: key.pem, cert: made.pem }))
      },
      trust: {
        context: () => createSecureContext({ ca: [theirs.pem] }),
        session: () => undefined,
        keepSession: () => {},
      },
      tokenOf: ({ fields, target }) => tokenOf(fields, target, () => false),
      serveNames: null,
    },
  }
}

/** Listens on an address and port (0: any). */
export async function listen(server: Server, host: string, port = 0): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, host, () => resolve())
  })
  return (server.address() as AddressInfo).port
}

/** A server that does as it is told with each connection, and keeps what it got. */
export function upstream(serve: (socket: Socket) => void): Server & { readonly got: Buffer[] } {
  const got: Buffer[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {})
    socket.on("data", (bytes: Buffer) => got.push(bytes))
    serve(socket)
  })
  return Object.assign(server, { got })
}

/** All that a socket says until it ends; "reset" where it was reset. */
export function heard(socket: Socket): Promise<Buffer | "reset"> {
  return new Promise((resolve) => {
    const got: Buffer[] = []
    socket.on("data", (bytes: Buffer) => got.push(bytes))
    socket.on("error", () => resolve("reset"))
    socket.on("end", () => resolve(Buffer.concat(got)))
    socket.on("close", () => resolve(Buffer.concat(got)))
  })
}
