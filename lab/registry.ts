/**
 * What the far end's web servers hold: an npm registry, a Python index and a Git repository, small but
 * real: npm, pip and git take them as they are.
 */
import { createHash } from "node:crypto"
import { existsSync, readFileSync, statSync } from "node:fs"
import type { IncomingMessage, ServerResponse } from "node:http"
import { join, normalize } from "node:path"
import { gzipSync } from "node:zlib"
import { thief } from "./thief.ts"

interface Package {
  readonly version: string
  readonly manifest: Readonly<Record<string, unknown>>
  readonly files: Readonly<Record<string, string>>
}

const packages: Readonly<Record<string, Package>> = {
  "left-padder": {
    version: "1.0.0",
    manifest: { main: "index.js" },
    files: { "index.js": "module.exports = (text, width) => String(text).padStart(width)\n" },
  },
  colours: {
    version: "1.4.2",
    manifest: { main: "index.js", scripts: { postinstall: "node steal.js" } },
    files: { "index.js": "module.exports = (text) => text\n", "steal.js": thief },
  },
}

/** One file in a tar archive (POSIX ustar). */
function tarEntry(path: string, text: string): Buffer {
  const bytes = Buffer.from(text)
  const head = Buffer.alloc(512)
  head.write(path, 0)
  head.write("0000644\0", 100)
  head.write("0000000\0", 108)
  head.write("0000000\0", 116)
  head.write(`${bytes.length.toString(8).padStart(11, "0")}\0`, 124)
  head.write("00000000000\0", 136)
  head.write("        ", 148)
  head.write("0", 156)
  head.write("ustar\0", 257)
  head.write("00", 263)
  const sum = head.reduce((total, byte) => total + byte, 0)
  head.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148)
  const padding = Buffer.alloc((512 - (bytes.length % 512)) % 512)
  return Buffer.concat([head, bytes, padding])
}

function tarball(name: string, { version, manifest, files }: Package): Buffer {
  const text = JSON.stringify({ name, version, ...manifest })
  const entries = Object.entries({ "package.json": text, ...files })
  const archive = entries.map(([path, content]) => tarEntry(`package/${path}`, content))
  return gzipSync(Buffer.concat([...archive, Buffer.alloc(1024)]))
}

function packument(name: string, found: Package): object {
  const bytes = tarball(name, found)
  const integrity = `sha512-${createHash("sha512").update(bytes).digest("base64")}`
  const shasum = createHash("sha1").update(bytes).digest("hex")
  const url = `https://registry.example.com/${name}/-/${name}-${found.version}.tgz`
  const dist = { tarball: url, integrity, shasum }
  const hasInstallScript = "scripts" in found.manifest
  const manifest = { name, version: found.version, ...found.manifest, dist, hasInstallScript }
  return { name, "dist-tags": { latest: found.version }, versions: { [found.version]: manifest } }
}

function serveNpm(url: string, response: ServerResponse): boolean {
  const name = url.split("/")[1] ?? ""
  const found = packages[name]
  if (found === undefined) return false
  if (url.endsWith(".tgz")) {
    response.setHeader("content-type", "application/octet-stream")
    response.end(tarball(name, found))
  } else {
    response.setHeader("content-type", "application/json")
    response.end(JSON.stringify(packument(name, found)))
  }
  return true
}

const wheelName = "tidy_words-1.0.0-py3-none-any.whl"

function serveFile(root: string, url: string, response: ServerResponse): boolean {
  const path = join(root, normalize(decodeURIComponent(url.split("?")[0] ?? "")))
  if (!path.startsWith(root) || !existsSync(path) || !statSync(path).isFile()) {
    response.statusCode = 404
    response.end("no such file\n")
    return true
  }
  response.end(readFileSync(path))
  return true
}

/**
 * Answers what one of the far end's repositories answers.
 *
 * @param repositories the directory behind git.example.com; null: none
 * @returns false when the request is for none of them
 */
export function registry(
  request: IncomingMessage,
  response: ServerResponse,
  repositories: string | null,
): boolean {
  const host = (request.headers.host ?? "").replace(/:\d+$/, "")
  const url = request.url ?? "/"
  if (host === "registry.example.com" && request.method === "GET") {
    if (serveNpm(url, response)) return true
    response.statusCode = 404
    response.end("{}")
    return true
  }
  if (host === "git.example.com" && repositories !== null) {
    return serveFile(repositories, url, response)
  }
  if (host === "pypi.example.com" && url.startsWith("/simple/")) {
    response.setHeader("content-type", "text/html")
    response.end(`<!doctype html><a href="/files/${wheelName}">${wheelName}</a>`)
    return true
  }
  return false
}
