/**
 * `sluice run` inside a container with real Docker: the engine runs in the lab's own network, with a
 * directory of its own, and is ended by its pid.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process"
import { copyFileSync, mkdirSync, realpathSync } from "node:fs"
import { join } from "node:path"
import t from "tap"
import type { Lab } from "../../lab/internet.ts"
import { labFor, readEvents, whyNoLab } from "../bypass/harness.ts"

t.setTimeout(240_000)

/** What runc may give here; a machine whose root lacks one of all cannot start a privileged one. */
const capabilities = [
  ...["SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE", "SYS_CHROOT", "SETUID", "SETGID"],
  ...["SETPCAP", "DAC_OVERRIDE", "CHOWN", "FOWNER", "MKNOD", "KILL", "SETFCAP", "AUDIT_WRITE"],
]

function found(program: string): string | null {
  try {
    return execFileSync("sh", ["-c", `PATH=$PATH:/usr/sbin:/sbin command -v ${program}`])
      .toString()
      .trim()
  } catch {
    return null
  }
}

function whyNotHere(): string | false {
  const missing = ["dockerd", "docker", "busybox"].find((program) => found(program) === null)
  return (
    whyNoLab() ?? (missing === undefined ? false : `needs ${missing} (docker.io, busybox-static)`)
  )
}

async function startEngine(lab: Lab, home: string): Promise<ChildProcess> {
  const engine = spawn(
    "nsenter",
    [
      ...[`--net=/run/netns/${lab.bed.host}`, "--", found("dockerd") ?? "dockerd"],
      ...["--data-root", join(home, "data"), "--exec-root", join(home, "exec")],
      ...["-H", `unix://${home}/docker.sock`, "--pidfile", join(home, "pid")],
      ...["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"],
    ],
    { stdio: "ignore" },
  )
  for (let tries = 0; tries < 100; tries++) {
    try {
      docker(home, ["version"])
      return engine
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
  engine.kill()
  throw new Error("Cannot start Docker's engine")
}

function docker(home: string, argv: readonly string[], input?: Buffer): string {
  const host = ["-H", `unix://${home}/docker.sock`]
  return execFileSync("docker", [...host, ...argv], {
    input,
    stdio: ["pipe", "pipe", "pipe"],
  }).toString()
}

function importImage(home: string): void {
  const root = join(home, "image")
  mkdirSync(join(root, "bin"), { recursive: true })
  copyFileSync(found("busybox") ?? "busybox", join(root, "bin/busybox"))
  const archive = execFileSync("tar", ["-C", root, "-c", "."], { maxBuffer: 64 << 20 })
  docker(home, ["import", "-", "lab/busybox"], archive)
}

/** Arguments of `docker run`: privileged where runc can, else with the capabilities that count. */
function privileges(home: string): string[] {
  try {
    docker(home, [
      "run",
      "--rm",
      "--privileged",
      "--net",
      "none",
      "lab/busybox",
      "/bin/busybox",
      "true",
    ])
    return ["--privileged"]
  } catch {
    const options = ["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"]
    return [
      ...capabilities.flatMap((name) => ["--cap-add", name]),
      ...options.flatMap((option) => ["--security-opt", option]),
    ]
  }
}

t.test("in a container of Docker's", { skip: whyNotHere(), timeout: 200_000 }, async (t) => {
  const lab = await labFor(t, {})
  const home = join(lab.directory, "docker")
  mkdirSync(home)
  const engine = await startEngine(lab, home)
  t.teardown(async () => {
    const ended = new Promise((resolve) => engine.once("exit", resolve))
    engine.kill("SIGTERM")
    await ended
    // Why: the engine leaves its own namespace mounted there.
    execFileSync("umount", [join(home, "exec/netns/default")])
  })
  importImage(home)

  const here = realpathSync(join(import.meta.dirname, "../.."))
  const packages = realpathSync(join(here, "node_modules"))
  const log = join(lab.directory, "container.jsonl")
  const build = [
    `curl -sS -m 5 --cacert ${lab.authorityFile} https://allowed.test/`,
    "curl -sS -m 5 -k https://evil.test/ || true",
  ].join("; ")
  const guarded = lab.guarded(
    ["--quiet", "--allow", "allowed.test", "--events", log],
    ["sh", "-c", build],
  )
  const script = [
    "mkdir -p /run /var",
    "for d in lib lib64 sbin; do ln -s usr/$d /$d; done",
    // Why not "$@" alone: /bin is the image's own, and holds busybox alone.
    `export PATH=/usr/sbin:/usr/bin:/bin; ln -s /usr/bin/sh /bin/sh; exec "$@"`,
  ].join("\n")
  const mounts = ["/usr:/usr", "/etc:/etc:ro", `${here}:${here}`, `${packages}:${packages}:ro`]
  const mounted = [...mounts, `${lab.directory}:${lab.directory}`, "/tmp:/tmp"]
  const printed = docker(home, [
    ...["run", "--rm", "--net", "host", ...privileges(home)],
    ...mounted.flatMap((mount) => ["-v", mount]),
    ...["lab/busybox", "/bin/busybox", "sh", "-c", script, "sh", ...guarded],
  ])

  t.equal(printed, "hello from allowed.test over tls\n")
  const events = readEvents(log)
  t.match(
    events.filter(({ kind }) => kind === "flow"),
    [
      {
        verdict: "allow",
        opening: { serverName: "allowed.test" },
        process: { executable: /curl/ },
      },
    ],
  )
  t.ok(events.some((event) => event.kind === "name" && event.reason === "name-not-allowed"))
})
