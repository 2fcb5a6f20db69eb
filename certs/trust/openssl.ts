/**
 * OpenSSL's own variable, and all that follow it: Python's ssl and httpx, Ruby, PHP's streams, Go, rustls with
 * the system's roots, uv, Cargo, .NET, wget built with OpenSSL.
 *
 * Most of these would find the system's bundle by themselves. Builds from elsewhere (conda, Nix,
 * rustup, Homebrew) have other places compiled in, and all of them read this variable.
 *
 * `SSL_CERT_DIR` is left alone: it is read beside the file, never in its place.
 */
import type { Store } from "./store.ts"

/** SSL_CTX_set_default_verify_paths(3); crypto/x509/root_unix.go; openssl-probe; .NET on Linux. */
export const openssl: Store = {
  name: "OpenSSL, Python ssl, httpx, uv, Ruby, PHP, Go, Rust, .NET",
  variables: [
    { name: "SSL_CERT_FILE", holds: "whole", set: "always" },
    // Nixpkgs' OpenSSL, curl and Go read it first (pkgs/development/libraries/openssl).
    { name: "NIX_SSL_CERT_FILE", holds: "whole", set: "extended" },
  ],
}
