#!/bin/sh
# Types, lint, format and unit tests: in seconds, offline, without root. Nothing is said of what is well.
set -u
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"
failed=""

# The compiler's output is what the tests run: see scripts/compiled.mjs.
tsc -p tsconfig.test.json || exit 1
mkdir -p .tap
prettier --check --log-level warn --cache --cache-strategy content --cache-location .tap/prettier . \
  >.tap/format.log 2>&1 &
format=$!
oxlint --type-aware --deny-warnings >.tap/lint.log 2>&1 || failed="$failed,lint"
wait "$format" || failed="$failed,format"
case $failed in *lint*) cat .tap/lint.log ;; esac
case $failed in *format*) cat .tap/format.log ;; esac

exec node --no-warnings --import ./scripts/compiled.mjs test/suite.ts --quiet --failed="$failed" \
  test/unit test/tidy.test.ts
