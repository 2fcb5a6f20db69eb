/** Server certificates with one fault each, and without any: what a client must refuse, and take. Pure. */
import { authority, type Authority } from "../certs/authority.ts"
import type { Certificate } from "../certs/certificate.ts"
import { leaf, selfSignedLeaf, type LeafKey } from "../certs/leaf.ts"
import type { Fault } from "./recorder-ports.ts"

const dayMs = 24 * 60 * 60 * 1000

/**
 * @param signer an authority that clients trust
 * @param name the host that clients will ask for
 * @param nowMs milliseconds since 1970
 */
export function faultyLeaf(
  fault: Fault | null,
  signer: Authority,
  key: LeafKey,
  name: string,
  nowMs: number,
): Certificate {
  switch (fault) {
    case null:
      return leaf(signer, key, [name], nowMs)
    case "self-signed":
      return selfSignedLeaf(key, [name], nowMs)
    case "expired":
      return leaf(signer, key, [name], nowMs, {
        notBeforeMs: nowMs - 90 * dayMs,
        notAfterMs: nowMs - dayMs,
      })
    case "not-yet-valid":
      return leaf(signer, key, [name], nowMs, { notBeforeMs: nowMs + dayMs })
    case "wrong-name":
      return leaf(signer, key, [`not-${name}`], nowMs)
    case "wrong-usage":
      return leaf(signer, key, [name], nowMs, { purpose: "clientAuth" })
    case "unknown-issuer":
      return leaf(authority("Nobody's authority", nowMs), key, [name], nowMs)
  }
}
