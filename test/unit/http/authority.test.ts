import t from "tap"
import * as fc from "fast-check"
import { authorityOf, printAuthority, pathOf, sameAuthority } from "../../../http/authority.ts"
import { canonicalPath } from "../../../policies/path.ts"

t.test("authorityOf() reads a host or an address, and a port", async (t) => {
  t.match(authorityOf("Allowed.Test:8080"), { host: "allowed.test", address: null, port: 8080 })
  t.match(authorityOf("198.51.100.1"), { host: null, address: "198.51.100.1", port: null })
  t.match(authorityOf("[2001:DB8::1]:1"), { host: null, address: "2001:db8::1", port: 1 })
  for (const text of [
    "",
    "a@b",
    "a:0",
    "a:99999",
    "a,b",
    "a b",
    "[::1",
    "[1.2.3.4]",
    "a/b",
    "a:",
  ]) {
    t.equal(authorityOf(text), null, text)
    t.equal(authorityOf(text), null, `${text}, once more`)
  }
})

t.test("printAuthority() and authorityOf() are each other's reverse", async (t) => {
  for (const text of ["allowed.test", "allowed.test:444", "[2001:db8::1]:444", "198.51.100.1"]) {
    const authority = authorityOf(text)
    t.equal(authority === null ? null : printAuthority(authority), text)
  }
})

t.test("sameAuthority() takes a port that is not named for the default one", async (t) => {
  const [plain, named, other] = ["a.test", "a.test:443", "b.test"].map(authorityOf)
  if (plain == null || named == null || other == null) throw new Error("no authority")
  t.ok(sameAuthority(plain, named, "https"))
  t.notOk(sameAuthority(plain, named, "http"))
  t.notOk(sameAuthority(plain, other, "https"))
})

t.test("pathOf() reads the encoded slash of a scoped package, and no other", async (t) => {
  const table: readonly (readonly [string, string | null])[] = [
    ["/@types%2fnode", "/@types/node"],
    ["/@types%2Fnode?write=true", "/@types/node"],
    ["/-/package/@types%2fnode/dist-tags", "/-/package/@types/node/dist-tags"],
    ["/npm/@a.b_c%2fd.e", "/npm/@a.b_c/d.e"],
    ["/types%2fnode", null],
    ["/@types%2fnode%2fpath", null],
    ["/@types%2f", null],
    ["/@types%2f/node", null],
    ["/@%2fnode", null],
    ["/@types%2f..", null],
    ["/@types%2f.%2e/evil", null],
    ["/@types%2f%2e%2e/evil", null],
    ["/@..%2fevil", null],
    ["/@types%252fnode", null],
    ["/@types%5cnode", null],
    ["/a/..%2f@types%2fnode", null],
    ["/x@types%2fnode", null],
  ]
  for (const [target, wanted] of table) t.equal(pathOf(target), wanted, target)
  const begun = performance.now()
  pathOf(`/${"@a".repeat(4_000)}%2f`)
  pathOf("/@a%2fb".repeat(1_100))
  t.ok(performance.now() - begun < 100, "no path is slow")
})

t.test("pathOf() says what canonicalPath() does, sooner", async (t) => {
  const part = fc.constantFrom(
    "a",
    "/",
    ".",
    "..",
    "%41",
    "%2e",
    "~",
    "@",
    "-",
    "_",
    ";",
    "//",
    "b.c",
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const path = `/${parts.join("")}`
      return pathOf(path) === canonicalPath(path) && pathOf(`${path}?a=%2e`) === canonicalPath(path)
    }),
    { numRuns: 2_000 },
  )
  t.equal(pathOf("/%252e"), null)
  t.equal(pathOf(`/${"a".repeat(9_000)}`), null, "an over-long one")
  const begun = performance.now()
  pathOf(`${"/a".repeat(30_000)}%`)
  t.ok(performance.now() - begun < 100)
})
