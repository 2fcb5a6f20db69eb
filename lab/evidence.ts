/** What reached the far end: the lab's oracle. One JSON object a line, written by the servers. */
import { readFileSync } from "node:fs"

export interface Record_ {
  readonly kind: "name" | "tls" | "http" | "tcp" | "datagram"
  /** The far end's own address and port, as far as it knows. */
  readonly at: string
  /** Bytes as latin1: a name, a server name, a request, what was sent. */
  readonly text: string
}

/** All evidence so far. */
export function readEvidence(path: string): Record_[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record_)
}

/** Evidence that holds a canary, in any of the spellings in which a channel may carry it. */
export function withCanary(records: readonly Record_[], canary: string): Record_[] {
  const spellings = [
    canary,
    Buffer.from(canary).toString("hex"),
    Buffer.from(canary).toString("base64"),
  ]
  return records.filter(({ text }) => {
    const lower = text.toLowerCase()
    return spellings.some((spelling) => lower.includes(spelling.toLowerCase()))
  })
}
