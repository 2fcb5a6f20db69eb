import t from "tap"
import { OpeningReader, openingBytesMax } from "../../../proxy/classify.ts"
import type { Classified } from "../../../proxy/classify.ts"
import * as make from "./bytes.ts"

function whole(bytes: Buffer): Classified | null {
  return new OpeningReader().push(bytes)
}

function bytewise(bytes: Buffer): Classified | null {
  const reader = new OpeningReader()
  for (const byte of bytes) {
    const found = reader.push(Uint8Array.of(byte))
    if (found !== null) return found
  }
  return null
}

const opaque = { kind: "opaque", serverFirst: false }

const table: readonly (readonly [string, Buffer, object | null])[] = [
  ["TLS", make.helloFor("allowed.test"), { kind: "tls", serverName: "allowed.test" }],
  ["broken TLS", Buffer.from([22, 3, 1, 0, 0]), { kind: "broken", of: "tls" }],
  ["SSH", Buffer.from("SSH-2.0-OpenSSH_9.2\r\n"), { kind: "ssh" }],
  [
    "HTTP",
    Buffer.from("GET / HTTP/1.1\r\nHost: allowed.test:81\r\n\r\n"),
    { kind: "http", host: "allowed.test", port: 81 },
  ],
  ["HTTP/0.9", Buffer.from("GET /\r\n"), null],
  ["HTTP with bare LFs", Buffer.from("GET / HTTP/1.1\n"), { kind: "broken", of: "http" }],
  ["lower case", Buffer.from("get / HTTP/1.1\r\nHost: a\r\n\r\n"), { kind: "broken", of: "http" }],
  ["another method", Buffer.from("PURGE / HTTP/1.1\r\nHost: a.test\r\n\r\n"), { kind: "http" }],
  ["a tab", Buffer.from("FOO\t/ HTTP/1.1 \r\n\r\n"), { kind: "broken", of: "http" }],
  [
    "HTTP/2 at once",
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    { kind: "broken", of: "http", reason: "unsupported-protocol" },
  ],
  [
    "an empty line before it",
    Buffer.from("\r\nGET / HTTP/1.1\r\n"),
    { kind: "broken", of: "http" },
  ],
  ["a bare LF before it", Buffer.from("\nGET / HTTP/1.1\r\n"), { kind: "broken", of: "http" }],
  ["a space before it", Buffer.from(" GET / HTTP/1.1\r\n"), { kind: "broken", of: "http" }],
  [
    "a method that looks like SSH",
    Buffer.from("SSH-2.0-X / HTTP/1.1\r\nHost: evil.test\r\n\r\n"),
    { kind: "broken", of: "http" },
  ],
  [
    "a target beyond ASCII",
    Buffer.from("PURGE /\u00fc HTTP/1.1\r\nHost: evil.test\r\n\r\n"),
    { kind: "broken", of: "http" },
  ],
  [
    "a target that is endless",
    Buffer.from(`PURGE /${"a".repeat(70_000)} HTTP/1.1\r\nHost: evil.test\r\n\r\n`),
    { kind: "broken", of: "http" },
  ],
  [
    "a control character in the line",
    Buffer.from("PURGE /\u000b HTTP/1.1\r\nHost: evil.test\r\n\r\n"),
    { kind: "broken", of: "http" },
  ],
  [
    "words after the version",
    Buffer.from("PURGE / HTTP/1.1 x\r\nHost: evil.test\r\n\r\n"),
    { kind: "broken", of: "http" },
  ],
  ["SSH with a comment", Buffer.from("SSH-2.0-OpenSSH_9.2 Debian\r\n"), { kind: "ssh" }],
  ["Redis", Buffer.from("*1\r\n$4\r\nPING\r\n"), opaque],
  ["SMTP", Buffer.from("EHLO allowed.test\r\n"), opaque],
  ["git", Buffer.from("0032git-upload-pack /project.git\0host=a.test\0"), opaque],
  ["PostgreSQL", Buffer.from([0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]), opaque],
  ["SSL 2", Buffer.from([0x80, 0x2e, 1, 3, 1]), opaque],
  ["byte 22 alone", Buffer.from([22, 9]), opaque],
  ["nothing", Buffer.alloc(0), null],
  ["half a word", Buffer.from("GE"), null],
  ["half SSH", Buffer.from("SSH-2.0"), null],
  ["a long line", Buffer.alloc(10_000, 97), null],
  ["a longer line", Buffer.alloc(70_000, 97), { kind: "broken", of: "http" }],
]

t.test("OpeningReader knows protocols by their first bytes, whole and byte by byte", async (t) => {
  for (const [what, bytes, expected] of table) {
    const once = whole(bytes)
    t.match(once?.opening ?? null, expected, what)
    t.same(bytewise(bytes), once, `byte by byte: ${what}`)
  }
})

t.test("OpeningReader keeps all bytes it was given", async (t) => {
  const reader = new OpeningReader()
  const bytes = make.helloFor("allowed.test", 90)
  for (const byte of bytes) reader.push(Uint8Array.of(byte))
  t.ok(reader.bytes.equals(bytes))
})

t.test("OpeningReader ends at the most bytes, however they come", async (t) => {
  const endless = make.hello({ extensions: [[21, Buffer.alloc(60_000)]], recordBytes: 1 })
  t.ok(endless.length > openingBytesMax)
  const once = whole(endless)
  t.match(once?.opening, { kind: "broken", of: "tls", reason: "limit-exceeded" })
  t.same(bytewise(endless), once)
})

t.test("OpeningReader says what an opening is that goes no further", async (t) => {
  const table: readonly (readonly [string | Buffer, object, object])[] = [
    ["GET / HT", broken("http", "malformed"), broken("http", "limit-exceeded")],
    [Buffer.from([22, 3, 1]), broken("tls", "malformed"), broken("tls", "limit-exceeded")],
    ["PUR", opaque, broken("http", "limit-exceeded")],
    ["PURGE / ", opaque, broken("http", "limit-exceeded")],
  ]
  for (const [bytes, ended, late] of table) {
    const reader = new OpeningReader()
    reader.push(Buffer.from(bytes))
    t.same(reader.ended().opening, ended)
    t.same(reader.late().opening, late)
  }
})

function broken(of: string, reason: string): object {
  return { kind: "broken", of, reason }
}
