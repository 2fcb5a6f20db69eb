/**
 * Deno: has Mozilla's authorities built in, and reads one file beside them (docs.deno.com,
 * DENO_CERT). `DENO_TLS_CA_STORE` stays what it is: the file counts with every store.
 */
import type { Store } from "./store.ts"

export const deno: Store = {
  name: "Deno",
  variables: [{ name: "DENO_CERT", holds: "beside", set: "always" }],
}
