/** mockttp, an npm package: every request is passed through, none recorded. */
import { authorityFile } from "../certificates.ts"
import { peer } from "../contestant.ts"
import { missingNpmPeer, npmPeerPath } from "./npm-peer.ts"

const port = 8466

const script = (authority: string): string => `
const mockttp = require("${npmPeerPath("mockttp")}")
async function main() {
  const https = await mockttp.generateCACertificate()
  const server = mockttp.getLocal({ https, http2: true, recordTraffic: false })
  const additionalTrustedCAs = [{ certPath: "${authority}" }]
  await server.forAnyRequest().thenPassThrough({ additionalTrustedCAs })
  await server.forAnyWebSocket().thenPassThrough({ additionalTrustedCAs })
  await server.start(${port})
}
main()
`

export const mockttp = peer({
  name: "mockttp",
  carries: "opened",
  speaks: ["HTTP/1.1", "HTTP/2"],
  missing: () => missingNpmPeer("mockttp"),
  port,
  prepare(bed) {
    return ["node", bed.write("mockttp.cjs", script(bed.file(authorityFile)))]
  },
})
