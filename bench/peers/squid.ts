/**
 * Squid with ssl_bump: peeks at the ClientHello, splices what the server name allows. And opens it,
 * with leaves that its own helper makes.
 */
import { execFileSync } from "node:child_process"
import { rmSync } from "node:fs"
import { addresses, freshZone, names } from "../bed.ts"
import { authorityFile, peerAuthorityFiles } from "../certificates.ts"
import { missingProgram, peer } from "../contestant.ts"

const port = 8446
const openingPort = 8463
const makeLeaves = "/usr/lib/squid/security_file_certgen"
/** Kept on disk and in memory each, as its manual proposes. */
const leavesKept = "64MB"

export const squid = peer({
  name: "Squid splice",
  carries: "tls",
  missing: () => missingProgram("squid-openssl", ["squid"]),
  port,
  prepare(bed) {
    const bump = `ssl-bump generate-host-certificates=off`
    const pair = `cert=${bed.file("cert.pem")} key=${bed.file("key.pem")}`
    const configuration = bed.write(
      "squid.conf",
      `visible_hostname bench
http_port 8447
https_port ${port} intercept ${bump} ${pair}
dns_nameservers ${addresses.resolver}
acl opening at_step SslBump1
acl allowed ssl::server_name ${names.page}
ssl_bump peek opening
ssl_bump splice allowed
ssl_bump terminate all
http_access allow all
sslcrtd_children 1
cache deny all
cache_mem 8 MB
access_log none
cache_log /dev/null
cache_effective_user proxy
pid_filename none
coredump_dir /tmp
shutdown_lifetime 0 seconds
pinger_enable off
max_filedescriptors 16384
`,
    )
    return ["squid", "-N", "-f", configuration]
  },
})

export const squidOpening = peer({
  name: "Squid ssl-bump",
  carries: "opened",
  missing: () => missingProgram("squid-openssl", ["squid", makeLeaves]),
  port: openingPort,
  prepare(bed) {
    const { certificate, key } = peerAuthorityFiles
    const pair = `tls-cert=${bed.file(certificate)} tls-key=${bed.file(key)}`
    const bump = "ssl-bump generate-host-certificates=on"
    const leaves = bed.file("squid-leaves")
    rmSync(leaves, { recursive: true, force: true })
    execFileSync(makeLeaves, ["-c", "-s", leaves, "-M", leavesKept], { stdio: "ignore" })
    execFileSync("chown", ["-R", "proxy:", leaves])
    const configuration = bed.write(
      "squid-opening.conf",
      `visible_hostname bench
http_port ${openingPort + 100}
https_port ${openingPort} intercept ${bump} dynamic_cert_mem_cache_size=${leavesKept} ${pair}
dns_nameservers ${addresses.resolver}
tls_outgoing_options cafile=${bed.file(authorityFile)}
sslcrtd_program ${makeLeaves} -s ${leaves} -M ${leavesKept}
sslcrtd_children 4 startup=2 idle=1
acl opening at_step SslBump1
acl allowed ssl::server_name ${names.page} ${names.registry} .${freshZone}
acl reading method GET HEAD CONNECT
ssl_bump peek opening
ssl_bump bump allowed
ssl_bump terminate all
http_access allow reading
http_access deny all
cache deny all
cache_mem 8 MB
access_log none
cache_log /dev/null
cache_effective_user proxy
pid_filename none
coredump_dir /tmp
shutdown_lifetime 0 seconds
pinger_enable off
max_filedescriptors 16384
`,
    )
    return ["squid", "-N", "-f", configuration]
  },
})
