#!/bin/sh
# Long fuzzing: sh scripts/fuzz.sh [FILE…]; FUZZ_SECONDS for each test (60), FUZZ_SEED for other chances.
set -eu
cd "$(dirname "$0")/.."
node node_modules/typescript/bin/tsc -p tsconfig.test.json
[ $# -gt 0 ] || set -- test/fuzz
FUZZ_SECONDS=${FUZZ_SECONDS:-60} FUZZ_SEED=${FUZZ_SEED:-$(date +%s)} exec \
  node --no-warnings --import ./scripts/compiled.mjs test/suite.ts "$@"
