/**
 * One X.509 certificate of version 3, signed with ECDSA over P-256 and SHA-256 (RFC 5280, RFC 5758).
 *
 * authority.ts and leaf.ts say what stands in it; here is its shape and its signature.
 */
import { createHash, randomBytes, sign } from "node:crypto"
import type { KeyObject } from "node:crypto"
import {
  bitString,
  boolean,
  explicit,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  setOfOne,
  time,
  utf8String,
} from "./der.ts"

/** RFC 5280 §4.1.2.2: at most 20 octets; CA/Browser baseline: at least 64 random bits. */
const serialBytes = 16

/** RFC 5280 appendix A: ub-common-name. */
const commonNameCharsMax = 64

const ecdsaWithSha256 = sequence(objectIdentifier("1.2.840.10045.4.3.2"))

/** A certificate, as bytes and as the text that Node and OpenSSL read. */
export interface Certificate {
  readonly der: Buffer
  readonly pem: string
}

/** Who signs: the issuer's name and key. */
export interface Issuer {
  /** DER of the issuer's Name. */
  readonly subject: Buffer
  /** Key identifier of the issuer's key; see keyIdentifier(). */
  readonly keyId: Buffer
  readonly key: KeyObject
}

/** What an issuer signs. Times are milliseconds since 1970. */
export interface Contents {
  readonly subject: Buffer
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** DER, each made by extension(). */
  readonly extensions: readonly Buffer[]
}

/** A Name of one common name; an empty Name where the text is longer than a common name may be. */
export function name(commonName: string): Buffer {
  if (commonName.length > commonNameCharsMax) return sequence()
  return sequence(setOfOne(sequence(objectIdentifier("2.5.4.3"), utf8String(commonName))))
}

/** @param content DER of the extension's own type */
export function extension(oid: string, critical: boolean, content: Uint8Array): Buffer {
  const marked = critical ? [boolean(true)] : []
  return sequence(objectIdentifier(oid), ...marked, octetString(content))
}

/** The leftmost 160 bits of the SHA-256 of the public key (RFC 7093 §2, method 1). */
export function keyIdentifier(spki: Buffer): Buffer {
  // The point of P-256, uncompressed, is the end of the SubjectPublicKeyInfo (RFC 5480 §2.2).
  return createHash("sha256").update(spki.subarray(-65)).digest().subarray(0, 20)
}

/** SubjectPublicKeyInfo of a key of P-256, private or public. */
export function publicKeyInfo(key: KeyObject): Buffer {
  const jwk = key.export({ format: "jwk" })
  const point = [jwk.x, jwk.y].map((coordinate) => Buffer.from(coordinate ?? "", "base64url"))
  return sequence(
    sequence(objectIdentifier("1.2.840.10045.2.1"), objectIdentifier("1.2.840.10045.3.1.7")),
    bitString(Buffer.concat([Buffer.from([4]), ...point])),
  )
}

/** A certificate over `contents`, signed by `issuer`, with a random serial number. */
export function certificate(issuer: Issuer, contents: Contents): Certificate {
  const serial = randomBytes(serialBytes)
  // Why: a positive number of a fixed width, never zero (RFC 5280 §4.1.2.2).
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  const signed = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(serial),
    ecdsaWithSha256,
    issuer.subject,
    sequence(time(contents.notBeforeMs), time(contents.notAfterMs)),
    contents.subject,
    contents.spki,
    explicit(3, sequence(...contents.extensions)),
  )
  const der = sequence(signed, ecdsaWithSha256, bitString(sign("sha256", signed, issuer.key)))
  return { der, pem: pem(der) }
}

/** A certificate as text, in lines of 64 characters (RFC 7468 §2). */
export function pem(der: Buffer): string {
  const lines = der.toString("base64").replace(/(.{64})(?=.)/g, "$1\n")
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}
