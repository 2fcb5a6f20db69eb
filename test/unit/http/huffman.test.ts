import t from "tap"
import { codeLengths, codes, huffmanText } from "../../../http/huffman.ts"

/** Slow and obvious: bits as text. */
function coded(symbols: readonly number[], padding = "1"): Buffer {
  let bits = symbols
    .map((symbol) => (codes[symbol] ?? 0).toString(2).padStart(codeLengths[symbol] ?? 0, "0"))
    .join("")
  while (bits.length % 8 !== 0) bits += padding
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)))
}

function text(bytes: Buffer): string | null {
  return huffmanText(bytes, 0, bytes.length)
}

t.test("the code is that of RFC 7541 Appendix B", async (t) => {
  t.equal(codeLengths.length, 257)
  // Some of the RFC's rows: symbol, code, bits.
  for (const [symbol, code, length] of [
    [0, 0x1ff8, 13],
    [1, 0x7fffd8, 23],
    [10, 0x3ffffffc, 30],
    [32, 0x14, 6],
    [48, 0, 5],
    [90, 0xfd, 8],
    [92, 0x7fff0, 19],
    [122, 0x7b, 7],
    [127, 0xffffffc, 28],
    [128, 0xfffe6, 20],
    [195, 0x7fff1, 19],
    [199, 0x1ffffec, 25],
    [249, 0xffffffe, 28],
    [255, 0x3ffffee, 26],
    [256, 0x3fffffff, 30],
  ] as const) {
    t.equal(codes[symbol], code, `code of ${symbol}`)
    t.equal(codeLengths[symbol], length, `length of ${symbol}`)
  }
  const kraft = codeLengths.reduce((sum, length) => sum + 2 ** -length, 0)
  t.equal(kraft, 1, "every sequence of bits is a code")
})

t.test("huffmanText() reads every symbol, alone and beside every other", async (t) => {
  for (let symbol = 0; symbol < 256; symbol++) {
    t.equal(text(coded([symbol])), String.fromCharCode(symbol))
    for (let next = 0; next < 256; next++) {
      if (text(coded([symbol, next, symbol])) === String.fromCharCode(symbol, next, symbol))
        continue
      t.fail(`${symbol} beside ${next}`)
    }
  }
})

t.test("huffmanText() reads the examples of RFC 7541 Appendix C", async (t) => {
  for (const [hex, wanted] of [
    ["f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"],
    ["a8eb10649cbf", "no-cache"],
    ["25a849e95ba97d7f", "custom-key"],
    ["25a849e95bb8e8b4bf", "custom-value"],
    ["6402", "302"],
    ["aec3771a4b", "private"],
    ["d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"],
    ["9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"],
  ] as const) {
    t.equal(text(Buffer.from(hex, "hex")), wanted)
  }
  t.equal(text(Buffer.alloc(0)), "")
})

t.test("huffmanText() refuses what RFC 7541 §5.2 does", async (t) => {
  for (const [what, bytes] of [
    ["padding of zeros", coded([97], "0")],
    ["a byte of padding", Buffer.concat([coded([97]), Buffer.from([0xff])])],
    ["nothing but padding of a byte", Buffer.from([0xff])],
    ["EOS", coded([97, 256])],
    ["EOS alone", coded([256])],
    ["the beginning of EOS, more than 7 bits", Buffer.from([0xff, 0xff])],
    ["a code cut off", coded([10]).subarray(0, 3)],
  ] as const) {
    t.equal(text(bytes), null, what)
  }
})

t.test("huffmanText() reads a long text in time", async (t) => {
  // Five bytes are eight zeros of five bits each.
  const long = Buffer.alloc(65_535, 0x00)
  const begun = performance.now()
  t.equal(text(long)?.length, (65_535 * 8) / 5)
  t.ok(performance.now() - begun < 200)
})
