/** The archives that package managers fetch, as small as they may be: tar, zip and ar. Pure. */
import { gzipSync } from "node:zlib"

/** Path in the archive, and what is in the file. */
export type Entries = Readonly<Record<string, string | Buffer>>

const blockBytes = 512

/** One file in a tar archive (POSIX ustar). */
function tarEntry(path: string, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content)
  const head = Buffer.alloc(blockBytes)
  head.write(path, 0)
  head.write("0000644\0", 100)
  head.write("0000000\0", 108)
  head.write("0000000\0", 116)
  head.write(`${bytes.length.toString(8).padStart(11, "0")}\0`, 124)
  head.write("00000000000\0", 136)
  head.write("        ", 148)
  head.write("0", 156)
  head.write("ustar\0", 257)
  head.write("00", 263)
  const sum = head.reduce((total, byte) => total + byte, 0)
  head.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148)
  const padding = Buffer.alloc((blockBytes - (bytes.length % blockBytes)) % blockBytes)
  return Buffer.concat([head, bytes, padding])
}

/** A tar archive (POSIX ustar). Paths have at most 99 bytes. */
export function tar(entries: Entries): Buffer {
  const files = Object.entries(entries).map(([path, content]) => tarEntry(path, content))
  return Buffer.concat([...files, Buffer.alloc(2 * blockBytes)])
}

/** The same, compressed. */
export function tarball(entries: Entries): Buffer {
  return gzipSync(tar(entries))
}

/** An ar archive (ar(5)), as a Debian package is one. */
export function ar(entries: Entries): Buffer {
  const files = Object.entries(entries).flatMap(([path, content]) => {
    const bytes = Buffer.from(content)
    const fields = [path.padEnd(16), "0".padEnd(12), "0".padEnd(6), "0".padEnd(6)]
    const head = `${fields.join("")}${"100644".padEnd(8)}${String(bytes.length).padEnd(10)}\`\n`
    return [Buffer.from(head), bytes, Buffer.from(bytes.length % 2 === 1 ? "\n" : "")]
  })
  return Buffer.concat([Buffer.from("!<arch>\n"), ...files])
}

/** CRC-32, as gzip writes it behind the bytes (RFC 1952 §2.3.1). */
function crc32(bytes: Buffer): number {
  const packed = gzipSync(bytes)
  return packed.readUInt32LE(packed.length - 8)
}

/** What stands of a file in its own header and in the directory alike (APPNOTE.TXT §4.3.7). */
function zipFields(name: Buffer, bytes: Buffer): Buffer {
  const fields = Buffer.alloc(26)
  fields.writeUInt16LE(10, 0)
  // Why this day: zip counts from 1980, and some readers refuse month 0.
  fields.writeUInt16LE(0x21, 8)
  fields.writeUInt32LE(crc32(bytes), 10)
  fields.writeUInt32LE(bytes.length, 14)
  fields.writeUInt32LE(bytes.length, 18)
  fields.writeUInt16LE(name.length, 22)
  return fields
}

/** A zip archive that compresses nothing: a wheel, a JAR, a Go module. */
export function zip(entries: Entries): Buffer {
  const files: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const [path, content] of Object.entries(entries)) {
    const [name, bytes] = [Buffer.from(path), Buffer.from(content)]
    const fields = zipFields(name, bytes)
    const file = Buffer.concat([Buffer.from("PK\x03\x04"), fields, name, bytes])
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(offset, 10)
    directory.push(Buffer.from("PK\x01\x02\x14\0"), fields, rest, name)
    files.push(file)
    offset += file.length
  }
  const listed = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write("PK\x05\x06")
  end.writeUInt16LE(files.length, 8)
  end.writeUInt16LE(files.length, 10)
  end.writeUInt32LE(listed.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...files, listed, end])
}
