/**
 * Suffixes under which anyone can register a name. A wildcard over one lets an attacker's name in
 * beside the one that was meant.
 *
 * Two sources: the Public Suffix List (by tldts, its private section too), and a short list of
 * tenant suffixes that it lacks or that change often, each with the page that says so.
 */
import { getPublicSuffix } from "tldts"
import { coversLabel } from "../net/hostname.ts"
import type { Pattern } from "../net/hostname.ts"

/** A suffix, its labels possibly with `*`, and the page where its names are given out. */
interface Tenants {
  readonly suffix: string
  readonly source: string
}

const azureStorage = "https://learn.microsoft.com/azure/storage/common/storage-account-overview"
const awsS3 = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html"
const ngrok = "https://ngrok.com/docs/network-edge/domains-and-tcp-addresses/"

export const tenantSuffixes: readonly Tenants[] = [
  { suffix: "blob.core.windows.net", source: azureStorage },
  { suffix: "dfs.core.windows.net", source: azureStorage },
  { suffix: "file.core.windows.net", source: azureStorage },
  { suffix: "queue.core.windows.net", source: azureStorage },
  { suffix: "table.core.windows.net", source: azureStorage },
  { suffix: "*.blob.storage.azure.net", source: azureStorage },
  { suffix: "*.web.core.windows.net", source: azureStorage },
  { suffix: "azurecr.io", source: "https://learn.microsoft.com/azure/container-registry/" },
  { suffix: "azurewebsites.net", source: "https://learn.microsoft.com/azure/app-service/" },
  { suffix: "*.cloudapp.azure.com", source: "https://learn.microsoft.com/azure/virtual-network/" },
  { suffix: "vault.azure.net", source: "https://learn.microsoft.com/azure/key-vault/" },
  { suffix: "database.windows.net", source: "https://learn.microsoft.com/azure/azure-sql/" },
  { suffix: "azureedge.net", source: "https://learn.microsoft.com/azure/cdn/" },
  { suffix: "azurefd.net", source: "https://learn.microsoft.com/azure/frontdoor/" },
  { suffix: "s3.amazonaws.com", source: awsS3 },
  { suffix: "s3.*.amazonaws.com", source: awsS3 },
  { suffix: "s3-*.amazonaws.com", source: awsS3 },
  { suffix: "s3.dualstack.*.amazonaws.com", source: awsS3 },
  { suffix: "s3-accelerate.amazonaws.com", source: awsS3 },
  { suffix: "s3-website.*.amazonaws.com", source: awsS3 },
  { suffix: "s3-website-*.amazonaws.com", source: awsS3 },
  { suffix: "s3.*.amazonaws.com.cn", source: awsS3 },
  {
    suffix: "execute-api.*.amazonaws.com",
    source: "https://docs.aws.amazon.com/apigateway/latest/developerguide/",
  },
  {
    suffix: "lambda-url.*.on.aws",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html",
  },
  {
    suffix: "dkr.ecr.*.amazonaws.com",
    source: "https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html",
  },
  {
    suffix: "elb.amazonaws.com",
    source: "https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/",
  },
  {
    suffix: "*.elb.amazonaws.com",
    source: "https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/",
  },
  {
    suffix: "cloudfront.net",
    source: "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/",
  },
  {
    suffix: "storage.googleapis.com",
    source: "https://cloud.google.com/storage/docs/request-endpoints",
  },
  { suffix: "*.run.app", source: "https://cloud.google.com/run/docs/triggering/https-request" },
  { suffix: "run.app", source: "https://cloud.google.com/run/docs/triggering/https-request" },
  { suffix: "cloudfunctions.net", source: "https://cloud.google.com/functions/docs/calling/http" },
  { suffix: "appspot.com", source: "https://cloud.google.com/appengine/docs" },
  { suffix: "web.app", source: "https://firebase.google.com/docs/hosting" },
  { suffix: "firebaseapp.com", source: "https://firebase.google.com/docs/hosting" },
  { suffix: "firebaseio.com", source: "https://firebase.google.com/docs/database" },
  { suffix: "workers.dev", source: "https://developers.cloudflare.com/workers/configuration/" },
  { suffix: "pages.dev", source: "https://developers.cloudflare.com/pages/" },
  { suffix: "r2.dev", source: "https://developers.cloudflare.com/r2/buckets/public-buckets/" },
  { suffix: "r2.cloudflarestorage.com", source: "https://developers.cloudflare.com/r2/api/s3/" },
  { suffix: "trycloudflare.com", source: "https://developers.cloudflare.com/tunnel/" },
  { suffix: "github.io", source: "https://docs.github.com/pages" },
  { suffix: "app.github.dev", source: "https://docs.github.com/codespaces" },
  { suffix: "gitlab.io", source: "https://docs.gitlab.com/user/project/pages/" },
  { suffix: "vercel.app", source: "https://vercel.com/docs/domains" },
  { suffix: "netlify.app", source: "https://docs.netlify.com/domains/" },
  { suffix: "herokuapp.com", source: "https://devcenter.heroku.com/articles/custom-domains" },
  { suffix: "onrender.com", source: "https://render.com/docs/web-services" },
  { suffix: "fly.dev", source: "https://fly.io/docs/networking/" },
  { suffix: "*.digitaloceanspaces.com", source: "https://docs.digitalocean.com/products/spaces/" },
  { suffix: "*.backblazeb2.com", source: "https://www.backblaze.com/docs/cloud-storage" },
  { suffix: "*.wasabisys.com", source: "https://docs.wasabi.com/" },
  { suffix: "wasabisys.com", source: "https://docs.wasabi.com/" },
  { suffix: "ngrok.io", source: ngrok },
  { suffix: "ngrok.app", source: ngrok },
  { suffix: "ngrok.dev", source: ngrok },
  { suffix: "ngrok-free.app", source: ngrok },
  { suffix: "ngrok-free.dev", source: ngrok },
  { suffix: "loca.lt", source: "https://theboroer.github.io/localtunnel-www/" },
  { suffix: "m.pipedream.net", source: "https://pipedream.com/docs/workflows/" },
  { suffix: "nip.io", source: "https://nip.io/" },
  { suffix: "sslip.io", source: "https://sslip.io/" },
  { suffix: "atlassian.net", source: "https://support.atlassian.com/organization-administration/" },
]

/** In the private section of the Public Suffix List, yet their owner alone makes names below. */
const ownersOnly: ReadonlySet<string> = new Set(["githubusercontent.com", "googleapis.com"])

/** Kept from the public root (RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`) or by habit. */
const nobodys: ReadonlySet<string> = new Set([
  "corp",
  "example",
  "home.arpa",
  "internal",
  "intranet",
  "invalid",
  "lan",
  "local",
  "localdomain",
  "localhost",
  "test",
])

/** Fewer characters that are not wildcards leave too many names: `a*`, `*-x`. */
const literalMin = 6

export interface Width {
  /** The suffix that the wildcard stands over; "" for the root. */
  readonly suffix: string
  readonly kind: "public" | "tenant"
  /** The page where names under it are given out; null: the Public Suffix List. */
  readonly source: string | null
}

/**
 * The suffix, open to anyone, that a wildcard of the pattern stands directly over; null where there
 * is none. A first label with enough of its own in it (`productionresultssa*`) is no wildcard over a
 * tenant suffix; over a public suffix it is.
 */
export function widthOf({ pattern }: Pattern): Width | null {
  const labels = pattern.split(".")
  for (const [index, label] of labels.entries()) {
    if (!label.includes("*")) continue
    const rest = labels.slice(index + 1)
    const width = openSuffix(rest)
    const literal = label.replaceAll("*", "").length
    if (width !== null && (literal < literalMin || width.kind === "public")) return width
  }
  return null
}

/** The tenant suffix that a pattern with `**` reaches into from above; null where it does not. */
export function reachesInto({ pattern }: Pattern): Width | null {
  if (!pattern.startsWith("**")) return null
  const above = `.${pattern.slice("**.".length)}`
  const found = tenantSuffixes.find(({ suffix }) => pattern === "**" || suffix.endsWith(above))
  return found === undefined ? null : { ...found, kind: "tenant" }
}

function openSuffix(rest: readonly string[]): Width | null {
  const suffix = rest.join(".")
  if (suffix === "") return { suffix, kind: "public", source: null }
  if (nobodys.has(suffix) || ownersOnly.has(suffix)) return null
  const tenant = tenantSuffixes.find((one) => sameLabels(one.suffix.split("."), rest))
  if (tenant !== undefined) return { suffix, kind: "tenant", source: tenant.source }
  // Why: asked of a name below, as a wildcard would make one.
  const name = `x.${rest.map((label) => label.replaceAll("*", "x")).join(".")}`
  // Why the name itself too: rules of the list like `*.ck` and `*.compute.amazonaws.com` make each
  // label below a suffix of its own.
  const open = (found: string | null): boolean => found === suffix || found === name
  if (open(getPublicSuffix(name))) return { suffix, kind: "public", source: null }
  const found = getPublicSuffix(name, { allowPrivateDomains: true })
  return open(found) ? { suffix, kind: "tenant", source: null } : null
}

function sameLabels(one: readonly string[], other: readonly string[]): boolean {
  return (
    one.length === other.length &&
    one.every((label, index) => {
      const given = other[index] ?? ""
      return coversLabel(label, given) || coversLabel(given, label)
    })
  )
}
