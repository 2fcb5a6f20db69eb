/** Peers that are npm packages: where `--install-peers` puts them, and whether they are there. */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** Below .tap, which is not kept: the project's own packages stay few. */
const directory = fileURLToPath(new URL("../../.tap/peers", import.meta.url))

/** Pinned, so that ratios do not change with the peer. */
const versions = { "http-mitm-proxy": "1.1.0", mockttp: "4.6.5" } as const
type NpmPeer = keyof typeof versions

export function npmPeerPath(name: NpmPeer): string {
  return `${directory}/node_modules/${name}`
}

export function missingNpmPeer(name: NpmPeer): string | null {
  const here = existsSync(`${npmPeerPath(name)}/package.json`)
  return here ? null : `npm package ${name} is not installed in .tap/peers`
}

export function installNpmPeers(): void {
  mkdirSync(directory, { recursive: true })
  const wanted = Object.entries(versions).map(([name, version]) => `${name}@${version}`)
  const quietly = ["--ignore-scripts", "--no-audit", "--no-fund"]
  execFileSync("npm", ["install", "--prefix", directory, ...quietly, ...wanted], {
    stdio: "inherit",
  })
}
