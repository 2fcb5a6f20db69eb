/**
 * Programs of the machine (`ip`, `nft`, …), found and started so that nothing in the caller's
 * environment can put another program in their place.
 */
import { accessSync, constants } from "node:fs"
import { spawnSync } from "node:child_process"
import { KernelError } from "./libc.ts"

const places = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/local/bin"]

/** Which Debian package holds a program, for the person who lacks it. */
const packages: Readonly<Record<string, string>> = {
  nft: "nftables",
  ip: "iproute2",
  setpriv: "util-linux",
  mount: "mount",
  sh: "dash",
}

const found = new Map<string, string>()

/** The environment in which the machine's programs run: no LD_PRELOAD, no PATH of the caller's. */
export const cleanEnvironment: Readonly<Record<string, string>> = {
  PATH: places.join(":"),
  LC_ALL: "C",
}

/**
 * Absolute path of a program of the machine.
 *
 * @throws Error naming the Debian package, when it is not installed
 */
export function tool(name: string): string {
  const known = found.get(name)
  if (known !== undefined) return known
  for (const place of places) {
    const path = `${place}/${name}`
    try {
      accessSync(path, constants.X_OK)
      found.set(name, path)
      return path
    } catch {
      // Why: not here; the next place may have it.
    }
  }
  const holder = packages[name]
  const cure = holder === undefined ? "" : ` (Debian and Ubuntu: apt-get install ${holder})`
  throw new Error(`Cannot start "${name}": it is not installed${cure}`)
}

/**
 * Runs a program of the machine to its end, in the calling thread's namespaces, and gives its output.
 *
 * @param input standard input
 * @param timeoutMs after which it is ended, and has failed
 * @throws KernelError with the program's own words, when it fails
 */
export function runTool(
  name: string,
  argv: readonly string[],
  input = "",
  timeoutMs = 20_000,
): string {
  const result = spawnSync(tool(name), argv, {
    input,
    encoding: "utf8",
    env: cleanEnvironment,
    timeout: timeoutMs,
    maxBuffer: 64 << 20,
  })
  if (result.error) throw result.error
  if (result.status === 0) return result.stdout
  const words = result.stderr.trim().split("\n").slice(0, 6).join("; ")
  throw new KernelError(name, 0, `run "${name} ${argv.join(" ")}" (${words})`)
}
