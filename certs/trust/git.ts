/**
 * Git, through libcurl: distributions' builds follow the system's bundle.
 *
 * Why only extended: set anew, the variable would put aside `http.sslCAInfo` of the user's own
 * configuration (git-config(1)), which may name an authority of theirs.
 */
import type { Store } from "./store.ts"

export const git: Store = {
  name: "Git",
  variables: [
    { name: "GIT_SSL_CAINFO", holds: "whole", set: "extended" },
    { name: "GIT_PROXY_SSL_CAINFO", holds: "whole", set: "extended" },
  ],
  // git-config(1), http.sslCAInfo, also for one URL.
  configured: [
    {
      files: ["/etc/gitconfig", "~/.gitconfig", "~/.config/git/config", "./.git/config"],
      line: /^\s*sslCAInfo\s*=\s*"?(.+?)"?\s*$/i,
    },
  ],
}
