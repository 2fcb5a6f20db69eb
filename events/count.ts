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
      return judged(counts, body.verdict, times, times, 0)
    }
    case "flow":
      return judged(counts, body.verdict, 1, 0, 0)
    case "request": {
      const times = body.repeated ?? 1
      return judged(counts, body.verdict, times, 0, times)
    }
    case "drop":
      return judged(counts, "deny", body.packets, 0, 0)
    case "finding":
      return { ...counts, findings: counts.findings + 1 }
    default:
      return counts
  }
}

/** Why field by field: it is done for every event, and a copy by spreading costs ten times as much. */
function judged(
  { allowed, denied, names, requests, findings }: Counts,
  verdict: "allow" | "deny",
  times: number,
  ofNames: number,
  ofRequests: number,
): Counts {
  return {
    allowed: verdict === "allow" ? allowed + times : allowed,
    denied: verdict === "deny" ? denied + times : denied,
    names: names + ofNames,
    requests: requests + ofRequests,
    findings,
  }
}
