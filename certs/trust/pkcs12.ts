/**
 * The certificates of a PKCS #12 store (RFC 7292): what newer JVMs ship, and what users make. Pure.
 *
 * Read are stores without encryption and those with PBES2 and AES, which Java makes since 17. The
 * older RC2 is not: neither Node nor OpenSSL 3 has it.
 */
import { createDecipheriv, pbkdf2Sync } from "node:crypto"
import { firstValue, inside, valuesIn, type Value } from "../der-read.ts"
import type { Entry } from "./jks.ts"

/** Content of object identifiers, hexadecimal. */
const data = "2a864886f70d010701"
const encryptedData = "2a864886f70d010706"
const certificateBag = "2a864886f70d010c0a0103"
const friendlyName = "2a864886f70d010914"
const pbes2 = "2a864886f70d01050d"
const pbkdf2 = "2a864886f70d01050c"

/** Pseudo-random functions of PBKDF2 (RFC 8018 B.1). */
const digests: Readonly<Record<string, string>> = {
  "2a864886f70d0207": "sha1",
  "2a864886f70d0209": "sha256",
  "2a864886f70d020a": "sha384",
  "2a864886f70d020b": "sha512",
}
/** Ciphers, and the length of their key in bytes (RFC 8018 B.2.5). */
const ciphers: Readonly<Record<string, readonly [string, number]>> = {
  "60864801650304012a": ["aes-256-cbc", 32],
  "608648016503040116": ["aes-192-cbc", 24],
  "608648016503040102": ["aes-128-cbc", 16],
}
/** Java takes 10,000. This many take a tenth of a second. */
const iterationsMax = 200_000

const hex = (value: Value | null | undefined): string => value?.content.toString("hex") ?? ""

function numberOf(value: Value | null): number {
  const length = value?.content.length ?? 0
  return value === null || length < 1 || length > 4 ? 0 : value.content.readUIntBE(0, length)
}

/** @param info EncryptedContentInfo: type, algorithm, [0] the bytes */
function decrypted(info: Value | null, password: string): Buffer | null {
  const algorithm = inside(info, 1)
  const derivation = inside(algorithm, 1, 0)
  if (hex(inside(algorithm, 0)) !== pbes2 || hex(inside(derivation, 0)) !== pbkdf2) return null
  const facts = valuesIn(inside(derivation, 1)?.content ?? Buffer.alloc(0)) ?? []
  const iterations = numberOf(facts[1] ?? null)
  const function_ = facts.find(({ tag }) => tag === 0x30)
  const digest = function_ === undefined ? "sha1" : digests[hex(inside(function_, 0))]
  const [cipher, keyBytes] = ciphers[hex(inside(algorithm, 1, 1, 0))] ?? []
  const iv = inside(algorithm, 1, 1, 1)
  const bytes = inside(info, 2)
  const salt = facts[0]
  if (iterations < 1 || iterations > iterationsMax || digest === undefined) return null
  if (cipher === undefined || keyBytes === undefined) return null
  if (iv === null || bytes === null || salt === undefined) return null
  try {
    const key = pbkdf2Sync(password, salt.content, iterations, keyBytes, digest)
    const decipher = createDecipheriv(cipher, key, iv.content)
    return Buffer.concat([decipher.update(bytes.content), decipher.final()])
  } catch {
    // Why: another password, or bytes that are none.
    return null
  }
}

/** @param content ContentInfo: type, [0] content */
function bagsOf(content: Value, password: string): Value[] | null {
  const type = hex(inside(content, 0))
  const plain =
    type === data
      ? (inside(content, 1, 0)?.content ?? null)
      : type === encryptedData
        ? decrypted(inside(content, 1, 0, 1), password)
        : null
  const bags = plain === null ? null : firstValue(plain)
  return bags === null ? null : valuesIn(bags.content)
}

/** @param bag SafeBag: type, [0] value, attributes */
function entryOf(bag: Value, index: number): Entry | null {
  if (hex(inside(bag, 0)) !== certificateBag) return null
  const der = inside(bag, 1, 0, 1, 0)?.content
  if (der === undefined) return null
  const attributes = valuesIn(inside(bag, 2)?.content ?? Buffer.alloc(0)) ?? []
  const named = attributes.find((attribute) => hex(inside(attribute, 0)) === friendlyName)
  const name = inside(named, 1, 0)?.content
  const alias =
    name === undefined || name.length % 2 === 1
      ? `certificate ${index}`
      : Buffer.from(name).swap16().toString("utf16le")
  return { alias, der }
}

/**
 * The certificates of a store.
 *
 * @param password tried where a part is encrypted
 * @returns null: the bytes are no such store, or a part of it cannot be read
 */
export function readPkcs12(bytes: Buffer, password: string): Entry[] | null {
  const content = inside(firstValue(bytes), 1)
  if (hex(inside(content, 0)) !== data) return null
  const safe = inside(content, 1, 0)
  const parts = safe === null ? null : firstValue(safe.content)
  const contents = parts === null ? null : valuesIn(parts.content)
  const entries: Entry[] = []
  for (const part of contents ?? []) {
    const bags = bagsOf(part, password)
    if (bags === null) return null
    for (const bag of bags) {
      const entry = entryOf(bag, entries.length + 1)
      if (entry !== null) entries.push(entry)
    }
  }
  return contents === null ? null : entries
}
