import t from "tap"
import type { Hostname } from "../../../net/hostname.ts"
import type { Address } from "../../../net/address.ts"
import { blockIndex, blocksFind } from "../../../policies/block-index.ts"
import { nameIndex, namesFind } from "../../../policies/name-index.ts"
import { parsePolicy } from "../../../policies/parse.ts"
import { policyLengthMax } from "../../../policies/yaml-reader.ts"

const parse = (text: string) =>
  parsePolicy(text, { source: "sluice.yml", environment: {}, presets: new Map() })

void t.test("parsePolicy() refuses what is nested, at once", async (t) => {
  const size = policyLengthMax - 10
  const table = ["[", "{a: ", "- ", "? ", "! ", "&a ", "[\n", "-\t"]
  for (const part of table) {
    const start = performance.now()
    const { problems } = parse(`allow: ${part.repeat(Math.floor(size / part.length))}`)
    t.equal(problems?.length, 1, part)
    t.match(problems?.[0]?.message, /nested too deeply/, part)
    t.ok(performance.now() - start < 2000, part)
  }
})

void t.test("parsePolicy() bears brackets and marks that are no nesting", async (t) => {
  const smileys = `# ${":-] ".repeat(200)}\n`
  const lines = "  - { to: a.test } # [x]\n".repeat(500)
  t.equal(parse(`${smileys}allow:\n${lines}`).policy?.rules.length, 500)
  t.equal(parse(`allow:\n  - a.test # ${"--- ".repeat(20)}\n`).policy?.rules.length, 1)
})

void t.test("parsePolicy() gives any number of problems without a fault of its own", async (t) => {
  const keys = Array.from({ length: 130_000 }, (_, index) => `k${index}: 1`).join("\n")
  t.equal(parse(keys).problems?.length, 130_000)
  t.equal(parse(`${keys}\n\t"`).problems?.at(-1)?.message.startsWith("Cannot read YAML"), true)
})

void t.test(
  "parsePolicy() takes a label over a wildcard of the Public Suffix List for wide",
  async (t) => {
    const wide = ["*.ck", "**.ck", "*.*.ck", "**.compute.amazonaws.com", "*.kawasaki.jp", "*.*.uk"]
    for (const pattern of wide) {
      t.match(parse(`allow: ["${pattern}"]`).problems?.[0]?.message, /wide: true/, pattern)
    }
    for (const pattern of ["*.www.ck", "*.city.kawasaki.jp", "*.example.com", "*.a.b.ck"]) {
      t.equal(parse(`allow: ["${pattern}"]`).policy?.rules.length, 1, pattern)
    }
  },
)

void t.test(
  "an index finds more rules at one place than a call has room for arguments",
  async (t) => {
    const many = 200_000
    const names = Array.from({ length: many }, () => [{ pattern: "a.test" }, 1] as const)
    t.equal(namesFind(nameIndex(names), "a.test" as Hostname).length, many)
    const prefix = { address: "203.0.113.0" as Address, length: 24 }
    const blocks = Array.from({ length: many }, () => [prefix, 1] as const)
    t.equal(blocksFind(blockIndex(blocks), "203.0.113.7" as Address).length, many)
  },
)
