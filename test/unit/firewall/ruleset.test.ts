/** The ruleset as text; test/lab/ruleset.test.ts loads it into a kernel. */
import t from "tap"
import { namedDoors, packetRules } from "../../../firewall/packets.ts"
import { gateRuleset, jobRuleset, machineRuleset } from "../../../firewall/ruleset.ts"
import type { Share } from "../../../firewall/ruleset.ts"
import { link, type RunScope } from "../../../firewall/scope.ts"
import { parsePolicy } from "../../../policies/parse.ts"

const job = link(["net0", "job0"], Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), [])
const uplink = link(["up0", "slu1"], Uint8Array.of(9, 8, 7, 6, 5, 4, 3, 2), [])
const scope: RunScope = { job, uplink, gatePort: 15_001, resolverPort: 15_053 }

function share(mode: "audit" | "block", text: string): Share {
  const { policy } = parsePolicy(text, { source: "p", environment: {}, presets: new Map() })
  if (policy === null) throw new Error(text)
  return { mode, rules: packetRules(policy), doors: namedDoors(policy) }
}

const rules = `
allow: ["198.51.100.0/24:123/udp", "ntp.test:123/udp", "icmp://ping.test"]
deny: ["198.51.100.66:123/udp"]
`

/** The lines of one chain. */
function chain(text: string, name: string): string[] {
  const start = text.indexOf(`  chain ${name} {`)
  const lines = text.slice(start, text.indexOf("\n  }", start)).split("\n").slice(1)
  return lines.map((line) => line.trim())
}

t.test("every filter chain of both tables drops what no rule names", (t) => {
  for (const mode of ["block", "audit"] as const) {
    const gate = gateRuleset(scope, share(mode, rules))
    const jobs = jobRuleset(scope, share(mode, rules))
    for (const [text, name] of [
      [gate, "input"],
      [gate, "forward"],
      [gate, "output"],
      [jobs, "output"],
    ] as const) {
      t.match(chain(text, name)[0], /^type filter hook \w+ priority 0; policy drop;$/, name)
    }
  }
  t.end()
})

t.test("deny stands before allow, in both tables", (t) => {
  for (const text of [
    gateRuleset(scope, share("block", rules)),
    jobRuleset(scope, share("block", rules)),
  ]) {
    const deny = text.indexOf("ip daddr 198.51.100.66 udp dport 123 goto refused")
    const allow = text.indexOf("ip daddr 198.51.100.0/24 udp dport 123 goto passed")
    const named = text.indexOf("ip daddr @udp_123_123_4 udp dport 123 goto passed")
    t.ok(deny > 0 && deny < allow && allow < named)
  }
  t.end()
})

t.test("no TCP and no question is ever forwarded by the kernel, not even in audit mode", (t) => {
  for (const mode of ["block", "audit"] as const) {
    const text = gateRuleset(scope, share(mode, rules))
    const forward = chain(text, "forward")
    const tcp = forward.indexOf("meta l4proto tcp goto unforwarded")
    const dns = forward.indexOf("udp dport 53 goto unforwarded")
    const first = forward.findIndex((line) => line.includes("goto passed"))
    t.ok(tcp > 0 && tcp < first && dns > 0 && dns < first)
    t.notOk(chain(text, "unforwarded").some((line) => /\baccept\b/.test(line)))
  }
  t.end()
})

t.test("only audit mode lets a refused packet pass", (t) => {
  const block = gateRuleset(scope, share("block", rules))
  const reset = "meta l4proto tcp reject with tcp reset"
  t.strictSame(chain(block, "end_refused"), [reset, "reject with icmpx admin-prohibited"])
  const audit = gateRuleset(scope, share("audit", rules))
  t.strictSame(chain(audit, "end_refused"), [reset, 'oifname "up0" accept'])
  t.end()
})

t.test("a packet with a foreign source never gets as far as the gate", (t) => {
  const lines = chain(gateRuleset(scope, share("block", "")), "capture")
  const tproxy = lines.findIndex((line) => line.includes("tproxy"))
  t.ok(lines.indexOf(`ip saddr != ${job.inner.four} drop`) < tproxy)
  t.ok(lines.indexOf(`ip6 saddr != { ${job.inner.six}, fe80::/10 } drop`) < tproxy)
  t.not(lines.indexOf(`ip saddr != ${job.inner.four} drop`), -1)
  t.end()
})

t.test("a run without rules for packets names no way up", (t) => {
  const text = gateRuleset({ ...scope, uplink: null }, share("block", ""))
  t.notMatch(text, "up0")
  t.match(chain(text, "passed").at(-1), "accept")
  t.notOk(chain(text, "forward").some((line) => line.includes("goto passed")))
  t.end()
})

t.test("each table is replaced whole, in one transaction", (t) => {
  for (const [text, table] of [
    [gateRuleset(scope, share("block", rules)), "sluice"],
    [jobRuleset(scope, share("block", rules)), "sluice"],
    [machineRuleset("sluice-x", uplink, []), "sluice-x"],
  ] as const) {
    t.ok(text.startsWith(`table inet ${table}\ndelete table inet ${table}\ntable inet ${table} {`))
  }
  t.end()
})

t.test("a machine that forwarded nothing does so for nobody but us", (t) => {
  const drop = (family: string): string =>
    `meta nfproto ${family} iifname != "slu*" oifname != "slu*" drop`
  t.strictSame(chain(machineRuleset("x", uplink, ["ipv6"]), "forward").slice(1), [drop("ipv6")])
  t.strictSame(chain(machineRuleset("x", uplink, []), "forward").slice(1), [])
  t.end()
})
