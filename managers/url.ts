/** Where a configured URL leads: a host and a port, nothing, or a problem in words. */
import { parseAddress } from "../net/address.ts"
import { parsePort } from "../net/endpoint.ts"
import { parseHostname } from "../net/hostname.ts"
import { classify } from "../net/special.ts"

export type Destination =
  | { readonly host: string; readonly port: number }
  /** Nothing leaves the job for it; null: that goes without saying (a path). */
  | { readonly nothing: string | null }
  | { readonly problem: string }

/** RFC 9110 §4.1 asks for 8000 bytes at least; nobody's registry needs half of it. */
const urlLengthMax = 4096

const defaultPorts: Readonly<Record<string, number>> = {
  https: 443,
  http: 80,
  ssh: 22,
  git: 9418,
}

/** They name a path on this machine, or a medium in it. */
const localSchemes = new Set(["file", "cdrom", "copy", "path", "link", "store", "rsh"])

/**
 * Where a URL leads. Reads strictly: what two readers could read differently is a problem.
 *
 * @param trusted false: a project's own file says so. It cannot open private addresses, else a pull
 * request could reach a machine's neighbours.
 * @param bareHost a text without a scheme is `host[:port]` over HTTP, as proxies are written.
 */
export function placeOf(
  text: string,
  { trusted, bareHost }: { trusted: boolean; bareHost: boolean },
): Destination {
  const url = text.trim()
  if (url === "") return { nothing: null }
  if (url.length > urlLengthMax) return { problem: `it is longer than ${urlLengthMax} characters` }
  if (/[\0-\x20\x7f\\]/.test(url)) return { problem: "it holds a character that no URL has" }
  const written = /^([a-z][a-z0-9.-]*(?:\+[a-z0-9.-]+)*):(?:\/\/)?(.*)$/i.exec(url)
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(url)
  if (!isUrl) {
    if (written !== null && localSchemes.has((written[1] ?? "").toLowerCase())) {
      return { nothing: null }
    }
    if (/^[./~]/.test(url)) return { nothing: null }
    const scp = /^[^@/]+@([^@/:]+):(?!\d+(?:\/|$))/.exec(url)
    if (scp !== null) return destination(scp[1] ?? "", 22, trusted)
    if (url.startsWith("$")) {
      return { problem: "its variable is not set, or is no URL; write the host into the policy" }
    }
    if (bareHost) return authority(url.split("/")[0] ?? "", 80, trusted)
    return { problem: "it is no URL, must be like https://registry.example.com/" }
  }
  // Why the last: `sparse+https`, `mirror+http` and `git+ssh` are dressings of a plain scheme.
  const scheme = (written?.[1] ?? "").toLowerCase().split("+").at(-1) ?? ""
  if (localSchemes.has(scheme)) return { nothing: null }
  const port = defaultPorts[scheme]
  if (port === undefined) {
    return {
      problem: `its scheme is unknown, must be one of ${Object.keys(defaultPorts).join(", ")}`,
    }
  }
  return authority(/^[^/?#]*/.exec(written?.[2] ?? "")?.[0] ?? "", port, trusted)
}

/** `[user[:password]@]host[:port]`; who the user is does not matter here and goes no further. */
function authority(text: string, defaultPort: number, trusted: boolean): Destination {
  const at = text.lastIndexOf("@")
  const parts = /^(\[[^\]]*\]|[^[\]:]*)(?::([^:]*))?$/.exec(text.slice(at + 1))
  if (parts === null) return { problem: "it names no host" }
  const port = parts[2] === undefined || parts[2] === "" ? defaultPort : parsePort(parts[2])
  if (port === null || port === 0) return { problem: "its port is no number from 1 to 65535" }
  return destination(parts[1] ?? "", port, trusted)
}

function destination(text: string, port: number, trusted: boolean): Destination {
  const bare = text.startsWith("[") ? text.slice(1, -1) : text
  const address = parseAddress(bare)
  if (address === null) {
    const host = text.startsWith("[") ? null : parseHostname(text)
    if (host === null) {
      return {
        problem: text.includes("$")
          ? "its host holds a variable that is not set, or that a file of the project may not use here"
          : "it names no host",
      }
    }
    if (host === "localhost" || host.endsWith(".localhost")) return { nothing: atHome }
    return { host, port }
  }
  const kind = classify(address)
  if (kind === "loopback" || kind === "unspecified") return { nothing: atHome }
  if (kind === "public") return { host: address, port }
  if (kind !== "private" && kind !== "shared") return { problem: `its address is ${kind}` }
  if (trusted) return { host: address, port }
  return {
    problem:
      "its address is private, which a file of the project cannot allow; write it into the policy",
  }
}

const atHome = "it is on this machine, where the command needs no rule"
