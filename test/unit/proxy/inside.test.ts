/** TLS that is ended here, with real clients and servers of Node's on loopback. */
import t from "tap"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { request } from "node:https"
import type { RequestOptions } from "node:https"
import { createServer } from "node:https"
import { connect, createServer as createTlsServer } from "node:tls"
import type { TLSSocket } from "node:tls"
import type { Test } from "tap"
import { leaf, selfSignedLeaf } from "../../../certs/leaf.ts"
import type { Certificate } from "../../../certs/certificate.ts"
import type { Mode, Rule } from "../../../policies/policy.ts"
import { proveInlets } from "../../../proxy/inlet.ts"
import { Gate } from "../../../proxy/server.ts"
import { key, listen, ours, rule, theirs, world } from "./world.ts"
import type { TestWorld } from "./world.ts"

const now = Date.now()
const good = leaf(theirs, key, ["allowed.test"], now)

interface Origin {
  readonly certificate?: Certificate
  /** Rules beside the one that allows requests. */
  readonly further?: (port: number) => readonly Rule[]
}

interface Opened extends TestWorld {
  readonly port: number
  readonly got: string[]
  readonly ask: (path: string, options?: RequestOptions) => Promise<Reply>
}

interface Reply {
  readonly status: number
  readonly body: string
  readonly issuer: string
}

/** A gate before one https server; both on loopback, on one port. */
async function lab(
  t: Test,
  path: string,
  mode: Mode = "block",
  origin: Origin = {},
): Promise<Opened> {
  await proveInlets()
  const got: string[] = []
  const { certificate = good } = origin
  const server = createServer({ key: key.pem, cert: certificate.pem }, (request, response) => {
    got.push(`${request.method} ${request.url}`)
    let size = 0
    request.on("data", (bytes: Buffer) => (size += bytes.length))
    request.on("end", () => response.end(`${request.method} ${size}`))
  })
  const port = await listen(server, "127.0.0.2")
  const made = world({
    rules: [rule(`GET,PUT https://allowed.test:${port}${path}`), ...(origin.further?.(port) ?? [])],
    mode,
    resolves: { "allowed.test": ["127.0.0.2"] },
    gave: { "127.0.0.1": ["allowed.test"] },
  })
  const gate = new Gate({ ...made.surroundings, isOurs: ({ address }) => address === "127.0.0.1" })
  await listen(gate.server, "127.0.0.1", port)
  t.teardown(async () => {
    server.closeAllConnections()
    server.close()
    await gate.close()
  })
  const ask = (path: string, options: RequestOptions = {}): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const host = { host: "127.0.0.1", port, servername: "allowed.test" }
      const headers = { host: `allowed.test:${port}` }
      const sent = request({ ...host, path, headers, ca: ours.pem, ...options }, (response) => {
        const issuer = (response.socket as TLSSocket).getPeerX509Certificate()?.issuer ?? ""
        let body = ""
        response.on("data", (bytes: Buffer) => (body += bytes.toString()))
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body, issuer }))
      })
      sent.on("error", reject)
      sent.end()
    })
  return { ...made, port, got, ask }
}

t.test(
  "a gate opens TLS with a leaf of its own, and lets an allowed request through",
  async (t) => {
    const { ask, flow, got, requests } = await lab(t, "/public/**")
    t.same(await ask("/public/a?token=x"), { status: 200, body: "GET 0", issuer: "CN=Ours" })
    t.same(got, ["GET /public/a?token=x"])
    t.match(await flow(), { action: "intercept", verdict: "allow", reason: "allowed-by-rule" })
    t.match(requests(), [
      {
        method: "GET",
        path: "/public/a?token=*",
        host: "allowed.test",
        status: 200,
        verdict: "allow",
      },
    ])
  },
)

t.test("a gate answers a denied request with a page, and nothing of it goes on", async (t) => {
  const { ask, flow, got, requests } = await lab(t, "/public/**")
  const reply = await ask("/private")
  t.match(reply, {
    status: 403,
    body: /^sluice: denied GET https:\/\/allowed\.test.*path-not-allowed/,
  })
  t.match(await ask("/public/x", { method: "DELETE" }), { status: 403, body: /method-not-allowed/ })
  t.match(await ask("/public/x", { headers: { host: "evil.test" } }), { status: 421 })
  t.same(got, [])
  t.match(await flow(), { action: "intercept", verdict: "deny", reason: "path-not-allowed" })
  t.match(
    requests().map(({ reason }) => reason),
    ["path-not-allowed", "method-not-allowed", "host-mismatch"],
  )
})

t.test("a gate in audit mode lets a denied request through, and says so", async (t) => {
  const { ask, flow, got, requests } = await lab(t, "/public/**", "audit")
  t.match(await ask("/private"), { status: 200 })
  t.same(got, ["GET /private"])
  const verdict = { verdict: "deny", enforced: false, reason: "path-not-allowed" }
  t.match(requests(), [verdict])
  t.match(await flow(), { action: "intercept", ...verdict })
})

t.test("a gate tells inside why a host is denied beside rules over its requests", async (t) => {
  const further = (port: number) => [rule(`allowed.test:${port}`, "deny")]
  const { ask, flow, got, requests } = await lab(t, "/**", "block", { further })
  // Why often: names are known before the hello, or after it.
  for (let turn = 0; turn < 5; turn++) {
    t.match(await ask("/"), { status: 403, body: /denied-by-rule/, issuer: "CN=Ours" })
    t.match(await flow(), { action: "refuse", verdict: "deny", reason: "denied-by-rule" })
  }
  t.same(got, [])
  t.equal(requests().length, 5)
})

const day = 24 * 3_600_000
const bad: readonly (readonly [string, Certificate, RegExp])[] = [
  ["self-signed", selfSignedLeaf(key, ["allowed.test"], now), /SELF_SIGNED/],
  ["for another name", leaf(theirs, key, ["other.test"], now), /another name/],
  ["expired", leaf(theirs, key, ["allowed.test"], now, { notAfterMs: now - day }), /expired/],
  [
    "not yet valid",
    leaf(theirs, key, ["allowed.test"], now, { notBeforeMs: now + day }),
    /not valid/,
  ],
  ["for clients", leaf(theirs, key, ["allowed.test"], now, { purpose: "clientAuth" }), /not meant/],
  ["of an unknown authority", leaf(ours, key, ["allowed.test"], now), /not trusted/],
]

for (const [what, certificate, words] of bad) {
  t.test(`a gate answers 502 where the certificate is ${what}, and sends nothing`, async (t) => {
    const { ask, flow, got } = await lab(t, "/**", "block", { certificate })
    const reply = await ask("/")
    t.match(reply, { status: 502, body: words, issuer: "CN=Ours" })
    t.same(got, [])
    t.match(await flow(), { action: "refuse", verdict: "deny", reason: "certificate-invalid" })
  })

  t.test(`a gate in audit mode does not launder a certificate that is ${what}`, async (t) => {
    const { ask, flow } = await lab(t, "/**", "audit", { certificate })
    const reply = await ask("/", { rejectUnauthorized: false })
    t.not(reply.issuer, undefined)
    const verdict = { verdict: "deny", enforced: false, reason: "certificate-invalid" }
    t.match(await flow(), { action: "splice", ...verdict })
  })
}

/** A client that verifies during the handshake, as most do and Node does not; null: not installed. */
function knock(port: number): Promise<number | null> {
  const file = join(tmpdir(), `sluice-theirs-${process.pid}.pem`)
  writeFileSync(file, theirs.pem)
  const where = ["-connect", `127.0.0.1:${port}`, "-servername", "allowed.test", "-CAfile", file]
  const client = spawn("openssl", ["s_client", ...where, "-verify_return_error"], {
    stdio: ["ignore", "ignore", "ignore"],
  })
  return new Promise((resolve) => {
    client.once("error", () => resolve(null))
    client.once("close", (status) => {
      rmSync(file, { force: true })
      resolve(status ?? 1)
    })
  })
}

t.test("a gate tells when a client refuses its leaf, and in audit opens it no more", async (t) => {
  for (const mode of ["block", "audit"] as const) {
    const { flow, port } = await lab(t, "/**", mode)
    const status = await knock(port)
    if (status === null) return t.comment("skipped: needs openssl")
    t.not(status, 0)
    const refused = { verdict: "deny", enforced: true, reason: "certificate-invalid" }
    t.match(await flow(), {
      action: "refuse",
      ...refused,
      certificateRefused: true,
      detail: /unknown_ca/,
    })
    t.equal(await knock(port), mode === "audit" ? 0 : 1)
    const again = await flow()
    t.match(again, mode === "audit" ? { ...refused, action: "splice", enforced: false } : refused)
  }
})

t.test("a gate offers its client only what the upstream speaks", async (t) => {
  const cases = [
    [["h2", "http/1.1"], ["h2", "http/1.1"], "h2"],
    [["http/1.1"], ["h2", "http/1.1"], "http/1.1"],
    [["h2", "http/1.1"], ["http/1.1"], "http/1.1"],
    [["h2", "http/1.1"], [], false],
    [[], ["h2", "http/1.1"], false],
  ] as const
  for (const [upstream, client, agreed] of cases) {
    const server = createTlsServer({
      key: key.pem,
      cert: good.pem,
      ...(upstream.length === 0 ? {} : { ALPNProtocols: [...upstream] }),
    })
    server.on("secureConnection", (socket) => socket.on("error", () => {}))
    const port = await listen(server, "127.0.0.2")
    const made = world({
      rules: [rule(`https://allowed.test:${port}/**`)],
      resolves: { "allowed.test": ["127.0.0.2"] },
    })
    const gate = new Gate({ ...made.surroundings, isOurs: () => false })
    await listen(gate.server, "127.0.0.1", port)
    const socket = connect({
      ...{ host: "127.0.0.1", port, servername: "allowed.test", ca: ours.pem },
      ...(client.length === 0 ? {} : { ALPNProtocols: [...client] }),
    })
    await once(socket, "secureConnect")
    t.equal(socket.alpnProtocol, agreed, `${upstream.join()} and ${client.join()}`)
    socket.destroy()
    await gate.close()
    server.close()
  }
})
