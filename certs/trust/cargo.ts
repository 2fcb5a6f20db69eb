/**
 * Cargo: finds its bundle by openssl-probe, which reads `SSL_CERT_FILE` first.
 *
 * Why only extended: set anew, the variable would put aside `http.cainfo` of the user's own
 * config.toml (doc.rust-lang.org/cargo/reference/config.html).
 */
import type { Store } from "./store.ts"

export const cargo: Store = {
  name: "Cargo",
  variables: [{ name: "CARGO_HTTP_CAINFO", holds: "whole", set: "extended" }],
  // Both `[http]` with `cainfo` and `http.cainfo`.
  configured: [
    {
      files: ["$CARGO_HOME/config.toml", "~/.cargo/config.toml", "./.cargo/config.toml"],
      line: /^\s*(?:http\.)?cainfo\s*=\s*["'](.+?)["']/,
    },
  ],
}
