/**
 * What the upstream of an HTTP/2 connection says: replies, and what it has to say of streams and
 * windows. Frames pass as they came wherever they can. Pure.
 */
import { errorCodes, flags, FrameReader, frameTypes, headBytes, uint32 } from "../http/frame.ts"
import type { ErrorCode, Fate, Frame, FrameSink } from "../http/frame.ts"
import { fieldsBytesMax, isKept, replyOf, writeFields } from "../http/header-list.ts"
import { HpackDecoder } from "../http/hpack.ts"
import type { HeaderBlock } from "../http/hpack.ts"
import { noTable } from "../http/hpack-writer.ts"
import { BlockParts } from "./h2-block.ts"
import type { Block } from "./h2-block.ts"
import { passFrame, passSettings } from "./h2-control.ts"
import { page } from "./h2-outlet.ts"
import type { H2Session, Stream } from "./h2-session.ts"

/** Most interim replies to one request (RFC 9110 §15.2). */
const interimsMax = 64

/** What of the upstream the client's side must know. */
export interface UpstreamNews {
  readonly settings: (frameBytesMax: number | null) => void
  /** So much came that the client may answer with frames of its own. */
  readonly earned: (frames: number) => void
}

export class UpstreamLane implements FrameSink {
  readonly reader = new FrameReader(this)
  readonly #session: H2Session
  readonly #news: UpstreamNews
  readonly #decoder = new HpackDecoder()
  readonly #parts = new BlockParts()
  #greeted = false
  /** SETTINGS of the client that were not acknowledged yet. */
  #unacknowledged = 0
  /** Ends with the frame that is passed now. */
  #ending: Stream | null = null

  constructor(session: H2Session, news: UpstreamNews) {
    this.#session = session
    this.#news = news
  }

  /** The client sent SETTINGS. */
  settings(frameBytesMax: number | null): void {
    this.#unacknowledged++
    if (frameBytesMax === null) return
    this.reader.payloadBytesMax = Math.max(this.reader.payloadBytesMax, frameBytesMax)
  }

  broken(code: ErrorCode, detail: string): void {
    this.#session.failUpstream(code, detail)
  }

  payload(bytes: Buffer, from: number, to: number): void {
    this.#session.toClient.payload(bytes, from, to)
  }

  payloadEnds(): void {
    const stream = this.#ending
    if (stream === null) return
    this.#ending = null
    if (this.#session.streams.get(stream.id) === stream) this.#ended(stream)
  }

  frame(bytes: Buffer, at: number, frame: Frame): Fate {
    const { type } = frame
    if (this.#session.over) return this.#stop()
    if (this.#parts.open !== (type === frameTypes.continuation)) {
      return this.#fail("a block of fields is interrupted")
    }
    if (!this.#greeted && type !== frameTypes.settings)
      return this.#fail("SETTINGS do not come first")
    switch (type) {
      case frameTypes.data:
        return this.#data(bytes, at, frame)
      case frameTypes.headers:
      case frameTypes.continuation: {
        const block = this.#parts.take(bytes, at, frame)
        if (block === "more") return "drop"
        if (typeof block === "string") return this.#fail(block)
        this.#block(block)
        return "drop"
      }
      case frameTypes.settings:
        return this.#settings(bytes, at, frame)
      case frameTypes.ping:
        if (frame.stream !== 0) return this.#fail("a PING on a stream")
        passFrame(this.#session.toClient, bytes, at, frame, flags.ack)
        return "drop"
      case frameTypes.resetStream:
        return this.#reset(bytes, at, frame)
      case frameTypes.windowUpdate:
        return this.#windowUpdate(bytes, at, frame)
      case frameTypes.goAway:
        return this.#goAway(bytes, at, frame)
      case frameTypes.pushPromise:
        return this.#fail("a push, which nobody allowed")
      default:
        return "drop"
    }
  }

  #data(bytes: Buffer, at: number, frame: Frame): Fate {
    const session = this.#session
    const { length, flags: set } = frame
    if ((set & flags.padded) !== 0 && (bytes[at + headBytes] ?? 0) >= length) {
      return this.#fail("padding is longer than its frame")
    }
    const stream = session.streams.get(frame.stream)
    if (stream === undefined || !stream.upstreamOpen) {
      if (!this.#isKnown(frame.stream)) return this.#fail("DATA on a stream that is idle")
      session.lostOfUpstream += length
      return "drop"
    }
    if (!stream.replied) {
      session.lostOfUpstream += length
      this.#breakReply(stream, "DATA before the head of a reply")
      return "drop"
    }
    stream.received += length
    if ((set & flags.endStream) !== 0) this.#ending = stream
    this.#news.earned(4 + (length >> 10))
    passFrame(session.toClient, bytes, at, frame, flags.endStream | flags.padded)
    return "pass"
  }

  /** A whole block of fields: an interim reply, a reply's head, or its trailers. */
  #block(block: Block): void {
    const session = this.#session
    const list = this.#decoder.decode(block.bytes, block.from, block.to)
    if (list === null) {
      session.failUpstream(errorCodes.compressionError, "a block of fields cannot be decoded")
      return
    }
    const stream = session.streams.get(block.stream)
    if (stream === undefined || !stream.upstreamOpen) {
      if (!this.#isKnown(block.stream)) this.#fail("HEADERS on a stream that is idle")
      return
    }
    const trailers = stream.replied
    const reply = list.over ? "its fields are too many or too long" : replyOf(list.fields, trailers)
    if (typeof reply === "string") return this.#breakReply(stream, reply)
    const { status, cuts } = reply
    if (trailers && !block.ends) return this.#breakReply(stream, "HEADERS within its body")
    if (status !== null) {
      stream.status = status
      stream.replied = status >= 200
      if (!stream.replied && (block.ends || ++stream.interims > interimsMax)) {
        return this.#breakReply(stream, "interim replies without a final one")
      }
    }
    this.#news.earned(4)
    stream.received += this.#passBlock(block, list, cuts)
    if (block.ends) this.#ended(stream)
  }

  /** As it came where it can be read alone and nothing is to be cut; else written anew. */
  #passBlock(block: Block, list: HeaderBlock, cuts: boolean): number {
    const { toClient } = this.#session
    const tells = toClient.tellTable
    toClient.tellTable = false
    if (block.frameAt !== -1 && !list.dynamic && !cuts && !tells && list.start === block.from) {
      toClient.pass(block.bytes, block.frameAt, block.to)
      return block.to - block.from
    }
    const asItCame = !list.dynamic && !cuts
    const fields = cuts ? list.fields.filter(isKept) : list.fields
    const most = asItCame ? block.to - list.start : fieldsBytesMax(fields)
    const at = page.room(headBytes + 1 + most)
    let to = at + headBytes
    if (tells) page.bytes[to++] = noTable
    if (asItCame) to += block.bytes.copy(page.bytes, to, list.start, block.to)
    else to = writeFields(page.bytes, to, fields)
    toClient.block(at, to, block.stream, block.ends)
    return to - at - headBytes
  }

  #settings(bytes: Buffer, at: number, frame: Frame): Fate {
    const { toClient } = this.#session
    if (frame.stream !== 0) return this.#fail("SETTINGS on a stream")
    if ((frame.flags & flags.ack) !== 0) {
      if (!this.#greeted) return this.#fail("SETTINGS do not come first")
      if (frame.length > 0) return this.#fail("SETTINGS that acknowledge and say something")
      if (this.#unacknowledged === 0)
        return this.#fail("SETTINGS are acknowledged that nobody sent")
      this.#unacknowledged--
      this.#decoder.tableBytesMax = 0
      // Why: a client that had lowered its table may now wait for word of it (RFC 9113 §4.3.1).
      toClient.tellTable = true
      passFrame(toClient, bytes, at, frame, flags.ack)
      return "drop"
    }
    const said = passSettings(toClient, bytes, at, frame, !this.#greeted, "client")
    if ("code" in said) {
      this.#session.failUpstream(said.code, said.detail)
      return "drop"
    }
    this.#greeted = true
    this.#news.settings(said.frameBytesMax)
    if (said.headerTable) this.#session.toUpstream.tellTable = true
    return "drop"
  }

  #reset(bytes: Buffer, at: number, frame: Frame): Fate {
    const { streams, toClient } = this.#session
    if (!this.#isKnown(frame.stream)) return this.#fail("RST_STREAM on a stream that is idle")
    const stream = streams.get(frame.stream)
    if (stream === undefined) return "drop"
    passFrame(toClient, bytes, at, frame, 0)
    const code = uint32(bytes, at + headBytes)
    const inOrder = !stream.upstreamOpen && code === errorCodes.noError
    this.#session.close(stream, inOrder ? null : `the upstream reset the stream, code ${code}`)
    return "drop"
  }

  #windowUpdate(bytes: Buffer, at: number, frame: Frame): Fate {
    const { streams, toClient } = this.#session
    if ((uint32(bytes, at + headBytes) & 0x7fff_ffff) === 0)
      return this.#fail("a window grows by 0")
    if (frame.stream !== 0) {
      if (!this.#isKnown(frame.stream)) return this.#fail("WINDOW_UPDATE on a stream that is idle")
      if (!streams.has(frame.stream)) return "drop"
    }
    passFrame(toClient, bytes, at, frame, 0)
    return "drop"
  }

  #goAway(bytes: Buffer, at: number, frame: Frame): Fate {
    const { streams, toClient } = this.#session
    if (frame.stream !== 0) return this.#fail("GOAWAY on a stream")
    const last = Math.min(uint32(bytes, at + headBytes) & 0x7fff_ffff, this.#session.lastServed)
    this.#session.lastServed = last
    toClient.frame(frameTypes.goAway, 0, 0, last, uint32(bytes, at + headBytes + 4))
    for (const stream of streams.values()) {
      if (stream.id > last) this.#session.close(stream, "the upstream went away before it")
    }
    return "drop"
  }

  #ended(stream: Stream): void {
    stream.upstreamOpen = false
    if (!stream.clientOpen) this.#session.close(stream, null)
  }

  #isKnown(stream: number): boolean {
    return stream % 2 === 1 && stream <= this.#session.lastUpstream
  }

  /** A reply is malformed: an error of the stream (RFC 9113 §8.1.1). */
  #breakReply(stream: Stream, detail: string): void {
    this.#session.stop(stream, "upstream-failed", detail)
    this.#session.end(stream, errorCodes.protocolError, `upstream: ${detail}`)
  }

  #fail(detail: string): Fate {
    this.#session.failUpstream(errorCodes.protocolError, detail)
    return this.#stop()
  }

  #stop(): Fate {
    this.reader.stop()
    return "drop"
  }
}
