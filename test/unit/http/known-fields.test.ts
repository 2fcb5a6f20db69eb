import t from "tap"
import type { HeaderField } from "../../../http/header-field.ts"
import { KnownFields } from "../../../http/known-fields.ts"

function field(name: string): HeaderField {
  return { name, value: "", sensitive: false, marks: 0 }
}

/** As the decoder asks: what is not known is added. */
function look(known: KnownFields, bytes: Buffer, name: string): HeaderField | null {
  const found = known.find(bytes, 0, bytes.length)
  if (found === null) known.add(bytes, 0, bytes.length, field(name))
  return found
}

t.test("KnownFields knows what came twice, by each of its bytes", async (t) => {
  const known = new KnownFields()
  const bytes = Buffer.from("x".repeat(100))
  t.equal(look(known, bytes, "one"), null)
  t.equal(look(known, bytes, "two"), null)
  t.equal(look(known, bytes, "three")?.name, "two")
  for (let at = 0; at < bytes.length; at++) {
    const other = Buffer.from(bytes)
    other[at] = 121
    if (known.find(other, 0, other.length) !== null) t.fail(`byte ${at}`)
  }
  t.equal(known.find(bytes, 0, 99), null)
  t.equal(known.find(Buffer.concat([Buffer.alloc(5), bytes]), 5, 105)?.name, "two")
  bytes.fill(0)
  t.equal(known.find(bytes, 0, 100), null, "its own copy")
})

t.test("KnownFields forgets long ones, and nearly none of a few dozens", async (t) => {
  const known = new KnownFields()
  const long = Buffer.alloc(161, "x")
  for (let round = 0; round < 3; round++) t.equal(look(known, long, "long"), null)
  const some = Array.from({ length: 40 }, (_, at) => Buffer.from(`field-${at}: value ${at * at}`))
  for (let round = 0; round < 2; round++) for (const each of some) look(known, each, String(each))
  const found = some.filter((each) => known.find(each, 0, each.length)?.name === String(each))
  t.ok(found.length >= 38, `${found.length} of ${some.length}`)
})
