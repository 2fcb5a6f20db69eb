/** A Maven repository: a parent POM, and a JAR that Maven and Gradle resolve. Pure. */
import { zip } from "../archives.ts"
import { digest, type Files } from "./files.ts"

const plexus = "/org/codehaus/plexus/plexus-utils/1.1/plexus-utils-1.1"

function pom(
  artifact: string,
  packaging: string,
  group = "com.example",
  version = "1.0.0",
): string {
  const place = `<groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version>`
  return `<?xml version="1.0"?>\n<project><modelVersion>4.0.0</modelVersion>${place}<packaging>${packaging}</packaging></project>\n`
}

/** What maven.example.com serves. */
export function mavenFiles(): Files {
  const jar = zip({
    "META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n\n",
    "com/example/words.txt": "tidy\n",
  })
  const files: readonly (readonly [string, string | Buffer])[] = [
    ["/com/example/parent/1.0.0/parent-1.0.0.pom", pom("parent", "pom")],
    ["/com/example/words/1.0.0/words-1.0.0.pom", pom("words", "jar")],
    ["/com/example/words/1.0.0/words-1.0.0.jar", jar],
    // Why: Maven puts this one beside every extension, whatever the extension needs.
    [`${plexus}.pom`, pom("plexus-utils", "jar", "org.codehaus.plexus", "1.1")],
    [`${plexus}.jar`, jar],
  ]
  return Object.fromEntries(
    files.flatMap(([path, file]) => [
      [path, file],
      [`${path}.sha1`, digest("sha1", file)],
      [`${path}.md5`, digest("md5", file)],
    ]),
  ) as Files
}
