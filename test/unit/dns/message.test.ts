import t from "tap"
import {
  readQuery,
  readResponse,
  writeFault,
  writeQuery,
  writeReply,
} from "../../../dns/message.ts"
import type { Fault, Query } from "../../../dns/message.ts"
import { a, answerTo, cname, question, soa, wire } from "./messages.ts"

function queryOf(message: Buffer): Query {
  const query = readQuery(message)
  if ("rcode" in query) throw new Error(`no question: rcode ${query.rcode}`)
  return query
}

function faultOf(message: Buffer): Fault {
  const query = readQuery(message)
  if (!("rcode" in query)) throw new Error("a question")
  return query
}

void t.test("readQuery() reads name, type and class, in lower case", async (t) => {
  const query = queryOf(question({ name: "WWW.Allowed.TEST", type: 28, edns: 4096 }))
  t.match(query, { id: 0x1234, name: "www.allowed.test", type: 28, class: 1 })
  t.same(query.edns, { udpBytes: 4096, dnssecOk: false })
  t.equal(query.question.toString("latin1", 1, 4), "WWW", "the question is kept as it came")
})

void t.test("readQuery() refuses what is not exactly one question", async (t) => {
  const loop = Buffer.from([1, 97, 0xc0, 12])
  const long = wire(Array.from({ length: 5 }, () => "x".repeat(60)).join("."))
  const table: [string, Buffer, number | null][] = [
    ["an empty datagram", Buffer.alloc(0), null],
    ["11 bytes", question().subarray(0, 11), null],
    ["a header alone with QDCOUNT 1", question().subarray(0, 12), 1],
    ["12 zero bytes", Buffer.alloc(12), 1],
    ["QDCOUNT 0", question({ counts: [0, 0, 0, 0] }), 1],
    ["QDCOUNT 2", question({ counts: [2, 0, 0, 0], tail: question().subarray(12) }), 1],
    ["QDCOUNT 65535", question({ counts: [65_535, 0, 0, 0] }), 1],
    ["an answer", question({ flags: 0x8180 }), null],
    ["an answer with two questions", question({ flags: 0x8180, counts: [2, 0, 0, 0] }), null],
    ["NOTIFY", question({ flags: 0x2000 }), 4],
    ["UPDATE", question({ flags: 0x2800 }), 4],
    ["an answer record", question({ counts: [1, 1, 0, 0] }), 1],
    ["an authority record", question({ counts: [1, 0, 1, 0] }), 1],
    ["trailing junk", question({ tail: Buffer.from([0]) }), 1],
    ["junk after OPT", question({ edns: 1232, tail: Buffer.from([0]) }), 1],
    ["OPT announced and absent", question({ counts: [1, 0, 0, 1] }), 1],
    ["two additional records", question({ edns: 1232, counts: [1, 0, 0, 2] }), 1],
    ["a cut option", question({ edns: 1232, options: Buffer.from([0, 10, 0, 9, 1]) }), 1],
    ["a pointer as name", question({ name: Buffer.from([0xc0, 12]) }), 1],
    // Found by fuzzing: the header read as a name.
    ["a pointer into the header", Buffer.from("089b01000001000000000000c00000000001", "hex"), 1],
    ["a pointer into the name", question({ name: loop }), 1],
    ["a pointer ahead", question({ name: Buffer.from([0xc0, 20]) }), 1],
    ["a name of 300 bytes", question({ name: long }), 1],
    ["a label type 0x40", question({ name: Buffer.from([0x41, 1, 2, 3]) }), 1],
    ["a label type 0x80", question({ name: Buffer.from([0x81, 1, 2, 3]) }), 1],
  ]
  for (const [name, message, rcode] of table) t.equal(faultOf(message).rcode, rcode, name)
})

void t.test("readQuery() answers every cut of a question with FORMERR or nothing", async (t) => {
  const whole = question({ name: "www.allowed.test", edns: 1232 })
  for (let length = 0; length < whole.length; length++) {
    const rcode = faultOf(whole.subarray(0, length)).rcode
    t.equal(rcode, length < 12 ? null : 1, `${length} bytes`)
  }
})

void t.test("readQuery() names the first of two questions for the log", async (t) => {
  const two = question({ counts: [2, 0, 0, 0], tail: wire("canary.evil.test") })
  t.match(faultOf(two), { shown: "allowed.test", type: 1 })
})

void t.test("readQuery() gives no host name for labels that none has", async (t) => {
  const table: [string, Buffer, string][] = [
    ["a dot", Buffer.from("\x0cevil.allowed\x04test\0", "latin1"), "evil\\.allowed.test"],
    ["a NUL", Buffer.from("\x05evil\0\x07allowed\x04test\0", "latin1"), "evil\\000.allowed.test"],
    ["a space", Buffer.from("\x03a b\x04test\0", "latin1"), "a\\032b.test"],
    ["a line end", Buffer.from("\x03a\nb\x04test\0", "latin1"), "a\\010b.test"],
    ["a byte beyond ASCII", Buffer.from("\x03a\xe4b\x04test\0", "latin1"), "a\\228b.test"],
    ["a backslash", Buffer.from("\x03a\\b\x04test\0", "latin1"), "a\\\\b.test"],
    ["the root", Buffer.from([0]), "."],
    ["an address", wire("127.0.0.1"), "127.0.0.1"],
  ]
  for (const [name, bytes, shown] of table) {
    const query = queryOf(question({ name: bytes }))
    t.equal(query.name, null, name)
    t.equal(query.shown, shown, name)
  }
})

void t.test("readQuery() takes an EDNS version that nobody speaks for BADVERS", async (t) => {
  const message = question({ edns: 1232 })
  message[message.length - 5] = 1
  const fault = faultOf(message)
  t.equal(fault.rcode, 16)
  const bytes = writeFault(fault)
  t.equal(bytes.length, 23)
  t.equal(bytes[17], 1, "extended part of the code")
  t.equal(bytes.readUInt16BE(2) & 15, 0)
})

const nothing = { rcode: 3, section: Buffer.alloc(0), answers: 0, authority: 0, error: null }

void t.test("writeReply() repeats the question as it was asked", async (t) => {
  const asked = question({ name: "Allowed.TEST", id: 0xbeef, flags: 0x0110 })
  const reply = writeReply(queryOf(asked), nothing, 512)
  t.equal(reply.readUInt16BE(0), 0xbeef)
  t.equal(reply.readUInt16BE(2), 0x8193, "QR, RD and CD as asked, RA, NXDOMAIN")
  t.same(reply.subarray(12), asked.subarray(12))
})

void t.test("writeReply() speaks EDNS only to those who do", async (t) => {
  const error = { code: 15, text: "Blocked by Sluice: name-not-allowed" }
  const plain = writeReply(queryOf(question()), { ...nothing, error }, 512)
  t.equal(plain.readUInt16BE(10), 0)
  t.notOk(plain.includes("Blocked"))
  const spoken = writeReply(queryOf(question({ edns: 1232 })), { ...nothing, error }, 512)
  t.equal(spoken.readUInt16BE(10), 1)
  t.ok(spoken.includes("Blocked by Sluice: name-not-allowed"))
})

void t.test("writeReply() leaves out records that do not fit, and says so", async (t) => {
  const reply = { ...nothing, rcode: 0, section: Buffer.alloc(600), answers: 30 }
  const cut = writeReply(queryOf(question()), reply, 512)
  t.equal(cut.readUInt16BE(2) & 0x0200, 0x0200)
  t.equal(cut.readUInt16BE(6), 0)
  t.ok(cut.length <= 512)
  const whole = writeReply(queryOf(question()), reply, 1232)
  t.equal(whole.readUInt16BE(2) & 0x0200, 0)
  t.equal(whole.readUInt16BE(6), 30)
})

void t.test("writeQuery() is a question that readQuery() reads", async (t) => {
  for (const edns of [true, false]) {
    const query = queryOf(writeQuery(7, wire("AllOwed.test").toString("latin1"), 28, edns))
    t.match(query, { id: 7, name: "allowed.test", type: 28, class: 1 })
    t.equal(query.edns?.udpBytes ?? null, edns ? 1232 : null)
  }
})

void t.test("readResponse() reads records and writes their names out", async (t) => {
  const asked = question()
  const answers = [cname("allowed.test", "cdn.test"), a("cdn.test", "192.0.2.1", 60)]
  const response = readResponse(answerTo(asked, { answers, authority: [soa("test", 5, 6)] }))
  t.equal(response?.answers.length, 2)
  t.same(response?.answers[0]?.data, wire("cdn.test"))
  t.match(response?.answers[1], { type: 1, ttl: 60, class: 1 })
  t.equal(response?.authority[0]?.type, 6)
})

void t.test("readResponse() follows pointers backwards only", async (t) => {
  const asked = question()
  const base = answerTo(asked, {})
  base.writeUInt16BE(1, 6)
  const fixed = Buffer.from([0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4])
  const at = base.length
  const pointing = (to: number): Buffer =>
    Buffer.concat([base, Buffer.from([0xc0 | (to >>> 8), to & 255]), fixed])
  t.match(readResponse(pointing(12))?.answers[0], { ttl: 9 })
  t.equal(readResponse(pointing(at)), null, "to itself")
  t.equal(readResponse(pointing(0)), null, "into the header")
  t.equal(readResponse(pointing(at + 1)), null, "ahead")
  t.equal(readResponse(pointing(0x3fff)), null, "beyond the end")
})

void t.test("readResponse() refuses addresses of a wrong length", async (t) => {
  for (const length of [0, 3, 5, 16]) {
    const answers = [{ name: "allowed.test", type: 1, data: Buffer.alloc(length) }]
    t.equal(readResponse(answerTo(question(), { answers })), null, `${length} bytes`)
  }
})

void t.test("readResponse() reads no record of a truncated answer", async (t) => {
  const answers = [a("allowed.test", "192.0.2.1")]
  const response = readResponse(answerTo(question(), { answers, truncated: true }))
  t.equal(response?.truncated, true)
  t.same(response?.answers, [])
})

void t.test("readResponse() takes a time to live with the highest bit for zero", async (t) => {
  const answers = [a("allowed.test", "192.0.2.1", 0x8000_0001)]
  t.equal(readResponse(answerTo(question(), { answers }))?.answers[0]?.ttl, 0)
})

void t.test("readResponse() ends at every cut", async (t) => {
  const answers = [cname("allowed.test", "cdn.test"), a("cdn.test", "192.0.2.1", 60)]
  const whole = answerTo(question(), { answers })
  for (let length = 0; length < whole.length; length++) {
    t.equal(readResponse(whole.subarray(0, length)), null, `${length} bytes`)
  }
})
