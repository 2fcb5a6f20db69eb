/**
 * Networks of which one address serves many customers. Who connects to one by an allowed server name
 * may ask for another customer's host inside the connection (domain fronting), and only a look inside
 * shows it: 22 of 30 such networks let it happen in 2023 (arXiv:2310.17851).
 *
 * A host is known to lie on one by the name that it is an alias for (CNAME), or by its own.
 */
import type { Hostname } from "../net/hostname.ts"

export interface SharedCdn {
  /** Names below it lead to the network. */
  readonly suffix: string
  readonly operator: string
  /** The page that says so. */
  readonly source: string
}

const cloudfront = "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/CNAMEs.html"
const fastly = "https://docs.fastly.com/en/guides/working-with-cname-records-and-your-dns-provider"
const akamai = "https://techdocs.akamai.com/property-mgr/reference/create-edge-hostnames"
const azureCdn = "https://learn.microsoft.com/azure/cdn/cdn-map-content-to-custom-domain"
const frontDoor = "https://learn.microsoft.com/azure/frontdoor/front-door-custom-domain"
const cloudflare = "https://developers.cloudflare.com/dns/zone-setups/partial-setup/"
const pages = "https://developers.cloudflare.com/pages/configuration/custom-domains/"
const githubPages =
  "https://docs.github.com/pages/configuring-a-custom-domain-for-your-github-pages-site"
const vercel = "https://vercel.com/docs/domains/working-with-domains/add-a-domain"
const netlify = "https://docs.netlify.com/manage/domains/configure-domains/configure-external-dns/"

export const sharedCdns: readonly SharedCdn[] = [
  { suffix: "cloudfront.net", operator: "Amazon CloudFront", source: cloudfront },
  { suffix: "fastly.net", operator: "Fastly", source: fastly },
  { suffix: "fastlylb.net", operator: "Fastly", source: fastly },
  { suffix: "akamaiedge.net", operator: "Akamai", source: akamai },
  { suffix: "edgekey.net", operator: "Akamai", source: akamai },
  { suffix: "edgesuite.net", operator: "Akamai", source: akamai },
  { suffix: "akamaized.net", operator: "Akamai", source: akamai },
  { suffix: "akamaihd.net", operator: "Akamai", source: akamai },
  { suffix: "akamai.net", operator: "Akamai", source: akamai },
  { suffix: "azureedge.net", operator: "Azure CDN", source: azureCdn },
  { suffix: "azurefd.net", operator: "Azure Front Door", source: frontDoor },
  { suffix: "t-msedge.net", operator: "Azure Front Door", source: frontDoor },
  { suffix: "cdn.cloudflare.net", operator: "Cloudflare", source: cloudflare },
  { suffix: "pages.dev", operator: "Cloudflare", source: pages },
  { suffix: "github.io", operator: "GitHub Pages", source: githubPages },
  { suffix: "vercel-dns.com", operator: "Vercel", source: vercel },
  { suffix: "netlify.app", operator: "Netlify", source: netlify },
  {
    suffix: "b-cdn.net",
    operator: "bunny.net",
    source: "https://support.bunny.net/hc/en-us/articles/207790279",
  },
  {
    suffix: "cdn77.org",
    operator: "CDN77",
    source: "https://client.cdn77.com/support/knowledgebase/cdn-resource",
  },
  {
    suffix: "kxcdn.com",
    operator: "KeyCDN",
    source: "https://www.keycdn.com/support/create-a-zone-alias",
  },
  {
    suffix: "gcdn.co",
    operator: "Gcore",
    source: "https://gcore.com/docs/cdn/getting-started",
  },
  {
    suffix: "cachefly.net",
    operator: "CacheFly",
    source: "https://portal.cachefly.com/support",
  },
  {
    suffix: "incapdns.net",
    operator: "Imperva",
    source: "https://docs.imperva.com/bundle/cloud-application-security/page/onboarding.htm",
  },
  {
    suffix: "edgecastcdn.net",
    operator: "Edgecast",
    source: "https://docs.edgecast.com/cdn/Content/Origin_Server_-_File_Storage/",
  },
]

const bySuffix: ReadonlyMap<string, SharedCdn> = new Map(sharedCdns.map((cdn) => [cdn.suffix, cdn]))

/** The network that a name leads to; null: none that is known. */
export function sharedCdn(name: Hostname | string): SharedCdn | null {
  for (let dot = name.indexOf("."); dot !== -1; dot = name.indexOf(".", dot + 1)) {
    const cdn = bySuffix.get(name.slice(dot + 1))
    if (cdn !== undefined) return cdn
  }
  return null
}
