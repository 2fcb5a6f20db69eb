/**
 * Starts a program of the machine and tells how it went. ✋ Starts programs.
 *
 * Programs are found in the system's directories only, and get no environment of the caller's: it
 * runs as root.
 */
import { spawn } from "node:child_process"
import { accessSync, constants } from "node:fs"

const places = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/local/bin"]

/** A probe that takes longer hangs, and tells nothing; in milliseconds. */
const attemptMsMax = 10_000

/** What is kept of each stream, in characters. */
const outputCharactersMax = 256 * 1024

export interface Attempt {
  /** absent: the program is not installed. */
  readonly kind: "done" | "failed" | "absent"
  readonly program: string
  readonly out: string
  readonly err: string
}

/** Absolute path of a program; null: it is not installed. */
export function find(program: string): string | null {
  for (const place of places) {
    try {
      accessSync(`${place}/${program}`, constants.X_OK)
      return `${place}/${program}`
    } catch {
      // Not here: the next place may have it.
    }
  }
  return null
}

/** Runs a program to its end, or for 10 seconds. Never throws. */
export async function attempt(
  program: string,
  argv: readonly string[],
  input = "",
): Promise<Attempt> {
  const path = find(program)
  if (path === null) return { kind: "absent", program, out: "", err: "" }
  return new Promise((resolve) => {
    const child = spawn(path, argv, {
      env: { PATH: places.join(":"), LC_ALL: "C" },
      timeout: attemptMsMax,
      killSignal: "SIGKILL",
      stdio: "pipe",
    })
    const texts = { out: "", err: "" }
    child.stdout.on("data", (chunk: Buffer) => {
      texts.out = (texts.out + chunk.toString("utf8")).slice(0, outputCharactersMax)
    })
    child.stderr.on("data", (chunk: Buffer) => {
      texts.err = (texts.err + chunk.toString("utf8")).slice(0, outputCharactersMax)
    })
    // A program that ends without reading its input is judged by its status.
    child.stdin.on("error", () => undefined)
    child.stdin.end(input)
    child.on("error", (error) => resolve({ kind: "failed", program, out: "", err: error.message }))
    child.on("close", (status) =>
      resolve({ kind: status === 0 ? "done" : "failed", program, ...texts }),
    )
  })
}
