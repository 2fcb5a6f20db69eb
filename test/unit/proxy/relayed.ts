/** Plays what two sides say to a relay, and tells what it did. */
import type { RequestHead } from "../../../http/request.ts"
import type { Answer, Exchange, Links, Purse, Relay } from "../../../proxy/relay.ts"

/** What one side says, or what happens. */
export type Said =
  | readonly ["client" | "upstream", string]
  | readonly ["client ends" | "upstream ends" | "late" | "closed"]
  /** The purse is filled by so many bytes, or refuses. */
  | readonly ["filled", number]
  | readonly ["spent"]

export interface Played {
  readonly toClient: string
  readonly toUpstream: string
  /** In order: judged, paused, resumed, timer, ended, reset, recorded. */
  readonly acts: readonly string[]
  readonly judged: readonly RequestHead[]
  readonly exchanges: readonly Exchange[]
}

export interface Wanted {
  /** Paths that are denied. */
  readonly denied?: RegExp
  readonly audit?: boolean
  /** Bytes in the purse at the beginning; none: no purse. */
  readonly purse?: number
}

export const allowed: Answer = {
  go: true,
  decision: "allow",
  reason: "allowed-by-rule",
  rule: null,
  token: "none",
  refusal: { status: 403, text: "" },
  purse: null,
}

const statuses: Readonly<Record<string, number>> = {
  malformed: 400,
  "host-mismatch": 421,
  "limit-exceeded": 431,
  "upstream-failed": 502,
}

function denied(reason: Answer["reason"], audit: boolean): Answer {
  const status = statuses[reason] ?? 403
  return {
    go: audit,
    decision: "deny",
    reason,
    rule: null,
    token: "none",
    refusal: { status, text: `denied: ${reason}` },
    purse: null,
  }
}

/** A purse whose owner says when it is filled. */
class Leased implements Purse {
  left: number
  #asked: { bytes: number; then: (taken: boolean) => void } | null = null

  constructor(left: number) {
    this.left = left
  }

  take(bytes: number): boolean {
    if (bytes > this.left) return false
    this.left -= bytes
    return true
  }

  fill(bytes: number, then: (taken: boolean) => void): void {
    if (this.#asked !== null) throw new Error("asked twice")
    this.#asked = { bytes, then }
  }

  answer(more: number | null): void {
    const asked = this.#asked
    if (asked === null) throw new Error("nobody asked")
    this.#asked = null
    this.left += more ?? 0
    asked.then(more !== null && this.take(asked.bytes))
  }
}

/** Bytes that were only lent are overwritten once the call is over, as a socket's buffer would be. */
class Lent {
  #lent: Buffer[] = []

  of(text: string): Buffer {
    const bytes = Buffer.from(text, "latin1")
    this.#lent.push(bytes)
    return bytes
  }

  end(): void {
    for (const bytes of this.#lent) bytes.fill("!")
    this.#lent = []
  }
}

export function play(
  make: (links: Links) => Relay,
  said: readonly Said[],
  { denied: deniedPaths, audit = false, purse: purseBytes }: Wanted = {},
): Played {
  const got = { toClient: "", toUpstream: "" }
  const owned: (readonly [Buffer, string])[] = []
  const acts: string[] = []
  const judged: RequestHead[] = []
  const exchanges: Exchange[] = []
  const purse = purseBytes === undefined ? null : new Leased(purseBytes)
  let paused = false
  let kept = ""
  const send =
    (to: "toClient" | "toUpstream") =>
    (bytes: Buffer, stays: boolean): void => {
      if (bytes.length === 0) throw new Error("nothing is sent")
      if (stays) owned.push([bytes, bytes.toString("latin1")])
      got[to] += bytes.toString("latin1")
    }
  const links: Links = {
    toClient: send("toClient"),
    toUpstream: send("toUpstream"),
    judge: (head) => {
      judged.push(head)
      acts.push(`judge ${head.method} ${head.target}`)
      const bad = head.path === null || deniedPaths?.test(head.path) === true
      const reason = head.path === null ? "malformed" : "path-not-allowed"
      return { ...(bad ? denied(reason, audit) : allowed), purse }
    },
    broken: (reason) => denied(reason, audit),
    stopped: (_head, _first, reason) => denied(reason, audit && reason !== "upstream-failed"),
    record: (exchange) => {
      exchanges.push(exchange)
      acts.push(`record ${exchange.status ?? "-"} ${exchange.answer.reason}`)
    },
    pauseClient: () => {
      paused = true
      acts.push("pause")
    },
    resumeClient: () => {
      paused = false
      acts.push("resume")
    },
    endClient: () => acts.push("end client"),
    endUpstream: () => acts.push("end upstream"),
    reset: () => acts.push("reset"),
    timer: (afterMs) => acts.push(afterMs === null ? "no timer" : `timer ${afterMs}`),
  }
  const relay = make(links)
  const lent = new Lent()
  const deliver = (): void => {
    while (kept !== "" && !paused) {
      const bytes = lent.of(kept)
      kept = ""
      relay.client(bytes)
      lent.end()
    }
  }
  for (const [what, value] of said) {
    switch (what) {
      case "client":
        kept += value
        break
      case "upstream":
        relay.upstream(lent.of(String(value)))
        break
      case "client ends":
        relay.clientEnded()
        break
      case "upstream ends":
        relay.upstreamEnded()
        break
      case "late":
        relay.late()
        break
      case "closed":
        relay.closed(null)
        break
      case "filled":
        purse?.answer(Number(value))
        break
      case "spent":
        purse?.answer(null)
        break
    }
    lent.end()
    deliver()
  }
  for (const [bytes, text] of owned) {
    if (bytes.toString("latin1") !== text) throw new Error(`lent bytes were kept: ${text}`)
  }
  return { ...got, acts, judged, exchanges }
}

/** Each side's words cut into pieces of so many bytes. */
export function cut(said: readonly Said[], size: number): Said[] {
  return said.flatMap((one): Said[] => {
    const [what, text] = one
    if ((what !== "client" && what !== "upstream") || text.length === 0) return [one]
    const pieces: Said[] = []
    for (let at = 0; at < text.length; at += size) pieces.push([what, text.slice(at, at + size)])
    return pieces
  })
}
