import t from "tap"
import { pip } from "../../../managers/pip.ts"
import { brief, directory, home, machine } from "./machine.ts"

const user = `${home}/.config/pip/pip.conf`

t.test("pip() takes each setting from its most important source", async (t) => {
  const files = {
    "/etc/pip.conf":
      "[global]\nindex-url = https://etc.test/simple\nextra-index-url = https://extra.example.com/simple\n",
    [user]: "[global]\nindex_url: https://u:s3cret@registry.example.com:8443/simple\n",
  }
  const found = pip(machine(files))
  t.same(brief(found).sort(), [
    "extra.example.com:443 /etc/pip.conf:3",
    `registry.example.com:8443 ${user}:2`,
  ])
  t.same(found.settled, ["index"])
  t.notMatch(JSON.stringify(found), /s3cret/)
  const env = pip(
    machine(files, {
      PIP_INDEX_URL: "http://env.example.com/simple",
      PIP_EXTRA_INDEX_URL: "https://a.example.com https://b.example.com",
    }),
  )
  t.same(brief(env).sort(), [
    "a.example.com:443 environment PIP_EXTRA_INDEX_URL:0",
    "b.example.com:443 environment PIP_EXTRA_INDEX_URL:0",
    "env.example.com:80 environment PIP_INDEX_URL:0",
  ])
})

t.test("pip() reads lists over several lines, with the line of each", async (t) => {
  const text = `[install]
extra-index-url =
    https://a.example.com/simple
    # not this one
    https://b.example.com/simple

find-links =
    /srv/wheels
    https://wheels.example.com/
[list]
index-url = https://no.test
`
  t.same(brief(pip(machine({ [user]: text }))), [
    `a.example.com:443 ${user}:3`,
    `b.example.com:443 ${user}:5`,
    `wheels.example.com:443 ${user}:9`,
  ])
})

t.test("pip() honours PIP_CONFIG_FILE and no-index", async (t) => {
  const files = {
    "/etc/pip.conf": "[global]\nindex-url=https://etc.example.com",
    [user]: "[global]\nindex-url=https://user.test",
    "/cfg/pip.conf": "[global]\nextra-index-url=https://named.example.com",
  }
  t.same(pip(machine(files, { PIP_CONFIG_FILE: "/dev/null" })).places, [])
  t.same(brief(pip(machine(files, { PIP_CONFIG_FILE: "/cfg/pip.conf" }))).sort(), [
    "etc.example.com:443 /etc/pip.conf:2",
    "named.example.com:443 /cfg/pip.conf:2",
  ])
  const none = pip(machine(files, { PIP_NO_INDEX: "1" }))
  t.same(none.places, [])
  t.same(none.settled, ["index"])
})

t.test("pip() adds what requirements files name, and does not replace the default", async (t) => {
  const path = `${directory}/requirements-dev.txt`
  const found = pip(
    machine({
      [path]:
        "requests==2\n--extra-index-url https://extra.example.com/simple\n-i=https://i.example.com\n-f ./wheels\n--index-url http://10.0.0.1/simple\n",
      [`${directory}/notes.txt`]: "-i https://no.test",
    }),
  )
  t.same(brief(found), [`extra.example.com:443 ${path}:2`, `i.example.com:443 ${path}:3`])
  t.same(found.settled, [])
  t.match(found.notes[0], /line 5: its address is private/)
})

t.test("pip() survives odd files in bounded time", async (t) => {
  for (const text of [
    `a${" ".repeat(1_000_000)}b`,
    "=".repeat(1_000_000),
    " indented before any key\n",
    "[global\nindex-url=https://registry.example.com",
    "[global]\nindex-url",
  ]) {
    const start = Date.now()
    pip(machine({ [user]: text, [`${directory}/requirements.txt`]: text }))
    t.ok(Date.now() - start < 2000)
  }
})
