/**
 * What the client of an HTTP/2 connection says: each request is judged before any of it goes on, and
 * goes on as it was understood. Bodies pass as they come. Pure.
 */
import type { Reason } from "../flows/reason.ts"
import {
  errorCodes,
  flags,
  FrameReader,
  frameTypes,
  headBytes,
  preface,
  uint32,
} from "../http/frame.ts"
import type { ErrorCode, Fate, Frame, FrameSink } from "../http/frame.ts"
import {
  fieldsBytesMax,
  requestBytesMax,
  requestOf,
  trailersOf,
  writeFields,
  writeRequest,
} from "../http/header-list.ts"
import type { H2Request } from "../http/header-list.ts"
import { HpackDecoder } from "../http/hpack.ts"
import { noTable } from "../http/hpack-writer.ts"
import type { HeaderField } from "../http/header-field.ts"
import { streamsMax } from "../http/settings.ts"
import { Bucket } from "./bucket.ts"
import { BlockParts, tooLong } from "./h2-block.ts"
import type { Block } from "./h2-block.ts"
import { passFrame, passSettings } from "./h2-control.ts"
import { page } from "./h2-outlet.ts"
import type { H2Purses } from "./h2-purses.ts"
import type { H2Session, Stream } from "./h2-session.ts"
import type { UpstreamNews } from "./h2-upstream.ts"

/** Resets of streams by the client, at once and a second: as nghttp2 (CVE-2023-44487). */
const resetsMax = 1_000
const resetsPerSecond = 33
/**
 * Frames that move nothing (PING, SETTINGS, WINDOW_UPDATE, empty DATA and the like), at once and a
 * second; what the upstream sends earns more. A download of 1 GB/s answers with some 100,000 a second.
 */
const idleFramesMax = 10_000
const idleFramesPerSecond = 1_000

/** Heads of one connection that are answered for being too long. */
const overlongMax = 16

export interface ClientNews {
  readonly settings: (frameBytesMax: number | null) => void
}

export class ClientLane implements FrameSink, UpstreamNews {
  readonly reader = new FrameReader(this)
  /** Counts what has come to its end, so that one can see whether there is progress. */
  progress = 0
  readonly #session: H2Session
  readonly #news: ClientNews
  readonly #decoder = new HpackDecoder()
  readonly #parts = new BlockParts()
  readonly #purses: H2Purses
  readonly #resets: Bucket
  readonly #idle: Bucket
  /** Bytes of the preface that have come. */
  #prefaceBytes = 0
  #greeted = false
  /** SETTINGS of the upstream that were not acknowledged yet. */
  #unacknowledged = 0
  #overlong = 0
  /** Ends with the frame that is passed now. */
  #ending: Stream | null = null

  constructor(session: H2Session, purses: H2Purses, news: ClientNews, now: () => number) {
    this.#session = session
    this.#purses = purses
    this.#news = news
    this.#resets = new Bucket(resetsMax, resetsPerSecond, now)
    this.#idle = new Bucket(idleFramesMax, idleFramesPerSecond, now)
  }

  /** The upstream sent SETTINGS. */
  settings(frameBytesMax: number | null): void {
    this.#unacknowledged++
    if (frameBytesMax === null) return
    this.reader.payloadBytesMax = Math.max(this.reader.payloadBytesMax, frameBytesMax)
  }

  earned(frames: number): void {
    this.#idle.earn(frames)
  }

  /** Something has begun that others wait for: it must end soon. */
  get unfinished(): boolean {
    return !this.#greeted || this.#parts.open || this.reader.partial
  }

  /** How many of the bytes were read: all, unless a purse is asked. */
  read(bytes: Buffer): number {
    const from = this.#prefaceBytes < preface.length ? this.#readPreface(bytes) : 0
    if (this.#session.over) return bytes.length
    return from + this.reader.read(from === 0 ? bytes : bytes.subarray(from))
  }

  broken(code: ErrorCode, detail: string): void {
    this.#fail(detail, code)
  }

  payload(bytes: Buffer, from: number, to: number): void {
    this.#session.toUpstream.payload(bytes, from, to)
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
    this.progress++
    if (this.#parts.open !== (type === frameTypes.continuation)) {
      return this.#fail("a block of fields is interrupted")
    }
    if (!this.#greeted && type !== frameTypes.settings)
      return this.#fail("SETTINGS do not come first")
    switch (type) {
      case frameTypes.data:
        return this.#data(bytes, at, frame)
      case frameTypes.headers:
      case frameTypes.continuation:
        return this.#fields(bytes, at, frame)
      case frameTypes.windowUpdate:
        return this.#windowUpdate(bytes, at, frame)
      case frameTypes.resetStream:
        return this.#reset(bytes, at, frame)
      case frameTypes.settings:
        return this.#settings(bytes, at, frame)
      case frameTypes.ping:
        if (frame.stream !== 0) return this.#fail("a PING on a stream")
        passFrame(this.#session.toUpstream, bytes, at, frame, flags.ack)
        return this.#idled()
      case frameTypes.goAway:
        if (frame.stream !== 0) return this.#fail("GOAWAY on a stream")
        // Why: a client without pushes has no streams of its upstream to name.
        this.#session.toUpstream.frame(
          frameTypes.goAway,
          0,
          0,
          0,
          uint32(bytes, at + headBytes + 4),
        )
        return this.#idled()
      case frameTypes.pushPromise:
        return this.#fail("a push, by a client")
      case frameTypes.priority:
        return frame.stream === 0 ? this.#fail("PRIORITY of the connection") : this.#idled()
      default:
        return this.#idled()
    }
  }

  #readPreface(bytes: Buffer): number {
    const count = Math.min(preface.length - this.#prefaceBytes, bytes.length)
    const wanted = preface.subarray(this.#prefaceBytes, this.#prefaceBytes + count)
    if (!wanted.equals(bytes.subarray(0, count))) {
      this.#fail("the preface is none")
      return count
    }
    this.#prefaceBytes += count
    if (this.#prefaceBytes === preface.length) {
      this.#session.toUpstream.greet(preface, 0, preface.length)
    }
    return count
  }

  #data(bytes: Buffer, at: number, frame: Frame): Fate {
    const session = this.#session
    const { length, flags: set } = frame
    const ends = (set & flags.endStream) !== 0
    const padding = (set & flags.padded) === 0 ? 0 : (bytes[at + headBytes] ?? 0) + 1
    if (padding > length) return this.#fail("padding is longer than its frame")
    const stream = session.streams.get(frame.stream)
    if (stream === undefined || !stream.clientOpen) return this.#lose(stream, frame)
    if (stream.bodyLeft !== -1) {
      const left = stream.bodyLeft - (length - padding)
      if (left < 0 || (ends && left > 0)) {
        session.lostOfClient += length
        return this.#break(stream, errorCodes.protocolError, "the body is not as long as it says")
      }
    }
    if (!this.#purses.pays(stream, length)) {
      this.reader.stop()
      return "again"
    }
    if (stream.bodyLeft !== -1) stream.bodyLeft -= length - padding
    if (length === padding && !ends && !this.#idle.spend()) return this.#flood()
    stream.sent += length
    if (ends) this.#ending = stream
    passFrame(session.toUpstream, bytes, at, frame, flags.endStream | flags.padded)
    return "pass"
  }

  /** DATA of a stream that is closed, or of one that was never open. */
  #lose(stream: Stream | undefined, { stream: id, length, flags: set }: Frame): Fate {
    const session = this.#session
    if ((set & flags.endStream) !== 0) session.lingering.ended(id)
    if (!this.#isUsed(id)) return this.#fail("DATA on a stream that is idle")
    session.lostOfClient += length
    if (stream !== undefined) {
      return this.#break(stream, errorCodes.streamClosed, "DATA after the end of the request")
    }
    return this.#idled()
  }

  #fields(bytes: Buffer, at: number, frame: Frame): Fate {
    const block = this.#parts.take(bytes, at, frame)
    if (block === "more") {
      // Why: only the whole block is progress.
      this.progress--
      return "drop"
    }
    if (block === tooLong) return this.#fail(block, errorCodes.enhanceYourCalm, "limit-exceeded")
    if (typeof block === "string") return this.#fail(block)
    const session = this.#session
    const list = this.#decoder.decode(block.bytes, block.from, block.to)
    if (list === null) {
      return this.#fail("a block of fields cannot be decoded", errorCodes.compressionError)
    }
    const stream = session.streams.get(block.stream)
    if (stream !== undefined) return this.#trailers(stream, block, list.fields, list.over)
    if (block.stream <= session.lastClient) {
      // Why: trailers may have been on their way while the stream was reset; requests may not.
      session.lingering.ended(block.stream)
      if (list.fields[0]?.name.startsWith(":") !== true) return this.#idled()
      return this.#fail("HEADERS on a stream that is closed", errorCodes.streamClosed)
    }
    session.lastClient = block.stream
    return this.#request(block, list.fields, list.over)
  }

  #request(block: Block, fields: readonly HeaderField[], over: boolean): Fate {
    const session = this.#session
    const { stream: id, ends } = block
    if (session.streams.size >= streamsMax || id > session.lastServed) {
      session.toClient.reset(id, errorCodes.refusedStream)
      return this.#resets.spend() ? "drop" : this.#flood()
    }
    if (over) {
      const detail = "the fields are too many or too long"
      // Why: they cost more to read than to write, and honest clients stop at the first.
      if (++this.#overlong > overlongMax) return this.#flood()
      session.refuse(id, ends, null, session.links.broken("limit-exceeded", detail), detail)
      return this.#idled()
    }
    const request = requestOf(fields)
    if ("broken" in request) {
      const { broken, detail, replies } = request
      if (!replies) return this.#breakRequest(id, broken, detail)
      session.refuse(id, ends, null, session.links.broken(broken, detail), detail)
      return this.#idled()
    }
    if (ends && (request.bodyBytes ?? 0) > 0) {
      return this.#breakRequest(id, "malformed", "the body is not as long as it says")
    }
    const answer = session.links.judge(request.head)
    if (!answer.go) {
      session.refuse(id, ends, request.head, answer, null)
      return "drop"
    }
    const stream: Stream = {
      id,
      head: request.head,
      answer,
      clientOpen: true,
      upstreamOpen: true,
      bodyLeft: request.bodyBytes ?? -1,
      status: null,
      replied: false,
      interims: 0,
      sent: 0,
      received: 0,
    }
    session.streams.set(id, stream)
    this.#send(stream, requestBytesMax(request), request, ends)
    return "drop"
  }

  /** The end of a request: its trailers (RFC 9113 §8.1). */
  #trailers(stream: Stream, block: Block, fields: readonly HeaderField[], over: boolean): Fate {
    if (!stream.clientOpen) {
      return this.#break(stream, errorCodes.streamClosed, "HEADERS after the end of the request")
    }
    const trailers = over ? "the trailers are too many or too long" : trailersOf(fields)
    const detail = !block.ends
      ? "HEADERS within the body"
      : stream.bodyLeft > 0
        ? "the body is not as long as it says"
        : trailers
    if (typeof detail === "string") return this.#break(stream, errorCodes.protocolError, detail)
    this.#send(stream, fieldsBytesMax(detail), detail, true)
    return "drop"
  }

  /** Writes a head or trailers, and sends them once the purse has paid. */
  #send(
    stream: Stream,
    bytesMax: number,
    what: H2Request | readonly HeaderField[],
    ends: boolean,
  ): void {
    const { toUpstream } = this.#session
    const at = page.room(headBytes + 1 + bytesMax)
    let to = at + headBytes
    if (toUpstream.tellTable) page.bytes[to++] = noTable
    to = "head" in what ? writeRequest(page.bytes, to, what) : writeFields(page.bytes, to, what)
    page.cut(to)
    const bytes = to - at - headBytes
    if (this.#purses.pays(stream, bytes)) {
      this.#sendBlock(stream, at, to, ends)
      return
    }
    this.reader.stop()
    const held = Buffer.from(page.bytes.subarray(at + headBytes, to))
    this.#purses.hold(() => {
      const again = page.room(headBytes + held.length)
      held.copy(page.bytes, again + headBytes)
      this.#sendBlock(stream, again, again + headBytes + held.length, ends)
    })
  }

  #sendBlock(stream: Stream, at: number, to: number, ends: boolean): void {
    const session = this.#session
    const bytes = to - at - headBytes
    stream.sent += bytes
    session.lastUpstream = Math.max(session.lastUpstream, stream.id)
    session.toUpstream.tellTable = false
    // Why: trailers of which nothing is left still end the body.
    if (bytes === 0) session.toUpstream.frame(frameTypes.data, flags.endStream, stream.id)
    else session.toUpstream.block(at, to, stream.id, ends)
    if (ends) this.#ended(stream)
  }

  #settings(bytes: Buffer, at: number, frame: Frame): Fate {
    const session = this.#session
    if (frame.stream !== 0) return this.#fail("SETTINGS on a stream")
    if ((frame.flags & flags.ack) !== 0) {
      if (!this.#greeted) return this.#fail("SETTINGS do not come first")
      if (frame.length > 0) {
        return this.#fail("SETTINGS that acknowledge and say something", errorCodes.frameSizeError)
      }
      if (this.#unacknowledged === 0)
        return this.#fail("SETTINGS are acknowledged that nobody sent")
      this.#unacknowledged--
      this.#decoder.tableBytesMax = 0
      session.toUpstream.tellTable = true
      passFrame(session.toUpstream, bytes, at, frame, flags.ack)
      return this.#idled()
    }
    const said = passSettings(session.toUpstream, bytes, at, frame, !this.#greeted, "upstream")
    if ("code" in said) return this.#fail(said.detail, said.code)
    this.#greeted = true
    this.#news.settings(said.frameBytesMax)
    if (said.windowBytes !== null) session.windowMin = Math.min(session.windowMin, said.windowBytes)
    return this.#idled()
  }

  #reset(bytes: Buffer, at: number, frame: Frame): Fate {
    const { streams, toUpstream } = this.#session
    if (!this.#isUsed(frame.stream)) return this.#fail("RST_STREAM on a stream that is idle")
    if (!this.#resets.spend()) return this.#flood()
    const stream = streams.get(frame.stream)
    this.#session.lingering.ended(frame.stream)
    if (stream === undefined) return "drop"
    passFrame(toUpstream, bytes, at, frame, 0)
    const code = uint32(bytes, at + headBytes)
    this.#session.close(stream, `the client reset the stream, code ${code}`)
    return "drop"
  }

  #windowUpdate(bytes: Buffer, at: number, frame: Frame): Fate {
    const { streams, toUpstream } = this.#session
    const { stream: id } = frame
    const increment = uint32(bytes, at + headBytes) & 0x7fff_ffff
    if (id === 0) {
      if (increment === 0) return this.#fail("the connection's window grows by 0")
      const told = this.#session.withhold(increment)
      if (told === increment) passFrame(toUpstream, bytes, at, frame, 0)
      else if (told > 0) toUpstream.frame(frameTypes.windowUpdate, 0, 0, told)
      return this.#idled()
    }
    if (!this.#isUsed(id)) return this.#fail("WINDOW_UPDATE on a stream that is idle")
    const stream = streams.get(id)
    if (stream !== undefined) {
      if (increment === 0) {
        return this.#break(stream, errorCodes.protocolError, "a window grows by 0")
      }
      passFrame(toUpstream, bytes, at, frame, 0)
    }
    return this.#idled()
  }

  #ended(stream: Stream): void {
    stream.clientOpen = false
    if (!stream.upstreamOpen) this.#session.close(stream, null)
  }

  #isUsed(stream: number): boolean {
    return stream % 2 === 1 && stream <= this.#session.lastClient
  }

  #idled(): Fate {
    return this.#idle.spend() ? "drop" : this.#flood()
  }

  /** Errors of streams count as resets do: whoever provokes them resets (CVE-2025-8671). */
  #break(stream: Stream, code: ErrorCode, detail: string): Fate {
    this.#session.breakStream(stream, code, detail)
    return this.#resets.spend() ? "drop" : this.#flood()
  }

  #breakRequest(id: number, reason: Reason, detail: string): Fate {
    this.#session.breakRequest(id, errorCodes.protocolError, reason, detail)
    return this.#resets.spend() ? "drop" : this.#flood()
  }

  #flood(): Fate {
    return this.#fail("a flood of frames", errorCodes.enhanceYourCalm, "limit-exceeded")
  }

  #fail(
    detail: string,
    code: ErrorCode = errorCodes.protocolError,
    reason: Reason = "malformed",
  ): Fate {
    this.#session.failClient(code, detail, reason)
    return this.#stop()
  }

  #stop(): Fate {
    this.reader.stop()
    return "drop"
  }
}
