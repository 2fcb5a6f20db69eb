/**
 * The demonstration's project and its two builds. ✋ Writes the project to a directory of its own,
 * runs npm behind the firewall.
 */
import { randomBytes } from "node:crypto"
import {
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { readLog } from "../events/read.ts"
import { jobUser, type User } from "../guard/identity.ts"
import type { Lab, RunResult } from "../lab/internet.ts"
import { loot, type Loot } from "../lab/thief.ts"
import { Reporter, type Report } from "../report/report.ts"
import type { Io } from "./io.ts"

export type Mode = "audit" | "block"

export interface Build {
  readonly mode: Mode
  readonly npm: RunResult
  /** Whether the good dependency can be used afterwards. */
  readonly works: boolean
  readonly loot: Loot
  /** null: there is no event log; the run never began. */
  readonly report: Report | null
}

/** npm needs 2 s; a machine at work on other things many times that. In milliseconds. */
const buildMsMax = 45_000

const manifest = {
  name: "demo",
  version: "1.0.0",
  private: true,
  dependencies: { "left-padder": "1.0.0", colours: "1.4.2" },
  // Newer versions of npm run no script of a package that is not named here.
  allowScripts: { colours: true },
}

export const policyText = `allow:
  - registry.example.com
`

/** A directory for everything, readable for the user the job will run as. */
export function makeDirectory(environment: Io["environment"]): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), `sluice-demo-${process.pid}-`)))
  const { uid, gid } = jobUser(null, environment)
  chownSync(directory, uid, gid)
  return directory
}

function makeProject(directory: string, lab: Lab, user: User): void {
  mkdirSync(directory)
  writeFileSync(join(directory, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`)
  writeFileSync(join(directory, "sluice.yml"), policyText)
  // Why a copy: the lab's own directory is root's alone.
  copyFileSync(lab.authorityFile, join(directory, "authority.pem"))
  for (const name of [".", ...readdirSync(directory)]) {
    chownSync(join(directory, name), user.uid, user.gid)
  }
}

/** Nothing of the person's own npm, whatever it is set to. */
function environmentOf(
  directory: string,
  token: string,
  given: Io["environment"],
): Record<string, string> {
  const kept = ["SUDO_UID", "SUDO_GID", "SUDO_USER", "TMPDIR"].flatMap((name) => {
    const value = given[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return {
    ...Object.fromEntries(kept),
    PATH: searchPath(given),
    LANG: "C.UTF-8",
    HOME: directory,
    DEPLOY_TOKEN: token,
    npm_config_registry: "https://registry.example.com/",
    npm_config_cafile: join(directory, "authority.pem"),
    npm_config_cache: join(directory, ".cache"),
    npm_config_userconfig: join(directory, ".npmrc"),
    npm_config_globalconfig: join(directory, ".npmrc-global"),
    npm_config_ignore_scripts: "false",
    npm_config_audit: "false",
    npm_config_fund: "false",
    npm_config_update_notifier: "false",
  }
}

/** Where node and npm are looked for. */
export function searchPath(environment: Io["environment"]): string {
  const given = environment["PATH"] ?? ""
  return [
    dirname(process.execPath),
    ...(given === "" ? [] : [given]),
    "/usr/sbin",
    "/usr/bin",
  ].join(":")
}

/** Builds a fresh project, in its own directory below `parent`. */
export async function build(
  lab: Lab,
  mode: Mode,
  parent: string,
  given: Io["environment"],
  abort: AbortSignal,
): Promise<Build> {
  const directory = join(parent, mode)
  const token = `deploy-${randomBytes(8).toString("hex")}`
  makeProject(directory, lab, jobUser(null, given))
  const before = lab.evidence().length
  const environment = environmentOf(directory, token, given)
  const settings = { bare: true, directory, environment, timeoutMs: buildMsMax, abort }
  const options = ["--mode", mode, "--policy", "sluice.yml", "--events", "events.jsonl", "--quiet"]
  const npm = await lab.run(lab.guarded(options, ["npm", "install"]), settings)
  abort.throwIfAborted()
  const check = `process.stdout.write(require("left-padder")("works", 8))`
  const used = await lab.run([process.execPath, "-e", check], settings)
  await lab.seen(token)
  return {
    mode,
    npm,
    works: npm.status === 0 && used.stdout === "   works",
    loot: loot(lab.evidence().slice(before), token),
    report: await reportOf(join(directory, "events.jsonl")),
  }
}

async function reportOf(events: string): Promise<Report | null> {
  const reporter = new Reporter()
  try {
    await readLog(events, (event) => reporter.add(event))
  } catch {
    return null
  }
  return reporter.report()
}
