/** DNS messages as tests write them, and an upstream on loopback that answers as it is told. */
import { createSocket } from "node:dgram"
import { createServer } from "node:net"
import type { AddressInfo, Socket } from "node:net"
import { Frames, framed } from "../../../dns/frames.ts"
import { parseAddress } from "../../../net/address.ts"
import type { Address } from "../../../net/address.ts"
import type { Endpoint } from "../../../net/endpoint.ts"

export const ip = (text: string): Address => {
  const address = parseAddress(text)
  if (address === null) throw new Error(`Cannot read address "${text}"`)
  return address
}

/** `www.example.com` on the wire; labels as they are, dots aside. */
export function wire(name: string): Buffer {
  const labels = name === "" ? [] : name.split(".")
  return Buffer.concat([
    ...labels.map((label) => Buffer.from(String.fromCharCode(label.length) + label, "latin1")),
    Buffer.from([0]),
  ])
}

const word = (value: number): Buffer => Buffer.from([(value >>> 8) & 255, value & 255])

export interface Asked {
  readonly id?: number
  readonly flags?: number
  readonly name?: string | Buffer
  readonly type?: number
  readonly class?: number
  /** UDP size in an OPT record; null: none. */
  readonly edns?: number | null
  readonly options?: Buffer
  readonly counts?: readonly [number, number, number, number]
  readonly tail?: Buffer
}

export function question(asked: Asked = {}): Buffer {
  const { id = 0x1234, flags = 0x0100, name = "allowed.test", type = 1, edns = null } = asked
  const { options = Buffer.alloc(0), tail = Buffer.alloc(0) } = asked
  const counts = asked.counts ?? [1, 0, 0, edns === null ? 0 : 1]
  const opt =
    edns === null
      ? Buffer.alloc(0)
      : Buffer.concat([
          Buffer.from([0, 0, 41]),
          word(edns),
          Buffer.alloc(4),
          word(options.length),
          options,
        ])
  return Buffer.concat([
    word(id),
    word(flags),
    ...counts.map(word),
    typeof name === "string" ? wire(name) : name,
    word(type),
    word(asked.class ?? 1),
    opt,
    tail,
  ])
}

export interface Rr {
  readonly name: string
  readonly type: number
  readonly ttl?: number
  readonly data: Buffer
}

export const a = (name: string, address: string, ttl = 300): Rr => ({
  name,
  type: 1,
  ttl,
  data: Buffer.from(address.split(".").map(Number)),
})

export const cname = (name: string, to: string, ttl = 300): Rr => ({
  name,
  type: 5,
  ttl,
  data: wire(to),
})

export const soa = (zone: string, ttl: number, minimum: number): Rr => ({
  name: zone,
  type: 6,
  ttl,
  data: Buffer.concat([
    wire(`ns.${zone}`),
    wire(`mail.${zone}`),
    Buffer.alloc(16),
    word(0),
    word(minimum),
  ]),
})

function record({ name, type, ttl = 300, data }: Rr): Buffer {
  const time = Buffer.alloc(4)
  time.writeUInt32BE(ttl)
  return Buffer.concat([wire(name), word(type), word(1), time, word(data.length), data])
}

export interface Answered {
  readonly rcode?: number
  readonly truncated?: boolean
  readonly answers?: readonly Rr[]
  readonly authority?: readonly Rr[]
  /** Instead of the question that was asked. */
  readonly question?: Buffer
  readonly id?: number
}

/** Where a question without compression ends. */
function questionEnd(message: Buffer): number {
  let at = 12
  while (message[at] !== undefined && message[at] !== 0) at += 1 + (message[at] ?? 0)
  return at + 5
}

export function answerTo(asked: Buffer, answered: Answered): Buffer {
  const { rcode = 0, truncated = false, answers = [], authority = [] } = answered
  return Buffer.concat([
    word(answered.id ?? asked.readUInt16BE(0)),
    word(0x8180 | (truncated ? 0x0200 : 0) | rcode),
    word(1),
    word(answers.length),
    word(authority.length),
    word(0),
    answered.question ?? asked.subarray(12, questionEnd(asked)),
    ...answers.map(record),
    ...authority.map(record),
  ])
}

/** `[name, type]` of a question. */
export function askedOf(message: Buffer): [string, number] {
  const labels: string[] = []
  let at = 12
  for (let length = message[at] ?? 0; length !== 0; length = message[at] ?? 0) {
    labels.push(message.toString("latin1", at + 1, at + 1 + length))
    at += 1 + length
  }
  return [labels.join("."), message.readUInt16BE(at + 1)]
}

export interface FakeUpstream {
  readonly endpoint: Endpoint
  /** Names as they were asked, case and all, with transport. */
  readonly asked: { readonly name: string; readonly type: number; readonly transport: string }[]
  readonly messages: Buffer[]
  readonly ports: Set<number>
  close(): void
}

/** @param reply what to send for a question; null: nothing. More than one: in this order */
export async function fakeUpstream(
  reply: (message: Buffer, transport: "udp" | "tcp") => Buffer | readonly Buffer[] | null,
): Promise<FakeUpstream> {
  const asked: { name: string; type: number; transport: string }[] = []
  const messages: Buffer[] = []
  const ports = new Set<number>()
  const sockets = new Set<Socket>()
  const note = (message: Buffer, transport: "udp" | "tcp"): void => {
    const [name, type] = askedOf(message)
    asked.push({ name, type, transport })
    messages.push(message)
  }
  const server = createServer((socket) => {
    sockets.add(socket)
    const frames = new Frames()
    socket.on("error", () => {})
    socket.on("data", (chunk) => {
      for (const message of frames.push(chunk)) {
        note(message, "tcp")
        for (const bytes of [reply(message, "tcp") ?? []].flat()) socket.write(framed(bytes))
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  const udp = createSocket("udp4")
  udp.on("message", (message, from) => {
    note(message, "udp")
    ports.add(from.port)
    for (const bytes of [reply(message, "udp") ?? []].flat()) udp.send(bytes, from.port)
  })
  await new Promise<void>((resolve) => udp.bind(port, "127.0.0.1", resolve))
  return {
    endpoint: { address: ip("127.0.0.1"), port },
    asked,
    messages,
    ports,
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      udp.close()
    },
  }
}
