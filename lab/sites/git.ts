/**
 * A Git server over HTTP: git-http-backend(1) behind git.example.com, for fetching and pushing.
 * ✋ Starts it, once for each request.
 */
import { spawn } from "node:child_process"
import type { ServerResponse } from "node:http"
import type { Visit } from "../visit.ts"

/** A head of a CGI reply (RFC 3875 §6.3) is three lines; this is many times that. */
const headBytesMax = 16_384

function environment(root: string, { method, path, query, request }: Visit): NodeJS.ProcessEnv {
  const { headers } = request
  return {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: "1",
    GIT_HTTP_MAX_REQUEST_BUFFER: "100M",
    // Why: it takes a push only from a user it knows by name, or where the repository says so.
    GIT_CONFIG_COUNT: "2",
    GIT_CONFIG_KEY_0: "http.receivepack",
    GIT_CONFIG_VALUE_0: "true",
    // Why: the repositories are the tests' user's, and the far end is root.
    GIT_CONFIG_KEY_1: "safe.directory",
    GIT_CONFIG_VALUE_1: "*",
    REQUEST_METHOD: method,
    PATH_INFO: decodeURIComponent(path),
    QUERY_STRING: query,
    CONTENT_TYPE: headers["content-type"] ?? "",
    ...(headers["content-length"] === undefined
      ? {}
      : { CONTENT_LENGTH: headers["content-length"] }),
    HTTP_CONTENT_ENCODING: headers["content-encoding"] ?? "",
    HTTP_GIT_PROTOCOL: String(headers["git-protocol"] ?? ""),
  }
}

function sendHead(response: ServerResponse, text: string): void {
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(":")
    if (colon < 0) continue
    const [name, value] = [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    if (name === "status") response.statusCode = Number.parseInt(value, 10)
    else response.setHeader(name, value)
  }
}

/** Passes a CGI reply on: its head as it was meant, its body as it comes. */
function relay(from: NodeJS.ReadableStream, response: ServerResponse): void {
  let held = Buffer.alloc(0)
  const take = (bytes: Buffer): void => {
    held = Buffer.concat([held, bytes])
    const end = /\r?\n\r?\n/.exec(held.toString("latin1", 0, headBytesMax))
    if (end === null) return
    from.off("data", take)
    sendHead(response, held.toString("latin1", 0, end.index))
    response.write(held.subarray(end.index + end[0].length))
    from.pipe(response)
  }
  from.on("data", take)
}

/** Answers from the repositories below `root`. */
export function serveGit(root: string, seen: Visit): void {
  const child = spawn("git", ["http-backend"], {
    env: environment(root, seen),
    stdio: ["pipe", "pipe", "ignore"],
  })
  child.on("error", () => {
    seen.response.statusCode = 500
    seen.response.end("there is no git here\n")
  })
  child.stdin.on("error", () => {})
  seen.request.pipe(child.stdin)
  relay(child.stdout, seen.response)
}
