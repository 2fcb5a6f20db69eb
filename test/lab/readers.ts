/**
 * Three servers that others wrote, as readers: what does each make of some bytes? Each listens on a
 * UNIX socket of its own, answers every request, and tells the requests of each connection.
 */
import { spawn, type ChildProcess } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { createServer as createStreams } from "node:http2"
import { connect, type Socket } from "node:net"
import { join } from "node:path"
import type { Test } from "tap"
import type { Read } from "./odd-accepted.ts"

/** What a server read, with the host that it read it for. */
export interface ReadFor extends Read {
  readonly host: string
}

export interface Reader {
  readonly name: "nginx" | "node" | "python"
  /** Every request that it reads in these bytes, in order. */
  readonly read: (bytes: Buffer) => Promise<ReadFor[]>
}

/** A server that has said nothing for so long has read what it will read. */
const quietMs = 400
const startMs = 10_000

interface Line extends ReadFor {
  readonly connection: string
}

/** Says some bytes; the number by which the server's answers name the connection, or null. */
async function say(path: string, bytes: Buffer): Promise<string | null> {
  const socket = connect(path)
  socket.on("error", () => {})
  let answer = ""
  let last = Date.now()
  socket.on("data", (data: Buffer) => {
    answer += data.toString("latin1")
    last = Date.now()
  })
  socket.write(bytes)
  while (Date.now() - last < quietMs) await new Promise((resolve) => setTimeout(resolve, 50))
  socket.destroy()
  return /^x-connection: (\S+)/im.exec(answer)?.[1] ?? null
}

function readerOf(name: Reader["name"], path: string, lines: () => readonly Line[]): Reader {
  return {
    name,
    async read(bytes) {
      const connection = await say(path, bytes)
      return lines()
        .filter((line) => line.connection === connection)
        .map(({ method, target, host, body }) => ({ method, target, host, body }))
    },
  }
}

const numbers = new WeakMap<object, string>()
let accepted = 0

function numberOf(socket: Socket): string {
  const known = numbers.get(socket) ?? String(++accepted)
  numbers.set(socket, known)
  return known
}

async function nodeReader(t: Test, directory: string): Promise<Reader> {
  const lines: Line[] = []
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = []
    const connection = numberOf(request.socket)
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("error", () => {})
    request.on("end", () => {
      const { method = "", url: target = "", headers } = request
      const body = Buffer.concat(chunks).toString("latin1")
      lines.push({ connection, method, target, host: headers.host ?? "", body })
      response.setHeader("x-connection", connection)
      response.end("ok\n")
    })
  }
  const server = createServer(take)
  server.on("checkContinue", take)
  const path = join(directory, "node.sock")
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return readerOf("node", path, () => lines)
}

/** http.server reads heads; bodies are left to whoever uses it, and read here as its documents say. */
const python = String.raw`
import http.server, itertools, json, os, socketserver, sys
numbers = itertools.count(1)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def setup(self):
        super().setup(); self.number = next(numbers)
    def log_message(self, *_): pass
    def address_string(self): return "-"
    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            data = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                if size == 0: break
                data += self.rfile.read(size); self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b"\n", b""): pass
            return data
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))
    def take(self):
        body = self.body()
        line = {"connection": str(self.number), "method": self.command, "target": self.path, "host": self.headers.get("Host", ""), "body": body.decode("latin1")}
        os.write(1, (json.dumps(line) + "\n").encode())
        self.send_response(200)
        self.send_header("X-Connection", str(self.number))
        self.send_header("Content-Length", "0")
        self.end_headers()
    def __getattr__(self, name):
        if name.startswith("do_"): return self.take
        raise AttributeError(name)
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128
Server(sys.argv[1], Handler).serve_forever()
`

function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

async function listening(path: string, child: ChildProcess): Promise<void> {
  const until = Date.now() + startMs
  while (!existsSync(path)) {
    if (Date.now() > until || ended(child)) throw new Error(`Cannot start the server at ${path}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function pythonReader(t: Test, directory: string): Promise<Reader> {
  const path = join(directory, "python.sock")
  const child = spawn("python3", ["-c", python, path], { stdio: ["ignore", "pipe", "ignore"] })
  t.teardown(() => child.kill("SIGKILL"))
  let text = ""
  child.stdout.on("data", (bytes: Buffer) => (text += bytes.toString()))
  await listening(path, child)
  const lines = (): Line[] =>
    text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line)
  return readerOf("python", path, lines)
}

/** What nginx notes of each request; a body is noted when it was passed on, so it passes it to itself. */
const nginxConfig = (directory: string): string => `
daemon off; master_process off; pid ${directory}/nginx.pid; error_log ${directory}/nginx-error.log crit;
events { worker_connections 1024; }
http {
  log_format read escape=json '{"connection":"$connection","method":"$request_method","target":"$request_uri","host":"$http_host","body":"$request_body","status":"$status"}';
  access_log off;
  client_body_buffer_size 1m; client_body_in_single_buffer on; client_max_body_size 1m;
  client_body_temp_path ${directory}/t1; proxy_temp_path ${directory}/t2; fastcgi_temp_path ${directory}/t3;
  uwsgi_temp_path ${directory}/t4; scgi_temp_path ${directory}/t5;
  merge_slashes off;
  server {
    listen unix:${directory}/nginx.sock backlog=128;
    listen unix:${directory}/nginx-h2.sock http2 backlog=128;
    access_log ${directory}/nginx.log read;
    add_header X-Connection $connection always;
    proxy_ignore_client_abort on;
    location / { proxy_pass http://unix:${directory}/nginx-inner.sock:; }
  }
  server { listen unix:${directory}/nginx-inner.sock backlog=128; return 204; }
}
`

interface NginxLine extends Line {
  readonly status: string
}

/** Bytes beyond ASCII stand in the log as they are. */
function nginxLines(directory: string): NginxLine[] {
  return readFileSync(join(directory, "nginx.log"), "latin1")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as NginxLine)
    .filter(({ status }) => status === "204")
}

async function startNginx(t: Test, directory: string): Promise<void> {
  const config = join(directory, "nginx.conf")
  writeFileSync(config, nginxConfig(directory))
  const argv = ["-c", config, "-e", join(directory, "nginx-error.log"), "-p", directory]
  const child = spawn("nginx", argv, { stdio: ["ignore", "ignore", "inherit"] })
  t.teardown(() => child.kill("SIGKILL"))
  await listening(join(directory, "nginx-inner.sock"), child)
}

/** All three for HTTP/1.1. */
export async function readers(t: Test, directory: string): Promise<Reader[]> {
  await startNginx(t, directory)
  const nginx = readerOf("nginx", join(directory, "nginx.sock"), () => nginxLines(directory))
  return [nginx, await nodeReader(t, directory), await pythonReader(t, directory)]
}

/** Of HTTP/2: whatever is read of the bytes of a connection whose requests bear `mark` in their path. */
export interface StreamReader {
  readonly name: "nginx" | "node"
  readonly read: (bytes: Buffer, mark: string) => Promise<ReadFor[]>
}

/** Node's and nginx's, for HTTP/2 without TLS; after readers(). Python has none of its own. */
export async function streamReaders(t: Test, directory: string): Promise<StreamReader[]> {
  const lines: ReadFor[] = []
  const server = createStreams()
  server.on("sessionError", () => {})
  server.on("stream", (stream, headers) => {
    const chunks: Buffer[] = []
    stream.on("error", () => {})
    stream.on("data", (chunk: Buffer) => chunks.push(chunk))
    stream.on("end", () => {
      const { ":method": method = "", ":path": target = "", ":authority": host = "" } = headers
      lines.push({ method, target, host, body: Buffer.concat(chunks).toString("latin1") })
      stream.respond({ ":status": 200 }, { endStream: true })
    })
  })
  const path = join(directory, "node-h2.sock")
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.teardown(() => server.close())
  const marked = (all: readonly ReadFor[], mark: string): ReadFor[] =>
    all
      .filter(({ target }) => target.includes(mark))
      .map(({ method, target, host, body }) => ({ method, target, host, body }))
  return [
    {
      name: "nginx",
      async read(bytes, mark) {
        await say(join(directory, "nginx-h2.sock"), bytes)
        return marked(nginxLines(directory), mark)
      },
    },
    {
      name: "node",
      async read(bytes, mark) {
        await say(path, bytes)
        return marked(lines, mark)
      },
    },
  ]
}
