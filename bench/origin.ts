/** The far end: nginx with TLS 1.3 and ECDSA P-256, and an authority for names that answers from memory. */
import { truncateSync, writeFileSync } from "node:fs"
import { addresses, counts, freshZone, names, type Bed } from "./bed.ts"
import { originFiles, writeCertificates } from "./certificates.ts"
import { listens, tree } from "./meter.ts"
import { missingProgram, until } from "./contestant.ts"

export const httpsPort = 443
export const dnsPort = 53
const pageBytes = 1024
/** Short, so that no cache helps from one run to the next where a query must be forwarded. */
const forwardedTtlS = 1
const cachedTtlS = 3600

export function originMissing(): string | null {
  return (
    missingProgram("nginx", ["nginx"]) ??
    missingProgram("unbound", ["unbound"]) ??
    missingProgram("curl, wrk and dnsperf", ["curl", "wrk", "dnsperf", "openssl"])
  )
}

export async function startOrigin(bed: Bed, downloadBytes: number): Promise<void> {
  writeFileSync(bed.file("www/big"), "")
  truncateSync(bed.file("www/big"), downloadBytes)
  writeFileSync(bed.file("www/page"), "x".repeat(pageBytes))
  writeCertificates((name) => bed.file(name), [names.page, names.registry, `*.${freshZone}`])
  const web = bed.serve("origin", "origin-nginx", nginx(bed))
  const authority = bed.serve("origin", "origin-unbound", unbound(bed))
  await until("origin serves pages", () => listens(web.pid ?? 0, "tcp", httpsPort))
  await until("origin answers names", () => listens(authority.pid ?? 0, "udp", dnsPort))
  // Why: the first child answers only when its worker runs too.
  await until("origin's worker runs", () => tree(web.pid ?? 0).length > 1)
}

function nginx(bed: Bed): readonly string[] {
  const configuration = bed.write(
    "origin-nginx.conf",
    `user root;
worker_processes 2;
worker_rlimit_nofile 20000;
pid ${bed.file("origin-nginx.pid")};
error_log stderr warn;
events { worker_connections 8192; }
http {
  access_log off;
  sendfile on;
  keepalive_requests 100000000;
  default_type application/octet-stream;
  server {
    listen ${addresses.page}:${httpsPort} ssl http2 reuseport;
    root ${bed.file("www")};
    ssl_certificate ${bed.file(originFiles.certificate)};
    ssl_certificate_key ${bed.file(originFiles.key)};
    ssl_protocols TLSv1.3;
  }
}
`,
  )
  return ["nginx", "-p", bed.directory, "-c", configuration, "-g", "daemon off;"]
}

function unbound(bed: Bed): readonly string[] {
  const data = [
    `${names.page} ${cachedTtlS} IN A ${addresses.page}`,
    `${names.registry} ${cachedTtlS} IN A ${addresses.page}`,
    ...list(counts.cached, (i) => `${names.cached(i)} ${cachedTtlS} IN A ${addresses.page}`),
    ...list(
      counts.forwarded,
      (i) => `${names.forwarded(i)} ${forwardedTtlS} IN A ${addresses.page}`,
    ),
    ...list(counts.blocked, (i) => `${names.blocked(i)} ${cachedTtlS} IN A ${addresses.page}`),
  ].map((record) => `  local-data: "${record}"`)
  const configuration = bed.write(
    "origin-unbound.conf",
    `server:
  interface: ${addresses.resolver}@${dnsPort}
  access-control: 0.0.0.0/0 allow
  do-daemonize: no
  use-syslog: no
  logfile: ""
  username: ""
  chroot: ""
  pidfile: ""
  directory: "${bed.directory}"
  num-threads: 1
  module-config: "iterator"
  local-zone: "test." static
  local-zone: "${freshZone}." redirect
  local-data: "${freshZone}. ${cachedTtlS} IN A ${addresses.page}"
${data.join("\n")}
remote-control:
  control-enable: no
`,
  )
  return ["unbound", "-d", "-c", configuration]
}

/** What `each` gives for 0 to `count` - 1. */
export function list<T>(count: number, each: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => each(index))
}
