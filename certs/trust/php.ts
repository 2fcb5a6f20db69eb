/**
 * Composer, and PHP's curl: the first asks `SSL_CERT_FILE` before anything else (composer/ca-bundle),
 * the second follows the system's bundle.
 *
 * `openssl.cafile` of a php.ini has no variable; where it names the system's bundle, it is extended
 * with it.
 */
import type { Store } from "./store.ts"

export const php: Store = {
  name: "Composer",
  variables: [{ name: "COMPOSER_CAFILE", holds: "whole", set: "extended" }],
  // getcomposer.org, config: `cafile`
  configured: [
    {
      files: ["~/.composer/config.json", "~/.config/composer/config.json", "./composer.json"],
      line: /"cafile"\s*:\s*"(.+?)"/,
    },
  ],
}
