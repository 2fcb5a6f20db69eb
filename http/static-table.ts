/** The static table of HPACK (RFC 7541 Appendix A). Data only. */
import { marksOf } from "./header-field.ts"
import type { HeaderField } from "./header-field.ts"

const text = `
:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`

/** By index less one. */
export const staticTable: readonly HeaderField[] = text
  .trim()
  .split("\n")
  .map((line) => {
    const space = line.indexOf(" ")
    const name = space === -1 ? line : line.slice(0, space)
    const value = space === -1 ? "" : line.slice(space + 1)
    return { name, value, sensitive: false, marks: marksOf(name, value) }
  })

/** Each name's first index. */
export const staticNames: ReadonlyMap<string, number> = new Map(
  [...staticTable.entries()].reverse().map(([at, { name }]) => [name, at + 1]),
)

/** The index of each name's values, where the table has more than an empty one. */
export const staticValues: ReadonlyMap<string, ReadonlyMap<string, number>> = valuesOf()

function valuesOf(): Map<string, Map<string, number>> {
  const found = new Map<string, Map<string, number>>()
  for (const [at, { name, value }] of staticTable.entries()) {
    if (value === "") continue
    const values = found.get(name) ?? new Map<string, number>()
    found.set(name, values.set(value, at + 1))
  }
  return found
}
