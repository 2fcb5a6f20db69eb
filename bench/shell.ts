/**
 * A shell that stays: commands are written to its standard input, one after another, and what they
 * print comes back. It is how every client command of the bench gets into its namespace, ours
 * included (`sluice run -- sh`), so that starting costs nothing while something is measured.
 */
import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"

/** Longer than any single command of the bench, the soak's included. */
const commandTimeoutMs = 600_000
/** A firewall that does not end by itself within this time after SIGTERM is killed. */
const endGraceMs = 5_000

export class Shell {
  readonly #child: ChildProcess
  readonly #name: string
  #output = ""
  #ended = false
  #count = 0
  #wake: () => void = () => undefined

  /** `argv` must end in something that reads a script from its standard input, such as `sh -s`. */
  constructor(name: string, argv: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    const [program = "sh", ...rest] = argv
    this.#name = name
    this.#child = spawn(program, rest, { stdio: ["pipe", "pipe", "pipe"], env })
    const take = (data: Buffer): void => {
      this.#output += data.toString()
      this.#wake()
    }
    this.#child.stdout?.on("data", take)
    this.#child.stderr?.on("data", take)
    // Why: writing to a shell that died must end in our own error below, with what it said.
    this.#child.stdin?.on("error", () => undefined)
    const end = (): void => {
      this.#ended = true
      this.#wake()
    }
    this.#child.on("exit", end)
    this.#child.on("error", end)
  }

  /** The process at the root of the shell; 0 where it could not be started. */
  get pid(): number {
    return this.#child.pid ?? 0
  }

  /**
   * What `command` printed, both outputs together. Throws when it fails, when it takes too long or when
   * the shell ends. Commands must be awaited one after another.
   */
  async run(command: string, timeoutMs: number = commandTimeoutMs): Promise<string> {
    this.#count += 1
    const mark = `--bench-${process.pid}-${this.#count}--`
    this.#output = ""
    this.#child.stdin?.write(`{ ${command}\n} </dev/null 2>&1; printf '\\n%s %d\\n' '${mark}' $?\n`)
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const at = this.#output.indexOf(`\n${mark} `)
      const rest = at < 0 ? "" : this.#output.slice(at + mark.length + 2)
      if (rest.includes("\n")) {
        const printed = this.#output.slice(0, at)
        const status = Number.parseInt(rest, 10)
        if (status === 0) return printed
        throw new Error(
          `Cannot run "${command}" in ${this.#name}: status ${status}: ${printed.trim()}`,
        )
      }
      if (this.#ended) {
        throw new Error(
          `Cannot run "${command}" in ${this.#name}: it ended: ${this.#output.trim()}`,
        )
      }
      if (Date.now() > deadline) {
        throw new Error(`Cannot run "${command}" in ${this.#name}: no end after ${timeoutMs} ms`)
      }
      await this.#change(deadline - Date.now())
    }
  }

  async stop(): Promise<void> {
    if (this.#ended) return
    const exit = once(this.#child, "exit")
    this.#child.stdin?.end("exit\n")
    const gentle = setTimeout(() => this.#child.kill("SIGTERM"), endGraceMs / 2)
    const hard = setTimeout(() => this.#child.kill("SIGKILL"), endGraceMs)
    await exit
    clearTimeout(gentle)
    clearTimeout(hard)
  }

  async #change(waitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, waitMs))
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
