/** One request at the far end, whatever the version of HTTP, in the words that its sites use. */
import type { IncomingMessage, ServerResponse } from "node:http"

export interface Visit {
  /** Without a port, in lower case; "" when the request names none. */
  readonly host: string
  readonly method: string
  /** From `/` on, without the query. */
  readonly path: string
  /** Without its question mark; "" when there is none. */
  readonly query: string
  /** Whether it came over TLS. */
  readonly secure: boolean
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

/** What a request asks for, and of whom. */
export function visit(request: IncomingMessage, response: ServerResponse, secure: boolean): Visit {
  const url = request.url ?? "/"
  const mark = url.includes("?") ? url.indexOf("?") : url.length
  return {
    host: (request.headers.host ?? "").replace(/:\d+$/, "").toLowerCase(),
    method: request.method ?? "GET",
    path: url.slice(0, mark),
    query: url.slice(mark + 1),
    secure,
    request,
    response,
  }
}
