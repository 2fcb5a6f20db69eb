/** unbound as a forwarder with a cache, and a blocked domain answered from its configuration. */
import { addresses } from "../bed.ts"
import { missingProgram, peer } from "../contestant.ts"

const port = 8054

export const unbound = peer({
  name: "unbound",
  carries: "names",
  missing: () => missingProgram("unbound", ["unbound"]),
  port,
  prepare(bed) {
    const configuration = bed.write(
      "unbound.conf",
      `server:
  interface: 0.0.0.0@${port}
  access-control: 0.0.0.0/0 allow
  do-daemonize: no
  use-syslog: no
  logfile: ""
  username: ""
  chroot: ""
  pidfile: ""
  directory: "${bed.directory}"
  module-config: "iterator"
  local-zone: "test." nodefault
  local-zone: "evil.test." always_nxdomain
  do-not-query-localhost: no
forward-zone:
  name: "."
  forward-addr: ${addresses.resolver}
remote-control:
  control-enable: no
`,
    )
    return ["unbound", "-d", "-c", configuration]
  },
})
