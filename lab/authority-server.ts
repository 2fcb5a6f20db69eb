/**
 * A name server that is authoritative for everything: answers from a zone and writes down who asked
 * what. It is the far end's, so it reads names as they come, without any of our own strictness.
 */
import { createSocket } from "node:dgram"
import { createServer } from "node:net"
import type { Record_ } from "./evidence.ts"
import type { Records, Zone } from "./places.ts"

const types = { 1: "A", 5: "CNAME", 16: "TXT", 28: "AAAA", 65: "HTTPS" } as Record<number, string>
const longestUdp = 1232

interface Question {
  readonly id: number
  readonly name: string
  readonly type: number
  /** The question's own bytes, to be given back as they came. */
  readonly bytes: Buffer
}

function readQuestion(message: Buffer): Question | null {
  let at = 12
  const labels: string[] = []
  for (;;) {
    const length = message[at]
    if (length === undefined || length > 63) return null
    at++
    if (length === 0) break
    labels.push(message.subarray(at, at + length).toString("latin1"))
    at += length
  }
  if (at + 4 > message.length) return null
  return {
    id: message.readUInt16BE(0),
    name: labels.join("."),
    type: message.readUInt16BE(at),
    bytes: message.subarray(12, at + 4),
  }
}

function encodeName(name: string): Buffer {
  const labels = name.split(".").map((label) => Buffer.from(label, "latin1"))
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), label]),
    Buffer.from([0]),
  ])
}

function record(owner: Buffer, type: number, ttl: number, data: Buffer): Buffer {
  const head = Buffer.alloc(10)
  head.writeUInt16BE(type, 0)
  head.writeUInt16BE(1, 2)
  head.writeUInt32BE(ttl, 4)
  head.writeUInt16BE(data.length, 8)
  return Buffer.concat([owner, head, data])
}

function addressData(address: string): Buffer {
  if (!address.includes(":")) return Buffer.from(address.split(".").map(Number))
  const url = new URL(`http://[${address}]/`)
  const text = url.hostname.slice(1, -1)
  const [head = "", tail = ""] = text.split("::")
  const words = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((word) => Number.parseInt(word, 16))
  const before = words(head)
  const after = words(tail)
  const filled = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
  const bytes = Buffer.alloc(16)
  filled.forEach((word, index) => bytes.writeUInt16BE(word, index * 2))
  return bytes
}

const lookup = (zone: Zone, name: string): Records | undefined => {
  const exact = zone[name]
  if (exact !== undefined) return exact
  const labels = name.split(".")
  for (let from = 1; from < labels.length; from++) {
    const below = zone[`*.${labels.slice(from).join(".")}`]
    if (below !== undefined) return below
  }
  return zone["*"]
}

let turn = 0

/** An HTTPS record with an address hint and an ECH parameter (RFC 9460): never to reach a job. */
const httpsData = Buffer.concat([Buffer.from([0, 1, 0]), Buffer.from([0, 5, 0, 4, 1, 2, 3, 4])])

function answersTo(zone: Zone, question: Question, depth = 0): Buffer[] | null {
  const name = question.name.toLowerCase()
  const found = lookup(zone, name)
  if (found === undefined) return depth === 0 ? null : []
  const owner = encodeName(name)
  const ttl = found.ttl ?? 60
  if (found.cname !== undefined) {
    const alias = record(owner, 5, ttl, encodeName(found.cname))
    return [alias, ...(answersTo(zone, { ...question, name: found.cname }, depth + 1) ?? [])]
  }
  const all = found.a ?? []
  const one = all[turn++ % Math.max(all.length, 1)]
  const four = found.rotate === true && one !== undefined ? [one] : all
  switch (types[question.type]) {
    case "A":
      return four.map((address) => record(owner, 1, ttl, addressData(address)))
    case "AAAA":
      return (found.aaaa ?? []).map((address) => record(owner, 28, ttl, addressData(address)))
    case "TXT":
      return (found.txt ?? []).map((text) =>
        record(owner, 16, ttl, Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])),
      )
    case "HTTPS":
      return found.https === true ? [record(owner, 65, ttl, httpsData)] : []
    default:
      return []
  }
}

function reply(
  zone: Zone,
  message: Buffer,
  overUdp: boolean,
  note: (name: string) => void,
): Buffer | null {
  const question = readQuestion(message)
  if (question === null) return null
  note(question.name)
  const found = answersTo(zone, question)
  const answers = found ?? []
  let body = Buffer.concat([question.bytes, ...answers])
  const head = Buffer.alloc(12)
  const records = lookup(zone, question.name.toLowerCase())
  const cut = overUdp && (records?.truncated === true || body.length + 12 > longestUdp)
  head.writeUInt16BE(question.id, 0)
  head.writeUInt16BE(0x8580 | (cut ? 0x0200 : 0) | (found === null ? 3 : 0), 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(cut ? 0 : answers.length, 6)
  if (cut) body = Buffer.from(question.bytes)
  return Buffer.concat([head, body])
}

/** Answers on UDP and TCP port 53 of one address. */
export function serveZone(address: string, zone: Zone, write: (record: Record_) => void): void {
  const note = (name: string): void => write({ kind: "name", at: address, text: name })
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4")
  socket.on("message", (message, peer) => {
    const bytes = reply(zone, message, true, note)
    if (bytes === null)
      write({ kind: "datagram", at: `${address}:53`, text: message.toString("latin1") })
    else socket.send(bytes, peer.port, peer.address)
  })
  socket.bind(53, address)
  const server = createServer((connection) => {
    let held = Buffer.alloc(0)
    connection.on("error", () => connection.destroy())
    connection.on("data", (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const length = held.readUInt16BE(0)
        const bytes = reply(zone, held.subarray(2, 2 + length), false, note)
        held = held.subarray(2 + length)
        if (bytes === null) continue
        const size = Buffer.alloc(2)
        size.writeUInt16BE(bytes.length)
        connection.write(Buffer.concat([size, bytes]))
      }
    })
  })
  server.listen(53, address)
}
