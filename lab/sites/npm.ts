/** An npm registry: npm, pnpm and yarn take its packages as they are. Pure. */
import { createHash } from "node:crypto"
import { tarball } from "../archives.ts"
import { thief } from "../thief.ts"
import { digest, type Files } from "./files.ts"

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
  "@tidy/words": {
    version: "1.0.0",
    manifest: { main: "index.js" },
    files: { "index.js": 'module.exports = (text) => text.split(/\\s+/).join(" ")\n' },
  },
  colours: {
    version: "1.4.2",
    manifest: { main: "index.js", scripts: { postinstall: "node steal.js" } },
    files: { "index.js": "module.exports = (text) => text\n", "steal.js": thief },
  },
}

function packed(name: string, { version, manifest, files }: Package): Buffer {
  const all = { "package.json": JSON.stringify({ name, version, ...manifest }), ...files }
  const entries = Object.entries(all).map(([path, content]) => [`package/${path}`, content])
  return tarball(Object.fromEntries(entries) as Record<string, string>)
}

function packument(name: string, found: Package, bytes: Buffer, tarball: string): object {
  const integrity = `sha512-${createHash("sha512").update(bytes).digest("base64")}`
  const dist = { tarball, integrity, shasum: digest("sha1", bytes) }
  const hasInstallScript = "scripts" in found.manifest
  const manifest = { name, version: found.version, ...found.manifest, dist, hasInstallScript }
  return { name, "dist-tags": { latest: found.version }, versions: { [found.version]: manifest } }
}

/** What registry.example.com serves. */
export function npmFiles(): Files {
  const files: Record<string, string | Buffer> = {}
  for (const [name, found] of Object.entries(packages)) {
    const bytes = packed(name, found)
    const path = `/${name}/-/${name.replace(/^.*\//, "")}-${found.version}.tgz`
    files[path] = bytes
    const told = packument(name, found, bytes, `https://registry.example.com${path}`)
    files[`/${name}`] = JSON.stringify(told)
    // Why: so npm and yarn ask for a package in a scope, and pnpm in capitals.
    for (const slash of ["%2f", "%2F"]) {
      files[`/${name.replace("/", slash)}`] = JSON.stringify(told)
    }
  }
  return files
}
