import t from "tap"
import { npm } from "../../../managers/npm.ts"
import { brief, directory, home, machine } from "./machine.ts"

const project = `${directory}/.npmrc`
const own = `${home}/.npmrc`

t.test("npm() gives nothing where nothing is configured", async (t) => {
  t.same(npm(machine({})), { places: [], settled: [], notes: [] })
})

t.test("npm() takes the registry of the most important source alone", async (t) => {
  const files = {
    [project]: "registry=https://project.example.com/npm/\n",
    [own]: "; mine\nregistry = https://user.example.com\n",
    "/usr/local/etc/npmrc": "registry=https://global.example.com",
  }
  t.same(brief(npm(machine(files))), [`project.example.com:443 ${project}:1`])
  t.same(brief(npm(machine({ [own]: files[own] ?? "" }))), [`user.example.com:443 ${own}:2`])
  t.same(brief(npm(machine(files, { NPM_CONFIG_REGISTRY: "https://env.example.com:8443/x" }))), [
    "env.example.com:8443 environment NPM_CONFIG_REGISTRY:0",
  ])
})

t.test("npm() adds the registries of all scopes, each once", async (t) => {
  const found = npm(
    machine({
      [project]:
        '@one:registry=https://one.example.com\n"@two:registry" = "http://two.example.com/"\n',
      [own]:
        "@one:registry=https://other.example.com\n@three:registry=https://[2001:db8::1]:4873/\n",
    }),
  )
  t.same(brief(found), [
    `one.example.com:443 ${project}:1`,
    `two.example.com:80 ${project}:2`,
    `2001:db8::1:4873 ${own}:2`,
  ])
  t.same(found.settled, [], "a scope does not replace the default")
})

t.test("npm() finds the project above the command's folder, and its workspace", async (t) => {
  const found = npm(
    machine({
      "/home/u/work/package.json": '{"workspaces": ["project"]}',
      "/home/u/work/.npmrc": "registry=https://registry.example.com",
      [`${directory}/package.json`]: "{}",
      "/home/u/.npmrc": "",
    }),
  )
  t.same(brief(found), ["registry.example.com:443 /home/u/work/.npmrc:1"])
  const foreign = npm(
    machine({
      "/home/u/work/.npmrc": "registry=https://registry.example.com",
      [`${directory}/package.json`]: "{}",
    }),
  )
  t.same(brief(foreign), [], "a folder above is another project")
})

t.test("npm() reads the user's file from where a variable says, and the global one", async (t) => {
  const found = npm(
    machine(
      {
        "/cfg/npmrc": "@a:registry=https://a.example.com",
        [own]: "@b:registry=https://b.example.com",
        "/opt/node/bin/node": "",
        "/opt/node/etc/npmrc": "registry=https://registry.example.com",
      },
      { npm_config_userconfig: "/cfg/npmrc", PATH: "/usr/bin:/opt/node/bin" },
    ),
  )
  t.same(brief(found), [
    "a.example.com:443 /cfg/npmrc:1",
    "registry.example.com:443 /opt/node/etc/npmrc:1",
  ])
})

t.test("npm() never shows a credential", async (t) => {
  const found = npm(
    machine({
      [project]: [
        "registry=https://user:s3cret@registry.example.com/npm/",
        "//registry.example.com/npm/:_authToken=s3cret",
        "@bad:registry=s3cret@@@",
        "@worse:registry=https://u:s3cret@exa mple.com/",
      ].join("\n"),
    }),
  )
  t.same(brief(found), [`registry.example.com:443 ${project}:1`])
  t.equal(found.notes.length, 2)
  t.notMatch(JSON.stringify(found), /s3cret/)
})

t.test("npm() uses variables of the environment, but not to spell a project's host", async (t) => {
  const environment = {
    REGISTRY: "https://registry.example.com/x",
    TOKEN: "s3cret",
    HOST: "h.test",
  }
  const text = [
    "registry=${REGISTRY}/npm",
    "@a:registry=https://${TOKEN}.evil.test/",
    "@b:registry=https://${TOKEN}@b.example.com/",
    "@c:registry=${TOKEN}",
    "@d:registry=${UNSET}",
    "@e:registry=https://registry.example.com/${UNSET}/",
  ].join("\n")
  const found = npm(machine({ [project]: text }, environment))
  t.same(brief(found), [
    `registry.example.com:443 ${project}:1`,
    `b.example.com:443 ${project}:3`,
    `registry.example.com:443 ${project}:6`,
  ])
  t.equal(found.notes.length, 3)
  t.notMatch(JSON.stringify(found), /s3cret/)
  const user = npm(machine({ [own]: "registry=https://${HOST}:8080/" }, environment))
  t.same(brief(user), [`h.test:8080 ${own}:1`], "the user's own file may")
})

t.test("npm() lets no project's file open what is not public", async (t) => {
  const bad = [
    "http://169.254.169.254/",
    "http://[fe80::1]/",
    "http://10.0.0.5:8080/",
    "http://[::ffff:10.0.0.5]/",
    "http://224.0.0.1/",
    "http://localhost:4873/",
    "http://127.0.0.1/",
    "https://*.example.com/",
    "https://**/",
    "https://0x7f.1/",
    "https://registry.example.com:99999/",
    "https://registry.example.com:0/",
    "https://good.example.com\\@evil.test/",
    "gopher://registry.example.com/",
    "https:///nothing",
    "https://",
    "registry.example.com",
    `https://${"a.".repeat(3000)}com/`,
  ]
  for (const url of bad) {
    const found = npm(machine({ [project]: `registry=${url}` }))
    t.same(found.places, [], url)
    t.same(found.settled, ["registry"], `${url}: the default does not hold either`)
    t.equal(found.notes.length, 1, url)
  }
  t.same(brief(npm(machine({ [own]: "registry=http://10.0.0.5:8080/" }))), [
    `10.0.0.5:8080 ${own}:1`,
  ])
})

t.test("npm() counts proxies, and a file that cannot be read is a note", async (t) => {
  const found = npm(
    machine({
      [own]: "proxy=null\nhttps-proxy=http://u:p@proxy.example.com:3128\nnoproxy=x\n",
      [project]: { problem: "it is no plain file" },
    }),
  )
  t.same(brief(found), [`proxy.example.com:3128 ${own}:2`])
  t.same(found.notes, [`Cannot read ${project}: it is no plain file`])
})

t.test("npm() survives odd files", async (t) => {
  for (const text of [
    "\uFEFFregistry=https://registry.example.com\r\n",
    "[section]\nregistry=https://evil.test\n[]\nregistry=https://registry.example.com",
    "registry",
    "=",
    "\0\0\0",
    "[".repeat(100_000),
    "=".repeat(1_000_000),
    `${" ".repeat(500_000)}x`,
    "registry = https://registry.example.com ; where it is\n",
  ]) {
    t.ok(Array.isArray(npm(machine({ [project]: text })).places))
  }
  const [first] = brief(
    npm(machine({ [project]: "a=1\r\nregistry=https://r.example.com ; x\r\n" })),
  )
  t.equal(first, `r.example.com:443 ${project}:2`)
  t.same(brief(npm(machine({ [project]: "[s]\nregistry=https://evil.test" }))), [])
})

t.test("npm() stops at a bound of hosts", async (t) => {
  const many = Array.from({ length: 1000 }, (_, n) => `@s${n}:registry=https://h${n}.example.com`)
  const found = npm(machine({ [project]: many.join("\n") }))
  t.equal(found.places.length, 500)
  t.ok(found.notes.length <= 50)
})

t.test("npm's own default is taken from npm, where nobody configured a registry", async (t) => {
  const path =
    "/usr/lib/node_modules/npm/node_modules/@npmcli/config/lib/definitions/definitions.js"
  const text =
    "\n  registry: new Definition('registry', {\n    default: 'https://registry.example.com/',\n"
  const found = npm({
    read: (name) => (name === path ? text : null),
    list: () => [],
    environment: {},
    directory: "/home/u/p",
    home: "/home/u",
  })
  t.match(found.places, [{ setting: "registry", host: "registry.example.com", line: 3 }])
})
