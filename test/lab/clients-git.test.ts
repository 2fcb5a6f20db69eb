/** Git over HTTPS, fetching and pushing, and gh: each under request rules. */
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { randomBytes } from "node:crypto"
import { tmpdir } from "node:os"
import { join } from "node:path"
import t from "tap"
import { labFor, whyNoLab } from "../bypass/harness.ts"
import { has, tryClients, type Client } from "./client-table.ts"

t.setTimeout(300_000)

/** More than http.postBuffer: git(1) sends such a push in chunks, behind a probe. */
const largeBytes = 3 << 20

/** A directory with two bare repositories in it. */
function repositories(): string {
  const root = mkdtempSync(join(tmpdir(), "sluice-git-"))
  const git = (...argv: string[]): void => {
    const names = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    execFileSync("git", ["-C", root, ...names, ...argv], { stdio: "ignore" })
  }
  git("init", "-b", "main", "work")
  writeFileSync(join(root, "work", "file"), "cloned\n")
  writeFileSync(join(root, "work", "large"), randomBytes(largeBytes))
  git("-C", "work", "add", ".")
  git("-C", "work", "commit", "-m", "first")
  git("clone", "--bare", "work", "repo.git")
  git("clone", "--bare", "work", "other.git")
  return root
}

const config = "[user]\n\tname = Test\n\temail = test@example.com\n"
const clone = "git clone -q https://git.example.com/repo.git clone && cat clone/file"
const commit = "git -C clone commit -q --allow-empty -m second"
const gits = {
  needs: ["git"],
  files: { ".gitconfig": config },
  executable: /\/git-remote-https?$/,
  refused: /403/,
} as const

const clients: readonly Client[] = [
  {
    ...gits,
    name: "git clone",
    rules: [
      "GET https://git.example.com/repo.git/info/refs",
      "POST https://git.example.com/repo.git/git-upload-pack",
    ],
    allowed: clone,
    prints: /^cloned$/m,
    requests: [
      { path: "/repo.git/info/refs?service=*", method: "GET", status: 200, protocol: "h2" },
      { path: "/repo.git/git-upload-pack", method: "POST", status: 200, protocol: "h2" },
    ],
    denied: `[ -d clone ] || ${clone}; ${commit}; git -C clone push -q origin "HEAD:refs/heads/$WORD"`,
    reasons: ["path-not-allowed"],
  },
  {
    ...gits,
    name: "git push, HTTP/2",
    rules: ["GET,POST https://git.example.com/repo.git/**"],
    allowed: `${clone} && ${commit} && git -C clone push origin HEAD:refs/heads/two 2>&1`,
    prints: /\[new branch\]\s+HEAD -> two/,
    requests: [{ path: "/repo.git/git-receive-pack", method: "POST", status: 200, protocol: "h2" }],
    denied: "git clone -q https://git.example.com/other-$WORD.git other",
    reasons: ["path-not-allowed"],
  },
  {
    ...gits,
    name: "git push of much, HTTP/1.1",
    files: { ".gitconfig": `${config}[http]\n\tversion = HTTP/1.1\n` },
    rules: ["GET,POST https://git.example.com/repo.git/**"],
    allowed: [
      clone,
      `head -c ${largeBytes} /dev/urandom >clone/more`,
      "git -C clone add more",
      commit,
      "git -C clone push origin HEAD:refs/heads/three 2>&1",
    ].join(" && "),
    prints: /\[new branch\]\s+HEAD -> three/,
    requests: [
      { path: "/repo.git/git-receive-pack", method: "POST", status: 200, protocol: "http/1.1" },
    ],
    denied: "git clone -q https://git.example.com/other-$WORD.git other",
    reasons: ["path-not-allowed"],
  },
  {
    name: "gh",
    needs: ["gh"],
    environment: { GH_HOST: "github.example.com", GH_ENTERPRISE_TOKEN: "word-of-nobody" },
    rules: ["GET https://github.example.com/api/v3/repos/example/words"],
    allowed: "gh api repos/example/words --jq .full_name",
    prints: /^example\/words$/m,
    requests: [{ path: "/api/v3/repos/example/words", method: "GET", status: 200, protocol: "h2" }],
    denied:
      'gh api repos/example/words -f title="$WORD"; gh api -X POST repos/example/words/issues -f title="$WORD"',
    reasons: ["method-not-allowed", "path-not-allowed"],
    refused: /403/,
    executable: /\/gh$/,
  },
]

t.test("Git and GitHub", { skip: whyNoLab() ?? false, timeout: 290_000 }, async (t) => {
  const served = has("git") ? repositories() : null
  t.teardown(() => served !== null && rmSync(served, { recursive: true, force: true }))
  await tryClients(t, await labFor(t, served === null ? {} : { repositories: served }), clients)
})
