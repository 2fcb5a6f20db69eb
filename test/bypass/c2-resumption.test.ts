/** Row 33: data before the handshake, and a ticket of one name used for another. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import t from "tap"
import { recorderPorts } from "../../lab/recorder-ports.ts"
import { canary, guarded, whyNoLab } from "./harness.ts"
import { recordedLab } from "./recorded.ts"
import { sleep } from "./started.ts"

t.setTimeout(120_000)
const skip = whyNoLab() ?? false
const good = "198.51.100.10"
const { early, secure } = recorderPorts

/** One handshake that waits for its ticket; what openssl says of it. */
const handshake = (port: number, name: string, more: string): string =>
  `(sleep 1) | timeout 5 openssl s_client -connect ${good}:${port} -servername ${name} ${more}`

t.test("row 33: what is resumed", { skip, timeout: 110_000 }, async (t) => {
  const lab = await recordedLab(t)
  const server = lab.atFarEnd([
    ...["openssl", "s_server", "-accept", String(early), "-cert", lab.sampleFile],
    ...["-key", lab.sampleFile, "-early_data", "-quiet", "-ign_eof"],
  ])
  let got = ""
  server.stdout?.on("data", (bytes: Buffer) => (got += bytes.toString("latin1")))
  await sleep(500)
  const [ticket, sent] = [join(lab.directory, "ticket"), join(lab.directory, "early")]
  const twice = (word: string): string[] => {
    writeFileSync(sent, `GET /${word} HTTP/1.1\r\nHost: allowed.test:${early}\r\n\r\n`)
    return [
      ...["sh", "-c"],
      `exec 2>&1; ${handshake(early, "allowed.test", `-sess_out ${ticket}`)}; ${handshake(early, "allowed.test", `-sess_in ${ticket} -early_data ${sent}`)}`,
    ]
  }
  const allow = [`POST https://allowed.test:${early}/**`]

  const free = canary()
  const without = await lab.run(twice(free))
  t.match(got, free, "arrives without a firewall")
  t.match(without.stdout, /Early data was accepted/)

  await t.test(
    "row 33: data before the handshake, with a ticket of the server's own",
    async (t) => {
      for (const mode of ["block", "audit"] as const) {
        // The ticket is the one that was got without the firewall.
        const word = canary()
        writeFileSync(sent, `GET /${word} HTTP/1.1\r\n\r\n`)
        const { stdout } = await guarded(lab, { mode, allow }, [
          ...["sh", "-c"],
          `exec 2>&1; ${handshake(early, "allowed.test", `-sess_in ${ticket} -early_data ${sent}`)}`,
        ])
        t.match(stdout, /Certificate chain/, `${mode}: there was a handshake`)
        t.match(stdout, /Early data was rejected/, `${mode}: it was offered`)
        t.notMatch(got, word, `${mode}: does not arrive`)
      }
    },
  )

  await t.test("row 33: no ticket of ours takes any", async (t) => {
    const word = canary()
    const { stdout } = await guarded(lab, { mode: "block", allow, timeoutMs: 40_000 }, twice(word))
    t.match(stdout, /Certificate chain/, "there was a handshake")
    t.notMatch(stdout, /Early data was accepted/)
    t.notMatch(stdout, /Max Early Data: [1-9]/)
    t.notMatch(got, word, "does not arrive")
  })

  await t.test("row 33: a ticket serves the name that it was given for", async (t) => {
    const resumed = (first: string, then: string): string[] => [
      ...["sh", "-c"],
      `exec 2>/dev/null; rm -f ${ticket}; ${handshake(secure, first, `-sess_out ${ticket}`)} >/dev/null; ${handshake(secure, then, `-sess_in ${ticket}`)} | grep -a -E "^(New|Reused)," | head -1`,
    ]
    const rules = [`https://allowed.test:${secure}/**`, `https://sub.allowed.test:${secure}/**`]
    const same = await guarded(
      lab,
      { mode: "block", allow: rules },
      resumed("allowed.test", "allowed.test"),
    )
    const other = await guarded(
      lab,
      { mode: "block", allow: rules },
      resumed("allowed.test", "sub.allowed.test"),
    )
    t.comment(`for the same name: ${same.stdout.trim()}`)
    t.match(other.stdout, /^New,/, "for another it is a handshake from the beginning")
    t.ok(other.events.some((event) => event.kind === "flow" && event.verdict === "allow"))
  })
})
