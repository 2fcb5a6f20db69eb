import t from "tap"
import { yarn } from "../../../managers/yarn.ts"
import { brief, directory, home, machine } from "./machine.ts"

const modern = `${directory}/.yarnrc.yml`

t.test("yarn() reads .yarnrc.yml from here up and from home, the nearest first", async (t) => {
  const found = yarn(
    machine({
      [modern]: `npmRegistryServer: "https://registry.example.com"
npmScopes:
  acme:
    npmRegistryServer: https://acme.example.com/npm
    npmAuthToken: s3cret
httpsProxy: "http://u:s3cret@proxy.example.com:3128"
`,
      [`${home}/.yarnrc.yml`]:
        "npmRegistryServer: https://no.test\nnpmScopes: {b: {npmRegistryServer: 'http://b.example.com'}}\n",
      [`${home}/.npmrc`]: "registry=https://npmrc.test",
    }),
  )
  t.same(brief(found), [
    `registry.example.com:443 ${modern}:1`,
    `acme.example.com:443 ${modern}:4`,
    `proxy.example.com:3128 ${modern}:6`,
    `b.example.com:80 ${home}/.yarnrc.yml:2`,
  ])
  t.notMatch(JSON.stringify(found), /s3cret/)
  t.same(found.settled, ["registry"])
})

t.test("yarn() reads variables with fallbacks", async (t) => {
  const text = [
    'npmRegistryServer: "${REGISTRY:-https://fallback.example.com}"',
    "npmScopes:",
    "  a: {npmRegistryServer: '${SET-https://x.test}'}",
    "  b: {npmRegistryServer: '${NONE}'}",
  ].join("\n")
  const found = yarn(machine({ [modern]: text }, { SET: "https://set.example.com" }))
  t.same(brief(found), [`fallback.example.com:443 ${modern}:1`, `set.example.com:443 ${modern}:3`])
  t.equal(found.notes.length, 1)
  t.same(
    brief(
      yarn(machine({ [modern]: text }, { YARN_NPM_REGISTRY_SERVER: "https://e.example.com" })),
    )[0],
    "e.example.com:443 environment YARN_NPM_REGISTRY_SERVER:0",
  )
})

t.test("yarn() reads .yarnrc and npm's files for version 1", async (t) => {
  const rc = `${directory}/.yarnrc`
  const files = {
    [rc]: '# yarn\nregistry "https://registry.example.com"\n"@acme:registry" "https://acme.example.com/"\nlastUpdateCheck 1\n--install.pure true\n',
    [`${home}/.npmrc`]: "@b:registry=https://b.example.com\nregistry=https://no.test\n",
  }
  t.same(brief(yarn(machine(files))), [
    `registry.example.com:443 ${rc}:2`,
    `acme.example.com:443 ${rc}:3`,
    `b.example.com:443 ${home}/.npmrc:1`,
  ])
  const asked = { ...files, [`${directory}/package.json`]: '{"packageManager": "yarn@4.1.0"}' }
  t.same(yarn(machine(asked)).places, [], "version 4 reads neither")
  const one = { ...files, [`${directory}/package.json`]: '{"packageManager": "yarn@1.22.22"}' }
  t.equal(yarn(machine(one)).places.length, 3)
})
