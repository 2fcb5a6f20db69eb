import t from "tap"
import { maven } from "../../../managers/maven.ts"
import { brief, directory, home, machine } from "./machine.ts"

const user = `${home}/.m2/settings.xml`
const pom = `${directory}/pom.xml`

const settings = (inner: string): string =>
  `<?xml version="1.0"?>\n<settings xmlns="http://maven.apache.org/SETTINGS/1.2.0">\n${inner}\n</settings>\n`

t.test("maven() gives nothing where nothing is configured", async (t) => {
  t.same(maven(machine({})), { places: [], settled: [], notes: [] })
})

t.test("maven() puts a mirror in the place of what it mirrors", async (t) => {
  const files = (of: string) => ({
    [user]: settings(
      `<mirrors><mirror><id>m</id><mirrorOf>${of}</mirrorOf><url>https://u:s3cret@registry.example.com/maven</url></mirror></mirrors>`,
    ),
    [pom]:
      "<project><repositories><repository><id>r</id><url>http://repo.example.com/x</url></repository></repositories></project>",
  })
  const table: [of: string, hosts: string[], settled: boolean][] = [
    ["*", ["registry.example.com:443"], true],
    ["central", ["registry.example.com:443", "repo.example.com:80"], true],
    ["r", ["registry.example.com:443"], false],
    ["*,!r", ["registry.example.com:443", "repo.example.com:80"], true],
    ["external:*", ["registry.example.com:443"], true],
    ["external:http:*", ["registry.example.com:443"], false],
    ["other", ["repo.example.com:80"], false],
  ]
  for (const [of, hosts, settled] of table) {
    const found = maven(machine(files(of)))
    const seen = [...new Set(found.places.map(({ host, port }) => `${host}:${port}`))].sort()
    t.same(seen, hosts, of)
    t.equal(found.settled.includes("central"), settled, of)
    t.notMatch(JSON.stringify(found), /s3cret/)
  }
})

t.test("maven() leaves out what a mirror blocks", async (t) => {
  const found = maven(
    machine({
      "/etc/maven/settings.xml": settings(
        "<mirrors><mirror><id>b</id><mirrorOf>external:http:*</mirrorOf><url>http://0.0.0.0/</url><blocked>true</blocked></mirror></mirrors>",
      ),
      [pom]:
        "<project><pluginRepositories><pluginRepository><id>r</id><url>http://repo.example.com/x</url></pluginRepository></pluginRepositories></project>",
    }),
  )
  t.same(found, { places: [], settled: [], notes: [] })
})

t.test(
  "maven() reads profiles, properties, proxies, parents, modules and the wrapper",
  async (t) => {
    const found = maven(
      machine({
        [user]: settings(
          `<!-- <mirrors/> --><profiles><profile><properties><base>https://p.example.com</base></properties>
<repositories><repository><id>p</id><url>\${base}/maven</url></repository></repositories></profile></profiles>
<proxies><proxy><active>true</active><host>proxy.example.com</host><port>3128</port></proxy>
<proxy><active>false</active><host>no.test</host></proxy></proxies>`,
        ),
        [pom]:
          "<project><parent><artifactId>x</artifactId></parent><modules><module>core</module><module>../../../../etc/x</module></modules>\n<repositories><repository><url>file:///srv/repo</url></repository></repositories></project>",
        "/home/u/work/pom.xml":
          "<project><modules><module>project</module></modules><repositories>\n<repository><id>parent</id><url>\n  https://parent.example.com/a&amp;b\n</url></repository></repositories></project>",
        [`${directory}/core/pom.xml`]:
          "<project><repositories><repository><id>c</id><url><![CDATA[https://core.example.com/]]></url></repository></repositories><distributionManagement><repository><url>https://no.test</url></repository></distributionManagement></project>",
        [`${directory}/.mvn/wrapper/maven-wrapper.properties`]:
          "# x\ndistributionUrl=https\\://dist.example.com/maven.zip\n",
      }),
    )
    t.same(brief(found), [
      `p.example.com:443 ${user}:4`,
      "parent.example.com:443 /home/u/work/pom.xml:3",
      `core.example.com:443 ${directory}/core/pom.xml:1`,
      `proxy.example.com:3128 ${user}:5`,
      `dist.example.com:443 ${directory}/.mvn/wrapper/maven-wrapper.properties:2`,
    ])
  },
)

t.test("maven() finds settings that .mvn/maven.config or MAVEN_ARGS name", async (t) => {
  const text = settings(
    "<mirrors><mirror><mirrorOf>*</mirrorOf><url>https://m.example.com</url></mirror></mirrors>",
  )
  const config = machine({
    [`${directory}/.mvn/maven.config`]: "-B\n-s\nci/settings.xml\n",
    [`${directory}/ci/settings.xml`]: text,
  })
  t.same(brief(maven(config)), [`m.example.com:443 ${directory}/ci/settings.xml:3`])
  const args = machine({ "/cfg/s.xml": text }, { MAVEN_ARGS: "--settings=/cfg/s.xml" })
  t.same(brief(maven(args)), ["m.example.com:443 /cfg/s.xml:3"])
})

t.test("maven() keeps secrets of the environment out of a project's hosts", async (t) => {
  const found = maven(
    machine(
      {
        [pom]:
          "<project><repositories><repository><url>https://${env.TOKEN}.evil.test/</url></repository><repository><url>${env.REPO}/x</url></repository></repositories></project>",
      },
      { TOKEN: "s3cret", REPO: "https://repo.example.com" },
    ),
  )
  t.same(brief(found), [`repo.example.com:443 ${pom}:1`])
  t.notMatch(JSON.stringify(found), /s3cret/)
})

t.test("maven() survives odd files in bounded time", async (t) => {
  const start = Date.now()
  for (const text of [
    "",
    "<",
    "<a>",
    "</a>",
    "<a></b>",
    "<a><b></a></b>",
    '<!DOCTYPE x [<!ENTITY a "b">]><project/>',
    "<!--",
    "<![CDATA[",
    "<a>".repeat(300_000),
    "<a/>".repeat(200_000),
    `<a b="${"x".repeat(900_000)}`,
    `<project>${"<p/>".repeat(200_000)}</project>`,
    `<project><repositories>${"<repository><id>a</id><url>https://a.example.com</url></repository>".repeat(12_000)}</repositories></project>`,
    "\n".repeat(1_000_000),
  ]) {
    t.ok(Array.isArray(maven(machine({ [pom]: text, [user]: text })).places))
  }
  t.ok(Date.now() - start < 5000, `${Date.now() - start} ms`)
})
