/**
 * Python: requests (with pip, conda, Poetry and the Azure CLI), gRPC, httplib2. `ssl`, urllib, aiohttp,
 * httpx and uv follow OpenSSL's variable.
 *
 * requests has certifi's authorities of its own, and this variable stands in their place
 * (requests.sessions, merge_environment_settings). pip carries requests and reads it too, even with
 * `--isolated`; its own `PIP_CERT` is extended where it is set.
 */
import type { Store } from "./store.ts"

export const python: Store = {
  name: "Python requests, pip, conda, Azure CLI, gRPC",
  variables: [
    { name: "REQUESTS_CA_BUNDLE", holds: "whole", set: "always" },
    { name: "PIP_CERT", holds: "whole", set: "extended" },
    { name: "CONDA_SSL_VERIFY", holds: "whole", set: "extended" },
    { name: "HTTPLIB2_CA_CERTS", holds: "whole", set: "always" },
    // gRPC of every language but Go and Java (grpc/doc/environment_variables.md).
    { name: "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", holds: "whole", set: "always" },
  ],
  // Why: requests takes the variable before what pip or conda give it (psf/requests#3829).
  configured: [
    // pip.pypa.io, configuration: `cert`
    {
      files: [
        ...["/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf"],
        ...["$PIP_CONFIG_FILE", "$VIRTUAL_ENV/pip.conf"],
      ],
      line: /^\s*cert\s*[=:]\s*(.+?)\s*$/,
    },
    // docs.conda.io, .condarc: `ssl_verify`
    { files: ["~/.condarc", "$CONDARC"], line: /^\s*ssl_verify\s*:\s*["']?(.+?)["']?\s*$/ },
  ],
}
