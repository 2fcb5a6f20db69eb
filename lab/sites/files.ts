/** A site that is nothing but files, made once and kept: every package registry is one. Pure. */
import { createHash } from "node:crypto"
import type { Visit } from "../visit.ts"

/** Path on the site, from `/` on and without a query, and the file. */
export type Files = Readonly<Record<string, string | Buffer>>

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  json: "application/json",
  pom: "text/xml",
  txt: "text/plain; charset=utf-8",
}

/** An ending that says it; else JSON and HTML by their first character. */
function typeOf(path: string, file: string | Buffer): string {
  const known = types[path.slice(path.lastIndexOf(".") + 1)]
  if (known !== undefined) return known
  if (typeof file !== "string") return "application/octet-stream"
  if (file.startsWith("{")) return "application/json"
  return file.startsWith("<!doctype html>") ? "text/html; charset=utf-8" : "text/plain"
}

/**
 * Answers from files. Whatever is sent to the site is taken and forgotten: 201, as the registries
 * say to a package that is published.
 */
export function serveFiles(files: Files, { method, path, request, response }: Visit): void {
  request.resume()
  request.on("end", () => {
    if (method !== "GET" && method !== "HEAD") {
      response.statusCode = 201
      response.setHeader("content-type", "application/json")
      response.end('{"ok":true}')
      return
    }
    const file = files[path]
    const body = file ?? "{}"
    response.statusCode = file === undefined ? 404 : 200
    response.setHeader("content-type", typeOf(path, body))
    response.setHeader("content-length", Buffer.byteLength(body))
    response.end(method === "HEAD" ? "" : body)
  })
}

/** A digest of a file, in hexadecimal. */
export function digest(algorithm: "md5" | "sha1" | "sha256", file: string | Buffer): string {
  return createHash(algorithm).update(file).digest("hex")
}
