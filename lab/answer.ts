/** What the far end answers: which site a request is for, and a few words where there is none. Pure. */
import { cargoFiles } from "./sites/cargo.ts"
import { composerFiles } from "./sites/composer.ts"
import { debianFiles } from "./sites/debian.ts"
import { serveFiles, type Files } from "./sites/files.ts"
import { gemFiles } from "./sites/gems.ts"
import { serveGit } from "./sites/git.ts"
import { githubFiles } from "./sites/github.ts"
import { goFiles } from "./sites/go.ts"
import { serveGrpc } from "./sites/grpc.ts"
import { mavenFiles } from "./sites/maven.ts"
import { npmFiles } from "./sites/npm.ts"
import { pypiFiles } from "./sites/pypi.ts"
import { serveTransfer } from "./sites/transfers.ts"
import type { Visit } from "./visit.ts"

/** Sites that are nothing but files, by host; made when somebody first asks. */
const shelves: Readonly<Record<string, () => Files>> = {
  "crates.example.com": cargoFiles,
  "deb.example.com": debianFiles,
  "gems.example.com": gemFiles,
  "github.example.com": githubFiles,
  "maven.example.com": mavenFiles,
  "packages.example.com": composerFiles,
  "proxy.example.com": goFiles,
  "pypi.example.com": pypiFiles,
  "registry.example.com": npmFiles,
}

const made = new Map<string, Files>()

function filesOf(host: string): Files | null {
  const known = made.get(host)
  if (known !== undefined) return known
  const files = shelves[host]?.() ?? null
  if (files !== null) made.set(host, files)
  return files
}

/**
 * Answers one request.
 *
 * @param repositories the directory behind git.example.com; null: none
 */
export function answer(seen: Visit, repositories: string | null): void {
  if (serveTransfer(seen)) return
  if (seen.host === "git.example.com" && repositories !== null) {
    return serveGit(repositories, seen)
  }
  if (seen.host === "grpc.example.com") return serveGrpc(seen)
  const files = filesOf(seen.host)
  if (files !== null) return serveFiles(files, seen)
  const { host, secure, request, response } = seen
  request.resume()
  request.on("end", () => {
    response.end(`hello from ${host === "" ? "nobody" : host}${secure ? " over tls" : ""}\n`)
  })
}
