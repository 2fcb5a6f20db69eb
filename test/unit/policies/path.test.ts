import t from "tap"
import { fc } from "../../property.ts"
import { pathIndex, pathsFind } from "../../../policies/path-index.ts"
import { canonicalPath, coversPath, fitsPath, scopedPath } from "../../../policies/path.ts"
import type { Rule } from "../../../policies/policy.ts"

void t.test("canonicalPath() gives one spelling, or none where two could be read", async (t) => {
  const table: [string, string | null][] = [
    ["/", "/"],
    ["/a/b", "/a/b"],
    ["/%61%7E%41-_", "/a~A-_"],
    ["/%c3%bc", "/%C3%BC"],
    ["/a%20b", "/a%20b"],
    ["/a;x=1/b", "/a;x=1/b"],
    ["/a//b/", "/a//b/"],
    ["/...", "/..."],
    ["/a.b", "/a.b"],
    ["/%25", "/%25"],
    ["", null],
    ["a", null],
    ["*", null],
    ["/..", null],
    ["/a/../b", null],
    ["/./a", null],
    ["/a/..;x/b", null],
    ["/%2e%2e/a", null],
    ["/%2E", null],
    ["/a%2fb", null],
    ["/a%5Cb", null],
    ["/a\\b", null],
    ["/a%00", null],
    ["/a%zz", null],
    ["/a%", null],
    ["/a?b", null],
    ["/a#b", null],
    ["/a b", null],
    ["/a\nb", null],
    ["/ü", null],
    [`/${"a".repeat(8192)}`, null],
  ]
  for (const [text, wanted] of table) t.equal(canonicalPath(text), wanted, JSON.stringify(text))
})

void t.test("scopedPath() reads the encoded slash of a scoped package, and no other", async (t) => {
  const table: [string, string][] = [
    ["/@types%2fnode", "/@types/node"],
    ["/@types%2Fnode/-/x", "/@types/node/-/x"],
    ["/types%2fnode", "/types%2fnode"],
    ["/@types%2f..", "/@types%2f.."],
    ["/@types%2f", "/@types%2f"],
    ["/@types%252fnode", "/@types%252fnode"],
    ["/@types/node", "/@types/node"],
  ]
  for (const [text, wanted] of table) t.equal(scopedPath(text), wanted, text)
})

void t.test("coversPath() keeps * within a segment and lets ** span any number", async (t) => {
  const table: [string, string, boolean][] = [
    ["/**", "/", true],
    ["/**", "/a/b", true],
    ["/a/**", "/a", true],
    ["/a/**", "/a/", true],
    ["/a/**", "/a/b/c", true],
    ["/a/**", "/ab", false],
    ["/a/*", "/a", false],
    ["/a/*", "/a/b", true],
    ["/a/*", "/a/b/c", false],
    ["/a/*/c", "/a/b/c", true],
    ["/a/**/c", "/a/c", true],
    ["/a/**/c", "/a/b/b/c", true],
    ["/a/**/c", "/a/b/b/d", false],
    ["/**/b/**/d", "/a/b/c/d", true],
    ["/**/b/**/d", "/b/d", true],
    ["/**/b/**/d", "/d/b", false],
    ["/a*c", "/abc", true],
    ["/a*c", "/a/c", false],
    ["/a", "/a/", false],
    ["/a", "/A", false],
  ]
  for (const [pattern, path, wanted] of table) {
    t.equal(coversPath(pattern, path), wanted, `${pattern} ${path}`)
  }
  const began = Date.now()
  coversPath(`/${"**/a/".repeat(200)}b`, `/${"a/".repeat(2000)}c`)
  t.ok(Date.now() - began < 1000, "no pattern is slow")
})

void t.test(
  "fitsPath() allows what fits in both readings, denies what fits in either",
  async (t) => {
    const table: [string, string, boolean, boolean][] = [
      ["/a/**", "/a/b", true, true],
      ["/a/**", "/a;x/b", false, true],
      ["/a/**", "//a/b", false, true],
      ["/*/b", "/a;x/b", true, true],
      ["/a;x/b", "/a;x/b", true, true],
      ["/a;x/b", "/a/b", false, false],
      ["/a/b", "/a/b;x", false, true],
      ["/a/b", "/a/b/", false, true],
      ["/a/b/", "/a/b/", true, true],
      ["/a/**", "/c;/a/b", false, false],
      ["/**", "/a;b//c", true, true],
    ]
    for (const [pattern, path, allow, deny] of table) {
      t.equal(fitsPath(pattern, path, "allow"), allow, `allow ${pattern} ${path}`)
      t.equal(fitsPath(pattern, path, "deny"), deny, `deny ${pattern} ${path}`)
    }
  },
)

void t.test("pathsFind() finds every rule that fits", async (t) => {
  const segment = fc.constantFrom("a", "b", "ab", "a;x", "", "c")
  const path = fc
    .array(segment, { minLength: 1, maxLength: 5 })
    .map((parts) => `/${parts.join("/")}`)
  const pattern = fc
    .array(fc.oneof(segment, fc.constantFrom("*", "**", "a*", "*b")), {
      minLength: 1,
      maxLength: 5,
    })
    .map((parts) => `/${parts.join("/")}`)
  const rules = fc.array(fc.tuple(pattern, fc.constantFrom("allow", "deny")), { maxLength: 12 })
  fc.assert(
    fc.property(rules, path, (written, wanted) => {
      const all = written.map(([path, effect]) => {
        return { effect, target: { kind: "request", path } } as unknown as Rule
      })
      const found = new Set(pathsFind(pathIndex(all), wanted))
      return all.every((rule) => {
        const own = rule.target.kind === "request" ? rule.target.path : ""
        return found.has(rule) || !fitsPath(own, wanted, rule.effect)
      })
    }),
    { numRuns: 2000, seed: 1 },
  )
  const deep = pathIndex([
    { target: { kind: "request", path: `/${"**/a/".repeat(300)}b` } } as unknown as Rule,
  ])
  const began = Date.now()
  pathsFind(deep, `/${"a/".repeat(2000)}c`)
  t.ok(Date.now() - began < 3000, "no pattern is slow")
})
