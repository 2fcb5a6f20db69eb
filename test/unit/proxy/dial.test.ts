import t from "tap"
import type { Permit } from "../../../policies/policy.ts"
import { choose, dial } from "../../../proxy/dial.ts"
import type { Dialled, Ways } from "../../../proxy/dial.ts"
import type { Reason } from "../../../flows/reason.ts"
import { address, listen, name, upstream } from "./world.ts"

function permit(host: string | null, target = "198.51.100.10", port = 443): Permit {
  return {
    flow: "f1",
    host: host === null ? null : name(host),
    target: { address: address(target), port },
  } as Permit
}

function ways(more: Partial<Ways> = {}): Ways {
  return {
    resolve: () => Promise.resolve({ addresses: [], reason: null }),
    mayDial: (_host, target) => !target.startsWith("10."),
    isOurs: ({ address }) => address === "192.0.2.1",
    mode: "block",
    ...more,
  }
}

function gave(addresses: readonly string[], reason: Reason | null = null): object {
  return { addresses: addresses.map(address), reason }
}

const audit = ways({ mode: "audit" })

t.test("choose() dials only what the resolver gave, the job's own choice first", async (t) => {
  const table: readonly (readonly [readonly string[], object])[] = [
    [["198.51.100.10"], { addresses: ["198.51.100.10"], despite: null }],
    [["198.51.100.11", "198.51.100.10"], { addresses: ["198.51.100.10", "198.51.100.11"] }],
    [["198.51.100.11"], { addresses: ["198.51.100.11"], despite: null }],
    [
      ["198.51.100.11", "198.51.100.12", "2001:db8::1", "2001:db8::2"],
      { addresses: ["198.51.100.11", "2001:db8::1", "198.51.100.12", "2001:db8::2"] },
    ],
    [["10.0.0.1", "198.51.100.11"], { addresses: ["198.51.100.11"] }],
    [["10.0.0.1"], { failed: "private-address" }],
    [["192.0.2.1"], { failed: "loop" }],
    [["192.0.2.1", "198.51.100.11"], { addresses: ["198.51.100.11"] }],
    [[], { failed: "name-address-mismatch" }],
  ]
  for (const [answers, expected] of table) {
    t.match(choose(permit("allowed.test"), gave(answers) as never, ways()), expected)
  }
})

t.test("choose() dials a target without a name as it stands", async (t) => {
  t.match(choose(permit(null), null, ways()), { addresses: ["198.51.100.10"] })
  t.match(choose(permit(null, "10.0.0.1"), null, ways()), { failed: "private-address" })
  t.match(choose(permit(null, "192.0.2.1"), null, ways()), { failed: "loop" })
})

t.test("choose() tells in audit mode what block mode would refuse, but never loops", async (t) => {
  const named = permit("allowed.test")
  t.match(choose(named, gave([]) as never, audit), {
    addresses: ["198.51.100.10"],
    despite: "name-address-mismatch",
  })
  t.match(choose(named, gave(["10.0.0.1"]) as never, audit), {
    addresses: ["10.0.0.1"],
    despite: "private-address",
  })
  t.match(choose(permit(null, "192.0.2.1"), null, audit), { failed: "loop" })
  t.match(choose(named, gave([], "upstream-failed") as never, audit), {
    failed: "upstream-failed",
  })
})

t.test("choose() tries no more addresses than a few", async (t) => {
  const many = Array.from({ length: 100 }, (_, index) => `198.51.100.${index + 20}`)
  const chosen = choose(permit("allowed.test"), gave(many) as never, ways())
  t.equal("addresses" in chosen ? chosen.addresses.length : 0, 8)
})

t.test("dial() spends a permit once", async (t) => {
  const one = permit(null, "192.0.2.1")
  const first = await new Promise<Dialled>((resolve) => dial(one, [], ways(), resolve))
  t.match(first, { failed: "loop" })
  t.throws(() => dial(one, [], ways(), () => {}), /permit is spent/)
})

t.test("dial() says nothing after it was cancelled", async (t) => {
  const server = upstream(() => {})
  const port = await listen(server, "127.0.0.2")
  const called: Dialled[] = []
  for (const moment of [0, 1] as const) {
    const dialling = dial(permit(null, "127.0.0.2", port), [], ways(), (dialled) =>
      called.push(dialled),
    )
    if (moment === 1) await Promise.resolve()
    dialling.cancel()
  }
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.same(called, [])
  server.close()
})

t.test("dial() fails closed where the resolver does not answer", async (t) => {
  const broken = ways({ resolve: () => Promise.reject(new Error("gone")) })
  const dialled = await new Promise<Dialled>((resolve) =>
    dial(permit("allowed.test"), [], broken, resolve),
  )
  t.match(dialled, { failed: "infrastructure" })
})

t.test("dial() asks no name again whose address is known, unless nobody is there", async (t) => {
  const server = upstream(() => {})
  const port = await listen(server, "127.0.0.2")
  let asked = 0
  const asking = ways({
    resolve: () => {
      asked++
      return Promise.resolve({ addresses: ["127.0.0.9", "127.0.0.2"].map(address), reason: null })
    },
  })
  const known = [name("other.test"), name("allowed.test")]
  for (const [target, names, questions] of [
    ["127.0.0.2", known, 0],
    ["127.0.0.2", [name("other.test")], 1],
    ["127.0.0.9", known, 1],
  ] as const) {
    asked = 0
    const dialled = await new Promise<Dialled>((resolve) =>
      dial(permit("allowed.test", target, port), names, asking, resolve),
    )
    t.match(dialled, { endpoint: { address: "127.0.0.2", port } }, target)
    t.equal(asked, questions, `${target} of ${names.join(", ")}`)
    if ("side" in dialled) dialled.side.socket.destroy()
  }
  const nobody = ways({ resolve: () => Promise.reject(new Error("gone")) })
  const failed = await new Promise<Dialled>((resolve) =>
    dial(permit("allowed.test", "127.0.0.9", port), known, nobody, resolve),
  )
  t.match(failed, { failed: "upstream-failed", detail: `ECONNREFUSED at 127.0.0.9:${port}.` })
  server.close()
})
