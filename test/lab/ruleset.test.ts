/** The rulesets in a kernel: valid, and the same when loaded twice. In a namespace of the test's own. */
import { closeSync } from "node:fs"
import { execFileSync } from "node:child_process"
import t from "tap"
import { namedDoors, packetRules } from "../../firewall/packets.ts"
import { gateRuleset, jobRuleset, machineRuleset, tableName } from "../../firewall/ruleset.ts"
import { link, type RunScope } from "../../firewall/scope.ts"
import { parsePolicy } from "../../policies/parse.ts"

function works(program: string, argv: readonly string[]): boolean {
  try {
    execFileSync(program, argv, { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

const skip = process.getuid?.() === 0 && works("nft", ["--version"]) ? false : "needs root and nft"

const texts = [
  "",
  `allow: ["198.51.100.0/24:123/udp", "[2001:db8::/32]:1-9/udp", "icmp://2001:db8::1", "icmp://198.51.100.1"]`,
  `allow: ["ntp.test:123/udp", "a.test:*/udp", "icmp://ping.test"]
deny: ["198.51.100.66:123/udp", "b.test:100-200/udp", "icmp://203.0.113.0/24"]`,
]

t.test("rulesets in a kernel", { skip }, async (t) => {
  const { createNetwork, inNetwork } = await import("../../kernel/namespace.ts")
  const { applyRuleset } = await import("../../kernel/nft.ts")
  const { runTool } = await import("../../kernel/tool.ts")
  const job = link(["net0", "job0"], Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), [])
  const up = link(["up0", "slu1"], Uint8Array.of(9, 8, 7, 6, 5, 4, 3, 2), [])
  for (const uplink of [up, null]) {
    const scope: RunScope = { job, uplink, gatePort: 15_001, resolverPort: 15_053 }
    for (const mode of ["block", "audit"] as const) {
      for (const text of texts) {
        const read = parsePolicy(text, { source: "p", environment: {}, presets: new Map() })
        if (read.policy === null) throw new Error(text)
        const share = { mode, rules: packetRules(read.policy), doors: namedDoors(read.policy) }
        for (const [table, made] of [
          [tableName, gateRuleset(scope, share)],
          [tableName, jobRuleset(scope, share)],
          ["sluice-x", machineRuleset("sluice-x", up, ["ipv4", "ipv6"])],
        ] as const) {
          const network = createNetwork()
          try {
            const list = (): string => runTool("nft", ["list", "table", "inet", table])
            const [once, twice] = inNetwork(network, () => {
              runTool("nft", ["-c", "-f", "-"], made)
              applyRuleset(made)
              const first = list()
              applyRuleset(made)
              return [first, list()]
            })
            t.equal(twice, once, `twice is once: ${mode} ${table} ${text}`)
          } finally {
            closeSync(network)
          }
        }
      }
    }
  }
})
