/** A source of Ruby gems with the compact index (guides.rubygems.org/rubygems-org-compact-index-api). Pure. */
import { deflateSync, gzipSync } from "node:zlib"
import { tar, tarball } from "../archives.ts"
import { digest, type Files } from "./files.ts"

/** What a gem says of itself: a Gem::Specification in YAML. */
const metadata = `--- !ruby/object:Gem::Specification
name: tidy-words
version: !ruby/object:Gem::Version
  version: 1.0.0
platform: ruby
authors:
- Lab
bindir: bin
cert_chain: []
date: 2026-01-01 00:00:00.000000000 Z
dependencies: []
description:
email:
executables: []
extensions: []
extra_rdoc_files: []
files:
- lib/tidy-words.rb
homepage: https://gems.example.com
licenses: []
metadata: {}
post_install_message:
rdoc_options: []
require_paths:
- lib
required_ruby_version: !ruby/object:Gem::Requirement
  requirements:
  - - ">="
    - !ruby/object:Gem::Version
      version: '0'
required_rubygems_version: !ruby/object:Gem::Requirement
  requirements:
  - - ">="
    - !ruby/object:Gem::Version
      version: '0'
requirements: []
rubygems_version: 3.3.15
signing_key:
specification_version: 4
summary: words, tidy
test_files: []
`

/** The same for gem(1): what Ruby's Marshal makes of it (rubygems/lib/rubygems/specification.rb). */
const marshalled = [
  "BAh1OhdHZW06OlNwZWNpZmljYXRpb24B9QQIWxhJIgszLjMuMTUGOgZFVGkJSSIPdGlkeS13b3JkcwY7AFRV",
  "OhFHZW06OlZlcnNpb25bBkkiCjEuMC4wBjsAVEl1OglUaW1lDSCAH8AAAAAABjoJem9uZUkiCFVUQwY7AEZJ",
  "IhB3b3JkcywgdGlkeQY7AFRVOhVHZW06OlJlcXVpcmVtZW50WwZbBlsHSSIHPj0GOwBUVTsGWwZJIgYwBjsA",
  "RlU7CVsGWwZAETBbAEkiAAY7AFQwWwZJIghMYWIGOwBUMEkiHWh0dHBzOi8vZ2Vtcy5leGFtcGxlLmNvbQY7",
  "AFRUSSIJcnVieQY7AFRbAHsA",
].join("")

/** What gems.example.com serves. */
export function gemFiles(): Files {
  const gem = tar({
    "metadata.gz": gzipSync(metadata),
    "data.tar.gz": tarball({ "lib/tidy-words.rb": 'def tidy\n  "tidy words"\nend\n' }),
  })
  const info = `---\n1.0.0 |checksum:${digest("sha256", gem)}\n`
  const versions = `created_at: 2026-01-01T00:00:00Z\n---\ntidy-words 1.0.0 ${digest("md5", info)}\n`
  return {
    // Why: gem(1) asks for it first, and looks elsewhere for an older index when it is not there.
    "/": "a source of gems\n",
    "/versions": versions,
    "/names": "---\ntidy-words\n",
    "/info/tidy-words": info,
    "/quick/Marshal.4.8/tidy-words-1.0.0.gemspec.rz": deflateSync(
      Buffer.from(marshalled, "base64"),
    ),
    "/gems/tidy-words-1.0.0.gem": gem,
  }
}
