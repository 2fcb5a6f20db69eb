import t from "tap"
import { parseHostname } from "../../../net/hostname.ts"
import { sharedCdn, sharedCdns } from "../../../policies/shared-cdns.ts"

void t.test("sharedCdn() knows a network by what stands below its suffix", async (t) => {
  const table: [string, string | null][] = [
    ["d111111abcdef8.cloudfront.net", "Amazon CloudFront"],
    ["dualstack.python.map.fastly.net", "Fastly"],
    ["www.example.com.edgekey.net", "Akamai"],
    ["e1234.a.akamaiedge.net", "Akamai"],
    ["www.example.com.cdn.cloudflare.net", "Cloudflare"],
    ["someone.github.io", "GitHub Pages"],
    ["*.cloudfront.net", "Amazon CloudFront"],
    ["cloudfront.net", null],
    ["www.cloudflare.net", null],
    ["evilcloudfront.net", null],
    ["cloudfront.net.evil.test", null],
    ["example.com", null],
    ["", null],
  ]
  for (const [name, operator] of table) t.equal(sharedCdn(name)?.operator ?? null, operator, name)
})

void t.test("every shared network has a name, an operator and a page", async (t) => {
  for (const { suffix, operator, source } of sharedCdns) {
    t.equal(parseHostname(suffix), suffix)
    t.match(source, /^https:\/\//)
    t.ok(operator.length > 2)
  }
  t.equal(new Set(sharedCdns.map(({ suffix }) => suffix)).size, sharedCdns.length)
})
