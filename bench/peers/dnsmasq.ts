/** dnsmasq: caches what it forwards, and answers a blocked domain itself. */
import { addresses, counts } from "../bed.ts"
import { missingProgram, peer } from "../contestant.ts"

const port = 8053

export const dnsmasq = peer({
  name: "dnsmasq",
  carries: "names",
  missing: () => missingProgram("dnsmasq-base", ["dnsmasq"]),
  port,
  prepare() {
    const own = ["--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file=", "--user=root"]
    const rules = [`--server=${addresses.resolver}`, "--address=/evil.test/"]
    const size = `--cache-size=${counts.cached + counts.forwarded + 1000}`
    return ["dnsmasq", "--keep-in-foreground", `--port=${port}`, ...own, ...rules, size]
  },
})
