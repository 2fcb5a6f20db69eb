/**
 * What a command may say and see: its own words out, its surroundings in.
 *
 * Commands never touch `process.stdout` or `process.env` themselves, so that a test reads what a
 * person would.
 */
export interface Io {
  /** Standard output: what was asked for. */
  readonly out: (text: string) => void
  /** Standard error: what went wrong, and help. */
  readonly err: (text: string) => void
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Whether standard output is a terminal: only then colours and a width of its own. */
  readonly isTerminal: boolean
  /** Columns of the terminal; 80 where there is none. */
  readonly columns: number
}
