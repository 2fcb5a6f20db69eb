/** What a person sees when the command has ended, and the status that others read. */
import type { RunResult } from "../guard/run.ts"
import type { Io } from "./io.ts"

/** Something was denied and `--fail-on-deny` was given. */
const denied = 3

export async function finishRun(
  { status, log }: RunResult,
  wanted: { quiet: boolean; failOnDeny: boolean; report: string | null; io: Io },
): Promise<number> {
  const { counts, lost, path } = log
  if (!wanted.quiet) wanted.io.err(`sluice: ${JSON.stringify({ ...counts, lost, path })}\n`)
  await Promise.resolve()
  return wanted.failOnDeny && status === 0 && counts.denied > 0 ? denied : status
}
