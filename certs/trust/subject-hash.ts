/**
 * Under which name OpenSSL looks for an authority in a directory of certificates: eight digits that
 * are a hash of its subject (openssl-rehash(1)). Pure.
 */
import { createHash } from "node:crypto"
import { sequence, setOf, utf8String } from "../der.ts"
import { firstValue, inside, valuesIn, type Value } from "../der-read.ts"

/** How bytes of each string type are read (X.680 §41); types that are not here stay as they are. */
const readers: Readonly<Record<number, (bytes: Buffer) => string>> = {
  0x0c: (bytes) => bytes.toString("utf8"),
  0x13: (bytes) => bytes.toString("latin1"),
  0x14: (bytes) => bytes.toString("latin1"),
  0x16: (bytes) => bytes.toString("latin1"),
  0x1a: (bytes) => bytes.toString("latin1"),
  0x1e: (bytes) => utf16(bytes),
}

function utf16(bytes: Buffer): string {
  return bytes.length % 2 === 0 ? Buffer.from(bytes).swap16().toString("utf16le") : ""
}

/** openssl/crypto/x509/x_name.c, asn1_string_canon(): blanks once, ASCII in lower case. */
function canonical({ tag, content, whole }: Value): Buffer {
  const read = readers[tag]
  if (read === undefined) return whole
  const text = read(content)
    .replaceAll(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, "")
    .replaceAll(/[ \t\n\v\f\r]+/g, " ")
    .replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())
  return utf8String(text)
}

/** The subject of a certificate (RFC 5280 §4.1): behind version, serial, algorithm, issuer, time. */
function subjectOf(der: Buffer): Value | null {
  const signed = inside(firstValue(der), 0)
  const parts = signed === null ? null : valuesIn(signed.content)
  if (parts === null) return null
  const hasVersion = parts[0]?.tag === 0xa0
  return parts[hasVersion ? 5 : 4] ?? null
}

/**
 * @param der a certificate
 * @returns eight hexadecimal digits; null: the bytes are no certificate
 */
export function subjectHash(der: Buffer): string | null {
  const subject = subjectOf(der)
  const sets = subject === null ? null : valuesIn(subject.content)
  if (sets === null) return null
  const hashed = createHash("sha1")
  for (const set of sets) {
    const pairs = (valuesIn(set.content) ?? []).map((pair) => {
      const [type, value] = valuesIn(pair.content) ?? []
      return type === undefined || value === undefined
        ? pair.whole
        : sequence(type.whole, canonical(value))
    })
    hashed.update(setOf(pairs))
  }
  return hashed.digest().readUInt32LE(0).toString(16).padStart(8, "0")
}
