/** A sparse registry of Cargo (The Cargo Book, "Registry Index") with one crate. Pure. */
import { tarball } from "../archives.ts"
import { digest, type Files } from "./files.ts"

const manifest = '[package]\nname = "words"\nversion = "1.0.0"\nedition = "2021"\n'
const source = 'pub fn tidy() -> &\'static str {\n    "tidy words"\n}\n'

/** What crates.example.com serves. */
export function cargoFiles(): Files {
  const crate = tarball({ "words-1.0.0/Cargo.toml": manifest, "words-1.0.0/src/lib.rs": source })
  const line = {
    name: "words",
    vers: "1.0.0",
    deps: [],
    cksum: digest("sha256", crate),
    features: {},
    yanked: false,
  }
  return {
    "/index/config.json": JSON.stringify({
      dl: "https://crates.example.com/crates/{crate}-{version}.crate",
      api: "https://crates.example.com",
    }),
    "/index/wo/rd/words": `${JSON.stringify(line)}\n`,
    "/crates/words-1.0.0.crate": crate,
  }
}
