import t from "tap"
import { pnpm } from "../../../managers/pnpm.ts"
import { brief, directory, home, machine } from "./machine.ts"

t.test("pnpm() reads npm's files, its own, and the workspace's", async (t) => {
  const workspace = "/home/u/work/pnpm-workspace.yaml"
  const found = pnpm(
    machine({
      [`${directory}/package.json`]: "{}",
      [`${home}/.npmrc`]: "@user:registry=https://user.example.com",
      "/home/u/work/.npmrc": "@root:registry=https://root.example.com",
      [workspace]:
        'registry: "https://registry.example.com/"\nregistries:\n  default: https://late.example.com\n  "@acme": https://acme.example.com:8443/\n',
      [`${home}/.config/pnpm/rc`]: "@rc:registry=https://rc.example.com\nregistry=https://no.test",
    }),
  )
  t.same(brief(found), [
    `late.example.com:443 ${workspace}:3`,
    `acme.example.com:8443 ${workspace}:4`,
    "root.example.com:443 /home/u/work/.npmrc:1",
    `user.example.com:443 ${home}/.npmrc:1`,
    `rc.example.com:443 ${home}/.config/pnpm/rc:1`,
  ])
  t.same(found.settled, ["registry"])
})

t.test("pnpm() reads registries that are declared by their URL", async (t) => {
  const path = `${directory}/pnpm-workspace.yaml`
  const text = `registries:
  https://npm.example.com/:
    serverType: artifactory
    scopes: ["@acme"]
  https://main.example.com/:
    scopes: ["@"]
`
  const found = pnpm(machine({ [path]: text }))
  t.same(brief(found), [`npm.example.com:443 ${path}:3`, `main.example.com:443 ${path}:6`])
  t.same(found.settled, ["registry"])
})

t.test("pnpm() takes its own variables before npm's, and survives what is no YAML", async (t) => {
  const path = `${directory}/pnpm-workspace.yaml`
  const found = pnpm(
    machine({ [path]: "[[[[".repeat(50_000) }, { pnpm_config_registry: "https://p.example.com" }),
  )
  t.same(brief(found), ["p.example.com:443 environment pnpm_config_registry:0"])
  t.same(found.notes, [`Cannot read ${path}: it is no YAML`])
  const bomb = `a: &a [x, x]\nb: &b [*a, *a]\nregistry: *a\n`
  t.same(pnpm(machine({ [path]: bomb })).places, [])
})
