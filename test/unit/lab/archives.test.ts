import { execFileSync } from "node:child_process"
import { gunzipSync } from "node:zlib"
import t from "tap"
import { ar, tar, tarball, zip } from "../../../lab/archives.ts"

const entries = { "a/one.txt": "one\n", "a/two.bin": Buffer.from([0, 255, 10]), empty: "" }

void t.test("tar() gives what tar(1) reads", (t) => {
  const list = execFileSync("tar", ["-tf", "-"], { input: tar(entries) }).toString()
  t.equal(list, "a/one.txt\na/two.bin\nempty\n")
  const one = execFileSync("tar", ["-xOf", "-", "a/one.txt"], { input: tar(entries) })
  t.equal(one.toString(), "one\n")
  t.strictSame(gunzipSync(tarball(entries)), tar(entries))
  t.end()
})

void t.test("ar() begins each file at an even place", (t) => {
  const bytes = ar({ odd: "123", even: "1234" }).toString("latin1")
  t.ok(bytes.startsWith("!<arch>\nodd             0"))
  const second = bytes.indexOf("even")
  t.equal(second % 2, 0)
  t.equal(bytes.slice(second + 48, second + 60), "4         `\n")
  t.equal(bytes.slice(second + 60), "1234")
  t.end()
})

void t.test("zip() tells of each file where it is, how long, and its CRC-32", (t) => {
  // The check value of CRC-32: what it is of these nine digits.
  const bytes = zip({ first: "x", second: "123456789" })
  const end = bytes.subarray(-22)
  t.equal(end.toString("latin1", 0, 4), "PK\x05\x06")
  t.equal(end.readUInt16LE(10), 2)
  const directory = bytes.subarray(end.readUInt32LE(16), bytes.length - 22)
  t.equal(directory.length, end.readUInt32LE(12))
  const entry = directory.subarray(46 + "first".length)
  t.equal(entry.readUInt32LE(16), 0xcbf43926)
  t.equal(entry.readUInt32LE(24), 9)
  const file = bytes.subarray(entry.readUInt32LE(42))
  t.equal(file.toString("latin1", 0, 4), "PK\x03\x04")
  t.equal(file.toString("latin1", 30, 45), "second123456789")
  t.end()
})
