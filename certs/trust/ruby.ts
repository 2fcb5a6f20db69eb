/**
 * RubyGems and Bundler: both take OpenSSL's default places beside their own, hence its variable.
 *
 * Bundler's `ssl_ca_cert` stands in their place where it is set (bundle-config(1)).
 */
import type { Store } from "./store.ts"

export const ruby: Store = {
  name: "RubyGems, Bundler",
  variables: [
    { name: "BUNDLE_SSL_CA_CERT", holds: "whole", set: "extended" },
    { name: "GEM_SSL_CA_CERT", holds: "whole", set: "extended" },
  ],
  configured: [
    {
      files: ["~/.bundle/config", "./.bundle/config"],
      line: /^BUNDLE_SSL_CA_CERT:\s*["']?(.+?)["']?\s*$/,
    },
    { files: ["~/.gemrc", "/etc/gemrc"], line: /^:ssl_ca_cert:\s*["']?(.+?)["']?\s*$/ },
  ],
}
