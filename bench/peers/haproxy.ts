/** HAProxy in TCP mode: waits for the ClientHello, allows by server name, relays. */
import { addresses, names } from "../bed.ts"
import { peer, type Contestant } from "../contestant.ts"

const port = 8443

function plan(name: string, extra: string): Contestant {
  return peer({
    name,
    carries: "tls",
    debianPackage: "haproxy",
    programs: ["haproxy"],
    port: name === "HAProxy" ? port : port + 1,
    prepare(bed) {
      const file = `${name.replaceAll(/\W+/g, "-").toLowerCase()}.cfg`
      const configuration = bed.write(
        file,
        `global
  maxconn 4000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
  ${extra}
frontend guarded
  bind :${name === "HAProxy" ? port : port + 1}
  tcp-request inspect-delay 5s
  acl allowed req.ssl_sni -i ${names.page}
  tcp-request content accept if { req.ssl_hello_type 1 } allowed
  tcp-request content reject
  default_backend origin
backend origin
  server origin ${addresses.page}:443
`,
      )
      return ["haproxy", "-db", "-f", configuration]
    },
  })
}

export const haproxy = plan("HAProxy", "")
/** The same with the kernel's splice(2), which Debian's default leaves off. */
export const haproxySplicing = plan("HAProxy, splice-auto", "option splice-auto")
