import t from "tap"
import { anchorFile, systemMeans } from "../../../../certs/trust/means.ts"

t.test("systemMeans() knows each distribution by its tool and its directory", (t) => {
  const cases = [
    ["update-ca-certificates", "/usr/local/share/ca-certificates", "sluice.crt"],
    ["update-ca-certificates", "/etc/pki/trust/anchors", "sluice.pem"],
    ["update-ca-trust", "/etc/pki/ca-trust/source/anchors", "sluice.pem"],
    ["update-ca-trust", "/etc/ca-certificates/trust-source/anchors", "sluice.crt"],
  ] as const
  for (const [tool, directory, file] of cases) {
    const means = systemMeans(
      (name) => name === tool,
      (path) => path === directory,
    )
    t.equal(means?.tool, tool)
    if (means !== null) t.equal(anchorFile(means), `${directory}/${file}`)
  }
  t.end()
})

t.test("systemMeans() gives null where the tool or the directory is missing", (t) => {
  t.equal(
    systemMeans(
      () => true,
      () => false,
    ),
    null,
  )
  t.equal(
    systemMeans(
      () => false,
      () => true,
    ),
    null,
  )
  t.end()
})
