/**
 * The requests of one connection: each is judged, each is recorded, and together they say what became
 * of the connection. Does no I/O of its own.
 */
import type { Hostname } from "../net/hostname.ts"
import type { EventBody } from "../events/event.ts"
import type { Flow, Token } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import type { RequestHead } from "../http/request.ts"
import type { Rule } from "../policies/policy.ts"
import { judgeRequest, unread } from "./judge.ts"
import type { Judged, RequestJudge } from "./judge.ts"
import { requestEvent } from "./record.ts"
import { printable } from "./refuse.ts"
import type { Answer, Exchange, Links, Purse } from "./relay.ts"
import { wordsFor } from "./told.ts"
import type { Refusable } from "./told.ts"

/** What is refused whatever is asked: the connection leads nowhere. */
export interface Hopeless {
  readonly reason: Reason
  readonly decision: Judged["decision"]
  readonly rule: Judged["rule"]
  readonly detail: string | null
}

export interface RequestsWorld extends RequestJudge {
  readonly tokenOf: (head: RequestHead) => Token
  /** Pays for what is sent under a rule with a budget; null: nothing bounds it. */
  readonly purse: (rule: Rule | null) => Purse | null
  /** Takes an event; a promise where there is no room, which is kept once there is. */
  readonly record: (event: EventBody) => void | Promise<void>
}

export interface RequestsOptions {
  /** The flow as it is known now; with its opening, where that is TLS. */
  readonly flow: () => Flow
  /** The host that plain HTTP was dialled for; null: TLS has named it, or an address was meant. */
  readonly dialledFor: Hostname | null
  /** null: each request is judged for itself. */
  readonly hopeless: Hopeless | null
}

/** Most verdicts remembered of one connection: what a client asks again and again. */
const rememberedMax = 64

/** A verdict on a request. Its words are made when they are asked for: nearly all are allowed. */
class Verdict implements Answer {
  readonly go: boolean
  readonly decision: Answer["decision"]
  readonly reason: Reason
  readonly rule: Rule | null
  readonly token: Token
  readonly purse: Purse | null
  readonly #of: Refusable

  constructor(
    go: boolean,
    decision: Answer["decision"],
    token: Token,
    purse: Purse | null,
    of: Refusable,
  ) {
    this.go = go
    this.decision = decision
    this.reason = of.reason
    this.rule = of.rule
    this.token = token
    this.purse = purse
    this.#of = of
  }

  get refusal(): Answer["refusal"] {
    const { status, text } = wordsFor(this.#of)
    return { status, text: printable(text) }
  }
}

export class Requests {
  readonly #world: RequestsWorld
  readonly #options: RequestsOptions
  #stands: Answer | null = null
  /** Verdicts by what they were asked for, and the flow for which they hold. */
  readonly #remembered = new Map<string, Judged>()
  #rememberedFor: Flow | null = null

  constructor(world: RequestsWorld, options: RequestsOptions) {
    this.#world = world
    this.#options = options
  }

  /** The verdict that stands for the connection: of the first request that was allowed, else of the first. */
  get stands(): Answer | null {
    return this.#stands
  }

  /** The verdict on one request. */
  readonly judge: Links["judge"] = (head) => {
    const { hopeless } = this.#options
    const token = this.#world.tokenOf(head)
    if (hopeless !== null) return this.#answer(hopeless, false, head, token, hopeless.detail)
    const judged = this.#verdict(head, token)
    return this.#answer(judged, judged.permit !== null, head, token, null)
  }

  /** The verdict on what is no request. */
  readonly broken: Links["broken"] = (reason, detail) => {
    const flow = this.#options.flow()
    const judged = unread(this.#world, flow, flow.opening, reason)
    return this.#answer(judged, judged.permit !== null, null, "none", detail)
  }

  /** The verdict on a request that cannot go on as it began. */
  readonly stopped: Links["stopped"] = (head, first, reason, detail) => {
    const goes = this.#world.audit && reason !== "upstream-failed"
    const judged = { decision: "deny", reason, rule: first.rule } as const
    const answer = this.#answer(judged, goes, head, first.token, detail, null)
    if (this.#stands === first) this.#stands = answer
    return answer
  }

  readonly record: (exchange: Exchange) => void | Promise<void> = (exchange) =>
    this.#world.record(requestEvent(this.#options.flow(), exchange))

  #verdict(head: RequestHead, token: Token): Judged {
    const flow = this.#options.flow()
    if (flow !== this.#rememberedFor) {
      this.#remembered.clear()
      this.#rememberedFor = flow
    }
    const { method, webSocket, host, address, port, path } = head
    const key = `${method} ${webSocket} ${token} ${host} ${address} ${port} ${path}`
    const known = this.#remembered.get(key)
    if (known !== undefined) return known
    const judged = this.#judged(flow, head, token)
    if (this.#remembered.size >= rememberedMax) this.#remembered.clear()
    this.#remembered.set(key, judged)
    return judged
  }

  #judged(flow: Flow, head: RequestHead, token: Token): Judged {
    const { dialledFor } = this.#options
    // Why: the connection leads to the host of its first request, whatever a later one says.
    if (dialledFor !== null && head.host !== dialledFor) {
      return unread(this.#world, flow, flow.opening, "host-mismatch")
    }
    return judgeRequest(this.#world, flow, head, token)
  }

  #answer(
    { decision, reason, rule }: Pick<Judged, "decision" | "reason" | "rule">,
    go: boolean,
    head: RequestHead | null,
    token: Token,
    detail: string | null,
    purse: Purse | null = go ? this.#world.purse(rule) : null,
  ): Answer {
    const flow = this.#options.flow()
    const of: Refusable = { flow, opening: flow.opening, head, reason, rule, detail }
    const answer = new Verdict(go, decision, token, purse, of)
    const first = this.#stands === null
    if (first || (this.#stands?.decision === "deny" && decision === "allow")) this.#stands = answer
    return answer
  }
}
