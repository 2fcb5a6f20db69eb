import t from "tap"
import {
  readSettings,
  settingsBytes,
  settingsForClient,
  settingsForUpstream,
  writeSettings,
} from "../../../http/settings.ts"
import { setting } from "../proxy/h2.ts"

const [table, push, streams, window, frameSize, list, connect] = [1, 2, 3, 4, 5, 6, 8]

function read(...pairs: readonly (readonly [number, number])[]): Map<number, number> | string {
  const bytes = Buffer.concat(pairs.map(([id, value]) => setting(id, value)))
  const settings = readSettings(bytes, 0, bytes.length)
  return "code" in settings ? `${settings.code}` : new Map(settings)
}

function told(
  by: typeof settingsForClient,
  first: boolean,
  ...pairs: readonly (readonly [number, number])[]
): Record<string, number> {
  const settings = read(...pairs)
  if (typeof settings === "string") throw new Error(settings)
  return Object.fromEntries(by(settings, first))
}

t.test("readSettings() takes the last word on each, and refuses values out of range", async (t) => {
  t.same(
    read([window, 1], [table, 7], [window, 2]),
    new Map([
      [window, 2],
      [table, 7],
    ]),
  )
  t.equal(read([push, 2]), "1")
  t.equal(read([window, 0x8000_0000]), "3")
  t.equal(read([frameSize, 16_383]), "1")
  t.equal(read([frameSize, 16_777_216]), "1")
  t.same(read([frameSize, 16_777_215]), new Map([[frameSize, 16_777_215]]))
})

t.test("settingsForUpstream() allows no table and no pushes", async (t) => {
  t.same(told(settingsForUpstream, true), { [table]: 0, [push]: 0, [list]: 65_536 })
  t.same(
    told(
      settingsForUpstream,
      true,
      [table, 4096],
      [push, 1],
      [window, 9],
      [streams, 5],
      [frameSize, 1 << 20],
    ),
    { [table]: 0, [push]: 0, [window]: 9, [frameSize]: 65_536, [list]: 65_536 },
  )
  t.same(told(settingsForUpstream, false, [window, 9]), { [window]: 9 })
  t.same(told(settingsForUpstream, false, [push, 1], [table, 9]), { [table]: 0, [push]: 0 })
})

t.test("settingsForClient() bounds streams, and knows no extended CONNECT", async (t) => {
  t.same(told(settingsForClient, true), { [table]: 0, [streams]: 256, [list]: 65_536 })
  t.same(
    told(settingsForClient, true, [connect, 1], [push, 0], [streams, 100], [list, 8_000], [77, 7]),
    {
      [table]: 0,
      [streams]: 100,
      [list]: 8_000,
    },
  )
  t.same(told(settingsForClient, false, [streams, 1_000]), { [streams]: 256 })
  t.same(told(settingsForClient, false), {})
})

t.test("writeSettings() writes what readSettings() reads", async (t) => {
  const settings = new Map([
    [table, 0],
    [window, 0x7fff_ffff],
  ])
  const bytes = Buffer.alloc(settingsBytes(settings))
  t.equal(writeSettings(bytes, 0, settings), bytes.length)
  t.same(readSettings(bytes, 0, bytes.length), settings)
})
