import t from "tap"
import { integer, octetString, sequence } from "../../../certs/der.ts"
import { firstValue, inside, valuesIn } from "../../../certs/der-read.ts"

t.test("firstValue() reads what der.ts writes, of any length", (t) => {
  for (const length of [0, 1, 127, 128, 255, 256, 65_535]) {
    const content = Buffer.alloc(length, 7)
    const value = firstValue(Buffer.concat([octetString(content), Buffer.from("rest")]))
    t.equal(value?.tag, 4)
    t.ok(value?.content.equals(content), `${length} bytes`)
    t.equal(value?.whole.length, octetString(content).length)
  }
  t.end()
})

t.test("firstValue() gives null for a value that is cut anywhere", (t) => {
  const whole = sequence(octetString(Buffer.alloc(300)), integer(Buffer.from([5])))
  for (let end = 0; end < whole.length; end++) {
    if (firstValue(whole.subarray(0, end)) !== null) t.fail(`${end} bytes`)
  }
  t.ok(firstValue(whole))
  t.end()
})

t.test("firstValue() refuses lengths without an end, of too many octets, and long tags", (t) => {
  for (const text of ["3080", "3085ffffffffff", "308900000000000000000000", "1f0100", ""]) {
    t.equal(firstValue(Buffer.from(text, "hex")), null, text)
  }
  t.end()
})

t.test("inside() follows positions, and gives null where there is none", (t) => {
  const value = firstValue(sequence(sequence(integer(Buffer.from([1])), integer(Buffer.from([2])))))
  t.equal(inside(value, 0, 1)?.content[0], 2)
  t.equal(inside(value, 0, 2), null)
  t.equal(inside(value, 1, 0), null)
  t.equal(inside(null, 0), null)
  t.end()
})

t.test("valuesIn() gives null for bytes that are not values to the last one", (t) => {
  t.equal(valuesIn(Buffer.from("020101ff", "hex")), null)
  t.strictSame(valuesIn(Buffer.alloc(0)), [])
  t.equal(valuesIn(Buffer.alloc(2 * 10_001)), null, "and for too many of them")
  t.end()
})
