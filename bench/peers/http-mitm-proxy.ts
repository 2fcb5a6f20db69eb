/**
 * http-mitm-proxy, an npm package. It is an explicit proxy; a few lines before it read the server name
 * and hand the connection over as if its client had asked to CONNECT to that.
 */
import { authorityFile } from "../certificates.ts"
import { peer } from "../contestant.ts"
import { missingNpmPeer, npmPeerPath } from "./npm-peer.ts"

const port = 8465

const script = (directory: string): string => `
const { Proxy } = require("${npmPeerPath("http-mitm-proxy")}")
const net = require("node:net")
console.debug = () => {}
/** The server name in a ClientHello that came in one piece. */
function serverName(hello) {
  let at = 43
  at += 1 + hello[at]
  at += 2 + hello.readUInt16BE(at)
  at += 1 + hello[at]
  const end = at + 2 + hello.readUInt16BE(at)
  for (at += 2; at < end; at += 4 + hello.readUInt16BE(at + 2)) {
    if (hello.readUInt16BE(at) === 0) return hello.toString("latin1", at + 9, at + 9 + hello.readUInt16BE(at + 7))
  }
}
const proxy = new Proxy()
proxy.onError(() => {})
proxy.listen({ host: "0.0.0.0", port: ${port + 100}, keepAlive: true, sslCaDir: "${directory}" }, () => {
  net.createServer((socket) => {
    socket.on("error", () => {})
    socket.once("data", (hello) => {
      socket.pause()
      proxy._onHttpServerConnect({ url: serverName(hello) + ":443", headers: {} }, socket, hello)
    })
  }).listen(${port}, "0.0.0.0")
})
`

export const httpMitmProxy = peer({
  name: "http-mitm-proxy",
  carries: "opened",
  missing: () => missingNpmPeer("http-mitm-proxy"),
  port,
  prepare(bed) {
    const file = bed.write("http-mitm-proxy.cjs", script(bed.file("http-mitm-proxy")))
    return ["env", `NODE_EXTRA_CA_CERTS=${bed.file(authorityFile)}`, "node", file]
  },
})
