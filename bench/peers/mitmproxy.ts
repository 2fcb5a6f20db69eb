/** mitmproxy, transparent: with every host passed through unopened, and with every host opened. */
import { authorityFile } from "../certificates.ts"
import { missingProgram, peer } from "../contestant.ts"

const port = 8448
const openingPort = 8462

export const mitmproxy = peer({
  name: "mitmproxy pass-through",
  carries: "tls",
  missing: () => missingProgram("mitmproxy", ["mitmdump"]),
  port,
  prepare(bed) {
    const where = ["--listen-port", `${port}`, "--set", `confdir=${bed.file("mitmproxy")}`]
    return ["mitmdump", "--quiet", "--mode", "transparent", "--ignore-hosts", ".*", ...where]
  },
})

export const mitmproxyOpening = peer({
  name: "mitmproxy",
  carries: "opened",
  speaks: ["HTTP/1.1", "HTTP/2"],
  missing: () => missingProgram("mitmproxy", ["mitmdump"]),
  port: openingPort,
  prepare(bed) {
    const settings = [
      `confdir=${bed.file("mitmproxy-opening")}`,
      `ssl_verify_upstream_trusted_ca=${bed.file(authorityFile)}`,
      // Why: it would hold each body as a whole otherwise.
      "stream_large_bodies=64k",
    ].flatMap((setting) => ["--set", setting])
    const where = ["--listen-port", `${openingPort}`]
    return ["mitmdump", "--quiet", "--mode", "transparent", ...where, ...settings]
  },
})
