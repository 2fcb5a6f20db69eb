import t from "tap"
import { fc } from "../../property.ts"
import { contains, parseAddress, prefixOf } from "../../../net/address.ts"
import { covers, parseHostname, parsePattern } from "../../../net/hostname.ts"
import type { Address } from "../../../net/address.ts"
import type { Hostname, Pattern } from "../../../net/hostname.ts"
import type { Flow } from "../../../flows/flow.ts"
import { blockIndex, blocksFind } from "../../../policies/block-index.ts"
import { compile } from "../../../policies/compile.ts"
import { decide } from "../../../policies/decide.ts"
import { decideName } from "../../../policies/decide-name.ts"
import { nameIndex, namesFind } from "../../../policies/name-index.ts"
import { parsePolicy } from "../../../policies/parse.ts"
import { overlap } from "../../../policies/rule.ts"

const label = fc.constantFrom("a", "b", "ab", "abc", "*", "a*", "*b", "a*c")
const pattern = fc
  .tuple(fc.constantFrom("", "**."), fc.array(label, { minLength: 1, maxLength: 4 }))
  .map(([deep, labels]) => parsePattern(deep + labels.join(".")))
  .filter((one): one is Pattern => one !== null)
const name = fc
  .array(fc.constantFrom("a", "b", "ab", "abc", "ac"), { minLength: 1, maxLength: 5 })
  .map((labels) => labels.join(".") as Hostname)

void t.test("namesFind() finds what a look at each pattern finds", async (t) => {
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 20 }), name, (patterns, wanted) => {
      const index = nameIndex(patterns.map((one, at) => [one, at] as const))
      const slow = patterns.flatMap((one, at) => (covers(one, wanted) ? [at] : []))
      return (
        namesFind(index, wanted)
          .toSorted((a, b) => a - b)
          .join() === slow.join()
      )
    }),
    { numRuns: 500, seed: 1 },
  )
  t.pass()
})

void t.test("blocksFind() finds what a look at each block finds", async (t) => {
  const address = fc
    .oneof(
      fc.constantFrom("10.0.0.1", "10.0.0.2", "10.1.0.1", "::1", "2001:db8::1"),
      fc.ipV4(),
      fc.ipV6(),
    )
    .map((text) => parseAddress(text))
    .filter((one): one is Address => one !== null)
  const block = fc
    .tuple(address, fc.nat(128))
    .map(([one, length]) => prefixOf(one, Math.min(length, one.includes(":") ? 128 : 32)))
  fc.assert(
    fc.property(fc.array(block, { maxLength: 20 }), address, (blocks, wanted) => {
      const index = blockIndex(blocks.map((one, at) => [one, at] as const))
      const slow = blocks.flatMap((one, at) => (contains(one, wanted) ? [at] : []))
      return (
        blocksFind(index, wanted)
          .toSorted((a, b) => a - b)
          .join() === slow.join()
      )
    }),
    { numRuns: 500, seed: 2 },
  )
  t.pass()
})

void t.test("overlap() is true where some name is covered by both", async (t) => {
  fc.assert(
    fc.property(pattern, pattern, name, (one, other, wanted) => {
      return !(covers(one, wanted) && covers(other, wanted)) || overlap(one, other)
    }),
    { numRuns: 2000, seed: 3 },
  )
  const apart: [string, string][] = [
    ["a.test", "b.test"],
    ["*.a.test", "a.test"],
    ["*.a.test", "b.c.a.test"],
    ["a*.test", "b*.test"],
    ["**.a.test", "a.test"],
  ]
  for (const [one, other] of apart) t.notOk(overlap({ pattern: one }, { pattern: other }), one)
})

void t.test(
  "a request over 10,000 request rules for one host costs what one over 10 costs",
  async (t) => {
    const many = (rules: number): ReturnType<typeof compile> => {
      const allow = Array.from(
        { length: rules },
        (_, at) => `GET https://api.test/repos/o/r${at}/**`,
      )
      const deny = Array.from({ length: rules }, (_, at) => `PUT https://api.test/*/x${at}/**`)
      const { policy } = parsePolicy(JSON.stringify({ allow, deny }), {
        source: "p",
        environment: {},
        presets: new Map(),
      })
      if (policy === null) throw new Error("policy")
      return compile(policy)
    }
    const host = "api.test" as Hostname
    const flow: Flow = {
      id: "f",
      openedAtMs: 0,
      transport: "tcp",
      source: { address: "192.0.2.1" as Address, port: 1 },
      target: { address: "203.0.113.5" as Address, port: 443 },
      names: [host],
      process: null,
      step: null,
      opening: { kind: "tls", serverName: host, protocols: [], encryptedHello: false },
      request: {
        scheme: "https",
        method: "GET",
        host,
        port: 443,
        path: "/repos/o/r7/x",
        token: "none",
      },
    }
    const question = { name: host, type: "A", process: null, step: null }
    const nsOf = (policy: ReturnType<typeof compile>): number => {
      const began = process.hrtime.bigint()
      for (let round = 0; round < 500; round++) {
        decide(policy, flow)
        decideName(policy, question)
      }
      return Number(process.hrtime.bigint() - began) / 500
    }
    const policies = [many(10), many(10_000)]
    for (const policy of policies) t.match(decide(policy, flow), { decision: "allow" })
    const [few = 1, more = 1] = policies.map((policy) => {
      return Math.min(...Array.from({ length: 5 }, () => nsOf(policy)))
    })
    t.comment(`${Math.round(few)} ns over 10 rules, ${Math.round(more)} ns over 10,000`)
    t.ok(more < few * 5 + 20_000, `${few} ns, ${more} ns`)
  },
)

function policyOf(rules: number): ReturnType<typeof compile> {
  const allow = ["allowed.test", "10.0.0.0/8:5432"]
  for (let index = 0; allow.length < rules; index++) {
    allow.push(`host${index}.zone${index % 97}.test`)
    allow.push(`*.deep${index}.test:${1024 + (index % 5)}`)
    allow.push(`203.0.${(index >> 8) & 255}.${index & 255}:9000`)
    allow.push(`GET https://api${index}.test/v${index}/**`)
  }
  const { policy } = parsePolicy(JSON.stringify({ allow }), {
    source: "p",
    environment: {},
    presets: new Map(),
  })
  if (policy === null) throw new Error("policy")
  return compile(policy)
}

void t.test("a decision over 10,000 rules costs about what one over 10 costs", async (t) => {
  const allowed = parseHostname("allowed.test") ?? ("" as Hostname)
  const base: Flow = {
    id: "f",
    openedAtMs: 0,
    transport: "tcp",
    source: { address: "192.0.2.1" as Address, port: 1 },
    target: { address: "203.0.113.5" as Address, port: 443 },
    names: [allowed],
    process: null,
    step: null,
    opening: { kind: "tls", serverName: allowed, protocols: [], encryptedHello: false },
    request: null,
  }
  const question = { name: allowed, type: "A", process: null, step: null }
  const policies = [policyOf(10), policyOf(10_000)]
  const nsOf = (policy: ReturnType<typeof compile>): number => {
    const rounds = 2000
    const began = process.hrtime.bigint()
    for (let round = 0; round < rounds; round++) {
      decide(policy, base)
      decideName(policy, question)
    }
    return Number(process.hrtime.bigint() - began) / rounds
  }
  // Why: the least of several is what the machine can do; the rest is what others did to it.
  const least = (policy: ReturnType<typeof compile>): number =>
    Math.min(...Array.from({ length: 5 }, () => nsOf(policy)))
  for (const policy of policies) nsOf(policy)
  const [few = 1, many = 1] = policies.map(least)
  t.comment(`${Math.round(few)} ns over 10 rules, ${Math.round(many)} ns over 10,000`)
  t.ok(many < few * 5 + 20_000, `${few} ns, ${many} ns`)
  t.match(decide(policies[1] ?? policyOf(10), base), { decision: "allow" })
})
