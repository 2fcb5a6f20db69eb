/**
 * Lets Node run the project's TypeScript as `tsc --outDir .tap/js` compiled it, each file under its
 * own name: `node --import ./scripts/compiled.mjs test/unit/net/address.test.ts`.
 *
 * Why not a compiler at run time: it costs each of a hundred test files half a second, and the
 * types are checked anyway.
 */
import { readFile } from "node:fs/promises"
import { register } from "node:module"
import { isMainThread } from "node:worker_threads"

const root = new URL("../", import.meta.url).href
const compiled = new URL(".tap/js/", root)

if (isMainThread) register(import.meta.url)

/** The compiler writes `.js` where the source says `.ts`; here they are still the sources. */
export async function resolve(specifier, context, next) {
  const ours = specifier.startsWith(".") && context.parentURL?.endsWith(".ts")
  return next(ours ? specifier.replace(/\.js$/, ".ts") : specifier, context)
}

export async function load(url, context, next) {
  if (!url.startsWith(root) || !url.endsWith(".ts")) return next(url, context)
  const file = new URL(url.slice(root.length).replace(/\.ts$/, ".js"), compiled)
  return { format: "module", source: await readFile(file), shortCircuit: true }
}
