/**
 * A certificate authority of our own: one key of P-256 and its self-signed certificate.
 *
 * It may sign leaves and nothing else (path length 0). Keeping it on disk is not done here.
 */
import { generateKeyPairSync } from "node:crypto"
import { bitString, boolean, implicit, integer, octetString, sequence } from "./der.ts"
import { certificate, extension, keyIdentifier, name, publicKeyInfo } from "./certificate.ts"
import type { Certificate, Issuer } from "./certificate.ts"

/** Clocks of build machines and containers differ; a certificate is valid since before it was made. */
export const backdatedMs = 48 * 60 * 60 * 1000

const dayMs = 24 * 60 * 60 * 1000

/**
 * Of a run's authority. Longer than any build: GitHub ends a job on a machine of one's own after 5
 * days. Whatever becomes of the certificate afterwards, it is soon worth nothing.
 */
export const runLifeMs = 14 * dayMs

/** Of an authority that is kept: longer than a lab, shorter than a forgotten machine's life. */
export const keptLifeMs = 3650 * dayMs

export interface Authority extends Issuer, Certificate {}

/**
 * @param commonName what people see in lists of trusted authorities; at most 64 characters
 * @param nowMs milliseconds since 1970
 * @param lifeMs how long from now it is valid
 */
export function authority(commonName: string, nowMs: number, lifeMs = keptLifeMs): Authority {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const subject = name(commonName)
  const spki = publicKeyInfo(privateKey)
  const keyId = keyIdentifier(spki)
  const issuer = { subject, keyId, key: privateKey }
  const made = certificate(issuer, {
    subject,
    spki,
    notBeforeMs: nowMs - backdatedMs,
    notAfterMs: nowMs + lifeMs,
    extensions: [
      // basicConstraints: cA, pathLenConstraint 0 (RFC 5280 §4.2.1.9)
      extension("2.5.29.19", true, sequence(boolean(true), integer(Buffer.from([0])))),
      // keyUsage: keyCertSign, cRLSign (§4.2.1.3)
      extension("2.5.29.15", true, bitString(Buffer.from([0x06]), 1)),
      extension("2.5.29.14", false, octetString(keyId)),
      extension("2.5.29.35", false, sequence(implicit(0, keyId))),
    ],
  })
  return { ...issuer, ...made }
}
