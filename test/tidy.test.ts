/**
 * The house rules that no other tool holds: who may import whom, which files touch the world, where
 * a permit is made and spent, and how files are named and headed.
 *
 * The two tables below are meant to be read: `stairs` is the map of the house, `world` is an
 * auditor's index of all input and output. This test reads source text; it runs none of it.
 */
import { readFileSync, readdirSync, existsSync, statSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import t from "tap"

/**
 * Rooms from the ground up. A file imports from its own room and from rooms on lower stairs; rooms
 * on one stair do not see each other.
 */
const stairs: readonly (readonly { readonly room: string; readonly why: string }[])[] = [
  [{ room: "net", why: "the nouns of networking; imports nothing" }],
  [
    { room: "flows", why: "what is known of one connection; every judgement is over these words" },
    { room: "kernel", why: "libc, netlink, nft and namespaces; knows addresses, no policy" },
  ],
  [
    { room: "policies", why: "may this leave? pure, over flows" },
    { room: "managers", why: "what package managers on this machine say of their registries" },
  ],
  [
    { room: "events", why: "what happened; a line carries a verdict and the rule behind it" },
    { room: "http", why: "the bytes of requests and replies, each with one meaning; pure" },
  ],
  [
    { room: "proxy", why: "the bytes of a connection; gets names as a function, not as a room" },
    { room: "dns", why: "the bytes of a name; knows nothing of connections" },
    { room: "certs", why: "trust; knows nothing of who uses it" },
    { room: "firewall", why: "the kernel's share of the policy, as text" },
    { room: "processes", why: "who: sockets to processes, processes to ancestors" },
  ],
  [
    { room: "report", why: "events to words, on the machine or years later" },
    { room: "lab", why: "a small internet in namespaces, for the demo and the tests" },
  ],
  [{ room: "guard", why: "introduces the rooms to each other; nothing below knows it" }],
  [{ room: "cli", why: "a file per command; the only room that reads arguments" }],
]

/**
 * The files that may touch the world (files, sockets, processes, system calls), each with its
 * reason. Every other file is pure. Keep the blank lines: they keep merges apart.
 */
const world: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  managers: {
    "managers/surroundings.ts": "reads the managers' configuration files, as the job's user could",
  },

  events: {
    "events/appender.ts": "appends lines to the open log",
    "events/last-line.ts": "shortens a log on a full disk, and writes its last line",
    "events/line.ts": "makes lines with pino, which writes only to what it is given",
    "events/log-file.ts": "makes the log's folder and opens its file",
    "events/log.ts": "reads the log back at the end",
    "events/read.ts": "opens logs for reading",
  },

  kernel: {
    "kernel/doors.ts": "reads /proc/net/unix, looks which sockets of daemons there are",
    "kernel/libc.ts": "calls the C library",
    "kernel/link.ts": "reads and writes /proc/sys/net",
    "kernel/listener.ts": "closes descriptors that the C library opened",
    "kernel/namespace.ts": "opens namespaces under /proc",
    "kernel/own-files.ts": "copies the machine's stores of certificates for the job's view",
    "kernel/place.ts": "holds files open by name alone, to mount over them",
    "kernel/socket-diag.ts": "reads and writes netlink sockets",
    "kernel/tool.ts": "starts ip, nft and their like",
    "kernel/view.ts": "makes the files and folders that the job sees in place of doors",
  },

  proxy: {
    "proxy/dial.ts": "opens the connections that a Permit allows",
    "proxy/inlet.ts": "proves, once, over a unix socket to itself, that its way of reading works",
    "proxy/secure.ts": "speaks TLS over sockets that are open already",
    "proxy/server.ts": "accepts on the inherited listener",
  },

  dns: {
    "dns/lane.ts": "holds one UDP socket to one upstream",
    "dns/server.ts": "answers on the inherited sockets",
    "dns/upstream-server.ts": "asks one upstream over TCP",
  },

  firewall: {},

  processes: {
    "processes/members.ts": "reads the PID namespaces in /proc",
    "processes/descriptors.ts": "reads the descriptors in /proc",
    "processes/program.ts": "reads executables, arguments and parents in /proc",
  },

  report: {},

  lab: {
    "lab/authority-server.ts": "serves names at the far end",
    "lab/evidence.ts": "reads what the far end wrote down",
    "lab/internet.ts": "starts the far end, makes its folder, removes both",
    "lab/namespaces.ts": "makes and removes the lab's namespaces",
    "lab/recorders.ts": "serves what writes down each byte, in a process of its own at the far end",
    "lab/servers.ts": "serves the far end, writes down what arrives",
    "lab/sites/git.ts": "starts git's own server for each request",
    "lab/thief.ts": "holds the thief's script as text: it is the script that reads its environment",
  },

  guard: {
    "guard/attempt.ts": "starts programs, to see whether they work",
    "guard/drops.ts": "reads /etc/passwd, to name the users behind counted packets",
    "guard/gate.ts": "holds the gate's end of the channel; ends its own process",
    "guard/gates.ts": "starts the gate's processes",
    "guard/job.ts": "starts the thread of the job, passes signals on",
    "guard/kept-authority.ts": "keeps a machine's own authority, and adds it to the system's store",
    "guard/launch.ts": "starts the job, in the job's namespaces",
    "guard/load-policy.ts": "looks where the policy is",
    "guard/machine-probes.ts": "reads what the machine says of itself, for doctor",
    "guard/network.ts": "closes the descriptors of sockets and namespaces",
    "guard/presets.ts": "reads the presets that Sluice ships",
    "guard/privileges.ts": "gives up root, and reads in /proc that it is gone",
    "guard/probes.ts": "tries what a run needs, for doctor",
    "guard/read-file.ts":
      "reads the policy, authorities and special ranges, as the job's user could",
    "guard/resolver-link.ts": "lets workers ask the resolver, over a socket in the run's folder",
    "guard/resolvers.ts": "reads resolv.conf",
    "guard/run-directory.ts": "keeps the run's folder, finds those of dead runs",
    "guard/run.ts":
      "looks at the log's file; makes the folder in which workers meet the resolver; reads who uses which uid",
    "guard/trust.ts":
      "reads what the machine and the job's variables trust, as the job's user could",
    "guard/uplink.ts": "reads the machine's settings before it changes them",
    "guard/version.ts": "reads package.json",
    "guard/worker.ts": "makes TLS contexts of the leaves that the guard signed",
  },

  cli: {
    "cli/ca.ts": "writes the files that the variables of sluice ca env name",
    "cli/demo-build.ts": "writes the demonstration's project and runs its build",
    "cli/demo.ts": "makes and removes the demonstration's folder",
    "cli/doctor.ts": "asks where the home folder is",
    "cli/finish-run.ts": "writes the report that --report asks for",
    "cli/main.ts": "writes to standard output and error, reads arguments, ends the process",
    "cli/policy.ts": "reads the policy that it is asked about",
    "cli/report.ts": "writes the report to the file of -o",
    "cli/run.ts": "finds the command",
  },
}

/** The files that may open a socket of their own, and where to. */
const dialers: Readonly<Record<string, string>> = {
  "proxy/dial.ts": "spends a Permit: the one way out for bytes of the job",
  "proxy/inlet.ts": "a unix socket to itself, to prove its way of reading",
  "proxy/secure.ts": "TLS over a socket that dial.ts opened; none of its own",

  "dns/lane.ts": "UDP to the resolvers that were set at the start, and no other address",
  "dns/upstream-server.ts": "TCP to the same",

  "guard/gate.ts": "wraps the inherited channel to the guard",
  "guard/resolver-link.ts": "a unix socket between the gate's own processes",
}

/** The only line of the only file that makes a Permit ends like this. */
const permitMade = { file: "policies/decide.ts", text: /\bas Permit\b/ }

const sourceLinesMax = 450

/** Folders whose name says nothing about what is in them. */
const vagueFolders = ["src", "lib", "utils", "util", "common", "types", "helpers", "misc", "shared"]

/** Words that say nothing about what a file does. */
const vagueNames = /(^|-)(manager|helper|helpers|handler|service|common|impl|utils|util|misc)(-|$)/

/** Modules through which a program reaches the world. `node:net` has no pure half worth a row. */
const worldModules =
  /^(node:(fs|fs\/promises|net|dgram|tls|http|https|http2|dns|dns\/promises|child_process|cluster|worker_threads|process|os|tty|readline|repl|inspector)|koffi|pino)$/

/** What `process` can do to the world. The lookbehind leaves `flow.process` alone. */
const worldOfProcess =
  /(?<![.\w])process\.(exit|exitCode|kill|abort|chdir|cwd|umask|set[eu]?[ug]id|setgroups|initgroups|stdin|stdout|stderr|on|once|emit|env|argv|send|disconnect|dlopen|binding)\b/

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..")
const notOurs = new Set(["node_modules", "dist", "coverage"])

interface Source {
  /** Path from the root, with slashes. */
  readonly path: string
  readonly text: string
  /** The text without comments; strings stay. */
  readonly code: string
}

interface Import {
  readonly specifier: string
  /** Erased before it runs: brings in words, not behaviour. */
  readonly typeOnly: boolean
}

/** All files below `folder` that belong to the project, hidden ones left out. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (notOurs.has(entry.name) || entry.name.startsWith(".")) return []
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesBelow(path) : [path]
  })
}

/** Drops comments. A `//` inside a string stays because it follows a colon or a quote. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[\s;{}(),])\/\/.*$/gm, "$1")
}

/** Every import, re-export and dynamic import of a literal. */
function importsOf(code: string): Import[] {
  const found: Import[] = []
  const declaration = /^\s*(?:import|export)\s+(type\s+)?(?:[\w*{}\s,$]+?\s+from\s+)?"([^"]+)"/gm
  for (const match of code.matchAll(declaration)) {
    found.push({ specifier: match[2] ?? "", typeOnly: match[1] !== undefined })
  }
  for (const match of code.matchAll(/\bimport\(\s*"([^"]+)"\s*\)/g)) {
    found.push({ specifier: match[1] ?? "", typeOnly: false })
  }
  return found
}

/** First folder of a path; "" for a file at the root. */
function roomOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : ""
}

const files = filesBelow(root).map((path) => relative(root, path))
const sources: readonly Source[] = files
  .filter((path) => path.endsWith(".ts"))
  .map((path) => {
    const text = readFileSync(join(root, path), "utf8")
    return { path, text, code: withoutComments(text) }
  })

const stairOf = new Map(stairs.flatMap((rooms, stair) => rooms.map(({ room }) => [room, stair])))
const product = sources.filter(({ path }) => stairOf.has(roomOf(path)))
const worldRows = new Map(Object.values(world).flatMap((rows) => Object.entries(rows)))

/** What a file does to the world, in words; empty for a pure file. */
function touches({ code }: Source): string[] {
  const modules = importsOf(code)
    .filter(({ specifier, typeOnly }) => !typeOnly && worldModules.test(specifier))
    .map(({ specifier }) => `imports ${specifier}`)
  const act = worldOfProcess.exec(code)
  return act === null ? modules : [...modules, `uses ${act[0]}`]
}

/** Fails once for each complaint, so that all of them are seen at once. */
function none(test: { readonly same: (a: unknown, b: unknown) => unknown }, complaints: string[]) {
  test.same(complaints, [])
}

t.test("every folder with source is a room on the stairs", (t) => {
  const besides = new Set(["test", "bench", "deploy"])
  const rooms = new Set(sources.map(({ path }) => roomOf(path)))
  none(
    t,
    [...rooms]
      .filter((room) => !stairOf.has(room) && !besides.has(room))
      .map((room) => `Cannot place "${room}/": it has no stair, must have a row in stairs`),
  )
  t.end()
})

t.test("a file imports only from its own room and from lower stairs", (t) => {
  const complaints = product.flatMap(({ path, code }) =>
    importsOf(code)
      .filter(({ specifier }) => specifier.startsWith("."))
      .map(({ specifier }) => roomOf(relative(root, resolve(root, dirname(path), specifier))))
      .filter((room) => room !== roomOf(path))
      .filter((room) => (stairOf.get(room) ?? Infinity) >= (stairOf.get(roomOf(path)) ?? 0))
      .map((room) => `Cannot import "${room}/" in ${path}: it must stand on a lower stair`),
  )
  none(t, complaints)
  t.end()
})

t.test("imports between files carry the .ts ending and name a file that exists", (t) => {
  const complaints = sources.flatMap(({ path, code }) =>
    importsOf(code)
      .filter(({ specifier }) => specifier.startsWith("."))
      .filter(
        ({ specifier }) =>
          !/\.(ts|json)$/.test(specifier) || !existsSync(resolve(root, dirname(path), specifier)),
      )
      .map(({ specifier }) => `Cannot resolve "${specifier}" in ${path}`),
  )
  none(t, complaints)
  t.end()
})

t.test("only the files in the table touch the world", (t) => {
  const complaints = product
    .filter(({ path }) => !worldRows.has(path))
    .flatMap((source) =>
      touches(source).map(
        (act) => `Cannot accept "${source.path}": it ${act}, must have a row in world`,
      ),
    )
  none(t, complaints)
  t.end()
})

t.test("every row of the table names a file that does touch the world", (t) => {
  const complaints = Object.entries(world).flatMap(([room, rows]) =>
    Object.keys(rows).flatMap((path) => {
      if (roomOf(path) !== room) return [`Cannot keep the row "${path}": it is not in ${room}/`]
      const source = product.find((candidate) => candidate.path === path)
      if (source === undefined) return [`Cannot keep the row "${path}": there is no such file`]
      return touches(source).length > 0 ? [] : [`Cannot keep the row "${path}": the file is pure`]
    }),
  )
  none(t, complaints)
  t.end()
})

t.test("every row of every table has a reason", (t) => {
  const reasons = [
    ...stairs.flat().map(({ why }) => why),
    ...worldRows.values(),
    ...Object.values(dialers),
  ]
  t.ok(reasons.every((why) => why.length >= 10))
  t.end()
})

t.test("a Permit is made on one line of one file", (t) => {
  const made = product.flatMap(({ path, code }) =>
    code
      .split("\n")
      .filter((line) => permitMade.text.test(line))
      .map(() => path),
  )
  const wanted = existsSync(join(root, permitMade.file)) ? [permitMade.file] : []
  t.same(made, wanted)
  t.end()
})

t.test("only the files in the table open connections", (t) => {
  const opens = /\b(?:connect|createConnection)\s*\(|\bnew\s+(?:net\.)?Socket\s*\(/
  const complaints = product
    .filter(({ code }) =>
      importsOf(code).some(
        ({ specifier, typeOnly }) =>
          !typeOnly && /^node:(net|tls|http|https|http2|dgram)$/.test(specifier),
      ),
    )
    .filter(({ path, code }) => opens.test(code) && dialers[path] === undefined)
    .map(({ path }) => `Cannot accept "${path}": it opens connections, must have a row in dialers`)
  none(t, complaints)
  t.end()
})

t.test("folders and files are named for what is in them, in kebab-case", (t) => {
  const complaints = files.flatMap((path) => {
    const parts = path.split("/")
    const name = (parts.at(-1) ?? "").replace(/(\.test)?\.\w+$/, "")
    const folders = parts.slice(0, -1)
    return [
      ...folders
        .filter((folder) => vagueFolders.includes(folder))
        .map((folder) => `Cannot accept "${path}": "${folder}" says nothing of what is in it`),
      ...(path.endsWith(".ts") && vagueNames.test(name)
        ? [`Cannot accept "${path}": the name says nothing of what it does`]
        : []),
      ...(path.endsWith(".ts") &&
      !/^[a-z0-9]+(-[a-z0-9]+)*(\.test|\.d)?\.ts$/.test(parts.at(-1) ?? "")
        ? [`Cannot accept "${path}": must be kebab-case`]
        : []),
    ]
  })
  none(t, complaints)
  t.end()
})

t.test("there are no index files and no default exports", (t) => {
  const complaints = sources.flatMap(({ path, code }) => [
    ...(/(^|\/)index\.ts$/.test(path)
      ? [`Cannot accept "${path}": name it for what it gives`]
      : []),
    ...(/^export default\b/m.test(code) ? [`Cannot accept a default export in "${path}"`] : []),
  ])
  none(t, complaints)
  t.end()
})

t.test(`a file of the product has at most ${sourceLinesMax} lines`, (t) => {
  const complaints = product
    .map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
    .filter(({ lines }) => lines > sourceLinesMax)
    .map(({ path, lines }) => `Cannot accept "${path}": ${lines} lines`)
  none(t, complaints)
  t.end()
})

t.test("every source file begins with a docstring that says what it is for", (t) => {
  const complaints = product
    .filter(({ text }) => !/^(#!.*\n)?\/\*\*[\s\S]{20,}?\*\//.test(text))
    .map(({ path }) => `Cannot accept "${path}": it must begin with a docstring`)
  none(t, complaints)
  t.end()
})

t.test("nothing is left to do in a comment", (t) => {
  const marks = new RegExp(`\\b(${["TO-DO", "FIX-ME", "X-XX"].join("|").replaceAll("-", "")})\\b`)
  const complaints = sources
    .filter(({ text }) => marks.test(text))
    .map(({ path }) => `Cannot accept "${path}": do it, or open an issue`)
  none(t, complaints)
  t.end()
})

t.test("no file names the place where this checkout lies", (t) => {
  const complaints = files
    .filter((path) => /\.(ts|md|sh|json|ya?ml)$/.test(path) && root.split("/").length > 2)
    .filter((path) => readFileSync(join(root, path), "utf8").includes(`${root}/`))
    .map((path) => `Cannot accept "${path}": it names ${root}`)
  none(t, complaints)
  t.end()
})

t.test("the lock file names packages, not the registry they came from", (t) => {
  t.notMatch(readFileSync(join(root, "package-lock.json"), "utf8"), /"resolved": "http/)
  t.end()
})

/** The anchor that a Markdown heading gets on the usual hosts. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replace(/\s/g, "-")
}

t.test("every link between documents leads somewhere", (t) => {
  const complaints = files
    .filter((path) => path.endsWith(".md"))
    .flatMap((path) => {
      const text = readFileSync(join(root, path), "utf8").replace(/^```[\s\S]*?^```/gm, "")
      return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
        .map((match) => match[1] ?? "")
        .filter((link) => !/^[a-z]+:/.test(link))
        .filter((link) => {
          const [to = "", fragment] = link.split("#")
          const target = to === "" ? join(root, path) : resolve(root, dirname(path), to)
          if (!existsSync(target)) return true
          if (fragment === undefined || statSync(target).isDirectory()) return false
          const headings = [...readFileSync(target, "utf8").matchAll(/^#+\s+(.*)$/gm)]
          return !headings.some((heading) => anchor(heading[1] ?? "") === fragment)
        })
        .map((link) => `Cannot follow "${link}" in ${path}`)
    })
  none(t, complaints)
  t.end()
})
