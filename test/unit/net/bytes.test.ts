import t from "tap"
import { Cursor } from "../../../net/bytes.ts"

void t.test("Cursor reads big-endian numbers and slices", async (t) => {
  const cursor = new Cursor(Uint8Array.of(1, 1, 2, 1, 2, 3, 0xff, 0, 0, 1, 7, 8, 9))
  t.equal(cursor.u8(), 1)
  t.equal(cursor.u16(), 0x0102)
  t.equal(cursor.u24(), 0x010203)
  t.equal(cursor.u32(), 0xff000001)
  t.same([...cursor.take(1)], [7])
  cursor.skip(1)
  t.equal(cursor.left, 1)
  t.same([...cursor.rest()], [9])
  t.equal(cursor.short, false)
  t.equal(cursor.left, 0)
})

void t.test("Cursor is short for ever after a read past the end", async (t) => {
  const cursor = new Cursor(Uint8Array.of(1, 2, 3))
  t.equal(cursor.u32(), 0x0102 * 65_536)
  t.equal(cursor.short, true)
  t.equal(cursor.u8(), 0)
  t.equal(cursor.take(1).length, 0)
  t.equal(cursor.left, 0)
  t.equal(cursor.rest().length, 0)
  for (const count of [-1, Number.NaN, 2 ** 40]) {
    const other = new Cursor(Uint8Array.of(1, 2, 3))
    other.skip(count)
    t.equal(other.short, true, String(count))
  }
})

void t.test("Cursor within() reads no further than its part", async (t) => {
  const cursor = new Cursor(Uint8Array.of(1, 2, 3, 4))
  const part = cursor.within(2)
  t.equal(part.u8(), 1)
  t.equal(cursor.u8(), 3)
  t.equal(part.u16(), 0)
  t.equal(part.short, true)
  t.equal(cursor.short, false)
  t.equal(cursor.within(2).short, true)
  t.equal(cursor.short, true)
})
