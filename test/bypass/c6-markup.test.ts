/**
 * Row 107: markup in what a job asks for. Reports are plain text and JSON; what they hold of a path is
 * inert where it stands, and would be in a page that somebody pastes it into.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import t from "tap"
import { recorderPorts } from "../../lab/recorder-ports.ts"
import { readEvents, whyNoLab } from "./harness.ts"
import { recordedLab } from "./recorded.ts"
import { inline, words } from "./requests.ts"
import { script } from "./ways.ts"

t.setTimeout(120_000)
const skip = whyNoLab() ?? false

/** What a page would obey, as it is. */
const raw = [
  ...["<img src=x onerror=alert(1)>", "</details><script>", "`code`", "| a | b |", "a\\|b"],
  ...["<!-- x -->", "&lt;b&gt;", "{{x}}", "[x]: javascript:x", '"><svg/onload=x>', "$(id)"],
]
/** The same as clients spell it: percent-encoded where a URI has no such character. */
const encoded = raw.map((text) => encodeURI(text).replaceAll("'", "%27"))
/** Characters that a URI may have, and Markdown reads. */
const bare = ["[x](https://evil.test)", "![x](https://evil.test/x.png)", "*x*_y_~z~", "@user", "#1"]

const hosts = ["<img>.evil.test", "`x`.evil.test", "a|b.evil.test", "[x](y).evil.test"]

t.test("row 107: markup", { skip, timeout: 110_000 }, async (t) => {
  const lab = await recordedLab(t)
  const { secure, plain } = recorderPorts
  const directory = join(lab.directory, "markup")
  mkdirSync(directory)
  const [policy, log] = [join(directory, "policy.yml"), join(directory, "events.jsonl")]
  const report = join(directory, "report.txt")
  writeFileSync(
    policy,
    `mode: block\nallow:\n  - GET https://allowed.test:${secure}/ok/**\n  - GET http://allowed.test:${plain}/ok/**\n`,
  )
  const lines = [...raw, ...encoded, ...bare].flatMap((text, at) =>
    ["ok", "evil"].flatMap((start) =>
      [
        { send: "secure", port: secure },
        { send: "plain", port: plain },
      ].map(({ send, port }) => {
        const request = `GET /${start}/n${at}n/${text} HTTP/1.1\r\nHost: allowed.test:${port}\r\nUser-Agent: ${text}\r\n\r\n`
        return `${send}(${inline(request)}, wait=0.2)`
      }),
    ),
  )
  const named = hosts.map(
    (host) => `plain(${inline(`GET /ok/x HTTP/1.1\r\nHost: ${host}\r\n\r\n`)}, wait=0.2)`,
  )
  const bodies = [...lines, ...named].map((line) => `pool.submit(lambda: ${line})`)
  const job = script(words, "with ThreadPoolExecutor(8) as pool:", ...bodies.map((b) => `    ${b}`))
  const options = ["--policy", policy, "--events", log, "--report", report]
  const argv = lab.guarded(options, job)
  const { status, stderr } = await lab.run(argv, { timeoutMs: 60_000 })
  t.equal(status, 0, stderr)
  const main = argv.slice(0, argv.indexOf("run"))
  const later = async (format: string): Promise<{ status: number; stdout: string }> =>
    lab.run([...main, "report", log, "--format", format])
  const [text, json] = [await later("text"), await later("json")]

  const paths = readEvents(log).flatMap((event) => (event.kind === "request" ? [event.path] : []))
  for (const [at, spelled] of encoded.entries()) {
    const mark = `n${raw.length + at}n`
    t.ok(
      paths.some((path) => path.includes(mark)),
      `what was asked for is told: ${spelled}`,
    )
  }
  const texts = { summary: stderr, report: readFileSync(report, "utf8"), later: text.stdout }
  for (const [what, shown] of Object.entries(texts)) {
    t.ok(shown.length > 200, `${what}: there is something`)
    t.notOk(/<img|<script|<\/details|<svg|<!--/i.test(shown), `${what}: no tag`)
    t.notOk(/`code`|\| a \| b|a\\\|b/.test(shown), `${what}: no code, no table`)
    // eslint-disable-next-line no-control-regex
    t.notOk(/[\0-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]/.test(shown), `${what}: no controls`)
  }
  for (const [what, shown] of Object.entries({
    json: json.stdout,
    log: readFileSync(log, "utf8"),
  })) {
    // eslint-disable-next-line no-control-regex
    t.notOk(/[^\x20-\x7e\n]/.test(shown), `${what}: plain characters only`)
  }
  t.ok(
    stderr
      .trimEnd()
      .split("\n")
      .every((line) => line.startsWith("sluice: ")),
    "no line of the summary is the job's to begin",
  )
  t.match(JSON.parse(json.stdout), Object)
  for (const format of ["markdown", "html"]) {
    const made = await later(format)
    // What obeys markup is written by nobody yet. Whoever adds a format adds a case here.
    t.equal(made.status, 2, `there is no report as ${format}`)
    t.equal(made.stdout, "")
  }
})
