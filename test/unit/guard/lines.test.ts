import { Duplex, PassThrough } from "node:stream"
import { setImmediate } from "node:timers/promises"
import t from "tap"
import { lineBytesMax, lines, type Message } from "../../../guard/lines.ts"

interface Peer {
  readonly stream: Duplex
  readonly said: PassThrough
  readonly heard: Message[]
  readonly closed: () => boolean
}

/** A stream of which the test is the far end. */
function peer(receive?: (message: Message) => unknown): Peer & ReturnType<typeof lines> {
  const said = new PassThrough()
  const stream = Duplex.from({ readable: new PassThrough(), writable: said })
  const heard: Message[] = []
  let closed = false
  const line = lines(
    stream,
    receive ?? ((message) => void heard.push(message)),
    () => (closed = true),
  )
  return { ...line, stream, said, heard, closed: () => closed }
}

/** Gives bytes to the reader as one piece. */
function give({ stream }: Peer, text: string | Buffer): void {
  stream.emit("data", Buffer.from(text))
}

t.test("lines() reads messages whole, many at once and byte by byte alike", (t) => {
  const messages = [{ a: 1 }, { b: "ä\n" }, { c: [null, { d: 2 }] }]
  const text = messages.map((each) => `${JSON.stringify(each)}\n`).join("")
  const whole = peer()
  give(whole, text)
  t.strictSame(whole.heard, messages)
  const single = peer()
  for (const byte of Buffer.from(text)) give(single, Buffer.from([byte]))
  t.strictSame(single.heard, messages)
  t.end()
})

t.test("lines() ends a stream that says what is no JSON object", async (t) => {
  for (const text of ["{\n", "null\n", "[]\n", "7\n", '"x"\n', "\n", "\xff\n"]) {
    const one = peer()
    one.stream.on("error", () => {})
    give(one, `{"ok":1}\n${text}{"after":1}\n`)
    t.strictSame(one.heard, [{ ok: 1 }], JSON.stringify(text))
    await setImmediate()
    t.ok(one.stream.destroyed)
    t.ok(one.closed())
  }
})

t.test("lines() ends a stream whose line has no end", async (t) => {
  const one = peer()
  const piece = Buffer.alloc(1 << 20, 32)
  for (let given = 0; given <= lineBytesMax && !one.stream.destroyed; given += piece.length) {
    give(one, piece)
  }
  await setImmediate()
  t.ok(one.stream.destroyed)
  t.strictSame(one.heard, [])
})

t.test("lines() takes a long line in single bytes without a piece for each", (t) => {
  const one = peer()
  const text = `{"long":"${"x".repeat(60_000)}"}\n`
  const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed
  const startedMs = performance.now()
  for (const byte of Buffer.from(text.slice(0, -1))) one.stream.emit("data", Buffer.of(byte))
  const grown = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before
  t.ok(performance.now() - startedMs < 5_000)
  t.ok(grown < 64 << 20, `${grown} bytes`)
  give(one, "\n")
  t.equal(String(one.heard[0]?.["long"]).length, 60_000)
  t.end()
})

t.test("lines() reads no further while too many answers are owed", async (t) => {
  let release: () => void = () => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  let heard = 0
  const one = peer(() => {
    heard++
    return held
  })
  give(one, '{"q":1}\n'.repeat(1_023))
  t.notOk(one.stream.isPaused())
  give(one, '{"q":1}\n')
  t.ok(one.stream.isPaused())
  t.equal(heard, 1_024)
  release()
  await setImmediate()
  t.notOk(one.stream.isPaused())
})

t.test("lines() sends one line for each message and tells of a slow reader", async (t) => {
  const one = peer()
  t.equal(one.send({ a: "line\nend" }), true)
  while (one.send({ filler: "x".repeat(100_000) })) await setImmediate()
  let drained = false
  const drain = one.drained().then(() => (drained = true))
  await setImmediate()
  t.notOk(drained)
  one.said.resume()
  await drain
  t.ok(drained)
  one.close()
  t.equal(one.send({ late: true }), false)
})
