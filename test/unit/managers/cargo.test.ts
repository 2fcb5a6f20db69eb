import t from "tap"
import { cargo } from "../../../managers/cargo.ts"
import { brief, directory, home, machine } from "./machine.ts"

const project = `${directory}/.cargo/config.toml`

t.test("cargo() follows the replacement of crates.io to its end", async (t) => {
  const found = cargo(
    machine({
      [project]: `[source.crates-io]
replace-with = "first"
[source.first]
replace-with = "second"
registry = "https://no.test"
[source.second]
registry = "sparse+https://registry.example.com:8443/index/"
[source.unused]
registry = "https://no.test"
`,
    }),
  )
  t.same(brief(found), [`registry.example.com:8443 ${project}:7`])
  t.same(found.settled, ["crates-io"])
})

t.test(
  "cargo() adds nothing for vendored sources and ends where replacements turn in a ring",
  async (t) => {
    const vendored = cargo(
      machine({
        [project]:
          '[source.crates-io]\nreplace-with = "vendored-sources"\n[source.vendored-sources]\ndirectory = "vendor"\n',
      }),
    )
    t.same(vendored, { places: [], settled: ["crates-io"], notes: [] })
    const ring = '[source.crates-io]\nreplace-with="a"\n[source.a]\nreplace-with="crates-io"\n'
    t.same(cargo(machine({ [project]: ring })).places, [])
  },
)

t.test("cargo() merges files from here up and the user's own, and the environment", async (t) => {
  const own = `${home}/.cargo/config.toml`
  const found = cargo(
    machine(
      {
        [project]: '[registries]\nmine = { index = "sparse+https://u:s3cret@near.example.com/" }\n',
        [own]:
          '[registries.mine]\nindex = "https://no.test"\n[registries.other]\nindex = "ssh://git@git.example.com/index.git"\n[http]\nproxy = "proxy.example.com:3128"\n',
      },
      { CARGO_REGISTRIES_OTHER_INDEX: "https://env.example.com/git/index" },
    ),
  )
  t.same(brief(found), [
    `near.example.com:443 ${project}:2`,
    "env.example.com:443 environment CARGO_REGISTRIES_OTHER_INDEX:0",
    `proxy.example.com:3128 ${own}:6`,
  ])
  t.match(found.notes, [/config\.json/])
  t.notMatch(JSON.stringify(found), /s3cret/)
  t.same(found.settled, [])
})

t.test("cargo() knows scp-like and ssh indexes", async (t) => {
  const found = cargo(
    machine({
      [project]:
        '[registries]\na.index = "ssh://git@a.example.com:2222/i.git"\nb.index = "git@b.example.com:team/index.git"\nc.index="file:///srv/index"\n',
    }),
  )
  t.same(brief(found), [`a.example.com:2222 ${project}:2`, `b.example.com:22 ${project}:3`])
  t.same(found.notes, [])
})
