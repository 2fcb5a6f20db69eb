/** What a lab's capture holds: the packets themselves, for what no server writes down. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { Lab } from "../../lab/internet.ts"

/** pcap: 24 bytes before the first packet, 16 before each (pcap-savefile(5)). */
const fileHeadBytes = 24
const packetHeadBytes = 16
const ethernetBytes = 14

/** An IPv4 datagram to port 53 of a resolver. */
export interface Asked {
  readonly sourcePort: number
  readonly id: number
  /** As it was spelled. */
  readonly name: string
  readonly type: number
  /** The whole DNS message. */
  readonly message: Buffer
}

/** All frames captured so far. */
function frames(lab: Lab): Buffer[] {
  const file = readFileSync(join(lab.directory, "wire.pcap"))
  const found: Buffer[] = []
  for (let at = fileHeadBytes; at + packetHeadBytes <= file.length;) {
    const length = file.readUInt32LE(at + 8)
    found.push(file.subarray(at + packetHeadBytes, at + packetHeadBytes + length))
    at += packetHeadBytes + length
  }
  return found.filter((frame) => frame.length > ethernetBytes + 20)
}

const isFour = (frame: Buffer): boolean => frame.readUInt16BE(12) === 0x0800

/** How many IPv4 packets went to an address. */
export function packetsTo(lab: Lab, address: string): number {
  const bytes = Buffer.from(address.split(".").map(Number))
  return frames(lab).filter((frame) => isFour(frame) && frame.subarray(30, 34).equals(bytes)).length
}

/** Questions whose name holds a word, in any case. */
export function asked(lab: Lab, word: string): Asked[] {
  return frames(lab).flatMap((frame) => {
    if (!isFour(frame) || frame[23] !== 17) return []
    const datagram = frame.subarray(ethernetBytes + ((frame[14] ?? 0) & 15) * 4)
    if (datagram.length < 8 + 12 + 5 || datagram.readUInt16BE(2) !== 53) return []
    const message = datagram.subarray(8)
    const labels: string[] = []
    let at = 12
    for (let length = message[at] ?? 0; length > 0 && length < 64; length = message[at] ?? 0) {
      labels.push(message.toString("latin1", at + 1, at + 1 + length))
      at += 1 + length
    }
    const name = labels.join(".")
    if (at + 5 > message.length || !name.toLowerCase().includes(word.toLowerCase())) return []
    const type = message.readUInt16BE(at + 1)
    return [
      { sourcePort: datagram.readUInt16BE(0), id: message.readUInt16BE(0), name, type, message },
    ]
  })
}
