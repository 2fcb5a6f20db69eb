/**
 * What protocol the first bytes of a connection speak. Pure, and incremental: fed byte by byte it
 * says what it says fed whole.
 */
import type { Opening } from "../flows/flow.ts"
import type { Reason } from "../flows/reason.ts"
import { headBytesMax, HeadReader } from "../http/head.ts"
import type { Head } from "../http/head.ts"
import { HelloReader } from "./hello.ts"

/** Most bytes read before a verdict: a hello of 64 KiB in small records has room. */
export const openingBytesMax = 131_072

/** First allocation: a hello with one post-quantum key share fits. */
const firstBytes = 2_048

/** Of what is registered with IANA, and `PRI` (RFC 9113 §3.4). */
const methods = new Set(
  "GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH PRI PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK SEARCH REPORT".split(
    " ",
  ),
)
/** No method is longer. */
const wordLengthMax = 10

export interface Classified {
  readonly opening: Opening
  /** Of an http opening that is whole. */
  readonly head: Head | null
}

type Protocol = "tls" | "ssh" | "http" | "opaque"

/** Collects the first bytes of one connection until they say what they are. */
export class OpeningReader {
  #bytes: Buffer = Buffer.alloc(0)
  #length = 0
  #protocol: Protocol | null = null
  #hello: HelloReader | null = null
  #head: HeadReader | null = null
  /** How far the first line has been looked at, and whether its first word has ended. */
  #lineEnd = 0
  #spaced = false

  /** All bytes so far; valid until the next push. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  /** What the first bytes said so far; null where not even that is known. */
  get protocol(): Protocol | null {
    return this.#protocol
  }

  /** Copies the bytes. The opening, or null where more are needed. */
  push(chunk: Uint8Array): Classified | null {
    this.#append(chunk)
    const found = this.#read()
    if (found === null && this.#length >= openingBytesMax) return this.late()
    return found
  }

  /** What to make of an opening that the client has ended. */
  ended(): Classified {
    return unfinished(this.#protocol ?? "opaque", "malformed")
  }

  /**
   * What to make of an opening for which time or room ran out. Words that may yet become a request
   * line are one that was never finished: else waiting would be a way around the reading of it.
   */
  late(): Classified {
    return unfinished(this.#protocol ?? "http", "limit-exceeded")
  }

  #append(chunk: Uint8Array): void {
    const wanted = this.#length + chunk.length
    if (wanted > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(firstBytes, wanted, this.#bytes.length * 2))
      grown.set(this.bytes)
      this.#bytes = grown
    }
    this.#bytes.set(chunk, this.#length)
    this.#length = wanted
  }

  #read(): Classified | null {
    // Why: more than the most must not say more than the most did.
    const bytes = this.#bytes.subarray(0, Math.min(this.#length, openingBytesMax))
    this.#protocol ??= this.#guess(bytes)
    switch (this.#protocol) {
      case null:
        return null
      case "ssh":
        return { opening: { kind: "ssh" }, head: null }
      case "opaque":
        return { opening: { kind: "opaque", serverFirst: false }, head: null }
      case "tls": {
        this.#hello ??= new HelloReader()
        const opening = this.#hello.read(bytes)
        return opening === null ? null : { opening, head: null }
      }
      case "http": {
        this.#head ??= new HeadReader()
        const head = this.#head.read(bytes)
        if (head === null) return null
        if ("broken" in head) {
          return { opening: { kind: "broken", of: "http", reason: head.broken }, head: null }
        }
        return { opening: { kind: "http", host: head.host, port: head.port }, head }
      }
    }
  }

  #guess(bytes: Buffer): Protocol | null {
    const [first, second] = bytes
    if (first === undefined) return null
    if (first === 22) {
      if (second === undefined) return null
      return second === 3 ? "tls" : "opaque"
    }
    // Why: servers skip empty lines and spaces before a request; nothing else begins with them.
    return isWhite(first) || first === 10 || first === 13 ? "http" : this.#guessLine(bytes)
  }

  /**
   * Whatever a lenient server could take for a request line is HTTP, and then read strictly: a word
   * and white space, and `HTTP/` somewhere in the line. Else it could carry a Host that nobody read.
   */
  #guessLine(bytes: Buffer): Protocol | null {
    for (; this.#lineEnd < bytes.length; this.#lineEnd++) {
      const code = bytes[this.#lineEnd] ?? 0
      if (code === 10) {
        const line = bytes.toString("latin1", 0, this.#lineEnd)
        if (/\sHTTP\/\d/i.test(line)) return "http"
        return line.startsWith("SSH-") ? "ssh" : "opaque"
      }
      if (code === 0) return "opaque"
      if (this.#lineEnd >= headBytesMax) return "http"
      if (this.#spaced || code === 13) continue
      this.#spaced = isWhite(code)
      if (this.#spaced) {
        const word = bytes.toString("latin1", 0, Math.min(this.#lineEnd, wordLengthMax))
        if (methods.has(word.toUpperCase())) return "http"
      } else if (!isTokenCharacter(code)) return "opaque"
    }
    return null
  }
}

function unfinished(protocol: Protocol, reason: Reason): Classified {
  if (protocol !== "tls" && protocol !== "http") {
    return { opening: { kind: "opaque", serverFirst: false }, head: null }
  }
  return { opening: { kind: "broken", of: protocol, reason }, head: null }
}

function isWhite(code: number | undefined): boolean {
  return code === 32 || code === 9
}

/** RFC 9110 §5.6.2. */
function isTokenCharacter(code: number): boolean {
  return code > 32 && code < 127 && !'"(),/:;<=>?@[\\]{}'.includes(String.fromCharCode(code))
}
