/** Where the one request of a plain-HTTP connection ends. Pure. */
import { BodyReader, chunkedTail } from "../http/body.ts"
import type { Head } from "../http/head.ts"
import type { Filter } from "./splice.ts"

/** What of the opening belongs to the request's body, and the filter for all that follows. */
export function bodyOf(
  head: Head,
  opening: Buffer,
): { readonly first: Buffer; readonly filter: Filter; readonly broken: boolean } {
  const body = new BodyReader(head.framing)
  const filter: Filter = (bytes) => {
    const { length, broken, tail } = body.read(bytes)
    return { length, broken, tail: tail ? chunkedTail : "" }
  }
  const rest = opening.subarray(head.length)
  const { length, tail, broken } = filter(rest)
  const first = Buffer.concat([rest.subarray(0, length), Buffer.from(tail, "latin1")])
  return { first, filter, broken }
}
