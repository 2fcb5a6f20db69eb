import t from "tap"
import { Frames, framed } from "../../../dns/frames.ts"

const messages = [Buffer.from("one"), Buffer.alloc(0), Buffer.alloc(300, 7), Buffer.alloc(65_535)]
const stream = Buffer.concat(messages.map(framed))

void t.test("Frames gives the same messages whole and byte by byte", async (t) => {
  t.same(new Frames().push(stream), messages)
  for (const size of [1, 2, 3, 7, 1000]) {
    const frames = new Frames()
    const found: Buffer[] = []
    const short = size < 3 ? Buffer.concat(messages.slice(0, 3).map(framed)) : stream
    for (let at = 0; at < short.length; at += size) {
      found.push(...frames.push(short.subarray(at, at + size)))
    }
    t.same(found, size < 3 ? messages.slice(0, 3) : messages, `${size} bytes at a time`)
    t.equal(frames.partial, false)
  }
})

void t.test("Frames takes 65,535 bytes one by one in little time", async (t) => {
  const frames = new Frames()
  const bytes = framed(Buffer.alloc(65_535, 1))
  let found = 0
  const began = performance.now()
  for (let at = 0; at < bytes.length; at++) found += frames.push(bytes.subarray(at, at + 1)).length
  t.equal(found, 1)
  t.ok(performance.now() - began < 2_000)
})

void t.test("Frames says whether a message has begun", async (t) => {
  const frames = new Frames()
  t.equal(frames.partial, false)
  frames.push(Buffer.from([0]))
  t.equal(frames.partial, true)
  t.same(frames.push(Buffer.from([1, 9])), [Buffer.from([9])])
  t.equal(frames.partial, false)
})
