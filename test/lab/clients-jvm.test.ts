/** Maven and Gradle, each under request rules for the artifacts that it needs. */
import t from "tap"
import { labFor, whyNoLab } from "../bypass/harness.ts"
import { tryClients, type Client } from "./client-table.ts"

t.setTimeout(300_000)

/** Why an extension: Maven resolves it before any goal, and the goal itself needs no plugin. */
const pom = `<project><modelVersion>4.0.0</modelVersion>
  <parent><groupId>com.example</groupId><artifactId>parent</artifactId><version>1.0.0</version><relativePath/></parent>
  <artifactId>app</artifactId><packaging>pom</packaging>
  <build><extensions><extension>
    <groupId>com.example</groupId><artifactId>words</artifactId><version>1.0.0</version>
  </extension></extensions></build>
</project>
`
const settings = `<settings><mirrors><mirror>
  <id>lab</id><mirrorOf>*</mirrorOf><url>https://maven.example.com</url>
</mirror></mirrors></settings>
`
const gradle = `repositories { maven { url 'https://maven.example.com' } }
configurations { words }
dependencies { words "com.example:words:\${project.findProperty('asked') ?: '1.0.0'}" }
task show { doLast { configurations.words.each { println it.name } } }
`

const rules = [
  "GET,HEAD https://maven.example.com/com/example/words/1.0.0/**",
  "GET https://maven.example.com/com/example/parent/1.0.0/**",
  "GET https://maven.example.com/org/codehaus/**",
]
const jar = {
  path: "/com/example/words/1.0.0/words-1.0.0.jar",
  method: "GET",
  status: 200,
} as const

const clients: readonly Client[] = [
  {
    name: "Maven",
    needs: ["mvn"],
    files: {
      "pom.xml": pom,
      "settings.xml": settings,
      ".mvn/maven.config": "-B -s settings.xml -Dmaven.repo.local=m2\n",
    },
    rules,
    allowed: "mvn validate; find m2 -name words-1.0.0.jar",
    prints: /BUILD SUCCESS[\s\S]*m2\/com\/example\/words\/1\.0\.0\/words-1\.0\.0\.jar$/m,
    requests: [jar, { ...jar, path: "/com/example/parent/1.0.0/parent-1.0.0.pom" }],
    denied:
      'sed "s#<version>1.0.0</version>#<version>$WORD</version>#" pom.xml >other.xml; mvn -f other.xml validate',
    reasons: ["path-not-allowed"],
    refused: /403/,
    executable: /\/java$/,
  },
  {
    name: "Gradle",
    needs: ["gradle"],
    files: { "build.gradle": gradle, "gradle.properties": "org.gradle.daemon=false\n" },
    environment: { GRADLE_USER_HOME: ".gradle-home" },
    rules,
    allowed: "gradle -q show",
    prints: /^words-1\.0\.0\.jar$/m,
    requests: [jar],
    denied: "gradle -q -Pasked=$WORD show",
    reasons: ["path-not-allowed"],
    refused: /403/,
    executable: /\/java$/,
  },
]

t.test("Maven and Gradle", { skip: whyNoLab() ?? false, timeout: 290_000 }, async (t) =>
  tryClients(t, await labFor(t, {}), clients),
)
