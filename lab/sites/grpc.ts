/**
 * gRPC over HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md) at grpc.example.com: answers each message with a
 * message, counts them, or gives many for one. Pure.
 */
import type { Visit } from "../visit.ts"

/** A flag for compression and four bytes of length. */
const prefixBytes = 5

/** Takes whole messages off the front of what has come. */
function messagesOf(held: Buffer): { readonly messages: Buffer[]; readonly rest: Buffer } {
  const messages: Buffer[] = []
  let rest = held
  while (rest.length >= prefixBytes && rest.length >= prefixBytes + rest.readUInt32BE(1)) {
    const end = prefixBytes + rest.readUInt32BE(1)
    messages.push(rest.subarray(prefixBytes, end))
    rest = rest.subarray(end)
  }
  return { messages, rest }
}

function framed(message: string | Buffer): Buffer {
  const bytes = Buffer.from(message)
  const prefix = Buffer.alloc(prefixBytes)
  prefix.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([prefix, bytes])
}

/**
 * The methods of the service `lab.Echo`: `Unary` and `Both` give back each message as it comes,
 * `Up` the number of messages at the end, `Down` as many messages as the one it got says.
 * `Fail` ends with status 7 in the trailers, whatever it gets.
 */
export function serveGrpc({ path, request, response }: Visit): void {
  response.setHeader("content-type", "application/grpc")
  const method = path.slice(path.lastIndexOf("/") + 1)
  let held = Buffer.alloc(0)
  let count = 0
  // Why now: a caller that streams may wait for the head before it sends its first message.
  response.flushHeaders()
  request.on("data", (bytes: Buffer) => {
    const { messages, rest } = messagesOf(Buffer.concat([held, bytes]))
    held = Buffer.from(rest)
    for (const message of messages) {
      count++
      if (method === "Unary" || method === "Both") response.write(framed(message))
      if (method !== "Down") continue
      const wanted = Math.min(Number(message.toString()), 1_000)
      for (let number = 1; number <= wanted; number++) response.write(framed(String(number)))
    }
  })
  request.on("end", () => {
    if (method === "Up") response.write(framed(String(count)))
    response.addTrailers(
      method === "Fail"
        ? { "grpc-status": "7", "grpc-message": "not today" }
        : { "grpc-status": "0", "grpc-message": "" },
    )
    response.end()
  })
}
