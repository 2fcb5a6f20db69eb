/**
 * `sluice ca`: the authority by hand, for programs outside `sluice run`, where everything trusts the
 * run's own authority already. ✋ Writes the files that variables name below the caller's state folder.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import { parseArgs } from "node:util"
import { knownMeans } from "../certs/trust/means.ts"
import { trust } from "../certs/trust/plan.ts"
import { runsDirectory } from "../events/log-file.ts"
import {
  addToSystem,
  forgetAuthority,
  keepAuthority,
  keptAuthority,
  machineMeans,
  removeFromSystem,
} from "../guard/kept-authority.ts"
import { jobFolder, machine, ownRoots } from "../guard/trust.ts"
import type { Io } from "./io.ts"

const help = `Usage: sluice ca env [--format sh|github|json]
       sluice ca path
       sluice ca install
       sluice ca uninstall

The certificate authority with which Sluice answers where it looks inside TLS.
Inside sluice run every program trusts the run's own authority, which ends with
it; these commands are for an authority that is kept on this machine.

  env        prints the variables that make programs with stores of their own
             trust it (Node.js, Python, curl, Java, Deno, AWS, gcloud and more);
             what they name already is extended into files of yours
               eval "$(sluice ca env)"
               sluice ca env --format github >>"$GITHUB_ENV"
  path       prints where its certificate lies
  install    makes the authority if there is none, and adds it to the system's
             store with the distribution's own tool (update-ca-certificates or
             update-ca-trust); needs root
  uninstall  takes it out of the system's store and removes it with its key;
             needs root

Exit status: 0; 1 when there is no authority, or it cannot be done; 2 for a wrong
option.
`

const actions = ["env", "path", "install", "uninstall"] as const
const formats = ["sh", "github", "json"] as const
type Action = (typeof actions)[number]
type Format = (typeof formats)[number]

const failedStatus = 1
const wrongStatus = 2

/** Where things are and who asks; tests have places of their own. */
export interface Surroundings {
  readonly isRoot: boolean
  readonly home: string
  readonly directory: string
  /** The certificate that counts here; null: there is none. */
  readonly current: () => { readonly path: string; readonly pem: string } | null
  /** Whether this is inside `sluice run`. */
  readonly isJob: boolean
}

function realSurroundings(): Surroundings {
  const own = join(jobFolder, "authority.pem")
  const isJob = existsSync(own)
  return {
    isRoot: process.getuid?.() === 0,
    home: homedir(),
    directory: process.cwd(),
    isJob,
    current: () => (isJob ? { path: own, pem: readFileSync(own, "utf8") } : keptAuthority()),
  }
}

/** @returns the exit status */
export function caCommand(
  argv: readonly string[],
  io: Io,
  here: Surroundings = realSurroundings(),
): number {
  const options = optionsOf(argv)
  if (options === "help") {
    io.out(help)
    return 0
  }
  if ("problem" in options) {
    io.err(`sluice: ${options.problem}\nsluice: See: sluice ca --help\n`)
    return wrongStatus
  }
  try {
    perform(options.action, options.format, io, here)
    return 0
  } catch (error) {
    io.err(`sluice: ${error instanceof Error ? error.message : String(error)}\n`)
    return failedStatus
  }
}

function optionsOf(
  argv: readonly string[],
): { readonly action: Action; readonly format: Format } | { readonly problem: string } | "help" {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: { format: { type: "string" }, help: { type: "boolean", short: "h" } },
      allowPositionals: true,
    })
    if (values.help === true) return "help"
    const [word, ...rest] = positionals
    const action = actions.find((each) => each === word)
    if (action === undefined || rest.length > 0) {
      const given = positionals.join(" ")
      return { problem: `Cannot do "${given}": must be one of ${actions.join(", ")}` }
    }
    const format = formats.find((each) => each === (values.format ?? "sh"))
    if (format !== undefined) return { action, format }
    return {
      problem: `Cannot read --format "${values.format ?? ""}": must be one of ${formats.join(", ")}`,
    }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

function perform(action: Action, format: Format, io: Io, here: Surroundings): void {
  switch (action) {
    case "env":
      return env(format, io, here)
    case "path":
      return io.out(`${currentOf(here).path}\n`)
    case "install":
      return install(io, here)
    case "uninstall":
      return uninstall(io, here)
  }
}

function currentOf(here: Surroundings): { readonly path: string; readonly pem: string } {
  const current = here.current()
  if (current !== null) return current
  throw new Error(
    "Cannot find an authority: none is kept on this machine, must be made first; try: sudo sluice ca install",
  )
}

function env(format: Format, io: Io, here: Surroundings): void {
  const { pem } = currentOf(here)
  const folder = join(dirname(runsDirectory(here.home, io.environment)), "trust")
  const { variables, own } = trust(machine(io.environment, here.home), {
    added: pem,
    otherwise: ownRoots,
    directory: here.directory,
    folder,
    coversSystem: false,
    nowMs: Date.now(),
  })
  const values = Object.values(variables)
  for (const [name, content] of Object.entries(own.run)) {
    const path = join(folder, name)
    if (!values.some((value) => value === path || value.endsWith(`=${path}`))) continue
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
    writeFileSync(path, content, { mode: 0o644 })
    io.err(`sluice: wrote ${path}\n`)
  }
  io.out(printed(variables, format))
}

/** @throws Error where a value cannot stand in that format */
function printed(variables: Readonly<Record<string, string>>, format: Format): string {
  const entries = Object.entries(variables).toSorted(([a], [b]) => (a < b ? -1 : 1))
  switch (format) {
    case "json":
      return `${JSON.stringify({ variables: Object.fromEntries(entries) }, null, 2)}\n`
    case "sh":
      return entries
        .map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'\n`)
        .join("")
    case "github":
      for (const [name, value] of entries) {
        // Why refused: what follows a line end would be a variable of its own.
        if (/[\r\n]/.test(value)) {
          throw new Error(`Cannot write ${name}: its value has a line end, must be one line`)
        }
      }
      return entries.map(([name, value]) => `${name}=${value}\n`).join("")
  }
}

/** @throws Error saying what to do instead */
function mayChange(act: Action, { isRoot, isJob }: Surroundings): void {
  if (isJob) {
    throw new Error(
      `Cannot ${act}: this is inside sluice run, where every program trusts the run's authority already; must be outside`,
    )
  }
  if (!isRoot)
    throw new Error(`Cannot ${act}: this is not root, must be; try: sudo sluice ca ${act}`)
}

function install(io: Io, here: Surroundings): void {
  mayChange("install", here)
  const means = machineMeans()
  if (means === null) {
    throw new Error(
      `Cannot change the system's store: there is no ${knownMeans} with its directory, must be there (Debian and Ubuntu: apt-get install ca-certificates)`,
    )
  }
  const had = keptAuthority() !== null
  const { path, pem, notAfterMs } = keepAuthority(Date.now())
  const until = new Date(notAfterMs).toISOString().slice(0, 10)
  io.err(
    `sluice: ${had ? "The authority is" : "Made an authority:"} ${path}, valid until ${until}\n`,
  )
  io.err(
    addToSystem(means, pem)
      ? `sluice: Added it to the system's store with ${means.tool}\n`
      : "sluice: The system's store has it already\n",
  )
  io.err(`sluice: For programs with stores of their own: eval "$(sluice ca env)"\n`)
}

function uninstall(io: Io, here: Surroundings): void {
  mayChange("uninstall", here)
  const means = machineMeans()
  io.err(
    means !== null && removeFromSystem(means)
      ? `sluice: Took the authority out of the system's store with ${means.tool}\n`
      : "sluice: The system's store does not have it\n",
  )
  io.err(
    forgetAuthority()
      ? "sluice: Removed the authority with its key\n"
      : "sluice: No authority is kept on this machine\n",
  )
}
