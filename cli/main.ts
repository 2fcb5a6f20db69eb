/** temporary */
import { runCommand } from "./run.ts"
const io = {
  out: (t: string) => void process.stdout.write(t),
  err: (t: string) => void process.stderr.write(t),
  environment: process.env,
  isTerminal: false,
  columns: 80,
}
process.exitCode = await runCommand(process.argv.slice(3), io)
process.exit()
