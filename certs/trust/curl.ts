/**
 * curl, and what reads its variable: R, and Python's requests where it has none of its own.
 *
 * The command reads it; the library does not, and follows the system's bundle (curl(1), ENVIRONMENT).
 */
import type { Store } from "./store.ts"

export const curl: Store = {
  name: "curl",
  variables: [{ name: "CURL_CA_BUNDLE", holds: "whole", set: "always" }],
  // curl(1), --config and --cacert: `cacert = "…"`, `--cacert …`.
  configured: [
    { files: ["~/.curlrc", "~/.config/curlrc"], line: /^\s*(?:--)?cacert[\s=:]+"?(.+?)"?\s*$/ },
    { files: ["~/.wgetrc", "/etc/wgetrc"], line: /^\s*ca_?certificate\s*=\s*(.+?)\s*$/i },
  ],
}
