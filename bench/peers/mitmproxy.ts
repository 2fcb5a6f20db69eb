/** mitmproxy, transparent, with every host passed through unopened. */
import { peer } from "../contestant.ts"

const port = 8448

export const mitmproxy = peer({
  name: "mitmproxy pass-through",
  carries: "tls",
  debianPackage: "mitmproxy",
  programs: ["mitmdump"],
  port,
  prepare(bed) {
    const where = ["--listen-port", `${port}`, "--set", `confdir=${bed.file("mitmproxy")}`]
    return ["mitmdump", "--quiet", "--mode", "transparent", "--ignore-hosts", ".*", ...where]
  },
})
