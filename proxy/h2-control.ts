/** Frames that pass from one side of an HTTP/2 connection to the other. Pure. */
import {
  flags as frameFlags,
  frameBytesDefault,
  frameTypes,
  headBytes,
  writeHead,
} from "../http/frame.ts"
import type { Frame } from "../http/frame.ts"
import {
  frameBytesMax,
  readSettings,
  settingIds,
  settingsBytes,
  settingsForClient,
  settingsForUpstream,
  writeSettings,
} from "../http/settings.ts"
import type { BrokenSettings } from "../http/settings.ts"
import { page } from "./h2-outlet.ts"
import type { Outlet } from "./h2-outlet.ts"

/**
 * Passes a frame: its head, and what of it is at hand. Flags that the frame has not, and the
 * reserved bit, are left out (RFC 9113 §4.1).
 *
 * @param allowed the flags that go on
 */
export function passFrame(
  outlet: Outlet,
  bytes: Buffer,
  at: number,
  { type, flags, stream, length }: Frame,
  allowed: number,
): void {
  const isData = type === frameTypes.data
  const shown = isData
    ? headBytes + ((flags & frameFlags.padded) === 0 ? 0 : 1)
    : headBytes + length
  let source = bytes
  let from = at
  if ((flags & ~allowed) !== 0 || (bytes[at + 5] ?? 0) > 127) {
    from = page.room(shown)
    source = page.bytes
    const next = writeHead(source, from, length, type, flags & allowed, stream)
    bytes.copy(source, next, at + headBytes, at + shown)
  }
  if (isData) outlet.begin(source, from, from + shown, headBytes + length - shown)
  else outlet.pass(source, from, from + shown)
}

/** What SETTINGS said that matters here. */
export interface SettingsSaid {
  /** The largest frame that their sender takes; null: it did not say. */
  readonly frameBytesMax: number | null
  /** Its windows for streams begin with so many bytes; null: it did not say. */
  readonly windowBytes: number | null
  /** It spoke of its table. */
  readonly headerTable: boolean
}

/** Passes SETTINGS as the other side may have them. */
export function passSettings(
  outlet: Outlet,
  bytes: Buffer,
  at: number,
  frame: Frame,
  first: boolean,
  to: "client" | "upstream",
): SettingsSaid | BrokenSettings {
  const from = at + headBytes
  const said = readSettings(bytes, from, from + frame.length)
  if ("code" in said) return said
  const told = to === "client" ? settingsForClient(said, first) : settingsForUpstream(said, first)
  const room = page.room(headBytes + settingsBytes(told))
  const next = writeHead(page.bytes, room, settingsBytes(told), frameTypes.settings, 0, 0)
  const end = writeSettings(page.bytes, next, told)
  if (first) {
    outlet.greet(page.bytes, room, end)
    outlet.greeted()
  } else outlet.pass(page.bytes, room, end)
  const frameMax = said.get(settingIds.maxFrameSize)
  return {
    frameBytesMax:
      frameMax === undefined
        ? null
        : Math.max(frameBytesDefault, Math.min(frameMax, frameBytesMax)),
    windowBytes: said.get(settingIds.initialWindowSize) ?? null,
    headerTable: said.has(settingIds.headerTableSize),
  }
}
