/**
 * Node.js, Bun, and what runs on them: npm, pnpm, Yarn, undici, Electron's main process.
 *
 * Node has authorities of its own and reads the file beside them (node(1), NODE_EXTRA_CA_CERTS); so
 * does Bun since 1.1.22. Why not `NODE_USE_SYSTEM_CA`: only Node 24 knows it, and it adds every
 * authority of the machine.
 */
import type { Store } from "./store.ts"

export const node: Store = {
  name: "Node.js, npm, pnpm, Yarn, Bun",
  variables: [
    { name: "NODE_EXTRA_CA_CERTS", holds: "beside", set: "always" },
    // npm's `cafile`, in place of Node's own (docs.npmjs.com/cli/using-npm/config#cafile).
    { name: "npm_config_cafile", holds: "whole", set: "extended" },
    { name: "NPM_CONFIG_CAFILE", holds: "whole", set: "extended" },
    { name: "YARN_CAFILE", holds: "whole", set: "extended" },
    // Yarn 2 and newer: `httpsCaFilePath`, and the older `caFilePath`.
    { name: "YARN_HTTPS_CA_FILE_PATH", holds: "whole", set: "extended" },
    { name: "YARN_CA_FILE_PATH", holds: "whole", set: "extended" },
  ],
  configured: [
    // npm and pnpm: docs.npmjs.com/cli/configuring-npm/npmrc
    {
      files: ["./.npmrc", "~/.npmrc", "/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc"],
      line: /^\s*cafile\s*=\s*"?(.+?)"?\s*$/,
    },
    { files: ["./.yarnrc", "~/.yarnrc"], line: /^\s*"?cafile"?\s+"?(.+?)"?\s*$/ },
    {
      files: ["./.yarnrc.yml", "~/.yarnrc.yml"],
      line: /^\s*(?:httpsCaFilePath|caFilePath)\s*:\s*["']?(.+?)["']?\s*$/,
    },
  ],
}
