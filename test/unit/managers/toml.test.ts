import t from "tap"
import { tomlValues } from "../../../managers/toml.ts"

function flat(text: string): Record<string, string | boolean> {
  return Object.fromEntries(tomlValues(text).map(({ path, value }) => [path.join("/"), value]))
}

t.test("tomlValues() reads keys, tables, arrays of tables and strings of all kinds", async (t) => {
  const text = `
a.b = "x" # c
"c d"."e.f" = 'raw \\n'
n = 12
on = true
s = """
two "lines"
"""
l = '''x'y'''
esc = "q\\"q\\\\"
[t]
v = [ "1", [ "2" ], { k = "3" } ]
[[u]]
k = "first"
[u.sub]
s = "s"
[[u]]
k = "second"
[[u.deep]]
k = "d"
[ "quoted" . t ]
x = 1979-05-27T07:32:00Z
`
  t.same(flat(text), {
    "a/b": "x",
    "c d/e.f": "raw \\n",
    n: "12",
    on: true,
    s: '\ntwo "lines"\n',
    l: "x'y",
    esc: 'q"q\\',
    "t/v/0": "1",
    "t/v/1/0": "2",
    "t/v/2/k": "3",
    "u/0/k": "first",
    "u/0/sub/s": "s",
    "u/1/k": "second",
    "u/1/deep/0/k": "d",
    "quoted/t/x": "1979-05-27T07:32:00Z",
  })
})

t.test("tomlValues() knows the line of each value", async (t) => {
  const lines = tomlValues('a = """\n\n"""\nb = [\n  "x",\n  "y"\n]\r\nc = "z"').map(
    ({ line }) => line,
  )
  t.same(lines, [1, 5, 6, 8])
})

t.test("tomlValues() leaves out what is no TOML, and goes on after it", async (t) => {
  t.same(flat('= 1\na\nb = "open\nc = [1, \nd = "x"\n'), {
    "c/0": "1",
    "c/1": "d",
  })
  t.same(flat('[broken\nx = "lost"\n[ok]\nx = "kept"\n')["ok/x"], "kept")
  t.same(flat('[real]\na = "1"\n[[broken]\nurl = "x"\n')["real/url"], undefined)
})

t.test("tomlValues() is bounded in depth, number and time", async (t) => {
  const start = Date.now()
  t.same(tomlValues(`a = ${"[".repeat(500_000)}`), [])
  t.same(tomlValues(`a = ${"{a=".repeat(300_000)}`), [])
  t.equal(tomlValues('a="x"\n'.repeat(100_000)).length, 20_000)
  t.equal(tomlValues(`a = [${'"x",'.repeat(250_000)}]`).length, 20_000)
  tomlValues(`${"a.".repeat(500_000)}b = 1`)
  tomlValues(`[${"a.".repeat(500_000)}b]`)
  tomlValues("[[a]]\n".repeat(170_000))
  tomlValues("'".repeat(1_000_000))
  tomlValues('"\\'.repeat(500_000))
  tomlValues(" ".repeat(1_000_000))
  t.ok(Date.now() - start < 3000, `${Date.now() - start} ms`)
})
