import t from "tap"
import { createServer } from "node:net"
import { connect } from "node:tls"
import { HelloReader, helloBytesMax } from "../../../proxy/hello.ts"
import type { Opening } from "../../../flows/flow.ts"
import * as make from "./bytes.ts"

function whole(bytes: Buffer): Opening | null {
  return new HelloReader().read(bytes)
}

function bytewise(bytes: Buffer): Opening | null {
  const reader = new HelloReader()
  for (let length = 1; length <= bytes.length; length++) {
    const opening = reader.read(bytes.subarray(0, length))
    if (opening !== null) return opening
  }
  return null
}

function sni(...names: (string | Buffer)[]): Buffer {
  return make.hello({ extensions: [[0, make.serverNames(...names)]] })
}

const malformed = { kind: "broken", of: "tls", reason: "malformed" }
const badName = { kind: "broken", of: "tls", reason: "bad-server-name" }
const tooLong = { kind: "broken", of: "tls", reason: "limit-exceeded" }

function tls(serverName: string | null, more: object = {}): object {
  return { kind: "tls", serverName, protocols: [], encryptedHello: false, ...more }
}

/** As large as two post-quantum key shares. */
const shares: readonly [number, Buffer] = [51, make.vector16(Buffer.alloc(2_400, 1))]

const table: readonly (readonly [string, Buffer, object | null])[] = [
  ["a server name", sni("allowed.test"), tls("allowed.test")],
  ["upper case and a trailing dot", sni("ALLOWED.Test."), tls("allowed.test")],
  ["no server name", make.hello({ extensions: [[10, Buffer.alloc(4)]] }), tls(null)],
  ["no extensions at all", make.hello({ noExtensions: true }), tls(null)],
  [
    "protocols",
    make.hello({
      extensions: [
        [0, make.serverNames("a.test")],
        [16, make.protocols("h2", "http/1.1")],
      ],
    }),
    tls("a.test", { protocols: ["h2", "http/1.1"] }),
  ],
  [
    "an encrypted hello",
    make.hello({
      extensions: [
        [0, make.serverNames("outer.test")],
        [0xfe0d, Buffer.alloc(200)],
      ],
    }),
    tls("outer.test", { encryptedHello: true }),
  ],
  [
    "post-quantum key shares",
    make.hello({ extensions: [shares, [0, make.serverNames("pq.test")]] }),
    tls("pq.test"),
  ],
  ["records of one byte", make.helloFor("tiny.test", 1), tls("tiny.test")],
  ["records of three bytes", make.helloFor("tiny.test", 3), tls("tiny.test")],
  [
    "64 KiB",
    make.hello({
      extensions: [
        [21, Buffer.alloc(65_000)],
        [0, make.serverNames("large.test")],
      ],
    }),
    tls("large.test"),
  ],
  [
    "early data after it",
    Buffer.concat([sni("a.test"), make.u8(23), Buffer.alloc(90)]),
    tls("a.test"),
  ],
  ["half of it", sni("allowed.test").subarray(0, 60), null],
  ["nothing", Buffer.alloc(0), null],
  ["an address as a name", sni("198.51.100.10"), badName],
  ["a number as a name", sni("2130706433"), badName],
  ["an IPv6 address as a name", sni("2001:db8::1"), badName],
  ["two names", sni("allowed.test", "evil.test"), badName],
  ["the same name twice", sni("allowed.test", "allowed.test"), badName],
  ["an empty name", sni(""), badName],
  ["NUL in a name", sni("evil.test\0.allowed.test"), badName],
  ["a letter beyond ASCII", sni("bücher.test"), badName],
  ["a dot alone", sni("."), badName],
  ["an over-long name", sni(`${"a".repeat(64)}.test`), badName],
  ["an empty list of names", make.hello({ extensions: [[0, make.u16(0)]] }), badName],
  ["an empty extension", make.hello({ extensions: [[0, Buffer.alloc(0)]] }), badName],
  [
    "the extension twice",
    make.hello({
      extensions: [
        [0, make.serverNames("allowed.test")],
        [0, make.serverNames("evil.test")],
      ],
    }),
    badName,
  ],
  [
    "a name of another type",
    make.hello({ extensions: [[0, make.vector16(Buffer.from([1, 0, 1, 97]))]] }),
    badName,
  ],
  [
    "bytes after the list of names",
    make.hello({ extensions: [[0, Buffer.concat([make.serverNames("a.test"), make.u8(0)])]] }),
    badName,
  ],
  [
    "another extension twice",
    make.hello({
      extensions: [
        [43, Buffer.alloc(3)],
        [43, Buffer.alloc(3)],
      ],
    }),
    malformed,
  ],
  ["an empty protocol", make.hello({ extensions: [[16, make.protocols("")]] }), malformed],
  ["no protocol", make.hello({ extensions: [[16, make.u16(0)]] }), malformed],
  ["an over-long session id", make.hello({ session: 33 }), malformed],
  ["another record type", Buffer.from([23, 3, 1, 0, 5]), malformed],
  ["another version", Buffer.from([22, 2, 0, 0, 5]), malformed],
  ["an empty record", Buffer.from([22, 3, 1, 0, 0]), malformed],
  ["an over-long record", Buffer.from([22, 3, 1, 0x40, 1]), malformed],
  ["another message", Buffer.from([22, 3, 1, 0, 5, 2, 0, 0, 1, 0]), malformed],
  ["an empty message", Buffer.from([22, 3, 1, 0, 4, 1, 0, 0, 0]), malformed],
  [
    "another message in the same record",
    make.records(Buffer.concat([make.helloMessage(), Buffer.from([1, 0, 0, 0])])),
    malformed,
  ],
  [
    "a message cut short by its own length",
    make.records(Buffer.concat([make.u8(1), make.u24(40), make.helloMessage().subarray(4, 44)])),
    malformed,
  ],
  [
    "a message that says it is longer than the most",
    Buffer.from([22, 3, 1, 0, 5, 1, 1, 0, 0, 0]),
    tooLong,
  ],
]

t.test("HelloReader reads each kind of hello, whole and byte by byte", async (t) => {
  for (const [what, bytes, expected] of table) {
    t.match(whole(bytes), expected, `whole: ${what}`)
    t.match(bytewise(bytes), expected, `byte by byte: ${what}`)
  }
})

t.test("HelloReader waits for every prefix of a good hello", async (t) => {
  const bytes = make.helloFor("allowed.test", 50)
  for (let length = 0; length < bytes.length; length++) {
    if (whole(bytes.subarray(0, length)) !== null) t.fail(`at ${length}`)
  }
})

t.test("HelloReader reads any cut of a good hello at any place twice", async (t) => {
  const bytes = make.helloFor("allowed.test", 70)
  for (let cut = 0; cut <= bytes.length; cut++) {
    const reader = new HelloReader()
    const first = reader.read(bytes.subarray(0, cut))
    t.match(first ?? reader.read(bytes), tls("allowed.test"))
  }
})

t.test("HelloReader takes the largest message and not one byte more", async (t) => {
  const fill = (count: number): Buffer => make.hello({ extensions: [[21, Buffer.alloc(count)]] })
  const rest = make.helloMessage({ extensions: [[21, Buffer.alloc(0)]] }).length
  t.equal(whole(fill(helloBytesMax - rest))?.kind, "tls")
  t.match(whole(fill(helloBytesMax - rest + 1)), tooLong)
})

t.test("HelloReader reads what Node's own TLS client says", async (t) => {
  const got = await new Promise<Buffer>((resolve) => {
    const server = createServer((socket) => {
      socket.once("data", (bytes: Buffer) => {
        socket.destroy()
        server.close()
        resolve(bytes)
      })
    }).listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number }
      connect({
        host: "127.0.0.1",
        port,
        servername: "registry.example.com",
        ALPNProtocols: ["h2", "http/1.1"],
      }).on("error", () => {})
    })
  })
  const expected = tls("registry.example.com", { protocols: ["h2", "http/1.1"] })
  t.match(whole(got), expected)
  t.match(bytewise(got), expected)
})
