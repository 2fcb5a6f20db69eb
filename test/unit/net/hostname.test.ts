import t from "tap"
import { fc } from "../../property.ts"
import {
  covers,
  hostnameFromLabels,
  labels,
  parseHostname,
  parsePattern,
} from "../../../net/hostname.ts"
import type { Hostname } from "../../../net/hostname.ts"

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

void t.test("parseHostname() gives canonical labels", async (t) => {
  const table: [string, string | null][] = [
    ["github.com", "github.com"],
    ["GitHub.COM.", "github.com"],
    ["github.com..", null],
    [".", null],
    ["", null],
    [".com", null],
    ["a..b", null],
    ["localhost", "localhost"],
    ["_dmarc.example.com", "_dmarc.example.com"],
    ["r3---sn-abc.example.com", "r3---sn-abc.example.com"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["BÜCHER。example", "xn--bcher-kva.example"],
    ["ｇｉｔｈｕｂ．ｃｏｍ", "github.com"],
    ["１２７.1", null],
    ["①②⑦.1", null],
    ["git\u00adhub.com", null],
    ["git\u200bhub.com", null],
    ["github.com\u0000.evil.test", null],
    ["github.com\n", null],
    ["git hub.com", null],
    ["git%68ub.com", null],
    ["ü%2e.com", null],
    ["ü％2e.com", null],
    ["ü／.com", null],
    ["ü/.com", null],
    ["ü:1.com", null],
    ["github.com:443", null],
    ["user@github.com", null],
    ["127.1", null],
    ["0x7f.1", null],
    ["2130706433", null],
    ["1.2.3.4", null],
    ["example.0x7f", null],
    ["1.2.3.4.", null],
    ["4.3.2.1.in-addr.arpa", "4.3.2.1.in-addr.arpa"],
    ["0x7f.example", "0x7f.example"],
    ["*.example.com", null],
    [`${"a".repeat(63)}.example`, `${"a".repeat(63)}.example`],
    [`${"a".repeat(64)}.example`, null],
    [`${"a.".repeat(126)}a`, `${"a.".repeat(126)}a`],
    [`${"a.".repeat(126)}aa`, null],
    ["ü".repeat(2000), null],
  ]
  for (const [text, wanted] of table) t.equal(parseHostname(text), wanted, JSON.stringify(text))
})

void t.test("parseHostname() of its own answer is that answer", async (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.domain(), fc.string({ unit: "binary", maxLength: 20 })), (text) => {
      const name = parseHostname(text)
      return name === null || (parseHostname(name) === name && /^[a-z0-9_.-]+$/.test(name))
    }),
  )
  t.pass()
})

void t.test("hostnameFromLabels() refuses a dot or NUL inside a label", async (t) => {
  t.equal(hostnameFromLabels([encode("WWW"), encode("example"), encode("com")]), "www.example.com")
  t.equal(hostnameFromLabels([encode("www.example"), encode("com")]), null)
  t.equal(hostnameFromLabels([encode("www\0"), encode("com")]), null)
  t.equal(hostnameFromLabels([Uint8Array.of(0xc3, 0xbc), encode("com")]), null)
  t.equal(hostnameFromLabels([encode(""), encode("com")]), null)
  t.equal(hostnameFromLabels([encode("a".repeat(64))]), null)
  t.equal(hostnameFromLabels([encode("127"), encode("1")]), null)
  t.equal(hostnameFromLabels([encode("a b"), encode("com")]), null)
  t.equal(hostnameFromLabels([]), null)
  t.equal(hostnameFromLabels(Array.from({ length: 200 }, () => encode("ab"))), null)
})

void t.test("covers() counts labels and never crosses a dot", async (t) => {
  const table: [string, string, boolean][] = [
    ["github.com", "github.com", true],
    ["github.com", "api.github.com", false],
    ["*.github.com", "api.github.com", true],
    ["*.github.com", "github.com", false],
    ["*.github.com", "a.b.github.com", false],
    ["*.github.com", "evilgithub.com", false],
    ["**.github.com", "api.github.com", true],
    ["**.github.com", "a.b.github.com", true],
    ["**.github.com", "github.com", false],
    ["**.github.com", "evilgithub.com", false],
    ["ab*.example.com", "ab.example.com", true],
    ["ab*.example.com", "abc.example.com", true],
    ["ab*.example.com", "abc.d.example.com", false],
    ["ab*.example.com", "xab.example.com", false],
    ["a*b*c.example.com", "abc.example.com", true],
    ["a*bb*b.example.com", "abb.example.com", false],
    ["*ab.example.com", "ab.example.com", true],
    ["s3.*.example.com", "s3.eu.example.com", true],
    ["s3.*.example.com", "s3.eu.west.example.com", false],
    ["*.*.example.com", "a.b.example.com", true],
    ["*.*.example.com", "b.example.com", false],
    ["**.*.example.com", "b.example.com", false],
    ["**.*.example.com", "a.b.example.com", true],
    ["**", "a.b", true],
    ["*", "a.b", false],
  ]
  for (const [pattern, name, wanted] of table) {
    const parsed = parsePattern(pattern)
    const host = parseHostname(name)
    if (parsed === null || host === null) throw new Error(pattern)
    t.equal(covers(parsed, host), wanted, `${pattern} ${name}`)
  }
})

void t.test("parsePattern() keeps wildcards to where they are plain", async (t) => {
  const table: [string, string | null][] = [
    ["*.GitHub.com.", "*.github.com"],
    ["*.bücher.example", "*.xn--bcher-kva.example"],
    ["ab*.example.com", "ab*.example.com"],
    ["a**.example.com", null],
    ["***.example.com", null],
    ["www.ab*.example.com", null],
    ["www.**.example.com", null],
    ["*.1", null],
    ["*.1.com", "*.1.com"],
    ["*..com", null],
    ["*.exa mple.com", null],
    ["*.exa/mple.com", null],
    ["*:443", null],
    ["*", "*"],
    ["**", "**"],
    [`*.${"a.".repeat(126)}a`, null],
    ["ü*.example.com", null],
  ]
  for (const [text, wanted] of table) {
    t.equal(parsePattern(text)?.pattern ?? null, wanted, JSON.stringify(text))
  }
  t.same(labels("a.b.c" as Hostname), ["a", "b", "c"])
})
