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
  taken = 0
  #asked: (() => void) | null = null

  constructor(left: number) {
    this.left = left
  }

  take(bytes: number): boolean {
    if (bytes > this.left) return false
    this.left -= bytes
    this.taken += bytes
    return true
  }

  fill(bytes: number, then: (taken: boolean) => void): void {
    if (this.#asked !== null) throw new Error("asked twice")
    this.#asked = () => then(this.take(bytes))
  }

  /** So many more are there; none: what is asked for is refused. */
  answer(more: number): void {
    const asked = this.#asked
    if (asked === null) throw new Error("nobody asked")
    this.#asked = null
    this.left += more
    asked()
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

/** A relay between two sides that are played. */
export class Stage {
  readonly relay: Relay
  readonly #purse: Leased | null
  readonly #wanted: Wanted
  readonly #lent = new Lent()
  readonly #owned: (readonly [Buffer, string])[] = []
  #paused = false
  #kept = ""
  #ended = false
  toClient = ""
  toUpstream = ""
  readonly acts: string[] = []
  readonly judged: RequestHead[] = []
  readonly exchanges: Exchange[] = []

  constructor(make: (links: Links) => Relay, wanted: Wanted = {}) {
    this.#wanted = wanted
    this.#purse = wanted.purse === undefined ? null : new Leased(wanted.purse)
    this.relay = make(this.#links())
  }

  say(said: Said): void {
    switch (said[0]) {
      case "client":
        this.#kept += said[1]
        break
      case "upstream":
        this.relay.upstream(this.#lent.of(said[1]))
        break
      case "client ends":
        this.#ended = true
        break
      case "upstream ends":
        this.relay.upstreamEnded()
        break
      case "late":
        this.relay.late()
        break
      case "closed":
        this.relay.closed(null)
        break
      case "filled":
        this.#purse?.answer(said[1])
        break
      case "spent":
        this.#purse?.answer(0)
        break
    }
    this.#lent.end()
    this.#deliver()
  }

  /** What happened so far. */
  played(): Played {
    for (const [bytes, text] of this.#owned) {
      if (bytes.toString("latin1") !== text) throw new Error(`lent bytes were kept: ${text}`)
    }
    const { toClient, toUpstream, acts, judged, exchanges } = this
    const taken = this.#wanted.audit === true ? Infinity : (this.#purse?.taken ?? Infinity)
    if (toUpstream.length > taken) throw new Error("more was sent than was in the purse")
    return { toClient, toUpstream, acts, judged, exchanges }
  }

  /** As the carrier does: a client that is paused is not heard. */
  #deliver(): void {
    while (this.#kept !== "" && !this.#paused) {
      const bytes = this.#lent.of(this.#kept)
      this.#kept = ""
      this.relay.client(bytes)
      this.#lent.end()
    }
    if (!this.#ended || this.#kept !== "") return
    this.#ended = false
    this.relay.clientEnded()
  }

  #send(to: "toClient" | "toUpstream", bytes: Buffer, owned: boolean): void {
    if (bytes.length === 0) throw new Error("nothing is sent")
    const text = bytes.toString("latin1")
    if (owned) this.#owned.push([bytes, text])
    this[to] += text
  }

  #links(): Links {
    const { acts } = this
    const { audit = false } = this.#wanted
    return {
      toClient: (bytes, owned) => this.#send("toClient", bytes, owned),
      toUpstream: (bytes, owned) => this.#send("toUpstream", bytes, owned),
      judge: (head) => this.#judge(head),
      broken: (reason) => denied(reason, audit),
      stopped: (_head, _first, reason) => denied(reason, audit && reason !== "upstream-failed"),
      record: (exchange) => {
        this.exchanges.push(exchange)
        acts.push(`record ${exchange.status ?? "-"} ${exchange.answer.reason}`)
      },
      pauseClient: () => {
        this.#paused = true
        acts.push("pause")
      },
      resumeClient: () => {
        this.#paused = false
        acts.push("resume")
      },
      endClient: () => acts.push("end client"),
      endUpstream: () => acts.push("end upstream"),
      reset: () => acts.push("reset"),
      timer: (afterMs) => acts.push(afterMs === null ? "no timer" : `timer ${afterMs}`),
    }
  }

  #judge(head: RequestHead): Answer {
    const { audit = false, denied: paths } = this.#wanted
    this.judged.push(head)
    this.acts.push(`judge ${head.method} ${head.target}`)
    const bad = head.path === null || paths?.test(head.path) === true
    const reason = head.path === null ? "malformed" : "path-not-allowed"
    return { ...(bad ? denied(reason, audit) : allowed), purse: this.#purse }
  }
}

export function play(
  make: (links: Links) => Relay,
  said: readonly Said[],
  wanted: Wanted = {},
): Played {
  const stage = new Stage(make, wanted)
  for (const one of said) stage.say(one)
  return stage.played()
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
