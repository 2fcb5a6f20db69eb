/**
 * SETTINGS of HTTP/2 (RFC 9113 §6.5) and what of one peer's the other is told, where one
 * connection is read between them. Pure.
 */
import { errorCodes, frameBytesDefault, uint32, windowMax, writeUint32 } from "./frame.ts"
import type { ErrorCode } from "./frame.ts"

/** RFC 9113 §6.5.2. All others are left out: they may ask for what nobody here reads. */
export const settingIds = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const

/** By identifier; of each, the value that was said last. */
export type Settings = ReadonlyMap<number, number>

/** Bytes of one setting. */
const settingBytes = 6
/** Largest frame that either peer is told it may send: a longer one would hold up all others. */
export const frameBytesMax = 65_536
/** Most streams of one connection. nginx: 128 (http2_max_concurrent_streams), Go: 250. */
export const streamsMax = 256
/** As the reader of blocks takes: see hpack.ts. */
const listBytesMax = 65_536
/** RFC 9113 §4.2. */
const frameSizeLimit = 16_777_215

export interface BrokenSettings {
  readonly code: ErrorCode
  readonly detail: string
}

/** The payload of a SETTINGS frame, a multiple of six bytes. */
export function readSettings(bytes: Buffer, from: number, to: number): Settings | BrokenSettings {
  const settings = new Map<number, number>()
  for (let at = from; at + settingBytes <= to; at += settingBytes) {
    const id = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
    const value = uint32(bytes, at + 2)
    if (id === settingIds.enablePush && value > 1) {
      return { code: errorCodes.protocolError, detail: "ENABLE_PUSH is neither 0 nor 1" }
    }
    if (id === settingIds.initialWindowSize && value > windowMax) {
      return { code: errorCodes.flowControlError, detail: "INITIAL_WINDOW_SIZE is too large" }
    }
    if (id === settingIds.maxFrameSize && (value < frameBytesDefault || value > frameSizeLimit)) {
      return { code: errorCodes.protocolError, detail: "MAX_FRAME_SIZE is out of its range" }
    }
    settings.set(id, value)
  }
  return settings
}

/**
 * What the upstream is told of the client's: no table, so that each of its blocks can be passed or
 * dropped alone; no pushes.
 *
 * @param first Of the connection: then what must be said is said, whatever the client said.
 */
export function settingsForUpstream(of: Settings, first: boolean): Settings {
  const told = new Map<number, number>()
  if (first || of.has(settingIds.headerTableSize)) told.set(settingIds.headerTableSize, 0)
  if (first || of.has(settingIds.enablePush)) told.set(settingIds.enablePush, 0)
  return bounded(told, of, first)
}

/** What the client is told of the upstream's: no table, no extended CONNECT, bounded streams. */
export function settingsForClient(of: Settings, first: boolean): Settings {
  const told = new Map<number, number>()
  if (first || of.has(settingIds.headerTableSize)) told.set(settingIds.headerTableSize, 0)
  const streams = of.get(settingIds.maxConcurrentStreams)
  if (first || streams !== undefined) {
    told.set(settingIds.maxConcurrentStreams, Math.min(streams ?? streamsMax, streamsMax))
  }
  return bounded(told, of, first)
}

function bounded(told: Map<number, number>, of: Settings, first: boolean): Settings {
  const windowSize = of.get(settingIds.initialWindowSize)
  if (windowSize !== undefined) told.set(settingIds.initialWindowSize, windowSize)
  const frame = of.get(settingIds.maxFrameSize)
  if (frame !== undefined) told.set(settingIds.maxFrameSize, Math.min(frame, frameBytesMax))
  const list = of.get(settingIds.maxHeaderListSize)
  if (first || list !== undefined) {
    told.set(settingIds.maxHeaderListSize, Math.min(list ?? listBytesMax, listBytesMax))
  }
  return told
}

/** Bytes that writeSettings() takes. */
export function settingsBytes(settings: Settings): number {
  return settings.size * settingBytes
}

/** Writes a payload and gives the index after it. */
export function writeSettings(target: Buffer, at: number, settings: Settings): number {
  let next = at
  for (const [id, value] of settings) {
    target[next] = 0
    target[next + 1] = id
    next = writeUint32(target, next + 2, value)
  }
  return next
}
