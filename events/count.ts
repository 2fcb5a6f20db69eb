/** How much of each happened: the `counts` of `run-ended`. Pure. */
import type { Counts, EventBody } from "./event.ts"

export const noCounts: Counts = { allowed: 0, denied: 0, names: 0, requests: 0, findings: 0 }

/**
 * The counts with one event more. A name or a request that one line tells of
 * `repeated` times counts that often; a drop counts its packets, under denied.
 */
export function counted(counts: Counts, body: EventBody): Counts {
  switch (body.kind) {
    case "name": {
      const times = body.repeated ?? 1
      return { ...judged(counts, body.verdict, times), names: counts.names + times }
    }
    case "flow":
      return judged(counts, body.verdict, 1)
    case "request": {
      const times = body.repeated ?? 1
      return { ...judged(counts, body.verdict, times), requests: counts.requests + times }
    }
    case "drop":
      return judged(counts, "deny", body.packets)
    case "finding":
      return { ...counts, findings: counts.findings + 1 }
    default:
      return counts
  }
}

function judged(counts: Counts, verdict: "allow" | "deny", times: number): Counts {
  return verdict === "allow"
    ? { ...counts, allowed: counts.allowed + times }
    : { ...counts, denied: counts.denied + times }
}
