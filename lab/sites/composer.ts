/** A Composer repository (getcomposer.org/doc/05-repositories.md) with one package. Pure. */
import { tar } from "../archives.ts"
import { digest, type Files } from "./files.ts"

/** What packages.example.com serves. */
export function composerFiles(): Files {
  const manifest = { name: "example/words", version: "1.0.0", autoload: { files: ["words.php"] } }
  const archive = tar({
    "words/composer.json": JSON.stringify(manifest),
    "words/words.php": '<?php\nfunction tidy() { return "tidy words"; }\n',
  })
  const url = "https://packages.example.com/dist/words-1.0.0.tar"
  const dist = { type: "tar", url, shasum: digest("sha1", archive) }
  return {
    "/packages.json": JSON.stringify({
      packages: { "example/words": { "1.0.0": { ...manifest, dist } } },
    }),
    "/dist/words-1.0.0.tar": archive,
  }
}
