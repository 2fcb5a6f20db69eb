/** A Go module proxy (go.dev/ref/mod#goproxy-protocol) with one module. Pure. */
import { zip } from "../archives.ts"
import type { Files } from "./files.ts"

const version = "v1.0.0"
const mod = "module example.com/words\n\ngo 1.19\n"
const source = 'package words\n\n// Tidy says hello.\nfunc Tidy() string { return "tidy words" }\n'

/** What proxy.example.com serves. */
export function goFiles(): Files {
  const folder = `example.com/words@${version}`
  const at = `/example.com/words/@v`
  return {
    [`${at}/list`]: `${version}\n`,
    [`${at}/${version}.info`]: JSON.stringify({ Version: version, Time: "2026-01-01T00:00:00Z" }),
    [`${at}/${version}.mod`]: mod,
    [`${at}/${version}.zip`]: zip({ [`${folder}/go.mod`]: mod, [`${folder}/words.go`]: source }),
    "/example.com/words/@latest": JSON.stringify({
      Version: version,
      Time: "2026-01-01T00:00:00Z",
    }),
  }
}
