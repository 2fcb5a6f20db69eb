import t from "tap"
import * as fc from "fast-check"
import { writeField, fieldBytesMax } from "../../../http/hpack-writer.ts"
import { HpackDecoder, listBytesMax, listFieldsMax } from "../../../http/hpack.ts"
import type { HeaderBlock } from "../../../http/hpack.ts"
import { staticTable } from "../../../http/static-table.ts"

function decode(decoder: HpackDecoder, hex: string): HeaderBlock | null {
  const bytes = Buffer.from(hex.replaceAll(" ", ""), "hex")
  return decoder.decode(bytes, 0, bytes.length)
}

function shown(list: HeaderBlock | null): string[] | null {
  return list?.fields.map(({ name, value }) => `${name}: ${value}`) ?? null
}

t.test("the static table is that of RFC 7541 Appendix A", async (t) => {
  t.equal(staticTable.length, 61)
  t.match(staticTable[0], { name: ":authority", value: "" })
  t.match(staticTable[1], { name: ":method", value: "GET" })
  t.match(staticTable[13], { name: ":status", value: "500" })
  t.match(staticTable[15], { name: "accept-encoding", value: "gzip, deflate" })
  t.match(staticTable[60], { name: "www-authenticate", value: "" })
})

/** RFC 7541 Appendix C.3 to C.6: blocks of one connection each, and what they hold. */
const request1 = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"]
const request3 = [":method: GET", ":scheme: https", ":path: /index.html", request1[3] ?? ""]
const date1 = "date: Mon, 21 Oct 2013 20:13:21 GMT"
const location = "location: https://www.example.com"
const reply1 = [":status: 302", "cache-control: private", date1, location]
const reply3 = [
  ":status: 200",
  "cache-control: private",
  "date: Mon, 21 Oct 2013 20:13:22 GMT",
  location,
  "content-encoding: gzip",
  "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
]
const connections: readonly (readonly [
  string,
  number,
  readonly (readonly [string, string[]])[],
])[] = [
  [
    "C.3",
    4096,
    [
      ["828684410f7777772e6578616d706c652e636f6d", request1],
      ["828684be58086e6f2d6361636865", [...request1, "cache-control: no-cache"]],
      [
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        [...request3, "custom-key: custom-value"],
      ],
    ],
  ],
  [
    "C.4",
    4096,
    [
      ["828684418cf1e3c2e5f23a6ba0ab90f4ff", request1],
      ["828684be5886a8eb10649cbf", [...request1, "cache-control: no-cache"]],
      [
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
        [...request3, "custom-key: custom-value"],
      ],
    ],
  ],
  [
    "C.5",
    256,
    [
      [
        `4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54
           6e1768747470733a2f2f7777772e6578616d706c652e636f6d`,
        reply1,
      ],
      ["4803333037c1c0bf", [":status: 307", ...reply1.slice(1)]],
      [
        `88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a6970
           7738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d33
           3630303b2076657273696f6e3d31`,
        reply3,
      ],
    ],
  ],
  [
    "C.6",
    256,
    [
      [
        `488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff
           6e919d29ad171863c78f0b97c8e9ae82ae43d3`,
        reply1,
      ],
      ["4883640effc1c0bf", [":status: 307", ...reply1.slice(1)]],
      [
        `88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab
           77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007`,
        reply3,
      ],
    ],
  ],
]

t.test("HpackDecoder reads the examples of RFC 7541 Appendix C", async (t) => {
  for (const [name, capacity, blocks] of connections) {
    // Why twice: what is known by its bytes the second time is the same.
    for (let round = 0; round < 3; round++) {
      const decoder = new HpackDecoder()
      if (capacity === 256) decode(decoder, "3fe101")
      for (const [hex, wanted] of blocks) {
        t.same(shown(decode(decoder, hex.replaceAll(/\s/g, ""))), wanted, name)
      }
    }
  }
})

t.test("HpackDecoder reads each kind of field (RFC 7541 C.2)", async (t) => {
  const decoder = new HpackDecoder()
  const indexing = decode(decoder, "400a637573746f6d2d6b65790d637573746f6d2d686561646572")
  t.match(indexing?.fields, [{ name: "custom-key", value: "custom-header", sensitive: false }])
  t.match(decode(decoder, "040c2f73616d706c652f70617468")?.fields, [
    { name: ":path", value: "/sample/path", sensitive: false },
  ])
  t.match(decode(decoder, "100870617373776f726406736563726574")?.fields, [
    { name: "password", value: "secret", sensitive: true },
  ])
  t.match(decode(decoder, "82")?.fields, [{ name: ":method", value: "GET" }])
  t.same(shown(decode(decoder, "be")), ["custom-key: custom-header"], "only the first was kept")
  t.equal(decode(decoder, "bf"), null, "nothing else was")
})

t.test("HpackDecoder says whether a block can be read alone", async (t) => {
  const decoder = new HpackDecoder()
  t.match(decode(decoder, "8286"), { dynamic: false, start: 0 })
  t.match(decode(decoder, "20 82"), { dynamic: false, start: 1 })
  t.match(decode(decoder, "20 3fe11f 82"), { dynamic: false, start: 4 })
  t.match(decode(decoder, "400161 0162"), { dynamic: false }, "it adds, and needs nothing")
  t.match(decode(decoder, "be"), { dynamic: true })
  t.match(decode(decoder, "0f2f 0162"), { dynamic: true }, "a name of the table")
})

t.test("HpackDecoder refuses what RFC 7541 does", async (t) => {
  const table: readonly (readonly [string, string])[] = [
    ["index 0 (§6.1)", "80"],
    ["an index beyond both tables (§2.3.3)", "be"],
    ["an index far beyond", "ffffffff7f"],
    ["a name beyond both tables", "7f00 0161"],
    ["a string longer than the block (§5.2)", "0001610a62"],
    ["a name longer than the block", "000a61"],
    ["a field without a value", "000161"],
    ["a name without anything", "00"],
    ["an integer without end (§5.1)", "0f"],
    ["an integer of many bytes", "7f8080808080808080808000"],
    ["an integer beyond 2^28", "ffffffffff0f"],
    ["a larger table than was offered (§6.3)", "3fe21f"],
    ["another size of the table after a field (§4.2)", "8220"],
    ["bad padding (§5.2)", "0001618118"],
    ["EOS within a string", "00016184ffffffff"],
  ]
  for (const [what, hex] of table) t.equal(decode(new HpackDecoder(), hex), null, what)
})

t.test("HpackDecoder evicts what finds no room (RFC 7541 §4.3, §4.4)", async (t) => {
  const decoder = new HpackDecoder()
  decode(decoder, "400161 0162") // 34 bytes
  decode(decoder, "400163 0164")
  t.same(shown(decode(decoder, "be bf")), ["c: d", "a: b"])
  decode(decoder, "3f25") // 68 bytes: room for both
  t.same(shown(decode(decoder, "be bf")), ["c: d", "a: b"])
  decode(decoder, "400165 0166")
  t.same(shown(decode(decoder, "be bf")), ["e: f", "c: d"])
  decode(decoder, "3f24") // 67: for one
  t.same(shown(decode(decoder, "be")), ["e: f"])
  t.equal(decode(new HpackDecoder(), "be"), null)
  // 36 bytes + 32 is more than 67: the table is empty then.
  decode(decoder, `400161 24${"62".repeat(36)}`)
  t.equal(decode(decoder, "be"), null)
})

t.test(
  "HpackDecoder holds an encoder to its size, and understands one that says nothing",
  async (t) => {
    const decoder = new HpackDecoder()
    decode(decoder, "400161 0162")
    decoder.tableBytesMax = 0
    t.same(shown(decode(decoder, "be")), ["a: b"])
    t.equal(decode(decoder, "21"), null)
    const other = new HpackDecoder()
    decode(other, "400161 0162")
    other.tableBytesMax = 0
    t.not(decode(other, "20"), null)
    t.equal(decode(other, "be"), null)
  },
)

t.test("HpackDecoder keeps its table up beyond the bounds of a list", async (t) => {
  const decoder = new HpackDecoder()
  const many = decode(decoder, `${"82".repeat(listFieldsMax + 1)} 400161 0162`)
  t.match(many, { over: true })
  t.equal(many?.fields.length, listFieldsMax)
  t.same(shown(decode(decoder, "be")), ["a: b"])
  t.match(decode(decoder, "82".repeat(listFieldsMax)), { over: false })
  // One large field, and then the table's copy of it, byte by byte.
  decode(decoder, `400161 7f8d1f${"62".repeat(4_000 + 108)}`)
  const large = Buffer.alloc(4_000, "b")
  const first = Buffer.concat([Buffer.from("400161", "hex"), Buffer.from("7fa11e", "hex"), large])
  t.not(decoder.decode(first, 0, first.length), null)
  const bomb = decode(decoder, "be".repeat(60_000))
  t.match(bomb, { over: true })
  t.ok((bomb?.fields.length ?? 0) * (4_000 + 33) <= listBytesMax)
})

const name = fc.stringMatching(/^[a-z-]{1,40}$/)
const value = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 300,
})

t.test("what writeField() writes, HpackDecoder reads, without a table", async (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value, fc.boolean()), { maxLength: 20 }), (fields) => {
      const most = fields.reduce((sum, [n, v]) => sum + fieldBytesMax(n, v), 0)
      const target = Buffer.alloc(most)
      let at = 0
      for (const [n, v, sensitive] of fields) at = writeField(target, at, n, v, sensitive)
      const list = new HpackDecoder().decode(target, 0, at)
      const read = list?.fields.map((field) => [field.name, field.value, field.sensitive])
      return JSON.stringify(read) === JSON.stringify(fields) && list?.dynamic === false
    }),
  )
  const target = Buffer.alloc(100)
  t.equal(writeField(target, 0, ":method", "GET", false), 1)
  t.equal(writeField(target, 0, ":method", "GET", true), 5, "never in a table, not even that one")
})
