/** Package managers, each under request rules for the one package that it needs. */
import t from "tap"
import { labFor, whyNoLab } from "../bypass/harness.ts"
import { tryClients, type Client } from "./client-table.ts"

t.setTimeout(300_000)

const modules = `${import.meta.dirname}/../../node_modules`
const manifest = `{"name":"app","version":"1.0.0","license":"MIT","dependencies":{"left-padder":"1.0.0","@tidy/words":"1.0.0"}}\n`
const npmrc = `registry=https://registry.example.com/
//registry.example.com/:_authToken=word-of-nobody
fetch-retries=0
audit=false
fund=false
update-notifier=false
`
const padded = `node -p 'require("@tidy/words")(require("left-padder")("7  8", 6))'`
const leftPadder = {
  host: "registry.example.com",
  path: "/left-padder/-/left-padder-1.0.0.tgz",
  method: "GET",
  status: 200,
} as const
const npmLike = {
  files: { "package.json": manifest, ".npmrc": npmrc },
  rules: [
    "GET https://registry.example.com/left-padder",
    "GET https://registry.example.com/left-padder/-/*",
    "GET https://registry.example.com/@tidy/**",
  ],
  prints: /^ 7 8$/m,
  requests: [
    leftPadder,
    { ...leftPadder, path: "/left-padder" },
    { ...leftPadder, path: "/@tidy/words/-/words-1.0.0.tgz" },
  ],
  executable: /\/node$/,
} as const

const files = (...lines: string[]): string => `${lines.join("\n")}\n`

const clients: readonly Client[] = [
  {
    ...npmLike,
    name: "npm",
    needs: ["npm"],
    allowed: `npm install && ${padded}`,
    denied: `mkdir other; cp .npmrc other; cd other; echo '{"name":"left-padder","version":"2.0.0","description":"'$WORD'"}' >package.json; npm publish`,
    reasons: ["method-not-allowed"],
    refused: /403/,
  },
  {
    ...npmLike,
    name: "pnpm",
    needs: ["node"],
    allowed: `node ${modules}/pnpm/bin/pnpm.cjs install && ${padded}`,
    denied: `node ${modules}/pnpm/bin/pnpm.cjs add $WORD`,
    reasons: ["path-not-allowed"],
    refused: /403/,
  },
  {
    ...npmLike,
    name: "yarn",
    needs: ["node"],
    // Why: that of root is elsewhere, and outlives the test.
    environment: { YARN_CACHE_FOLDER: ".yarn-cache" },
    allowed: `node ${modules}/yarn/bin/yarn.js install && ${padded}`,
    denied: `node ${modules}/yarn/bin/yarn.js add $WORD`,
    reasons: ["path-not-allowed"],
    refused: /403|Forbidden/,
  },
  {
    name: "pip",
    needs: ["python3", "/usr/lib/python3/dist-packages/pip"],
    environment: { PIP_INDEX_URL: "https://pypi.example.com/simple/", PIP_NO_INPUT: "1" },
    rules: [
      "GET,HEAD https://pypi.example.com/simple/tidy-words/",
      "GET https://pypi.example.com/files/**",
    ],
    allowed: `python3 -m pip install --target words tidy-words && PYTHONPATH=words python3 -c 'import tidy_words; print(tidy_words.tidy(" a  b "))'`,
    prints: /^a b$/m,
    requests: [
      { path: "/simple/tidy-words/", method: "GET", status: 200 },
      { path: "/files/tidy_words-1.0.0-py3-none-any.whl", method: "GET", status: 200 },
    ],
    denied: "python3 -m pip download --retries 0 $WORD",
    reasons: ["path-not-allowed"],
    refused: /403|No matching distribution/,
    executable: /\/python3[.\d]*$/,
  },
  {
    name: "Go modules",
    needs: ["go"],
    environment: {
      GOFLAGS: "-mod=mod",
      GOPROXY: "https://proxy.example.com",
      GONOSUMDB: "example.com",
    },
    files: {
      "go.mod": "module app.test/app\n\ngo 1.19\n\nrequire example.com/words v1.0.0\n",
      "main.go": `package main\n\nimport "example.com/words"\n\nfunc main() { println(words.Tidy()) }\n`,
    },
    rules: ["GET https://proxy.example.com/example.com/words/@v/*"],
    allowed: "go run . 2>&1",
    prints: /^tidy words$/m,
    requests: [
      { path: "/example.com/words/@v/v1.0.0.zip", method: "GET", status: 200, protocol: "h2" },
      { path: "/example.com/words/@v/v1.0.0.mod", method: "GET", status: 200, protocol: "h2" },
    ],
    denied: "go get example.com/$WORD@v1.0.0",
    reasons: ["path-not-allowed"],
    refused: /403/,
    executable: /\/go$/,
  },
  {
    name: "cargo",
    needs: ["cargo"],
    // Why: this version still calls sparse registries unstable (1.68 does not).
    environment: { RUSTC_BOOTSTRAP: "1" },
    files: {
      "Cargo.toml": files(
        `[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"`,
        `[dependencies]\nwords = { version = "1", registry = "lab" }`,
      ),
      "src/main.rs": 'fn main() {\n    println!("{}", words::tidy())\n}\n',
      ".cargo/config.toml": files(
        `[registries.lab]\nindex = "sparse+https://crates.example.com/index/"`,
        "[unstable]\nsparse-registry = true",
      ),
    },
    rules: [
      "GET https://crates.example.com/index/config.json",
      "GET https://crates.example.com/index/wo/rd/words",
      "GET https://crates.example.com/crates/words-*.crate",
    ],
    allowed: "cargo fetch && ls .cargo/registry/cache/*",
    prints: /^words-1\.0\.0\.crate$/m,
    requests: [
      { path: "/index/wo/rd/words", method: "GET", status: 200 },
      { path: "/crates/words-1.0.0.crate", method: "GET", status: 200 },
    ],
    denied: "cargo search --registry lab $WORD",
    reasons: ["path-not-allowed"],
    refused: /403/,
    executable: /\/cargo$/,
  },
  {
    name: "RubyGems",
    needs: ["gem"],
    files: { ".gemrc": "---\n:sources:\n- https://gems.example.com\n" },
    rules: [
      "GET,HEAD https://gems.example.com/",
      "GET https://gems.example.com/info/tidy-words",
      "GET https://gems.example.com/quick/**/tidy-words-1.0.0.gemspec.rz",
      "GET https://gems.example.com/gems/tidy-words-1.0.0.gem",
    ],
    allowed: `gem install -i words --no-document tidy-words && ruby -Iwords/gems/tidy-words-1.0.0/lib -e 'require "tidy-words"; puts tidy'`,
    prints: /^tidy words$/m,
    requests: [
      { path: "/", method: "HEAD", status: 200 },
      { path: "/gems/tidy-words-1.0.0.gem", method: "GET", status: 200 },
    ],
    denied: "gem install -i words --no-document $WORD",
    reasons: ["path-not-allowed"],
    refused: /403|Could not find/,
    executable: /\/ruby[.\d]*$/,
  },
  {
    name: "Bundler",
    needs: ["bundle"],
    environment: { BUNDLE_PATH: "vendor", BUNDLE_SILENCE_ROOT_WARNING: "true", BUNDLE_RETRY: "0" },
    files: { Gemfile: 'source "https://gems.example.com"\ngem "tidy-words"\n' },
    rules: [
      "GET https://gems.example.com/versions",
      "GET https://gems.example.com/info/tidy-words",
      "GET https://gems.example.com/gems/tidy-words-1.0.0.gem",
    ],
    allowed: `bundle install && bundle exec ruby -e 'require "tidy-words"; puts tidy'`,
    prints: /^tidy words$/m,
    requests: [
      { path: "/versions", method: "GET", status: 200 },
      { path: "/gems/tidy-words-1.0.0.gem", method: "GET", status: 200 },
    ],
    denied: `mkdir other; cd other; echo 'source "https://gems.example.com/'$WORD'"; gem "tidy-words"' >Gemfile; bundle install`,
    reasons: ["path-not-allowed"],
    refused: /403|Forbidden|Authentication is required/,
    executable: /\/ruby[.\d]*$/,
  },
  {
    name: "Composer",
    needs: ["composer"],
    environment: { COMPOSER_ALLOW_SUPERUSER: "1", COMPOSER_NO_INTERACTION: "1" },
    files: {
      "composer.json": `{"repositories":[{"type":"composer","url":"https://packages.example.com"},{"packagist.org":false}],"require":{"example/words":"1.0.0"}}`,
    },
    rules: [
      "GET https://packages.example.com/packages.json",
      "GET https://packages.example.com/dist/*",
    ],
    allowed: `composer install && php -r 'require "vendor/autoload.php"; echo tidy(), "\\n";'`,
    prints: /^tidy words$/m,
    requests: [
      { path: "/packages.json", method: "GET", status: 200 },
      { path: "/dist/words-1.0.0.tar", method: "GET", status: 200 },
    ],
    denied: `sed -i "s#\\(packages.example.com\\)#\\1/$WORD#" composer.json; composer update`,
    reasons: ["path-not-allowed"],
    refused: /403/,
    executable: /\/php[.\d]*$/,
  },
  {
    name: "apt over https",
    needs: ["apt-get"],
    files: {
      "sources.list": "deb [trusted=yes] https://deb.example.com/debian lab main\n",
      "apt.conf": files(
        'Dir::Etc::SourceParts "/dev/null";',
        'Dir::State::status "/dev/null";',
        'APT::Sandbox::User "root";',
      ),
      "state/lists/partial/.keep": "",
      "cache/archives/partial/.keep": "",
      // Why a file: its configuration knows no variables, and options would be flags.
      "apt.sh": files(
        'printf \'Dir::Etc::SourceList "%s/sources.list";\\nDir::State "%s/state";\\nDir::Cache "%s/cache";\\n\' "$HOME" "$HOME" "$HOME" >>apt.conf',
        'export APT_CONFIG="$HOME/apt.conf"',
      ),
    },
    rules: [
      "GET https://deb.example.com/debian/dists/lab/**",
      "GET https://deb.example.com/debian/pool/**",
    ],
    allowed:
      ". ./apt.sh; apt-get update && apt-get download tidy-words && dpkg-deb -c tidy-words*.deb",
    prints: /usr\/share\/tidy-words\/words$/m,
    requests: [
      { path: "/debian/dists/lab/Release", method: "GET", status: 200 },
      { path: "/debian/pool/tidy-words_1.0.0_all.deb", method: "GET", status: 200 },
    ],
    denied: '. ./apt.sh; sed -i "s#/debian#/$WORD#" sources.list; apt-get update',
    reasons: ["path-not-allowed"],
    refused: /403/,
    executable: /\/https?$/,
  },
]

t.test("package managers", { skip: whyNoLab() ?? false, timeout: 290_000 }, async (t) =>
  tryClients(t, await labFor(t, {}), clients),
)
