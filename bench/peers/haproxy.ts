/**
 * HAProxy in TCP mode: waits for the ClientHello, allows by server name, relays. And in HTTP mode:
 * ends TLS, with a leaf of its own making for a name that it does not know, and encrypts anew.
 */
import { addresses, freshZone, names } from "../bed.ts"
import { authorityFile, peerAuthorityFiles, peerPageFile } from "../certificates.ts"
import { missingProgram, peer, type Contestant } from "../contestant.ts"

const port = 8443
const openingPort = 8460

function plan(name: string, extra: string): Contestant {
  return peer({
    name,
    carries: "tls",
    missing: () => missingProgram("haproxy", ["haproxy"]),
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

export const haproxyOpening = peer({
  name: "HAProxy",
  carries: "opened",
  speaks: ["HTTP/1.1", "HTTP/2"],
  missing: () => missingProgram("haproxy", ["haproxy"]),
  port: openingPort,
  prepare(bed) {
    // With HAProxy 2.6 a client that is shown a leaf of its making is offered no protocol: HTTP/1.1.
    const issuing = `generate-certificates ca-sign-file ${bed.file(peerAuthorityFiles.both)}`
    // Why: for such a leaf it sets DH parameters of 1024 bits, though none are used, and OpenSSL's
    // default level refuses those.
    const level = bed.write(
      "haproxy-openssl.cnf",
      `openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = level
[level]
CipherString = DEFAULT@SECLEVEL=1
`,
    )
    // Why: the name is sent and the origin's certificate verified for it, as ours does.
    const upstream = `ssl verify required ca-file ${bed.file(authorityFile)} sni ssl_fc_sni`
    // http-reuse always: the fastest that it goes. Clients then share connections to the origin.
    const configuration = bed.write(
      "haproxy-opening.cfg",
      `global
  maxconn 8000
defaults
  mode http
  http-reuse always
  timeout connect 5s
  timeout client 1m
  timeout server 1m
frontend guarded
  bind :${openingPort} ssl crt ${bed.file(peerPageFile)} alpn h2,http/1.1 ${issuing}
  acl allowed ssl_fc_sni -i ${names.page} ${names.registry}
  acl allowed ssl_fc_sni -i -m end .${freshZone}
  acl reading method GET HEAD
  http-request deny unless allowed reading
  use_backend origin2 if { ssl_fc_alpn h2 }
  default_backend origin
backend origin
  server origin ${addresses.page}:443 ${upstream} alpn http/1.1
backend origin2
  server origin ${addresses.page}:443 ${upstream} alpn h2
`,
    )
    return ["env", `OPENSSL_CONF=${level}`, "haproxy", "-db", "-f", configuration]
  },
})
