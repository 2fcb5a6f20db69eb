/**
 * ClientHellos, whole, mutated and random, cut into records and segments anyhow: nothing throws,
 * nothing takes long, and how the bytes come changes nothing. Seeded and short; longer with
 * FUZZ_SECONDS.
 */
import t from "tap"
import { OpeningReader } from "../../proxy/classify.ts"
import type { Classified } from "../../proxy/classify.ts"
import { HelloReader } from "../../proxy/hello.ts"
import * as make from "../unit/proxy/bytes.ts"
import { randomly } from "./randomly.ts"

const seconds = Number(process.env["FUZZ_SECONDS"] ?? 1)
/** One opening of the largest size, byte by byte, at the worst, on a busy machine. */
const slowMs = 500

const { below, bytes, mutated, one } = randomly()

const names = [
  "allowed.test",
  "ALLOWED.test.",
  "evil.test\0.allowed.test",
  "198.51.100.1",
  "",
  "a..b",
]

function message(): Buffer {
  const extensions: (readonly [number, Buffer])[] = []
  for (let count = below(6); count > 0; count--) {
    extensions.push(
      one([
        () => [0, make.serverNames(one(names))] as const,
        () => [0, make.serverNames(one(names), one(names))] as const,
        () => [16, make.protocols("h2", "http/1.1")] as const,
        () => [51, make.vector16(bytes(below(2_000)))] as const,
        () => [0xfe0d, bytes(below(300))] as const,
        () => [below(65_536), bytes(below(40))] as const,
      ])(),
    )
  }
  const whole = make.helloMessage({ extensions, session: below(40), noExtensions: below(9) === 0 })
  return below(3) === 0 ? mutated(whole) : whole
}

function opening(): Buffer {
  const size = below(3) === 0 ? 1 + below(40) : 16_384
  const framed = make.records(message(), size)
  const followed = below(4) === 0 ? Buffer.concat([framed, bytes(below(100))]) : framed
  return below(2) === 0 ? mutated(followed) : followed
}

/** Fed in pieces of random sizes; "short" where it never was enough. */
function inPieces(input: Buffer, most: number): Classified | null {
  const reader = new OpeningReader()
  for (let at = 0; at < input.length;) {
    const size = 1 + below(most)
    const found = reader.push(input.subarray(at, at + size))
    if (found !== null) return found
    at += size
  }
  return null
}

t.test("ClientHellos: how they come changes nothing, and none does harm", async (t) => {
  const until = Date.now() + seconds * 1000
  let count = 0
  let good = 0
  let slowest = 0
  while (Date.now() < until) {
    const input = opening()
    const begun = performance.now()
    const whole = new OpeningReader().push(input)
    const direct = new HelloReader().read(input)
    for (const most of [1, 7, 4_000]) {
      const pieces = inPieces(input, most)
      if (JSON.stringify(pieces) !== JSON.stringify(whole)) {
        t.same(pieces, whole, `by ${most}: ${input.toString("hex")}`)
        return
      }
    }
    slowest = Math.max(slowest, performance.now() - begun)
    count++
    if (whole?.opening.kind !== "tls") continue
    good++
    if (JSON.stringify(direct) !== JSON.stringify(whole.opening)) t.fail(input.toString("hex"))
    const { serverName } = whole.opening
    if (serverName !== null && !/^[a-z0-9._-]+$/.test(serverName)) t.fail(serverName)
  }
  t.ok(good > 0 && good < count, `${good} of ${count} were good`)
  t.ok(slowest < slowMs, `the slowest took ${slowest.toFixed(1)} ms`)
})

t.test("ClientHellos: the largest, byte by byte, are read in time", async (t) => {
  const filled = { extensions: [[21, Buffer.alloc(65_000)]] as const }
  for (const recordBytes of [1, 2, 100, 16_384]) {
    const input = make.hello({ ...filled, recordBytes })
    const reader = new OpeningReader()
    const begun = performance.now()
    let found: Classified | null = null
    for (let at = 0; at < input.length && found === null; at++) {
      found = reader.push(input.subarray(at, at + 1))
    }
    t.not(found, null)
    t.ok(performance.now() - begun < slowMs, `in records of ${recordBytes}`)
  }
})
