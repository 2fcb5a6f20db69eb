import t from "tap"
import { parsePattern } from "../../../net/hostname.ts"
import { reachesInto, tenantSuffixes, widthOf } from "../../../policies/suffixes.ts"

void t.test("widthOf() finds the suffix that anyone can register under", async (t) => {
  const table: [string, string | null][] = [
    ["*.com", "public com"],
    ["**.co.uk", "public co.uk"],
    ["ab*.com", "public com"],
    ["*", "public "],
    ["*.blob.core.windows.net", "tenant blob.core.windows.net"],
    ["**.blob.core.windows.net", "tenant blob.core.windows.net"],
    ["ab*.blob.core.windows.net", "tenant blob.core.windows.net"],
    ["productionresultssa*.blob.core.windows.net", null],
    ["*.s3.amazonaws.com", "tenant s3.amazonaws.com"],
    ["*.s3.eu-west-1.amazonaws.com", "tenant s3.eu-west-1.amazonaws.com"],
    ["*.s3-eu-west-1.amazonaws.com", "tenant s3-eu-west-1.amazonaws.com"],
    ["*.workers.dev", "tenant workers.dev"],
    ["*.github.io", "tenant github.io"],
    ["*.githubusercontent.com", null],
    ["*.googleapis.com", null],
    ["*.example.com", null],
    ["*.me.github.io", null],
    ["*.internal", null],
    ["github.io", null],
  ]
  for (const [text, wanted] of table) {
    const pattern = parsePattern(text)
    const width = pattern === null ? null : widthOf(pattern)
    t.equal(width === null ? null : `${width.kind} ${width.suffix}`, wanted, text)
  }
})

void t.test("reachesInto() finds a tenant suffix below a deep wildcard", async (t) => {
  t.equal(reachesInto({ pattern: "**.windows.net" })?.suffix, "blob.core.windows.net")
  t.equal(reachesInto({ pattern: "*.windows.net" }), null)
  t.equal(reachesInto({ pattern: "**.example.com" }), null)
})

void t.test("every tenant suffix has a source", async (t) => {
  t.ok(tenantSuffixes.every(({ source }) => source.startsWith("https://")))
  t.equal(new Set(tenantSuffixes.map(({ suffix }) => suffix)).size, tenantSuffixes.length)
})
