/** A WebSocket (RFC 6455) that gives back each message as it came. Pure. */
import { createHash } from "node:crypto"
import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"

/** RFC 6455 §1.3. */
const secret = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/** RFC 6455 §5.2. */
const opcodes = { close: 8, ping: 9, pong: 10 } as const
const frameBytesMax = 16 << 20

interface Frame {
  /** FIN, the reserved bits and the opcode, as they came. */
  readonly first: number
  readonly payload: Buffer
}

/** The first frame of what has come, unmasked, and what follows; null: not all of it is here. */
function frameOf(held: Buffer): { readonly frame: Frame; readonly rest: Buffer } | null {
  if (held.length < 2) return null
  const [first = 0, second = 0] = held
  let [at, length] = [2, second & 127]
  if (length >= 126) {
    const width = length === 126 ? 2 : 8
    if (held.length < at + width) return null
    length = width === 2 ? held.readUInt16BE(at) : Number(held.readBigUInt64BE(at))
    at += width
  }
  const masked = second >= 128
  if (length > frameBytesMax || held.length < at + (masked ? 4 : 0) + length) return null
  const mask = held.subarray(at, at + 4)
  if (masked) at += 4
  const payload = Buffer.from(held.subarray(at, at + length))
  if (masked) {
    for (let index = 0; index < length; index++) {
      payload[index] = (payload[index] ?? 0) ^ (mask[index % 4] ?? 0)
    }
  }
  return { frame: { first, payload }, rest: held.subarray(at + length) }
}

/** A frame of a server: never masked. */
function encoded({ first, payload }: Frame): Buffer {
  const { length } = payload
  if (length < 126) return Buffer.concat([Buffer.from([first, length]), payload])
  const head = Buffer.alloc(length < 65_536 ? 4 : 10)
  head[0] = first
  head[1] = length < 65_536 ? 126 : 127
  if (length < 65_536) head.writeUInt16BE(length, 2)
  else head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head, payload])
}

/**
 * Accepts an upgrade and answers on it until it is closed.
 *
 * @param head what came behind the request
 * @param note is told each message that is no control frame
 */
export function serveWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  note: (text: string) => void,
): void {
  const key = request.headers["sec-websocket-key"] ?? ""
  const accept = createHash("sha1").update(`${key}${secret}`).digest("base64")
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  )
  let held = Buffer.alloc(0)
  const take = (bytes: Buffer): void => {
    held = Buffer.concat([held, bytes])
    for (let next = frameOf(held); next !== null; next = frameOf(held)) {
      held = Buffer.from(next.rest)
      const { first, payload } = next.frame
      const opcode = first & 15
      if (opcode === opcodes.pong) continue
      if (opcode < opcodes.close) note(payload.toString("latin1", 0, 4096))
      const reply = opcode === opcodes.ping ? (first & 0xf0) | opcodes.pong : first
      socket.write(encoded({ first: reply, payload }))
      if (opcode === opcodes.close) socket.end()
    }
  }
  socket.on("error", () => socket.destroy())
  socket.on("data", take)
  if (head.length > 0) take(head)
}
