import t from "tap"
import { parseAddress } from "../../../net/address.ts"
import { parseHostname } from "../../../net/hostname.ts"
import type { Address } from "../../../net/address.ts"
import type { Hostname } from "../../../net/hostname.ts"
import { compile } from "../../../policies/compile.ts"
import type { Compiled } from "../../../policies/compile.ts"
import {
  allowsAddress,
  decideName,
  kernelEntries,
  kernelRules,
  mayResolveTo,
  needsKernel,
  subtract,
} from "../../../policies/decide-name.ts"
import { parsePolicy } from "../../../policies/parse.ts"

const compiled = (text: string): Compiled => {
  const { policy } = parsePolicy(text, { source: "p", environment: {}, presets: new Map() })
  if (policy === null) throw new Error(text)
  return compile(policy)
}
const name = (text: string): Hostname => parseHostname(text) ?? ("" as Hostname)
const at = (text: string): Address => parseAddress(text) ?? ("" as Address)

void t.test("decideName() allows a name to which some connection could be allowed", async (t) => {
  const policy = compiled(`
allow:
  - whole.test
  - ssh.test:22
  - "*.wild.test"
  - https://request.test/a/**
  - GET https://half.test/**
  - time.test:123/udp
  - icmp://ping.test
  - icmp://noping.test
  - shadowed.test
  - split.test:1-100
  - {to: scoped.test, by: curl}
  - {to: step.test, step: deploy}
  - 203.0.113.1:443
deny:
  - gist.wild.test
  - shadowed.test:*
  - split.test:1-50
  - split.test:51-100
  - https://request.test/b/**
  - GET,PUT https://half.test/**
  - icmp://noping.test
  - never.test
  - {to: whole.test, by: nc}
`)
  const table: [string, string][] = [
    ["whole.test", "deny denied-by-rule"],
    ["ssh.test", "allow allowed-by-rule"],
    ["a.wild.test", "allow allowed-by-rule"],
    ["a.b.wild.test", "deny name-not-allowed"],
    ["gist.wild.test", "deny denied-by-rule"],
    ["request.test", "allow allowed-by-rule"],
    ["half.test", "deny denied-by-rule"],
    ["time.test", "allow allowed-by-rule"],
    ["ping.test", "allow allowed-by-rule"],
    ["noping.test", "deny denied-by-rule"],
    ["shadowed.test", "deny denied-by-rule"],
    ["split.test", "deny denied-by-rule"],
    ["never.test", "deny denied-by-rule"],
    ["scoped.test", "deny process-not-allowed"],
    ["step.test", "deny step-not-allowed"],
    ["evil.test", "deny name-not-allowed"],
    ["test", "deny name-not-allowed"],
  ]
  for (const [wanted, said] of table) {
    const verdict = decideName(policy, { name: name(wanted), type: "A", process: null, step: null })
    t.equal(`${verdict.decision} ${verdict.reason}`, said, wanted)
  }
  const curl = { pid: 1, executable: "/usr/bin/curl", arguments: [], ancestors: [] }
  const asked = { type: "A", process: curl, step: "deploy" }
  for (const wanted of ["scoped.test", "step.test", "whole.test"]) {
    t.equal(decideName(policy, { ...asked, name: name(wanted) }).decision, "allow", wanted)
  }
})

void t.test("mayResolveTo() keeps private addresses to names and rules that say so", async (t) => {
  const policy = compiled(`
allow: [db.test:5432, evil.test, 10.1.2.0/24:5432, 169.254.169.254:80]
resolve-private: ["*.internal.test", db.test]
`)
  const table: [string, string, boolean][] = [
    ["evil.test", "203.0.113.5", true],
    ["evil.test", "10.9.9.9", false],
    ["evil.test", "10.1.2.3", true],
    ["evil.test", "127.0.0.1", false],
    ["evil.test", "::ffff:10.9.9.9", false],
    ["evil.test", "64:ff9b::a09:909", false],
    ["evil.test", "169.254.169.254", true],
    ["db.test", "10.9.9.9", true],
    ["db.test", "fd00::1", true],
    ["db.test", "100.64.0.1", true],
    ["db.test", "127.0.0.1", false],
    ["db.test", "169.254.170.2", false],
    ["a.internal.test", "192.168.1.1", true],
    ["a.b.internal.test", "192.168.1.1", false],
  ]
  for (const [wanted, address, may] of table) {
    t.equal(mayResolveTo(policy, name(wanted), at(address)), may, `${wanted} ${address}`)
  }
  t.equal(allowsAddress(policy, at("10.1.2.3")), true)
  t.equal(allowsAddress(policy, at("10.1.3.3")), false)
  t.equal(allowsAddress(compiled("deny: [10.0.0.1]"), at("10.0.0.1")), false)
})

void t.test("kernelEntries() gives the ports of a name that no deny rule takes away", async (t) => {
  const policy = compiled(`
allow: ["time.test:100-200/udp", "*.test:123/udp", "icmp://time.test", "time.test:443"]
deny: ["time.test:150/udp", "icmp://b.test"]
`)
  t.same(kernelEntries(policy, name("time.test")), [
    { transport: "udp", ports: { first: 100, last: 149 } },
    { transport: "udp", ports: { first: 151, last: 200 } },
    { transport: "icmp", ports: null },
    { transport: "udp", ports: { first: 123, last: 123 } },
  ])
  t.same(kernelEntries(policy, name("b.test")), [
    { transport: "udp", ports: { first: 123, last: 123 } },
  ])
  t.same(kernelEntries(policy, name("evil.example")), [])
  t.equal(needsKernel(policy), true)
  t.equal(needsKernel(compiled("allow: [a.test]\ndeny: ['a.test/udp']")), false)
})

void t.test("kernelRules() gives the rules over addresses that the kernel applies", async (t) => {
  const policy = compiled(`
allow: ["10.0.0.0/8:53/udp", "icmp://2001:db8::/32", "10.0.0.1:443", "a.test/udp"]
deny: ["10.0.0.66:*/udp"]
`)
  t.same(kernelRules(policy), [
    {
      effect: "allow",
      transport: "udp",
      prefix: { address: "10.0.0.0", length: 8 },
      ports: { first: 53, last: 53 },
    },
    {
      effect: "allow",
      transport: "icmp",
      prefix: { address: "2001:db8::", length: 32 },
      ports: null,
    },
    {
      effect: "deny",
      transport: "udp",
      prefix: { address: "10.0.0.66", length: 32 },
      ports: { first: 1, last: 65_535 },
    },
  ])
})

void t.test("subtract() leaves what is not taken", async (t) => {
  const ports = (first: number, last: number): { first: number; last: number } => ({ first, last })
  t.same(subtract(ports(1, 9), []), [ports(1, 9)])
  t.same(subtract(ports(1, 9), [ports(1, 9)]), [])
  t.same(subtract(ports(1, 9), [ports(5, 6), ports(2, 3)]), [ports(1, 1), ports(4, 4), ports(7, 9)])
  t.same(subtract(ports(1, 9), [ports(8, 20), ports(2, 8)]), [ports(1, 1)])
  t.same(subtract(ports(5, 9), [ports(1, 2), ports(10, 11)]), [ports(5, 9)])
})

void t.test(
  "kernelEntries() and kernelRules() open nothing for a rule with a condition",
  async (t) => {
    const { policy } = compiled(`allow: ["a.test:53/udp", "10.0.0.0/8:53/udp", "icmp://a.test"]
deny: ["10.0.0.1:53/udp"]`)
    // Why: the parser refuses such rules; a policy that came as JSON must not be trusted more.
    const rules = policy.rules.map((rule) => ({ ...rule, by: "dig" }))
    const conditional = compile({ ...policy, rules })
    t.same(kernelEntries(conditional, name("a.test")), [])
    t.match(kernelRules(conditional), [{ effect: "deny", prefix: { address: "10.0.0.1" } }])
  },
)
