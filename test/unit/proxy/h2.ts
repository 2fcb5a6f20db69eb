/** HTTP/2 for tests: frames made by hand, and a relay between two ends that only write down. */
import { fieldBytesMax, writeField } from "../../../http/hpack-writer.ts"
import { HpackDecoder } from "../../../http/hpack.ts"
import type { RequestHead } from "../../../http/request.ts"
import { http2 } from "../../../proxy/http2.ts"
import type { Answer, Exchange, Links, Purse, Relay } from "../../../proxy/relay.ts"

export type Fields = readonly (readonly [name: string, value: string])[]

export const types = [
  "DATA",
  "HEADERS",
  "PRIORITY",
  "RST_STREAM",
  "SETTINGS",
  "PUSH_PROMISE",
  "PING",
  "GOAWAY",
  "WINDOW_UPDATE",
  "CONTINUATION",
] as const

/** A frame; of flags 1 is END_STREAM or ACK, 4 END_HEADERS, 8 PADDED, 32 PRIORITY. */
export function frame(
  type: (typeof types)[number] | number,
  flags: number,
  stream: number,
  payload: Buffer | string = "",
): Buffer {
  const body = typeof payload === "string" ? Buffer.from(payload, "latin1") : payload
  const head = Buffer.alloc(9)
  head.writeUIntBE(body.length, 0, 3)
  head[3] = typeof type === "number" ? type : types.indexOf(type)
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, body])
}

export function block(fields: Fields): Buffer {
  const most = fields.reduce((sum, [name, value]) => sum + fieldBytesMax(name, value), 0)
  const target = Buffer.alloc(most)
  let at = 0
  for (const [name, value] of fields) at = writeField(target, at, name, value, false)
  return target.subarray(0, at)
}

export function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index)
  return bytes
}

export function setting(id: number, value: number): Buffer {
  return Buffer.concat([Buffer.from([0, id]), u32(value)])
}

export const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

export const get: Fields = [
  [":method", "GET"],
  [":scheme", "https"],
  [":authority", "allowed.test"],
  [":path", "/"],
]
export const post: Fields = [[":method", "POST"], ...get.slice(1)]

/** HEADERS that end their block. */
export function headers(stream: number, fields: Fields, ends = true): Buffer {
  return frame("HEADERS", ends ? 5 : 4, stream, block(fields))
}

export function data(stream: number, payload: Buffer | string, ends = false): Buffer {
  return frame("DATA", ends ? 1 : 0, stream, payload)
}

/** What some bytes say, a line for each frame; bytes of a frame that is not whole come last. */
export class Listener {
  readonly lines: string[] = []
  readonly #decoder = new HpackDecoder()
  #rest: Buffer = Buffer.alloc(0)
  bytes = 0

  hear(bytes: Buffer): void {
    this.bytes += bytes.length
    this.#rest = Buffer.concat([this.#rest, bytes])
    if (this.#rest.subarray(0, 3).toString() === "PRI") {
      if (this.#rest.length < preface.length) return
      this.#rest = this.#rest.subarray(preface.length)
      this.lines.push("preface")
    }
    while (this.#rest.length >= 9) {
      const length = this.#rest.readUIntBE(0, 3)
      if (this.#rest.length < 9 + length) return
      this.lines.push(this.#shown(this.#rest.subarray(0, 9 + length)))
      this.#rest = this.#rest.subarray(9 + length)
    }
  }

  /** What was heard since it was asked last. */
  take(): string[] {
    return this.lines.splice(0)
  }

  get rest(): number {
    return this.#rest.length
  }

  #shown(bytes: Buffer): string {
    const type = types[bytes[3] ?? 0] ?? `type ${bytes[3]}`
    const flags = bytes[4] ?? 0
    const stream = bytes.readUInt32BE(5)
    const payload = bytes.subarray(9)
    const words = [type, String(stream)]
    if (type === "SETTINGS") {
      if ((flags & 1) !== 0) words.push("ack")
      for (let at = 0; at < payload.length; at += 6) {
        words.push(`${payload.readUInt16BE(at)}=${payload.readUInt32BE(at + 2)}`)
      }
    } else if (type === "HEADERS") {
      if ((flags & 1) !== 0) words.push("end")
      words.push((flags & 4) === 0 ? `${payload.length} bytes` : this.#fields(payload))
    } else if (type === "DATA") {
      if ((flags & 1) !== 0) words.push("end")
      if ((flags & 8) !== 0) words.push("padded")
      words.push(payload.length > 100 ? `${payload.length} bytes` : payload.toString("latin1"))
    } else if (type === "PING" && (flags & 1) !== 0) words.push("ack")
    else if (type === "CONTINUATION") words.push(`${payload.length} bytes`)
    else {
      for (let at = 0; at + 4 <= payload.length; at += 4) {
        words.push(String(payload.readUInt32BE(at)))
      }
    }
    return words.filter((word) => word !== "").join(" ")
  }

  #fields(payload: Buffer): string {
    const list = this.#decoder.decode(payload, 0, payload.length)
    if (list === null) return "UNREADABLE"
    return list.fields.map(({ name, value }) => `${name}: ${value}`).join("; ")
  }
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

export const denied: Answer = {
  ...allowed,
  go: false,
  decision: "deny",
  reason: "not-allowed",
  refusal: { status: 403, text: "sluice: no" },
}

export interface Played {
  readonly relay: Relay
  readonly client: Listener
  readonly upstream: Listener
  /** What was asked of the links beside bytes, in order. */
  readonly acts: string[]
  readonly records: Exchange[]
  readonly judged: RequestHead[]
  /** Everything that was said since the last time: to the client, to the upstream. */
  readonly heard: () => { client: string[]; upstream: string[] }
}

export interface Play {
  readonly judge?: (head: RequestHead) => Answer
  readonly now?: () => number
  /** Whether what is stopped goes on all the same. */
  readonly audit?: boolean
  readonly timer?: (afterMs: number | null) => void
}

/** Denies what lies below /denied. */
export function judgeByPath(head: RequestHead): Answer {
  return head.target.startsWith("/denied") ? denied : allowed
}

export function play({
  judge = judgeByPath,
  now = () => 0,
  audit = false,
  timer = () => {},
}: Play = {}): Played {
  const client = new Listener()
  const upstream = new Listener()
  const acts: string[] = []
  const records: Exchange[] = []
  const judged: RequestHead[] = []
  const links: Links = {
    toClient: (bytes) => client.hear(Buffer.from(bytes)),
    toUpstream: (bytes) => upstream.hear(Buffer.from(bytes)),
    judge: (head) => {
      judged.push(head)
      return judge(head)
    },
    broken: (reason, detail) => {
      acts.push(`broken ${reason}: ${detail}`)
      const status = reason === "limit-exceeded" ? 431 : 400
      return { ...denied, reason, refusal: { status, text: `sluice: ${reason}` } }
    },
    stopped: (_head, first, reason) => {
      acts.push(`stopped ${reason}`)
      const status = reason === "upstream-failed" ? 502 : 403
      const refusal = { status, text: `sluice: ${reason}` }
      return { ...first, go: audit, decision: "deny", reason, refusal, purse: null }
    },
    record: (exchange) => records.push(exchange),
    pauseClient: () => acts.push("pause client"),
    resumeClient: () => acts.push("resume client"),
    endClient: () => acts.push("end client"),
    endUpstream: () => acts.push("end upstream"),
    reset: (detail) => acts.push(`reset: ${detail}`),
    timer,
  }
  const relay = http2(links, { now })
  const heard = (): { client: string[]; upstream: string[] } => ({
    client: client.take(),
    upstream: upstream.take(),
  })
  return { relay, client, upstream, acts, records, judged, heard }
}

/** A relay whose ends have greeted each other, with nothing left to say. */
export function greeted(options: Play = {}): Played {
  const played = play(options)
  const { relay, heard } = played
  relay.client(Buffer.concat([Buffer.from(preface), frame("SETTINGS", 0, 0)]))
  relay.upstream(Buffer.concat([frame("SETTINGS", 0, 0), frame("SETTINGS", 1, 0)]))
  relay.client(frame("SETTINGS", 1, 0))
  heard()
  return played
}

/** A purse of so many bytes that is filled by hand. */
export function purseOf(bytes: number): {
  readonly purse: Purse
  readonly asked: { bytes: number; answer: (taken: boolean) => void }[]
} {
  let left = bytes
  const asked: { bytes: number; answer: (taken: boolean) => void }[] = []
  const purse: Purse = {
    take: (count) => {
      if (count > left) return false
      left -= count
      return true
    },
    fill: (count, answer) => asked.push({ bytes: count, answer }),
  }
  return { purse, asked }
}
