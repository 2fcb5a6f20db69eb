/**
 * Asks one upstream resolver, over UDP from random ports and over TCP where the answer is cut or in
 * doubt. An answer counts only on the socket, with the number and for the very question, letter
 * case included, that was sent (RFC 5452 §9; 0x20: draft-vixie-dnsext-dns0x20).
 */
import { createConnection } from "node:net"
import type { Endpoint } from "../net/endpoint.ts"
import { classIn, rcodes } from "./code.ts"
import { Frames, framed } from "./frames.ts"
import { readResponse, writeQuery } from "./message.ts"
import { Lane } from "./lane.ts"
import type { Outcome } from "./lane.ts"
import { randomBelow, randomWord } from "./random.ts"
import { lowered } from "./wire-name.ts"
import type { Response } from "./message.ts"

/** Sockets to one upstream at a time: as many random ports to guess among. */
const lanesMax = 8
/** After so many spellings lost on the way, an upstream is one that does not keep them. */
const doubtsMax = 3
const tcpMax = 64

export class UpstreamServer {
  readonly #endpoint: Endpoint
  /** By place; a place is filled when it is first drawn. */
  readonly #lanes = new Map<number, Lane>()
  #doubts = 0
  #edns = true
  #tcpOpen = 0
  #closed = false
  /** Asked after the others until then; 0: healthy. */
  restsUntilMs = 0

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint
  }

  /** @param timeoutMs for all that is needed: UDP, without EDNS, TCP */
  async ask(wire: string, type: number, timeoutMs: number): Promise<Outcome> {
    if (this.#closed) return "closed"
    const began = performance.now()
    const left = () => timeoutMs - (performance.now() - began)
    let outcome = await this.#overUdp(wire, type, left())
    if (typeof outcome !== "string" && refusesEdns(outcome) && this.#edns) {
      // RFC 6891 §7: asked again without it, and from now on.
      this.#edns = false
      outcome = await this.#overUdp(wire, type, left())
    }
    const cut = typeof outcome !== "string" && outcome.truncated
    const doubted = outcome === "doubtful" || outcome === "guessed"
    return cut || doubted ? await this.#overTcp(wire, type, left()) : outcome
  }

  close(): void {
    this.#closed = true
    for (const lane of this.#lanes.values()) lane.close()
  }

  async #overUdp(wire: string, type: number, timeoutMs: number): Promise<Outcome> {
    if (timeoutMs <= 0) return "silent"
    const lane = this.#lane()
    const spelled = this.#doubts < doubtsMax ? mixedCase(wire) : wire
    const id = lane.freeId()
    const outcome = await lane.ask(id, spelled, type, writeQuery(id, spelled, type, this.#edns), {
      anyCase: this.#doubts >= doubtsMax,
      timeoutMs,
    })
    if (outcome === "doubtful") this.#doubts++
    else if (typeof outcome !== "string" && this.#doubts < doubtsMax) this.#doubts = 0
    return outcome
  }

  /** One of the sockets, at random; worn ones are replaced by new ones at other ports. */
  #lane(): Lane {
    const index = randomBelow(lanesMax)
    const lane = this.#lanes.get(index)
    if (lane?.usable === true) return lane
    lane?.retire()
    const fresh = new Lane(this.#endpoint, 32 + randomBelow(64))
    this.#lanes.set(index, fresh)
    return fresh
  }

  /** One connection for one question. */
  async #overTcp(wire: string, type: number, timeoutMs: number): Promise<Outcome> {
    if (timeoutMs <= 0 || this.#tcpOpen >= tcpMax) return "silent"
    this.#tcpOpen++
    const { address: host, port } = this.#endpoint
    const id = randomBelow(0x1_0000)
    const frames = new Frames()
    const socket = createConnection({ host, port })
    try {
      return await new Promise<Outcome>((resolve) => {
        const timer = setTimeout(() => resolve("silent"), timeoutMs)
        socket.on("error", () => resolve("unreachable"))
        socket.on("close", () => {
          clearTimeout(timer)
          resolve("silent")
        })
        socket.on("connect", () => socket.write(framed(writeQuery(id, wire, type, this.#edns))))
        socket.on("data", (chunk) => {
          for (const message of frames.push(chunk)) {
            const response = readResponse(message)
            if (response !== null && answers(response, id, wire, type) && !response.truncated) {
              resolve(response)
            }
          }
        })
      })
    } finally {
      socket.destroy()
      this.#tcpOpen--
    }
  }
}

function answers(response: Response, id: number, wire: string, type: number): boolean {
  return (
    response.id === id &&
    response.type === type &&
    response.class === classIn &&
    lowered(response.exact) === wire
  )
}

function refusesEdns({ rcode }: Response): boolean {
  return rcode === rcodes.formErr || rcode === rcodes.notImp
}

/** A wire name with each letter in a random case: up to one more bit per letter to guess. */
function mixedCase(wire: string): string {
  let word = 0
  let bits = 0
  let mixed = ""
  for (const character of wire) {
    if (character >= "a" && character <= "z") {
      if (bits === 0) {
        word = randomWord()
        bits = 32
      }
      mixed += (word & 1) === 1 ? character.toUpperCase() : character
      word >>>= 1
      bits--
    } else mixed += character
  }
  return mixed
}
