/** Files of 0 B, 1 B, some blocks and 1 GiB by digest, both ways, over HTTP/1.1 and HTTP/2. */
import { createWriteStream, mkdirSync } from "node:fs"
import { join } from "node:path"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import t from "tap"
import { content, contentDigest } from "../../lab/content.ts"
import { labFor, whyNoLab } from "../bypass/harness.ts"
import { shown } from "../bypass/ways.ts"
import { requestsOf, runClient } from "./client-table.ts"

t.setTimeout(300_000)

const rules = ["GET https://allowed.test/bytes/*", "PUT https://allowed.test/digest"]
const gibibyte = 1 << 30
const sizes = [0, 1, 1_234_567, gibibyte]
/** Seconds; a transfer at a tenth of what a small machine does takes as long. */
const secondsMax = 100

t.test("transfers", { skip: whyNoLab() ?? false, timeout: 290_000 }, async (t) => {
  const lab = await labFor(t, {})
  const home = join(lab.directory, "home")
  mkdirSync(home)
  const digests = new Map<number, string>()
  for (const size of sizes) {
    await pipeline(
      Readable.from(content(size), { objectMode: false }),
      createWriteStream(join(home, String(size))),
    )
    digests.set(size, contentDigest(size))
  }

  for (const [version, protocol] of [
    ["--http1.1", "http/1.1"],
    ["--http2", "h2"],
  ] as const) {
    const curl = `curl -sS -m ${secondsMax} ${version}`
    for (const size of sizes) {
      const digest = digests.get(size) ?? ""
      await t.test(`${size} bytes come down over ${protocol}`, async (t) => {
        const command = `${curl} https://allowed.test/bytes/${size} | sha256sum`
        const run = await runClient(lab, "block", { rules }, home, command, "")
        if (!t.match(run.stdout, digest, "whole")) t.comment(shown(run))
        const [event] = requestsOf(run.events)
        t.match(event, { protocol, status: 200, verdict: "allow" })
        t.ok((event?.bytesReceived ?? 0) >= size, "they are counted")
      })
      await t.test(`${size} bytes go up over ${protocol}`, async (t) => {
        const command = `${curl} -T ${size} https://allowed.test/digest`
        const run = await runClient(lab, "block", { rules }, home, command, "")
        if (!t.equal(run.stdout, `${size} ${digest}\n`, "whole")) t.comment(shown(run))
        const [event] = requestsOf(run.events)
        t.match(event, { protocol, status: 200, verdict: "allow" })
        t.ok((event?.bytesSent ?? 0) >= size, "they are counted")
      })
    }
    await t.test(`bytes of unknown number go up over ${protocol}`, async (t) => {
      const size = 1_234_567
      const command = `${curl} -T - https://allowed.test/digest <${size}`
      const run = await runClient(lab, "block", { rules }, home, command, "")
      if (!t.equal(run.stdout, `${size} ${digests.get(size)}\n`)) t.comment(shown(run))
    })
  }
})
