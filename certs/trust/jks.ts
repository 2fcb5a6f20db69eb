/**
 * Java's own format of key stores, JKS: read and written, without a JVM. Pure.
 *
 * Why this one: every JVM since 1.2 reads it, also where PKCS #12 is asked for
 * (`keystore.type.compat`, java.security), its certificates are not encrypted, and it needs no
 * password to be read. The source is OpenJDK's sun/security/provider/JavaKeyStore.java.
 */
import { createHash } from "node:crypto"

const magic = 0xfeedfeed
const version = 2
const privateKeyTag = 1
const certificateTag = 2
const digestBytes = 20
/** A store of a machine has some hundreds. */
const entriesMax = 10_000

/** The password that Java's own stores have; it protects nothing. */
export const usualPassword = "changeit"

export interface Entry {
  readonly alias: string
  /** The certificate, DER. */
  readonly der: Buffer
}

export interface KeyStore {
  /** Trusted certificates. */
  readonly entries: readonly Entry[]
  /** Entries of other kinds (private keys, version 1), as they stand in the file. */
  readonly others: readonly Buffer[]
}

/** Reads from the front; beyond the end it gives nothing and says so. */
class Reader {
  readonly #bytes: Buffer
  at = 0
  short = false

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  take(count: number): Buffer {
    if (this.short || count > this.#bytes.length - this.at) {
      this.short = true
      return Buffer.alloc(0)
    }
    this.at += count
    return this.#bytes.subarray(this.at - count, this.at)
  }

  number(octets: 2 | 4): number {
    const bytes = this.take(octets)
    return bytes.length === 0 ? 0 : bytes.readUIntBE(0, octets)
  }

  /** A length of two octets and that many of UTF-8. */
  text(): string {
    return this.take(this.number(2)).toString("utf8")
  }

  certificate(): Buffer {
    this.text()
    return this.take(this.number(4))
  }

  from(start: number): Buffer {
    return this.#bytes.subarray(start, this.at)
  }
}

/**
 * The entries of a store. Its digest is not checked: whoever can change the file can change the
 * digest too, the password being known.
 *
 * @returns null: the bytes are no such store
 */
export function readJks(bytes: Buffer): KeyStore | null {
  const reader = new Reader(bytes)
  if (reader.number(4) !== magic || reader.number(4) !== version) return null
  const count = reader.number(4)
  if (reader.short || count > entriesMax) return null
  const entries: Entry[] = []
  const others: Buffer[] = []
  for (let index = 0; index < count; index++) {
    const start = reader.at
    const tag = reader.number(4)
    const alias = reader.text()
    reader.take(8)
    if (tag === certificateTag) entries.push({ alias, der: reader.certificate() })
    else if (tag !== privateKeyTag) return null
    else {
      reader.take(reader.number(4))
      for (let left = reader.number(4); left > 0 && !reader.short; left--) reader.certificate()
      others.push(reader.from(start))
    }
    if (reader.short) return null
  }
  reader.take(digestBytes)
  return reader.short ? null : { entries, others }
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "utf8")
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
}

/**
 * @param nowMs when the entries were made, milliseconds since 1970
 * @param password what the digest is made with
 */
export function jks(
  { entries, others }: KeyStore,
  nowMs: number,
  password = usualPassword,
): Buffer {
  const date = Buffer.alloc(8)
  date.writeBigUInt64BE(BigInt(Math.floor(nowMs)))
  const body = Buffer.concat([
    int(magic),
    int(version),
    int(entries.length + others.length),
    ...others,
    ...entries.flatMap(({ alias, der }) => [
      ...[int(certificateTag), text(alias), date],
      ...[text("X.509"), int(der.length), der],
    ]),
  ])
  // JavaKeyStore.getPreKeyedHash(): the password as UTF-16 and a phrase go before the store.
  const digest = createHash("sha1")
    .update(Buffer.from(password, "utf16le").swap16())
    .update("Mighty Aphrodite")
    .update(body)
    .digest()
  return Buffer.concat([body, digest.subarray(0, digestBytes)])
}
