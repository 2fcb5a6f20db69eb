/** Squid with ssl_bump: peeks at the ClientHello, splices what the server name allows. */
import { addresses, names } from "../bed.ts"
import { peer } from "../contestant.ts"

const port = 8446

export const squid = peer({
  name: "Squid splice",
  carries: "tls",
  debianPackage: "squid-openssl",
  programs: ["squid"],
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
