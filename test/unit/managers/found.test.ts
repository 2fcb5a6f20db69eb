import t from "tap"
import { Findings, under, upwards } from "../../../managers/found.ts"

t.test("ofProject() tells a project's files from the user's and the machine's", async (t) => {
  const table: [directory: string, source: string, project: boolean][] = [
    ["/home/u/work/p", "/home/u/work/p/.npmrc", true],
    ["/home/u/work/p", "/home/u/work/.npmrc", true],
    ["/home/u/work/p", "/home/u/.npmrc", false],
    ["/home/u/work/p", "/home/u/.config/pip/pip.conf", false],
    ["/home/u/work/p", "/etc/pip.conf", false],
    ["/home/u/work/p", "environment PIP_INDEX_URL", false],
    ["/home/u", "/home/u/.npmrc", false],
    ["/srv/ci/p", "/srv/ci/p/.npmrc", true],
    ["/srv/ci/p", "/srv/.npmrc", true],
    ["/srv/ci/p", "/home/u/.npmrc", false],
    ["/srv/ci/p", "/opt/node/etc/npmrc", false],
    ["/home", "/home/.npmrc", true],
    ["/home", "/home/u/.npmrc", false],
    ["/", "/etc/npmrc", false],
  ]
  for (const [directory, source, project] of table) {
    const findings = new Findings({
      read: () => null,
      list: () => [],
      environment: {},
      directory,
      home: "/home/u",
    })
    t.equal(findings.ofProject(source), project, `${source} from ${directory}`)
  }
})

t.test("under() resolves paths and never leaves the root", async (t) => {
  t.equal(under("/a/b", "../c"), "/a/c")
  t.equal(under("/a/b", "../../../../c/./d//e"), "/c/d/e")
  t.equal(under("/a/b", "/c"), "/c")
  t.same(upwards("/a/b"), ["/a/b", "/a", "/"])
})
