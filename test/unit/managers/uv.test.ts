import t from "tap"
import { uv } from "../../../managers/uv.ts"
import { brief, directory, home, machine } from "./machine.ts"

const project = `${directory}/pyproject.toml`

t.test("uv() reads [tool.uv] and knows a default index from a further one", async (t) => {
  const text = `[project]
name = "x" # [tool.uv]

[[tool.uv.index]]
name = "pytorch"
url = "https://download.example.com/whl/cpu"
explicit = true

[[tool.uv.index]]
url = 'https://u:s3cret@registry.example.com:8443/simple'
default = true

[tool.uv]
find-links = ["https://links.example.com", "./wheels"]

[tool.other]
index-url = "https://no.test"
`
  const found = uv(machine({ [project]: text }))
  t.same(brief(found), [
    `download.example.com:443 ${project}:6`,
    `registry.example.com:8443 ${project}:10`,
    `links.example.com:443 ${project}:14`,
  ])
  t.same(found.settled, ["index"])
  t.notMatch(JSON.stringify(found), /s3cret/)
})

t.test("uv() reads inline tables and arrays over several lines", async (t) => {
  const text = `tool.uv.index = [
  { name = "a", url = "https://a.example.com/simple" }, # first
  { default = true, url = "https://b.example.com/simple" },
]
[tool.uv.pip]
extra-index-url = [
  "https://c.example.com",
]
`
  const found = uv(machine({ [project]: text }))
  t.same(brief(found), [
    `a.example.com:443 ${project}:2`,
    `b.example.com:443 ${project}:3`,
    `c.example.com:443 ${project}:7`,
  ])
  t.same(found.settled, ["index"])
})

t.test("uv() prefers uv.toml, and the nearest default", async (t) => {
  const own = `${directory}/uv.toml`
  const user = `${home}/.config/uv/uv.toml`
  const files = {
    [own]: 'index-url = "https://registry.example.com/simple"\n',
    [project]: '[tool.uv]\nindex-url = "https://no.test"\n',
    [user]:
      'index-url = "https://no.test"\nextra-index-url = ["https://extra.example.com"]\npython-install-mirror = "https://python.example.com/x"\n',
  }
  t.same(brief(uv(machine(files))), [
    `registry.example.com:443 ${own}:1`,
    `extra.example.com:443 ${user}:2`,
    `python.example.com:443 ${user}:3`,
  ])
  t.same(uv(machine(files)).settled, ["index", "python"])
  t.same(brief(uv(machine(files, { UV_NO_CONFIG: "1" }))), [])
})

t.test("uv() reads its variables", async (t) => {
  const found = uv(
    machine(
      { [project]: '[tool.uv]\nindex-url = "https://no.test"\n' },
      {
        UV_DEFAULT_INDEX: "main=https://registry.example.com/simple",
        UV_INDEX_URL: "https://no.test",
        UV_INDEX: "https://a.example.com named=http://b.example.com",
        UV_FIND_LINKS: "/srv/wheels,https://links.example.com",
      },
    ),
  )
  t.same(brief(found), [
    "registry.example.com:443 environment UV_DEFAULT_INDEX:0",
    "a.example.com:443 environment UV_INDEX:0",
    "b.example.com:80 environment UV_INDEX:0",
    "links.example.com:443 environment UV_FIND_LINKS:0",
  ])
})
