/**
 * Server certificates: leaf(authority, key, names, now) gives one that every TLS client accepts who
 * trusts the authority, in about a tenth of a millisecond.
 *
 * The faults that a test needs (expired, another purpose, self-signed) are asked for by name.
 */
import { generateKeyPairSync } from "node:crypto"
import type { KeyObject } from "node:crypto"
import { bitString, implicit, objectIdentifier, octetString, sequence } from "./der.ts"
import { backdatedMs } from "./authority.ts"
import { certificate, extension, keyIdentifier, name, publicKeyInfo } from "./certificate.ts"
import type { Certificate, Issuer } from "./certificate.ts"

/** Longer than any build, and soon over: nobody keeps a leaf. */
export const leafLifeMs = 3 * 24 * 60 * 60 * 1000

/** The key pair of leaves; one serves any number of them. */
export interface LeafKey {
  readonly key: KeyObject
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer
  /** PKCS #8, PEM: what `tls.createSecureContext` takes. */
  readonly pem: string
}

export interface LeafOptions {
  /** Binary addresses, 4 or 16 bytes each, for the iPAddress names. */
  readonly addresses?: readonly Uint8Array[]
  /** Milliseconds since 1970; default: two days before now. */
  readonly notBeforeMs?: number
  /** Milliseconds since 1970; default: three days from now. */
  readonly notAfterMs?: number
  /** Default serverAuth. */
  readonly purpose?: "serverAuth" | "clientAuth"
}

const purposes = { serverAuth: "1.3.6.1.5.5.7.3.1", clientAuth: "1.3.6.1.5.5.7.3.2" } as const

export function leafKey(): LeafKey {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString()
  return { key: privateKey, spki: publicKeyInfo(privateKey), pem }
}

/**
 * A certificate for `names`, signed by `issuer`.
 *
 * @param names host names in ASCII, at least one unless there are addresses; `*.` may lead a name
 * @param nowMs milliseconds since 1970
 */
export function leaf(
  issuer: Issuer,
  key: LeafKey,
  names: readonly string[],
  nowMs: number,
  options: LeafOptions = {},
): Certificate {
  const subject = name(names[0] ?? "")
  return certificate(issuer, {
    subject,
    spki: key.spki,
    notBeforeMs: options.notBeforeMs ?? nowMs - backdatedMs,
    notAfterMs: options.notAfterMs ?? nowMs + leafLifeMs,
    extensions: [
      // basicConstraints: not an authority, the default value, hence empty (RFC 5280 §4.2.1.9)
      extension("2.5.29.19", true, sequence()),
      // keyUsage: digitalSignature
      extension("2.5.29.15", true, bitString(Buffer.from([0x80]), 7)),
      extension(
        "2.5.29.37",
        false,
        sequence(objectIdentifier(purposes[options.purpose ?? "serverAuth"])),
      ),
      // subjectAltName is critical where the subject is empty (§4.2.1.6)
      extension(
        "2.5.29.17",
        subject.length === 2,
        alternativeNames(names, options.addresses ?? []),
      ),
      extension("2.5.29.14", false, octetString(keyIdentifier(key.spki))),
      extension("2.5.29.35", false, sequence(implicit(0, issuer.keyId))),
    ],
  })
}

/** The same, but signed with its own key: nobody trusts it. */
export function selfSignedLeaf(
  key: LeafKey,
  names: readonly string[],
  nowMs: number,
  options: LeafOptions = {},
): Certificate {
  const issuer = { subject: name(names[0] ?? ""), keyId: keyIdentifier(key.spki), key: key.key }
  return leaf(issuer, key, names, nowMs, options)
}

function alternativeNames(names: readonly string[], addresses: readonly Uint8Array[]): Buffer {
  return sequence(
    ...names.map((host) => implicit(2, Buffer.from(host, "latin1"))),
    ...addresses.map((address) => implicit(7, address)),
  )
}
