import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import t from "tap"
import { authority } from "../../../certs/authority.ts"
import { caCommand, type Surroundings } from "../../../cli/ca.ts"

const folder = mkdtempSync(join(tmpdir(), "sluice-ca-"))
t.teardown(() => rmSync(folder, { recursive: true }))
const { pem } = authority("Sluice test", Date.now())
const kept = { path: "/var/lib/sluice/authority/certificate.pem", pem }

function ca(
  argv: readonly string[],
  environment: Record<string, string> = {},
  more: Partial<Surroundings> = {},
): { status: number; out: string; err: string } {
  let [out, err] = ["", ""]
  const io = {
    out: (text: string) => void (out += text),
    err: (text: string) => void (err += text),
    environment,
    isTerminal: false,
    columns: 80,
  }
  const here = { isRoot: false, isJob: false, home: folder, directory: "/", current: () => kept }
  return { status: caCommand(argv, io, { ...here, ...more }), out, err }
}

t.test("sluice ca says what it can do, and refuses what it cannot", (t) => {
  t.match(ca(["--help"]), { status: 0, out: /^Usage: sluice ca env/, err: "" })
  for (const argv of [[], ["other"], ["env", "more"], ["env", "--format", "yaml"], ["--wrong"]]) {
    t.match(ca(argv), { status: 2, out: "", err: /^sluice: .*\nsluice: See: sluice ca --help\n$/ })
  }
  for (const act of ["install", "uninstall"]) {
    t.match(ca([act]), { status: 1, err: `try: sudo sluice ca ${act}` })
    t.match(ca([act], {}, { isRoot: true, isJob: true }), { status: 1, err: /inside sluice run/ })
  }
  t.end()
})

t.test("sluice ca path and env say how to get an authority where there is none", (t) => {
  for (const act of ["path", "env"]) {
    const none = ca([act], {}, { current: () => null })
    t.match(none, { status: 1, out: "", err: /must be made first; try: sudo sluice ca install/ })
  }
  t.strictSame(ca(["path"]), { status: 0, out: `${kept.path}\n`, err: "" })
  t.end()
})

t.test("sluice ca env prints what a shell takes, with files that hold the authority", (t) => {
  const own = join(folder, "it's mine.pem")
  const mine = authority("Mine", Date.now()).pem
  writeFileSync(own, mine)
  const { out, status } = ca(["env"], {
    GIT_SSL_CAINFO: own,
    PATH: "",
    JAVA_TOOL_OPTIONS: "-Da='b c'",
  })
  t.equal(status, 0)
  t.ok(out.split("\n").every((line) => line === "" || /^export \w+='.*'$/.test(line)))
  const script = `${out}\nprintf '%s\\0' "$NODE_EXTRA_CA_CERTS" "$GIT_SSL_CAINFO" "$JAVA_TOOL_OPTIONS"`
  const values = execFileSync("sh", ["-c", script], { encoding: "utf8" }).split("\0")
  const [node = "", git = "", java = ""] = values
  t.equal(readFileSync(node, "utf8"), pem)
  t.equal(readFileSync(git, "utf8"), mine + pem)
  t.match(java, /^-Da='b c' -Djavax\.net\.ssl\.trustStore=/)
  t.equal(readFileSync(own, "utf8"), mine, "the file itself is as it was")
  t.end()
})

t.test("sluice ca env prints for GitHub and for programs, and no line of somebody else's", (t) => {
  const github = ca(["env", "--format", "github"])
  t.match(github.out, /^NODE_EXTRA_CA_CERTS=\/.*$/m)
  const json = JSON.parse(ca(["env", "--format", "json"]).out) as { variables: unknown }
  t.match(json.variables, { NODE_EXTRA_CA_CERTS: /added-authorities\.pem$/ })
  const forged = ca(["env", "--format", "github"], { JAVA_TOOL_OPTIONS: "-Da\nPATH=/tmp" })
  t.match(forged, { status: 1, out: "", err: /has a line end/ })
  t.end()
})

t.test("sluice ca env, said twice, changes nothing more", (t) => {
  const first = JSON.parse(ca(["env", "--format", "json"]).out) as {
    variables: Record<string, string>
  }
  const again = JSON.parse(ca(["env", "--format", "json"], first.variables).out) as {
    variables: Record<string, string>
  }
  t.strictSame(again.variables, {})
  t.end()
})
